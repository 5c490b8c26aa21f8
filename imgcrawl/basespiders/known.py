"""LIST: galleries that the catalogue has complete are not opened again, and end the walk."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

from scrapy import signals
from scrapy.crawler import Crawler

from imgcrawl.basespiders.lists import ListSpider
from imgcrawl.catalogue import Catalogue, CatalogueError, open_catalogue
from imgcrawl.catalogue.sql import gallery_key
from imgcrawl.exceptions import InputError
from imgcrawl.webrequest import WebRequest

_DAY = 86400.0
_T = TypeVar("_T")


class KnownGalleriesSpider(ListSpider):
    """A walk that looks into the catalogue.

    With `stop_at_known` it ends behind a page with so many galleries in a row that are complete in the catalogue, this
    page's last ones included. What is pinned to the top of a page is followed by what is new, which breaks the row, and
    counts once. So it ends only if an earlier walk of this list, with the same `pages`, was whole: one that reached its
    end, lost no list page and was not stopped. Else what is missing behind it would stay so.

    GALLERIES_EXPIRES: days for which a gallery that was complete is not opened again (`gallery/known`); 0: it is
    opened each time. One that lacks nothing but images which its site does not have (404, a
    page, half a file), or gave no answer about for GALLERIES_TRIES times, counts as complete.
    """

    options: ClassVar[dict[str, str]] = {
        "stop_at_known": "stop behind a list page that ends with so many galleries which the catalogue has complete",
    }
    stop_at_known: str | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.most_known = self.at_least_one("stop_at_known")
        self._catalogue: Catalogue | None = None
        self._is_whole = False

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider._walk_closed, signals.spider_closed)
        return spider

    async def walk_begins(self) -> bool:
        return await self._asked(self._note_walk, default=False)

    def walk_ends(self, *, whole: bool) -> None:
        stats = self.crawler.stats
        self._is_whole = whole and not any(map(stats.get_value, ("list/failed", "verdict/error")))

    def _note_walk(self, catalogue: Catalogue, *, whole: bool = False) -> bool:
        """Note whether the walk of this list has been *whole*. Whether the one before was."""
        if self.settings.getbool("IMAGES_SIMULATE"):
            return False
        walked = f"walk {self.pages}" + "".join(f" {first}-{last}" for first, last in self.galleries_range.parts)
        return catalogue.note_walk(gallery_key(self.name, self.first_address(), walked), whole=whole)

    async def known_on(self, found: Sequence[str]) -> Collection[str]:
        if self.most_known is None:
            return ()
        return await self._complete_since(found, 0.0)

    async def not_to_open(self, found: Sequence[str]) -> Collection[str]:
        """Which of the galleries *found* need not be opened again."""
        days = self.settings.getfloat("GALLERIES_EXPIRES", 0.0)
        return await self._complete_since(found, time.time() - days * _DAY) if days > 0 else ()

    async def _complete_since(self, found: Sequence[str], since: float) -> set[str]:
        tries = self.settings.getint("GALLERIES_TRIES", 3)

        def complete(catalogue: Catalogue) -> set[str]:
            keys = [gallery_key(self.name, WebRequest(url).url) for url in found]  # as it is asked for
            at = catalogue.complete_at(keys, tries)
            return {url for url, complete_at in zip(found, at, strict=True) if complete_at > since}

        return await self._asked(complete, default=set())

    async def _asked(self, ask: Callable[[Catalogue], _T], default: _T) -> _T:
        """What *ask* gets from the catalogue; *default* if there is none."""

        def asked() -> _T:
            if self._catalogue is None:
                self._catalogue = open_catalogue(self.settings, must_exist=True, in_crawl=True)
            return ask(self._catalogue)

        try:
            return await asyncio.to_thread(asked)
        except (InputError, CatalogueError, sqlite3.Error) as error:  # the pipeline has the same trouble, and tells it
            self.logger.debug("the catalogue cannot be asked: %s", error)
            return default

    async def _walk_closed(self, reason: str) -> None:
        if self._is_whole and reason == "finished":
            await self._asked(partial(self._note_walk, whole=True), default=False)
        if self._catalogue is not None:
            self._catalogue.close()
