"""Signed addresses that expire before their turn comes: the page that shows them is asked for newer ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from time import monotonic
from typing import Any
from weakref import WeakValueDictionary

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import TextResponse
from scrapy.http.request import NO_CALLBACK

from imgcrawl.items import STORED, Image
from imgcrawl.pages.outside import let_go, outside_loop, size_of
from imgcrawl.pipelines.media_requests import MediaRequests
from imgcrawl.urls import WEB, host_of
from imgcrawl.webrequest import WebRequest

logger = logging.getLogger(__name__)

# What is answered to a signature that is over: Google 400, most 403, Discord 404.
_EXPIRED = ("http_400", "http_401", "http_403", "http_404", "http_410")
_YOUNG = 1.0  # seconds in which no address expires: what is refused then is refused
_IN_VAIN = 3  # times in a row that a page is asked anew without an image that comes of it
_TRIES = 5  # of one image, whose newer addresses expire again before their turn


class _Page:
    """A page and the newest addresses that it has shown: *number* says how often it was asked anew."""

    def __init__(self, at_once: int, since: float) -> None:
        self.turns = asyncio.Semaphore(at_once)
        self.asking = asyncio.Lock()
        self.number = 0
        self.since = since
        self.addresses: dict[str, str] = {}  # by what they are known as
        self.in_vain = 0


class _Host:
    """How many images of a host's pages that expire are asked for at once: the fewer, the shorter each waits."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.turns = asyncio.Semaphore(at_once)


class FreshAddresses:
    """Gives images whose addresses have expired those that their page shows now.

    That is for addresses with a signature, or with the time when they expire (``IMAGES_QUERY_IGNORED``), of which the
    site said that there is no such image, or none for us, and for spiders that read pages (``images_of``). A page is
    asked anew when its newest addresses have failed too, not within a second, and not any more when that has brought
    no image three times in a row. Images with such addresses do not all wait for their turns at once.
    """

    def __init__(self, crawler: Crawler, requests: MediaRequests) -> None:
        self._crawler = crawler
        self._requests = requests
        self._read: Callable[[Any], Sequence[str]] | None = getattr(crawler.spider, "images_of", None)
        self._at_once = max(1, crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN", 8))
        self._pages: WeakValueDictionary[str, _Page] = WeakValueDictionary()  # as long as there are images of theirs
        self._hosts: WeakValueDictionary[str, _Host] = WeakValueDictionary()

    async def outcome(
        self, request: Request, ask: Callable[[Request], Awaitable[Image]], *, is_old: bool = False
    ) -> Image:
        """What *ask* makes of *request*, or of one for a newer address of the same image. *is_old*: its page was read
        by an earlier crawl."""
        url = request.meta.get("page_url") or ""
        if self._read is None or "image_known_as" not in request.meta or not url.startswith(WEB):
            return await ask(request)
        known, since = request.meta["image_known_as"], -inf if is_old else monotonic()
        page = self._pages.setdefault(url, _Page(2 * self._at_once, since))
        host = self._hosts.setdefault(host_of(url), _Host(self._at_once))
        async with page.turns:
            for _ in range(_TRIES):
                number = page.number
                image = await self._asked(request, ask, page, host)
                if image["status"] in STORED and page.addresses.get(known, request.url) != request.url:
                    page.in_vain = 0  # also the first time: by an address that the page was asked anew for
                if image.get("reason") not in _EXPIRED:
                    return image
                if number == page.number and not await self._ask_anew(page, request):
                    return image
                if known not in page.addresses:
                    return image
        return image

    async def _asked(
        self, request: Request, ask: Callable[[Request], Awaitable[Image]], page: _Page, host: _Host
    ) -> Image:
        if request.meta["image_known_as"] not in page.addresses:
            return await ask(request)
        await host.turns.acquire()
        is_one_less = False
        try:
            # Its page may have been asked anew while it waited.
            address = page.addresses.get(request.meta["image_known_as"], request.url)
            newer = self._requests.of_page(request, request.meta["page_url"], address)
            newer.meta["retry_first"] = True
            image = await ask(newer)
            is_one_less = image.get("reason") in _EXPIRED and page.in_vain == 0 and host.at_once > 1
            return image
        finally:
            if is_one_less:
                host.at_once -= 1
            else:
                host.turns.release()

    async def _ask_anew(self, page: _Page, request: Request) -> bool:
        """Ask *page*, which shows the image of *request*, for the addresses that it shows now, unless another image
        has just done so. False where that is not to be done."""
        number = page.number
        async with page.asking:
            if page.number != number:
                return True
            if self._read is None or page.in_vain >= _IN_VAIN or monotonic() - page.since < _YOUNG:
                return False
            page.in_vain += 1
            page.addresses = await self._addresses_on(request, self._read)
            page.number += 1
            page.since = monotonic()
            return True

    async def _addresses_on(self, image: Request, read: Callable[[Any], Sequence[str]]) -> dict[str, str]:
        """The signed addresses on the page that shows *image*, by what they are known as; none if it cannot be had."""
        url = image.meta["page_url"]
        self._crawler.stats.inc_value("page/asked_anew")
        logger.info("%.500s is asked anew: addresses of its images have expired", url)
        meta = {"page_url": url, "task": "subpage", "dont_cache": True, "retry_first": True}
        if "page_private" in image.meta:
            meta["page_private"] = image.meta["page_private"]
        try:
            page = await self._crawler.engine.download_async(WebRequest(url, meta=meta, callback=NO_CALLBACK))
            if not isinstance(page, TextResponse) or not 200 <= page.status < 300:
                return {}
            found = await outside_loop(size_of(page.body), read, page)
            await let_go(page)
        except Exception as error:  # the image has its outcome all the same
            logger.info("%.500s could not be asked anew: %.300s", url, error)
            return {}
        return {known: address for address, known in self._requests.identity.of_all(found).items()}
