"""Regular expressions with possessive groups, as `(?:…)*+`, that match the same on every Python."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any, AnyStr


def compile_possessive(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`. Before Python 3.11.5 what is in a possessive group is not tried again in another way, so that
    much is not found (python/cpython#106052): there `regex` does it."""
    if sys.version_info >= (3, 11, 5):
        return re.compile(pattern, flags)
    regex: Any = import_module("regex")
    same = sum(getattr(regex, str(flag.name)) for flag in re.RegexFlag(flags))  # ASCII has another number there
    compiled: re.Pattern[AnyStr] = regex.compile(pattern, same)
    return compiled
