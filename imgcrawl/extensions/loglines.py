"""A log of which each line is one line, whatever strangers send."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any, Self

from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

LONGEST = 10_000  # characters of a line: what a page names may be as long as the page


class LogLines:
    """Keeps control characters, line breaks and passwords out of the log. Without settings."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        install_line_records()
        return cls()


class LineRecord(logging.LogRecord):
    """A record whose text is `printable`, whichever handler and formatter it goes to: one line, and not a long one.

    Only what the code itself wrote as several lines, and tracebacks, go on in further lines. These are indented, so
    that none can be taken for a record.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0]:
            self.exc_text = _indented("".join(traceback.format_exception(*self.exc_info)))
        if self.stack_info:
            self.stack_info = _indented(self.stack_info)

    def getMessage(self) -> str:  # noqa: N802 -- the name that logging knows
        text = super().getMessage()
        by_code = "\n" in str(self.msg) and (self.args or self.name.startswith("scrapy."))  # Scrapy dumps its stats so
        return _indented(text) if by_code else _line(text)


def _indented(text: str) -> str:
    return "\n  ".join(map(_line, text.rstrip("\n").split("\n")))


def _line(text: str) -> str:
    shown = printable(text)  # first: no password loses the @ by which it is known
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}… ({len(shown)} characters)"


def install_line_records() -> None:
    """Have this process make `LineRecord`s of all that is logged from now on."""
    if logging.getLogRecordFactory() is not LineRecord:
        logging.setLogRecordFactory(LineRecord)
