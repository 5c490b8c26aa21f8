"""A log of which each line is one line, whatever strangers send."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.utils.log import get_scrapy_root_handler

from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_FULL = (errno.ENOSPC, errno.EDQUOT)
LONGEST = 10_000  # characters of a line: what a page names may be as long as the page


class LogLines:
    """Keeps control characters, line breaks and passwords out of the log. That its file takes no more (LOG_FILE, on a
    full disk) is told once, to stderr. Without settings."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        install_line_records()
        lines = cls()
        crawler.signals.connect(lines.spider_opened, signals.spider_opened)
        return lines

    def spider_opened(self) -> None:
        _tell_once(get_scrapy_root_handler())  # not before: Scrapy makes another one as a crawl begins


class LineRecord(logging.LogRecord):
    """A record whose text is `printable`, whichever handler and formatter it goes to: one line, and not a long one.

    Only what the code itself wrote as several lines, and tracebacks, go on in further lines. These are indented, so
    that none can be taken for a record.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._why = ""
        if self.exc_info and isinstance(error := self.exc_info[1], OSError) and error.errno in _FULL:
            self.exc_info, self._why = None, f": {error}"  # where the disk was found to be full helps nobody
        if self.exc_info and self.exc_info[0]:
            self.exc_text = _indented("".join(traceback.format_exception(*self.exc_info)))
        if self.stack_info:
            self.stack_info = _indented(self.stack_info)

    def getMessage(self) -> str:  # noqa: N802 -- the name that logging knows
        text = super().getMessage() + self._why
        by_code = "\n" in str(self.msg) and (self.args or self.name.startswith("scrapy."))  # Scrapy dumps its stats so
        return _indented(text) if by_code else _line(text)


def _tell_once(handler: logging.Handler | None) -> None:
    """Have it said once, and in one line, that the file of *handler* cannot be written: logging would print a traceback
    for each line."""
    if not isinstance(handler, logging.FileHandler) or "handleError" in vars(handler):
        return
    told: list[str] = []

    def tell(record: logging.LogRecord) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            logging.FileHandler.handleError(handler, record)
        elif not told:
            told.append(f"LOG_FILE={handler.baseFilename}: {error.strerror}; until there is room the log is lost")
            sys.stderr.write(f"{printable(told[0])}\n")

    handler.handleError = tell  # type: ignore[method-assign] # Scrapy has no place for another handler


def _indented(text: str) -> str:
    return "\n  ".join(map(_line, text.rstrip("\n").split("\n")))


def _line(text: str) -> str:
    shown = printable(text)  # first: no password loses the @ by which it is known
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}… ({len(shown)} characters)"


def install_line_records() -> None:
    """Have this process make `LineRecord`s of all that is logged from now on."""
    if logging.getLogRecordFactory() is not LineRecord:
        logging.setLogRecordFactory(LineRecord)
