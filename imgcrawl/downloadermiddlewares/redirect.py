"""Where a redirect leads, and what it may not change."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

import scrapy.downloadermiddlewares.redirect
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.http import HtmlResponse, Response
from w3lib.url import safe_url_string

from imgcrawl.downloader import downloader_of
from imgcrawl.exceptions import RequestRefused
from imgcrawl.followed import lead
from imgcrawl.pages.scripted import scripted_target
from imgcrawl.pages.tags import base_of, tags
from imgcrawl.possessive import compile_late
from imgcrawl.referrers import referer_by
from imgcrawl.urls import absolute, host_of
from imgcrawl.webrequest import WebRequest

_HEAD = 8 * 1024  # bytes of a page in which it may say that it is another
_REFRESH = compile_late(
    r"\s*+([0-9]{1,6}(?:\.[0-9]*)?|\.[0-9]+)(?:\s*+[;,]\s*+|\s++)(?:url\s*+=\s*+)?+"
    r"(?:'\s*+([^'\s][^']*)|\"\s*+([^\"\s][^\"]*)|([^'\"\s].*))",
    re.IGNORECASE | re.DOTALL,
)


class RedirectMiddleware(scrapy.downloadermiddlewares.redirect.RedirectMiddleware):
    """Scrapy's redirects (same settings and meta keys), with these differences:

    - The Referer of a media request (meta ``media``) stays the page that shows the image, as in a browser:
      image hosts look at it, unless its policy (meta ``image_referrer``) is against it.
    - It is followed where it is met, as part of the page that was asked for: so a page that leads to one that was
      asked for before, to itself (with a cookie) or to a list page has an answer, too, and is not filtered.
    - The request counts for the limits of the host it leads to, not of the one it came from.
    - A Location is read as browsers do: relative, in UTF-8 or not (what is not goes back as it came), with backslashes
      or spaces (`imgcrawl.urls`).
    - What is sent to a list page (by POST) is sent to no other site: such a page gets the 3xx response.
    - A Location that is no address raises `RequestRefused` ("invalid_url"), and one that is neither http nor
      https raises it ("scheme") for a media request; a page gets the 3xx response, as in Scrapy.
    """

    def handle_referer(self, request: Request, response: Response) -> None:
        if not request.meta.get("media"):
            super().handle_referer(request, response)
        elif (policy := request.meta.get("image_referrer")) and (stated := request.headers.get("Referer")):
            del request.headers["Referer"]
            image = (request.meta.get("redirect_urls") or [response.url])[0]
            if referer := referer_by(policy, stated.decode("latin-1"), image, request.url):
                request.headers["Referer"] = referer

    async def process_response(  # type: ignore[override] # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        redirected = self._redirected(request, response)
        if not isinstance(redirected, Request) or redirected.meta.get("media"):
            return redirected
        return await _followed(self.crawler, request, redirected)

    def _redirected(self, request: Request, response: Response) -> Request | Response:
        try:
            location = response.headers.get("Location")
            address = absolute(request.url, _location(location)) if location else None
            if address:
                response.headers["Location"] = address
            result = super().process_response(request, response)
            if address and isinstance(result, WebRequest) and result.url.partition("#")[0] != address:
                # Scrapy has escaped what browsers do not.
                result = result.replace(url=address)
            if result is response and request.meta.get("media"):
                _refuse_other_schemes(request, response)
        except ValueError as error:
            location = response.headers.get("Location", b"") or b""
            raise RequestRefused("invalid_url", f"{request.url} redirects to {location[:200]!r}: {error}") from error
        if isinstance(result, Request):
            is_list = request.meta.get("task") == "list"
            if result.method == "POST" and is_list and not _is_same_site(result, request):
                return response  # a stranger's form, with the cookies that the user has there
            if result.method != request.method:
                result.meta["redirect_posted"] = _sent_with(request) if is_list else []
            _move_to_new_slot(result, request)
        return result


class MetaRefreshMiddleware(scrapy.downloadermiddlewares.redirect.MetaRefreshMiddleware):
    """Scrapy's (same settings and meta keys) for pages, also by the header `Refresh`, and by a script where a page has
    nothing else; followed where it is met, as redirects are. A page that would be loaded again and again is taken as it
    is."""

    async def process_response(  # type: ignore[override] # Scrapy awaits it where its own returns at once
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        if request.meta.get("media") or request.meta.get("dont_redirect") or not isinstance(response, HtmlResponse):
            return response
        header = _text(response.headers.get("Refresh") or b"")
        head = response.body[:_HEAD].lower()
        if not header and b"refresh" not in head and b"location" not in head:
            return response
        stated = _refresh(header) or (_stated_refresh(response, self._ignore_tags) if b"refresh" in head else None)
        seconds, url = stated or (None, "")
        if not url and len(response.body) <= _HEAD:
            seconds, url = 0.0, scripted_target(response.text)
        target = absolute(response.url, url) if url else None
        if not target or target == response.url or seconds is None or seconds >= self._maxdelay:
            return response
        redirected = self._redirect(
            self._redirect_request_using_get(request, response, target), request, "meta refresh"
        )
        _move_to_new_slot(redirected, request)
        return await _followed(self.crawler, request, redirected)


def _sent_with(request: Request) -> list[str]:
    return [each.decode("utf-8", "replace") for each in (request.body, request.headers.get("Content-Type") or b"")]


def _is_same_site(one: Request, other: Request) -> bool:
    """Whether they go to one host, or to one below the other."""
    hosts = sorted((host_of(one.url), host_of(other.url)), key=len)
    return f".{hosts[1]}".endswith(f".{hosts[0]}")


async def _followed(crawler: Crawler, request: Request, redirected: Request) -> Response:
    """The answer of what *request* led to."""
    lead(request, redirected)
    # The request that is followed counts; this one has nothing to do but to wait for it.
    with downloader_of(crawler).backpressure.not_counted():
        return await crawler.engine.download_async(redirected)


def _refresh(said: str) -> tuple[float, str] | None:
    match = _REFRESH.match(said)
    return (float(match[1]), (match[2] or match[3] or match[4]).strip()) if match else None


def _stated_refresh(page: HtmlResponse, ignored: Collection[str]) -> tuple[float, str] | None:
    """What the meta elements in the head of *page* say, but for those in elements that are *ignored*: seconds and
    address. Scrapy's reading knows fewer spellings than browsers do ("0;/next", "1 ; url = /next")."""
    text, inside = page.text[:_HEAD], ""
    around = frozenset(ignored) - {"script"}  # of which nothing is read as tags
    for tag in tags(text, frozenset(("meta", *around))):
        if inside or tag.name in around:
            inside = "" if tag.name == f"/{inside}" else inside or tag.name
        elif tag.attributes.get("http-equiv", "").strip().lower() == "refresh":
            found = _refresh(tag.attributes.get("content", ""))
            if found and (address := absolute(base_of(text, page.url), found[1])):
                return found[0], address
    return None


def _location(header: bytes) -> str:
    """The value of the header: in UTF-8, or with each byte that is not as the server's own encoding has it."""
    try:
        return header.decode("utf-8").strip()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in header).strip()


def _text(header: bytes) -> str:
    """A header's value: in UTF-8, or what browsers take it for."""
    try:
        return header.decode("utf-8").strip()
    except UnicodeDecodeError:
        return header.decode("latin-1").strip()


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
