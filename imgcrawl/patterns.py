"""Regular expressions that a user wrote, searched for in what strangers wrote."""

from __future__ import annotations

import logging
import re
from importlib import import_module
from typing import Any, Final

logger = logging.getLogger(__name__)

SECONDS: Final = 0.1  # that one text may take, also on a machine that is busy
_OFTEN, _SHARE = 10, 100  # so many texts may take as long, and one of so many


class UserPattern:
    """The regular expression *text*, which the user calls *name*. Some take longer than the universe is old on a text
    that was made for them (`(a+)+$`): a search ends after SECONDS, and says *late* then, as all others do where that
    comes again and again. Raises `re.error`.
    """

    def __init__(self, text: str, name: str, *, late: bool) -> None:
        re.compile(text)  # whose errors are known
        self._name = f"{name}{text}"
        # Its searches can be ended, in any thread; few crawls have patterns, and it takes some time to load.
        regex: Any = import_module("regex")
        try:
            self._pattern: Any = regex.compile(text)
        except regex.error as error:
            raise re.error(str(error)) from error
        self._late = late
        self._searches = self._ended = 0

    def is_in(self, text: str) -> bool:
        """Whether it is found in *text*."""
        self._searches += 1
        if self._ended > _OFTEN + self._searches // _SHARE:
            return self._late
        try:
            return self._pattern.search(text, timeout=SECONDS) is not None
        except TimeoutError:
            self._ended += 1
            if self._ended == 1:
                taken = "a match" if self._late else "none"
                logger.warning(
                    "%.200s takes too long on %.200r, which is taken for %s, as all like it are; expected a pattern "
                    "without repeats in repeats, as (a+)+", self._name, text, taken,
                )  # fmt: skip
            return self._late


def is_in(pattern: str, text: str) -> bool:
    """Whether *pattern* is found in *text*. Raises `re.error`, and TimeoutError where that takes too long."""
    re.compile(pattern)
    regex: Any = import_module("regex")
    try:
        return regex.search(pattern, text, timeout=SECONDS) is not None
    except regex.error as error:
        raise re.error(str(error)) from error
