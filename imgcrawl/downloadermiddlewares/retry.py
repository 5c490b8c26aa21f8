"""What is asked for again, and when."""

from __future__ import annotations

import calendar
import logging
import random
import re
import time
from email.utils import parsedate_to_datetime
from math import inf

import scrapy.downloadermiddlewares.retry
from scrapy import Request
from scrapy.exceptions import CannotResolveHostError
from scrapy.http import Response
from scrapy.settings import BaseSettings
from scrapy.utils.response import response_status_message

from imgcrawl.downloader import downloader_of
from imgcrawl.downloadhandler import DownloadTLSError

logger = logging.getLogger(__name__)

_DNS_RETRIES = 2  # a name server has a bad moment; a name that does not exist will not begin to


class RetryMiddleware(scrapy.downloadermiddlewares.retry.RetryMiddleware):
    """Scrapy's retries (same settings, meta keys and stats), with growing delays between them.

    Settings of ours, in seconds:

    - ``RETRY_DELAY`` (1): before the first retry; doubled for each further one, each ±50 % at random.
    - ``RETRY_MAX_DELAY`` (60): no such delay is longer.
    - ``RETRY_AFTER_MAX`` (300): a Retry-After (RFC 9110, 10.2.3) of a 429 or 503 is obeyed instead of these
      delays; one that asks for more than this ends the retries at once.

    A TLS failure is not retried, an unknown host name twice at most. A wait ends, and the last outcome stands,
    as soon as the crawl is being stopped. Needs `imgcrawl.downloader.Downloader`, which knows that a request
    that waits is not busy.
    """

    def __init__(self, settings: BaseSettings) -> None:
        super().__init__(settings)
        self._delay = settings.getfloat("RETRY_DELAY", 1.0)
        self._max_delay = settings.getfloat("RETRY_MAX_DELAY", 60.0)
        self._retry_after_max = settings.getfloat("RETRY_AFTER_MAX", 300.0)

    async def process_response(  # type: ignore[override]  # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response
    ) -> Request | Response:
        if request.meta.get("dont_retry") or response.status not in self.retry_http_codes:
            return response
        asked = retry_after(response) if response.status in (429, 503) else 0.0
        if asked > self._retry_after_max:
            logger.debug(
                "Gave up retrying %s: HTTP %d asks to wait longer than RETRY_AFTER_MAX (%g s)",
                request,
                response.status,
                self._retry_after_max,
            )
            self.crawler.stats.inc_value("retry/retry_after_too_long")
            return response
        again = self._retry(request, response_status_message(response.status))
        return again if again and await self._wait(again, asked) else response

    async def process_exception(  # type: ignore[override]  # as above
        self, request: Request, exception: Exception
    ) -> Request | None:
        if (
            request.meta.get("dont_retry")
            or isinstance(exception, DownloadTLSError)
            or not isinstance(exception, self.exceptions_to_retry)
        ):
            return None
        retried: int = request.meta.get("retry_times", 0)
        if isinstance(exception, CannotResolveHostError) and retried >= _DNS_RETRIES:
            return None
        again = self._retry(request, exception)
        return again if again and await self._wait(again, 0.0) else None

    async def _wait(self, again: Request, asked: float) -> bool:
        if asked > 0:
            # Later at random, so that not all who were told the same come at once; never earlier.
            seconds = asked * random.uniform(1.0, 1.1)
        else:
            doubled = self._delay * 2 ** min(again.meta["retry_times"] - 1, 30)
            seconds = min(self._max_delay, doubled * random.uniform(0.5, 1.5))
        return await downloader_of(self.crawler).wait(seconds)


def retry_after(response: Response) -> float:
    """The seconds that Retry-After asks to wait (RFC 9110, 10.2.3); 0.0 if it is missing, past or no such value.

    A date is compared with the server's own Date where there is one, because clocks differ.
    """
    value = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return float(value) if len(value) < 20 else inf
    until = _timestamp(value)
    if until is None:
        return 0.0
    now = _timestamp((response.headers.get("Date") or b"").decode("latin-1"))
    return max(0.0, until - (time.time() if now is None else now))


def _timestamp(http_date: str) -> float | None:
    try:
        date = parsedate_to_datetime(http_date)
        # One of the three forms of an HTTP-date (RFC 9110, 5.6.7) names no zone; all are in GMT.
        return calendar.timegm(date.timetuple()) if date.tzinfo is None else date.timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
