"""Regular expressions with possessive groups, as `(?:…)*+`, that match the same on every Python."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any, AnyStr, cast


def compile_possessive(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`. Before Python 3.11.5 what is in a possessive group is not tried again in another way, so that
    much is not found (python/cpython#106052): there `regex` does it."""
    if sys.version_info >= (3, 11, 5):
        return re.compile(pattern, flags)
    regex: Any = import_module("regex")
    same = sum(getattr(regex, str(flag.name)) for flag in re.RegexFlag(flags))  # ASCII has another number there
    compiled: re.Pattern[AnyStr] = regex.compile(pattern, same)
    return compiled


def compile_late(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The same, but compiled when it is first used: few crawls use all patterns, and all together take a tenth of the
    time that a crawl takes to start. A search takes 30 ns more, so this is not for what each image or tag is read with.
    """
    return cast("re.Pattern[AnyStr]", LatePattern(pattern, flags))


_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")


class LatePattern:
    """A pattern that is compiled when it is first used. The functions of `re` do not take it."""

    __slots__ = ("_source", *_METHODS)

    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self._source = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        compiled: Any = compile_possessive(*self._source)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
