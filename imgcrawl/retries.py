"""Trying again, and only that, what a catalogue or a feed says has failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from hashlib import sha1
from itertools import islice
from typing import Any, Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.spidermiddlewares.base import BaseSpiderMiddleware

from imgcrawl.catalogue import Catalogue, StoredGallery, open_catalogue
from imgcrawl.catalogue.galleries import item_of
from imgcrawl.exceptions import InputError
from imgcrawl.webrequest import WebRequest

ALL = "*"  # in place of a reason
_AT_ONCE = 20  # galleries that are read together
# What is said of an item that is tried again by the crawl that does it.
_SAID_ANEW = {"scraped_at", "error", "failed_pages", "left_out", "images", "videos"}


def retries_of(item: dict[str, Any], is_wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    """*item* with those of its images, or of its videos, whose outcome *is_wanted*: with their names, the pages that
    show them, the paths they were to have, and, as `failed`, the reasons why they have none."""
    for media in ("image", "video"):
        outcomes = item.get(f"{media}s") or ()
        lost = [number for number, outcome in enumerate(outcomes) if is_wanted(outcome)]
        if not lost:
            continue
        kept = {name: value for name, value in item.items() if name not in _SAID_ANEW}
        page = item.get("final_url") or item.get("url")
        for column, default in (("names", ""), ("pages", page)):
            values = item.get(f"{media}_{column}") or []
            kept[f"{media}_{column}"] = [values[n] if n < len(values) and values[n] else default for n in lost]
        kept[f"{media}_urls"] = [outcomes[number]["url"] for number in lost]
        kept[f"{media}_paths"] = [outcomes[number].get("requested_path", "") for number in lost]
        kept["failed"] = [outcomes[number]["reason"] for number in lost]
        yield kept


def has_failed(catalogue: Catalogue, spider: str, reason: str = "") -> bool:
    """Whether there is anything that `RetryStart` would try."""
    lost = (gallery for gallery in catalogue.lost_galleries(spider) if reason in ("", gallery.error))
    return next(iter(catalogue.not_had(spider, reason=reason)), None) is not None or next(lost, None) is not None


class RetryStart(BaseSpiderMiddleware):
    """Has a spider with the note ``_retry`` (`scrapy retry`: a reason, or `ALL`) begin with what failed, in place of
    its own start: the images that failed, without their pages, and the pages that could not be had.

    Raises `InputError` for a spider that cannot take them.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        spider = crawler.spider
        reason = getattr(spider, "_retry", None)
        if not spider or reason is None:
            raise NotConfigured
        if not hasattr(spider, "parse_retry"):
            raise InputError(
                f"scrapy retry {spider.name}: expected a spider of imgcrawl's kinds (imgcrawl.basespiders)"
            )
        self._spider: Any = spider
        self._reason = "" if reason == ALL else str(reason)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        catalogue = await asyncio.to_thread(open_catalogue, self.crawler.settings, must_exist=True, in_crawl=True)
        try:
            requests = self.requests(catalogue)
            while batch := await asyncio.to_thread(lambda: list(islice(requests, _AT_ONCE))):
                for request in batch:
                    yield request
        finally:
            await asyncio.to_thread(catalogue.close)

    def requests(self, catalogue: Catalogue) -> Iterator[Request]:
        """The requests for what *catalogue* says has failed."""
        name = self._spider.name
        # By the time that the second is read the first may be had already.
        failed: dict[bytes, list[bytes]] = {}
        for outcome in catalogue.not_had(name, reason=self._reason):
            failed.setdefault(outcome.gallery, []).append(outcome.key)
        lost = [gallery.url for gallery in catalogue.lost_galleries(name) if self._reason in ("", gallery.error)]
        for key, images in failed.items():
            if gallery := catalogue.gallery(key):
                # What it did not show when it was last seen, some of its pages being lost, is tried, too.
                keys = list(dict.fromkeys((*gallery.keys, *images)))
                yield from self._images_of(catalogue, replace(gallery, keys=keys))
        for url in lost:
            yield self._spider.fed_request(WebRequest(url)).replace(dont_filter=True)

    def _images_of(self, catalogue: Catalogue, gallery: StoredGallery) -> Iterator[Request]:
        for item in retries_of(item_of(catalogue, gallery), self._is_wanted):
            carried = json.dumps(item).encode()
            yield Request(
                f"rows://{self._spider.name}/{sha1(carried, usedforsecurity=False).hexdigest()}",
                callback=self._spider.parse_retry,
                cb_kwargs={"item": item},
                dont_filter=True,
            )

    def _is_wanted(self, outcome: dict[str, Any]) -> bool:
        return outcome["status"] == "failed" and self._reason in ("", outcome["reason"])
