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
from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import DownloadTLSError
from imgcrawl.limits.retry_after import SLOWER, retry_after
from imgcrawl.pages.busy import says_busy, says_not_yet
from imgcrawl.possessive import compile_late
from imgcrawl.stopping import cut_short
from imgcrawl.webrequest import as_first_asked

logger = logging.getLogger(__name__)

_SHORT, _LONG = 20_000, 1_000_000  # bytes of what says so, and of what may have an image all the same
# In linear time: what is not closed goes on to the end, or to the next tag.
_TAGS = re.compile(rb"<(?:script|style)\b.*?(?:</(?:script|style)>|\Z)|<[^<>]*>?", re.DOTALL | re.IGNORECASE)
_IMAGE = compile_late(
    rb"<(?:img|picture|amp-img|image|video)\b|\.(?:jpe?g|png|webp|gif|avif)\b|\bog:image\b|<a\s[^<>]*?\sdownload[\s=>]"
    rb"|\sdata-(?:bg|background)[\w-]{0,20}=|\bbackground(?:-image)?\s*+:[^;{}<>]{0,100}?url\((?![\"']?data:)",
    re.IGNORECASE,
)
# What is no page, though it is a text: what was asked for, however little it says.
_XML = compile_late(
    rb"(?:\xef\xbb\xbf)?+(?:\s++|<[?!][^<>]*+>)*+<(?:\w{1,20}+:)?(?:svg|urlset|sitemapindex|rss|feed)\b"
)
_OF_A_GALLERY = ("gallery", "subpage")  # tasks whose page is nothing without images
_ACCEPTED = 202
# Of what stands before a site, and could not reach it, or not yet.
_PASSING = (425, 520, 521, 522, 523, 524, 525, 526, 527, 530)
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

    Beside Scrapy's codes 425, 520 to 527 and 530 are retried, unless RETRY_HTTP_CODES is set. A page or an image
    without a byte in it is asked for once more. One in whose place there is a page that says that there were too many
    requests, or that comes with the status 202, is asked for again as after any other failure; one that says nothing,
    to wait, or that something went wrong, once more. A gallery's page that stays so fails
    (``empty``, ``busy``).

    A TLS failure is not retried, an unknown host name twice at most. A wait ends as soon as the crawl is being
    stopped: the last outcome stands, a page goes back to the queue that workers share, and an image is ``stopped``.
    Needs `imgcrawl.downloader.Downloader`, which knows that a request that waits is not busy.
    """

    def __init__(self, settings: BaseSettings) -> None:
        super().__init__(settings)
        if not settings.getpriority("RETRY_HTTP_CODES"):
            self.retry_http_codes.update(_PASSING)
        self._delay = settings.getfloat("RETRY_DELAY", 1.0)
        self._max_delay = settings.getfloat("RETRY_MAX_DELAY", 60.0)
        self._retry_after_max = settings.getfloat("RETRY_AFTER_MAX", 300.0)
        self._retry_after_times = settings.getint("RETRY_AFTER_TIMES", 10)

    async def process_request(self, request: Request) -> None:
        """Wait before a page that a spider asks for again (meta ``retry_wait``: how often it has)."""
        if times := request.meta.pop("retry_wait", 0):
            request.meta["retry_times"] = times
            await self._wait(request)

    async def process_response(  # type: ignore[override]  # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response
    ) -> Request | Response:
        if request.meta.get("dont_retry") or response.status not in self.retry_http_codes:
            return await self._had(request, response)
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
            if await downloader_of(self.crawler).wait_for(again, asked):
                return as_first_asked(again)
            cut_short(request)
            return response
        again_ = self._retry(request, response_status_message(response.status))
        if again_ and response.status in SLOWER:
            _first(again_, request)
        return as_first_asked(again_) if again_ and await self._waited(request, again_) else response

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
        return again if again and await self._waited(request, again) else None

    async def _had(self, request: Request, response: Response) -> Request | Response:
        """*response*, or *request* once more if that has nothing in it which may be there the next time.

        Raises `RequestRefused` for a page of a gallery that has nothing to the end.
        """
        lacks = _lacks(request, response)
        if not lacks:
            return response
        may_again = lacks == "busy" or not request.meta.get("retry_times")
        if may_again and not request.meta.get("dont_retry") and (again := self._retry(request, lacks)):
            return as_first_asked(again) if await self._waited(request, again) else response
        if request.meta.get("task") in _OF_A_GALLERY and lacks != "not yet":
            raise RequestRefused(lacks, f"{response.url}: status {response.status}")
        return response

    async def _waited(self, request: Request, again: Request) -> bool:
        """Whether the time of *again* has come, which is *request* once more."""
        if await self._wait(again):
            return True
        cut_short(request)
        return False

    async def _wait(self, again: Request) -> bool:
        doubled = self._delay * 2 ** min(again.meta["retry_times"] - 1, 30)
        seconds = min(self._max_delay, doubled * random.uniform(0.5, 1.5))
        return await downloader_of(self.crawler).wait(seconds)


def _first(again: Request, request: Request) -> Request:
    again.priority = request.priority + 1
    again.meta["retry_first"] = True
    return again


def _lacks(request: Request, response: Response) -> str:
    """What is wrong with *response*, which came in the place of an image or of a page: nothing, "empty" or as
    `_said` has it."""
    is_media, task = request.meta.get("media"), request.meta.get("task")
    if not 200 <= response.status < 300 or not (is_media or task in (*_OF_A_GALLERY, "list", "sitemap")):
        return ""
    file = body_file_of(request)
    if not response.body and not (file and file.is_written):
        return "empty"
    # What a list page says is for the spider: something may stand around it.
    return _said(response, is_page=not is_media) if is_media or task != "list" else ""


def _said(response: Response, *, is_page: bool) -> str:
    """ "busy" if *response* says that there were too many requests, or that what was asked for is still being made. A
    page that has images is one, whatever it says. "not yet" if it has none, and says something like it."""
    body = response.body[:_SHORT]
    kind = response.headers.get("Content-Type") or b""
    is_text = body.lstrip()[:1] in (b"<", b"{") or kind.startswith((b"text/", b"application/json"))
    has_images = is_text and _IMAGE.search(body)
    if not is_text or (is_page and has_images) or _XML.match(body):
        return ""
    text = _TAGS.sub(b" ", body).decode("utf-8", "replace")
    said = "busy" if response.status == _ACCEPTED or says_busy(text) else ""
    said = said or ("not yet" if not has_images and says_not_yet(text) else "")
    return "" if said and is_page and _IMAGE.search(response.body, 0, _LONG) else said
