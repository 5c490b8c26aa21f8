"""What is wrong with received bytes. Loads nothing: the process that decodes images is small."""

from __future__ import annotations


class ImgcrawlError(Exception):
    """Base of everything raised on purpose. Its text is one sentence for the user."""


class ImageError(ImgcrawlError):
    """Received bytes that are not an image we keep.

    *reason* is a key of `imgcrawl.items.REASONS`; *detail* says more, for the log.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
