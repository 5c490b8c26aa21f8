"""What is asked for again, and when."""

from __future__ import annotations

import logging
import random
import re

import scrapy.downloadermiddlewares.retry
from scrapy import Request
from scrapy.exceptions import CannotResolveHostError
from scrapy.http import Response
from scrapy.settings import BaseSettings
from scrapy.utils.response import response_status_message

from imgcrawl.bodies import body_file_of
from imgcrawl.downloader import downloader_of
from imgcrawl.failures import DownloadTLSError
from imgcrawl.limits.retry_after import SLOWER, retry_after
from imgcrawl.pages.busy import says_busy

logger = logging.getLogger(__name__)

_SHORT = 20_000  # bytes of what says so
# In linear time: what is not closed goes on to the end, or to the next tag.
_TAGS = re.compile(rb"<(?:script|style)\b.*?(?:</(?:script|style)>|\Z)|<[^<>]*>?", re.DOTALL | re.IGNORECASE)
_DNS_RETRIES = 2  # a name server has a bad moment; a name that does not exist will not begin to


class RetryMiddleware(scrapy.downloadermiddlewares.retry.RetryMiddleware):
    """Scrapy's retries (same settings, meta keys and stats), with growing delays between them.

    Settings of ours, in seconds:

    - ``RETRY_DELAY`` (1): before the first retry; doubled for each further one, each ±50 % at random.
    - ``RETRY_MAX_DELAY`` (60): no such delay is longer.
    - ``RETRY_AFTER_MAX`` (300): a Retry-After (RFC 9110, 10.2.3) of a 429 or 503 stops the host for all workers
      (`imgcrawl.limits`); the request comes again after it. One that asks for more than this ends it at once.
    - ``RETRY_AFTER_TIMES`` (10): as often, without counting for RETRY_TIMES. Not in seconds.

    A large body that breaks off, or takes longer than DOWNLOAD_TIMEOUT, is gone on with where it broke, if the server
    names its version (`imgcrawl.bodies`); that does not count as a retry while each answer brings a good part of it.

    What was answered 429 or 503 comes again before what was not asked for yet: its priority rises by one, whatever
    RETRY_PRIORITY_ADJUST says, and it is the next of its host (meta ``retry_first``).

    An image without a byte in it is asked for once more, and one in whose place there is a page that says that there
    were too many requests as any other failure.

    A TLS failure is not retried, an unknown host name twice at most. A wait ends, and the last outcome stands,
    as soon as the crawl is being stopped. Needs `imgcrawl.downloader.Downloader`, which knows that a request
    that waits is not busy.
    """

    def __init__(self, settings: BaseSettings) -> None:
        super().__init__(settings)
        self._delay = settings.getfloat("RETRY_DELAY", 1.0)
        self._max_delay = settings.getfloat("RETRY_MAX_DELAY", 60.0)
        self._retry_after_max = settings.getfloat("RETRY_AFTER_MAX", 300.0)
        self._retry_after_times = settings.getint("RETRY_AFTER_TIMES", 10)

    async def process_request(self, request: Request) -> None:
        """Wait before a page that a spider asks for again (meta ``retry_wait``, with ``retry_times``)."""
        if request.meta.pop("retry_wait", False):
            await self._wait(request)

    async def process_response(  # type: ignore[override]  # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response
    ) -> Request | Response:
        if request.meta.get("dont_retry") or response.status not in self.retry_http_codes:
            anew = self._asked_anew(request, response)
            return anew if anew and await self._wait(anew) else response
        asked = retry_after(response) if response.status in SLOWER else 0.0
        if asked > self._retry_after_max:
            logger.debug(
                "Gave up retrying %s: HTTP %d asks to wait longer than RETRY_AFTER_MAX (%g s)",
                request,
                response.status,
                self._retry_after_max,
            )
            self.crawler.stats.inc_value("retry/retry_after_too_long")
            return response
        waited: int = request.meta.get("retry_after_times", 0)
        if asked > 0 and waited < self._retry_after_times:
            again = _first(request.copy(), request)
            again.meta["retry_after_times"] = waited + 1
            again.dont_filter = True
            self.crawler.stats.inc_value("retry/count")
            self.crawler.stats.inc_value("retry/retry_after")
            return again if await downloader_of(self.crawler).wait_for(again, asked) else response
        again_ = self._retry(request, response_status_message(response.status))
        if again_ and response.status in SLOWER:
            _first(again_, request)
        return again_ if again_ and await self._wait(again_) else response

    async def process_exception(  # type: ignore[override]  # as above
        self, request: Request, exception: Exception
    ) -> Request | None:
        if (
            request.meta.get("dont_retry")
            or isinstance(exception, DownloadTLSError)
            or not isinstance(exception, self.exceptions_to_retry)
        ):
            return None
        body_file = body_file_of(request)
        if body_file and body_file.made_progress():
            self.crawler.stats.inc_value("retry/resumed")
            return request.replace(dont_filter=True)
        retried: int = request.meta.get("retry_times", 0)
        if isinstance(exception, CannotResolveHostError) and retried >= _DNS_RETRIES:
            return None
        again = self._retry(request, exception)
        return again if again and await self._wait(again) else None

    def _asked_anew(self, request: Request, response: Response) -> Request | None:
        """*request*, of an image, once more, if *response* has none in it that may be there the next time."""
        if not request.meta.get("media") or not 200 <= response.status < 300:
            return None
        file = body_file_of(request)
        if not response.body and not (file and file.is_written):
            return self._retry(request, "empty") if not request.meta.get("retry_times") else None
        return self._retry(request, "busy") if _is_busy(response) else None

    async def _wait(self, again: Request) -> bool:
        doubled = self._delay * 2 ** min(again.meta["retry_times"] - 1, 30)
        seconds = min(self._max_delay, doubled * random.uniform(0.5, 1.5))
        return await downloader_of(self.crawler).wait(seconds)


def _first(again: Request, request: Request) -> Request:
    again.priority = request.priority + 1
    again.meta["retry_first"] = True
    return again


def _is_busy(response: Response) -> bool:
    """Whether *response*, which came in the place of an image, says that there were too many requests."""
    body = response.body[:_SHORT]
    kind = response.headers.get("Content-Type") or b""
    is_text = body.lstrip()[:1] in (b"<", b"{") or kind.startswith((b"text/", b"application/json"))
    return is_text and says_busy(_TAGS.sub(b" ", body).decode("utf-8", "replace"))
