"""A log of which each line is one line, whatever strangers send."""

from __future__ import annotations

import copy
import logging
import traceback
from typing import TYPE_CHECKING, Self

from scrapy.utils.log import get_scrapy_root_handler

from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class LogLines:
    """Keeps control characters, line breaks and passwords out of the log. Without settings."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        install_line_formatter()  # the crawler has just made the handler anew, with its spider's settings
        return cls()


class LineFormatter(logging.Formatter):
    """Has *inner* format records whose text is `printable`: a record is one line.

    Only what the code itself wrote as several lines, and tracebacks, go on in further lines. These are indented, so
    that none can be taken for a record.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        safe = copy.copy(record)
        text = record.getMessage()
        several = record.args and "\n" in str(record.msg)
        safe.msg, safe.args = _indented(text) if several else printable(text), ()
        if record.exc_info and record.exc_info[0]:
            safe.exc_text = _indented("".join(traceback.format_exception(*record.exc_info)))
        elif record.exc_text:
            safe.exc_text = _indented(record.exc_text)
        if record.stack_info:
            safe.stack_info = _indented(record.stack_info)
        return self.inner.format(safe)


def _indented(text: str) -> str:
    return "\n  ".join(printable(line) for line in text.rstrip("\n").split("\n"))


def install_line_formatter() -> None:
    """Have Scrapy's log handler, if there is one, write nothing but `printable` lines."""
    handler = get_scrapy_root_handler()
    if handler and not isinstance(handler.formatter, LineFormatter):
        handler.setFormatter(LineFormatter(handler.formatter or logging.Formatter()))
