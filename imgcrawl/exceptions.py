"""Everything raised on purpose, and how an error is told.

ImgcrawlError
 ├── InputError         an argument, a setting or a file is not what it should be; nothing was requested yet
 ├── ImageError         bytes that were received are not an image we keep; carries a reason of `items.REASONS`
 ├── RequestRefused     a request we chose not to make; carries a reason of `items.REASONS`
 └── GalleryUnfinished  a gallery was given up because the crawl is being stopped; its page is to be done again
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy.exceptions import CloseSpider, DropItem, IgnoreRequest

from imgcrawl.imageerrors import ImageError, ImgcrawlError
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scrapy.statscollectors import StatsCollector

__all__ = [
    "BAD_INPUT",
    "GalleryUnfinished",
    "ImageError",
    "ImgcrawlError",
    "InputError",
    "RequestRefused",
    "describe",
    "record_fatal_error",
]

BAD_INPUT = "bad input: "  # how the finish reason of a crawl begins that an `InputError` ended


class InputError(ImgcrawlError, CloseSpider):
    """Bad input from the user. The sentence names the thing, the value and what was expected.

    Being a `CloseSpider`, it ends a crawl in order also where Scrapy has begun to start it: raised by
    `open_spider`, by a `spider_opened` handler or by `start`.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(f"{BAD_INPUT}{sentence}")  # the finish reason
        self.args = (sentence,)


class GalleryUnfinished(ImgcrawlError, DropItem):  # noqa: N818 -- a decision, as DropItem is, not an error
    """An item that is not in the feed because the crawl was stopped amid its images: its page is not done.

    What was stored of it is known, and is not fetched again when the crawl goes on. *outcomes* are those that its
    images had by then.
    """

    def __init__(self, message: str, outcomes: Sequence[Mapping[str, Any]] = (), log_level: str | None = None) -> None:
        super().__init__(message, log_level=log_level)
        self.outcomes = outcomes


class RequestRefused(ImgcrawlError, IgnoreRequest):  # noqa: N818 -- a decision, as IgnoreRequest is, not an error
    """A request that we chose not to make. Scrapy treats it as any `IgnoreRequest`: no traceback, no retry.

    *reason* is a key of `imgcrawl.items.REASONS`; *detail* says more, for the log.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def describe(error: BaseException) -> str:
    """*error* in a few words for the user: what the system says, or its text, or its class where it has none."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def record_fatal_error(stats: StatsCollector, sentence: str) -> None:
    """Make *sentence* the crawl's verdict (the stat `verdict/error`), unless an earlier one is."""
    if not stats.get_value("verdict/error"):
        stats.set_value("verdict/error", printable(sentence))
