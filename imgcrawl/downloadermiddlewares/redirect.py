"""Where a redirect leads, and what it may not change."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import scrapy.downloadermiddlewares.redirect
from scrapy import Request, Spider
from scrapy.http import Response
from w3lib.url import safe_url_string

from imgcrawl.downloader import downloader_of
from imgcrawl.exceptions import RequestRefused


class RedirectMiddleware(scrapy.downloadermiddlewares.redirect.RedirectMiddleware):
    """Scrapy's redirects (same settings and meta keys), with these differences:

    - The Referer of a media request (meta ``media``) stays the page that shows the image, as in a browser:
      image hosts look at it.
    - It is followed where it is met, as part of the page that was asked for: so a page that leads to one that was
      asked for before, to itself (with a cookie) or to a list page has an answer, too, and is not filtered.
    - The request counts for the limits of the host it leads to, not of the one it came from.
    - A Location that is no address raises `RequestRefused` ("invalid_url"), and one that is neither http nor
      https raises it ("scheme") for a media request; a page gets the 3xx response, as in Scrapy.
    """

    def handle_referer(self, request: Request, response: Response) -> None:
        if not request.meta.get("media"):
            super().handle_referer(request, response)

    async def process_response(  # type: ignore[override] # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        redirected = self._redirected(request, response)
        if not isinstance(redirected, Request) or redirected.meta.get("media"):
            return redirected
        request.meta["dont_retry"] = True  # it has been done, where it led to
        # The request that is followed counts; this one has nothing to do but to wait for it.
        with downloader_of(self.crawler).backpressure.not_counted():
            return await self.crawler.engine.download_async(redirected)

    def _redirected(self, request: Request, response: Response) -> Request | Response:
        try:
            result = super().process_response(request, response)
            if result is response and request.meta.get("media"):
                _refuse_other_schemes(request, response)
        except ValueError as error:
            location = response.headers.get("Location", b"") or b""
            raise RequestRefused("invalid_url", f"{request.url} redirects to {location[:200]!r}: {error}") from error
        if isinstance(result, Request):
            _move_to_new_slot(result, request)
        return result


def _refuse_other_schemes(request: Request, response: Response) -> None:
    location = response.headers.get("Location")
    if location and 300 <= response.status < 400:
        target = urljoin(request.url, safe_url_string(location))
        if urlsplit(target).scheme not in ("http", "https"):
            raise RequestRefused("scheme", f"{request.url} redirects to {target[:200]}")


def _move_to_new_slot(redirected: Request, request: Request) -> None:
    # Scrapy's downloader leaves the slot it chose in the meta, where a copy of the request would keep it. One
    # that differs from the host was chosen by the spider, and stays.
    if redirected.meta.get("download_slot") == urlsplit(request.url).hostname:
        del redirected.meta["download_slot"]
