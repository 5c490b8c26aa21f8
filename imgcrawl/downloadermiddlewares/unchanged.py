"""Pages that have not changed are not sent again: what Scrapy's cache of HTTP is to do with pages."""

from __future__ import annotations

from scrapy import Request
from scrapy.downloadermiddlewares import httpcache
from scrapy.http import Response
from scrapy.settings import BaseSettings
from scrapy.utils.httpobj import urlparse_cached

from imgcrawl.downloadermiddlewares.pages import is_page

_ASKED = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class UnchangedPages:
    """For ``HTTPCACHE_POLICY``: a page with an ETag or a Last-Modified is kept, and always asked for again, with these
    (RFC 9110, 13.1). 304 means that it is as it was; any other answer counts, also that of a site that is down.

    Images and other media are not kept here; nor is what the site wants stored nowhere (``Cache-Control: no-store``).
    """

    def __init__(self, settings: BaseSettings) -> None:
        self._ignored = settings.getlist("HTTPCACHE_IGNORE_SCHEMES")

    def should_cache_request(self, request: Request) -> bool:
        return is_page(request) and request.method == "GET" and urlparse_cached(request).scheme not in self._ignored

    def should_cache_response(self, response: Response, request: Request) -> bool:
        is_known = bool(response.headers.get("ETag") or response.headers.get("Last-Modified"))
        return is_known and response.status == 200 and b"no-store" not in (response.headers.get("Cache-Control") or b"")

    def is_cached_response_fresh(self, cachedresponse: Response, request: Request) -> bool:
        for name, asked in _ASKED.items():
            if value := cachedresponse.headers.get(name):
                request.headers[asked] = value
        return False

    def is_cached_response_valid(self, cachedresponse: Response, response: Response, request: Request) -> bool:
        return response.status == 304


class HttpCacheMiddleware(httpcache.HttpCacheMiddleware):
    """Scrapy's, except that a page that cannot be had is not taken from the cache, and that what one page was asked for
    with is not said to the page that it leads to."""

    def process_response(  # type: ignore[override] # Scrapy's takes a spider, too, which nobody gives any more
        self, request: Request, response: Response
    ) -> Request | Response:
        is_conditional = "cached_response" in request.meta
        answer: Request | Response = super().process_response(request, response)
        if is_conditional:
            for name in _ASKED.values():
                request.headers.pop(name, None)
        return answer

    def process_exception(self, request: Request, exception: Exception) -> None:  # type: ignore[override] # as above
        request.meta.pop("cached_response", None)
