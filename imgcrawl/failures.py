"""What to call what can go wrong with a download."""

from __future__ import annotations

from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    NotSupported,
    ResponseDataLossError,
    StopDownload,
    UnsupportedURLSchemeError,
)
from scrapy.spidermiddlewares.httperror import HttpError

from imgcrawl.exceptions import RequestRefused
from imgcrawl.items import REASONS


class DownloadTLSError(DownloadFailedError):
    """A certificate that does not verify, or a handshake that fails. Asking again does not help."""


_FAILURES: tuple[tuple[type[BaseException], tuple[str, str]], ...] = (
    (DownloadTLSError, ("failed", "tls")),
    (CannotResolveHostError, ("failed", "dns")),
    (DownloadTimeoutError, ("failed", "timeout")),
    (TimeoutError, ("failed", "timeout")),
    (ResponseDataLossError, ("failed", "truncated")),
    (DownloadConnectionRefusedError, ("failed", "connection")),
    (DownloadFailedError, ("failed", "connection")),
    (ConnectionError, ("failed", "connection")),
    # Scrapy's handlers cancel a download for its size only.
    (DownloadCancelledError, ("refused", "too_large")),
    (UnsupportedURLSchemeError, ("refused", "scheme")),
    (NotSupported, ("refused", "scheme")),
    (StopDownload, ("refused", "filtered")),
    (IgnoreRequest, ("refused", "filtered")),
)

# HttpCompressionMiddleware lets their errors out, and the OSError and EOFError of gzip, for a body that is not
# encoded as its Content-Encoding says. Which of them are installed is Scrapy's choice.
_CODECS = ("zlib", "brotli", "_brotli", "brotlicffi._api", "backports.zstd", "compression.zstd")

# Scrapy tells these apart only by their text (2.19).
_IGNORED = {
    "max redirections reached": ("failed", "too_many_redirects"),
    "exceeded DOWNLOAD_MAXSIZE": ("refused", "too_large"),
    "Forbidden by robots.txt": ("refused", "robots"),
}


# What trying again mends: nothing was asked, or nothing is wrong with what came.
NOT_OF_THE_SITE = ("lost", "storage", "stopped", "error")

_PASSING = {
    "timeout",
    "dns",
    "connection",
    "tls",
    "retry_after",
    "no_robots",
    "busy",
    "http_408",
    "http_425",
    "http_429",
}


def is_passing(reason: str) -> bool:
    """Whether what fails for *reason* may be over by and by: nothing was said of the address."""
    return reason in _PASSING or reason.startswith("http_5")


def reason_of(exception: BaseException) -> tuple[str, str]:
    """The status and reason (see `imgcrawl.items.REASONS`) for *exception*, whatever a download can raise.

    ("failed", "error") for what no one foresaw; the caller should log that one.
    """
    if isinstance(exception, RequestRefused):
        return ("failed" if exception.reason in REASONS["failed"] else "refused", exception.reason)
    if isinstance(exception, HttpError):
        return ("failed", f"http_{exception.response.status}")
    if isinstance(exception, IgnoreRequest):
        for text, outcome in _IGNORED.items():
            if text in str(exception):
                return outcome
    for kind, outcome in _FAILURES:
        if isinstance(exception, kind):
            return outcome
    if isinstance(exception, (OSError, EOFError)) or type(exception).__module__ in _CODECS:
        return ("failed", "corrupt")
    return ("failed", "error")
