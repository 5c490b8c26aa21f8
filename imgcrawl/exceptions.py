"""Everything raised on purpose.

ImgcrawlError
 ├── InputError         an argument, a setting or a file is not what it should be; nothing was requested yet
 ├── ImageError         bytes that were received are not an image we keep; carries a reason of `items.REASONS`
 └── RequestRefused     a request we chose not to make; carries a reason of `items.REASONS`
"""

from __future__ import annotations

from scrapy.exceptions import IgnoreRequest


class ImgcrawlError(Exception):
    """Base of everything raised on purpose. Its text is one sentence for the user."""


class InputError(ImgcrawlError):
    """Bad input from the user. The sentence names the thing, the value and what was expected."""


class ImageError(ImgcrawlError):
    """Received bytes that are not an image we keep.

    *reason* is a key of `imgcrawl.items.REASONS`; *detail* says more, for the log.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class RequestRefused(ImgcrawlError, IgnoreRequest):
    """A request that we chose not to make. Scrapy treats it as any `IgnoreRequest`: no traceback, no retry.

    *reason* is a key of `imgcrawl.items.REASONS`; *detail* says more, for the log.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
