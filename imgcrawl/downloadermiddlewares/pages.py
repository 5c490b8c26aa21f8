"""What a page may cost, in bytes, in memory and in time of the event loop."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import weakref
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import HtmlResponse, JsonResponse, Response, TextResponse, XmlResponse
from scrapy.http.request import NO_CALLBACK
from w3lib.encoding import html_body_declared_encoding, http_content_type_encoding, read_bom

from imgcrawl.engine import give_base
from imgcrawl.exceptions import RequestRefused
from imgcrawl.longwork import WorkGivenUp
from imgcrawl.pages.encodings import guessed_encoding, is_nearly_utf_8, is_web_encoding
from imgcrawl.pages.markup import too_much
from imgcrawl.pages.outside import LARGE, outside_loop
from imgcrawl.pages.sitemaps import SITEMAP_MAXSIZE
from imgcrawl.possessive import compile_late
from imgcrawl.stopping import given_up

_COUNTED = 128 * 1024  # bytes from which on a page counts among those that are there together
_TOGETHER = 5 * 1024 * 1024  # bytes of these that are there at a time; parsed, they take some fifteen times that
_PATIENCE = 120  # seconds that a large page waits for others, which may wait for images in their turn
# )]}' and its like keep other sites' scripts from reading an answer; or it is the call of a function (JSONP).
_BEFORE_JSON = compile_late(
    rb"(?:\xef\xbb\xbf)?\s{0,9}(?:/\*\*/)?\s{0,9}"
    rb"(?:\)\]\}',?|while\s?\((?:1|true)\);|for\s?\(;;\);|([\w$.\[\]'\"]{1,200}\s?\())\s{0,99}(?=[\[{])"
)
_LOOKED = 1  # seconds after which it is looked whether only garbage has them


class PagesMiddleware:
    """Bounds pages, and parses large ones outside the event loop, before their callback asks for what is in them.

    ``PAGES_MAXSIZE`` (default 10 MiB; 0: no bound but DOWNLOAD_MAXSIZE, which is for images too): bytes of a page,
    compressed or not. What is larger fails (``too_large``), as does what has more elements or attributes than a parser
    reads in good time (`imgcrawl.pages.markup`). A request's own meta ``download_maxsize`` goes before it.
    A sitemap (of the callback ``parse_sitemap``) may be as large as its protocol allows, and is not parsed as a whole.
    Images and other media, which have neither a callback nor a task, are not pages. A large page waits while many
    others are in memory, until what was made of them has its outcome; one that is fetched as a part of another does
    not. An encoding that no browser knows is taken as not said, and a page is HTML or JSON by what is in it, whatever
    its Content-Type.
    """

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._bytes = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._collected = 0.0  # when garbage was

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        bounds = (
            crawler.settings.getint("PAGES_MAXSIZE", 10 * 1024 * 1024),
            crawler.settings.getint("DOWNLOAD_MAXSIZE"),
        )
        return cls(min((bound for bound in bounds if bound > 0), default=0))

    def process_request(self, request: Request) -> None:
        if is_page(request):
            bound = SITEMAP_MAXSIZE if _is_sitemap(request) else self._maxsize
            request.meta.setdefault("download_maxsize", bound)

    async def process_response(self, request: Request, response: Response) -> Response:
        if not is_page(request) or _is_sitemap(request) or not isinstance(response, TextResponse):
            return response
        try:
            return await self._parsed(request, response)
        except WorkGivenUp:
            raise given_up(request) from None

    async def _parsed(self, request: Request, response: TextResponse) -> TextResponse:
        size = len(response.body)
        response = await outside_loop(size, _bounded, response)
        if size < LARGE or not isinstance(response, HtmlResponse | XmlResponse):
            return response
        if size >= _COUNTED and request.callback is not NO_CALLBACK:
            await self._room_for(response, size)
        # What cannot be parsed is no less so in the callback.
        with suppress(Exception):
            selector = await outside_loop(size, getattr, response, "selector")
            # Each has the other, so both would stay until the collector of such circles comes along.
            selector.response = weakref.proxy(response)
        return response

    async def _room_for(self, response: Response, size: int) -> None:
        """Wait for room among the large pages, and count *response* as one of them."""
        while self._bytes and self._bytes + size > _TOGETHER:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            for _ in range(_PATIENCE // _LOOKED):
                await asyncio.wait([waiter], timeout=_LOOKED)
                if waiter.done():
                    break
                self._collect()
            else:
                break  # who still has the others need not be waiting for anything of ours
        self._bytes += size
        weakref.finalize(response, _from_any_thread, asyncio.get_running_loop(), self._freed, size)

    def _collect(self) -> None:
        """A callback may have made a circle with its response in it."""
        if monotonic() >= self._collected + _LOOKED:  # for all that wait
            gc.collect()
            self._collected = monotonic()

    def _freed(self, size: int) -> None:
        self._bytes -= size
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def is_page(request: Request) -> bool:
    """Whether *request* is for a page, and not for an image or another medium, nor for a robots.txt."""
    return not request.meta.get("media") and (request.callback is not NO_CALLBACK or "task" in request.meta)


def _is_sitemap(request: Request) -> bool:
    """By who is to read it: anything in its meta may have come from anybody."""
    return getattr(request.callback, "__name__", "") == "parse_sitemap"


def _bounded(response: TextResponse) -> TextResponse:
    """*response* in an encoding of the web. Raises `RequestRefused` if it is too much for a parser."""
    if not _says_encoding(response) and is_nearly_utf_8(response.body):
        response = response.replace(encoding="utf-8")
    declared = ""
    if not is_web_encoding(response.encoding) or response.encoding.startswith("utf-16"):
        declared = html_body_declared_encoding(response.body) or ""
    if declared.startswith("utf-16"):  # found in ASCII, so it is not; browsers take it for UTF-8
        response = response.replace(encoding=guessed_encoding(response.body))
    elif not is_web_encoding(response.encoding):
        known = declared if is_web_encoding(declared) else guessed_encoding(response.body)
        response = response.replace(encoding=known)
    response = _as_it_is(response)
    if not isinstance(response, JsonResponse) and (why := too_much(response.text)):
        raise RequestRefused("too_large", f"{response.url}: {why}")
    give_base(response)
    return response


def _says_encoding(response: TextResponse) -> bool:
    kind = (response.headers.get("Content-Type") or b"").decode("latin-1")
    return bool(
        http_content_type_encoding(kind) or read_bom(response.body)[0] or html_body_declared_encoding(response.body)
    )


def _as_it_is(response: TextResponse) -> TextResponse:
    """*response* as HTML where that is called JSON, as JSON where that is called something else."""
    begin = response.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if begin == b"<" and isinstance(response, JsonResponse):
        return response.replace(cls=HtmlResponse)
    guarded = _BEFORE_JSON.match(response.body) if begin not in (b"{", b"[", b"<") else None
    if guarded or (begin in (b"{", b"[") and not isinstance(response, JsonResponse)):
        body = _unguarded(response.body, guarded) if guarded else response.body
        with suppress(ValueError, RecursionError):
            json.loads(body)
            return response.replace(cls=JsonResponse, body=body)
    return response


def _unguarded(body: bytes, guarded: re.Match[bytes]) -> bytes:
    """*body* without what was *guarded* around it."""
    inner = body[guarded.end() :].rstrip()
    return inner.rstrip(b"; \r\n\t").removesuffix(b")") if guarded[1] else inner


def _from_any_thread(loop: asyncio.AbstractEventLoop, call: Callable[[int], None], size: int) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(call, size)
