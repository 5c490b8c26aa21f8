"""Where the addresses of galleries lead to, if not to these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from cachetools import LRUCache
from scrapy.statscollectors import StatsCollector

from imgcrawl.pages.login import is_login_address

# Of galleries that redirect: where so many of them ended, and that so many are galleries of their own.
REMEMBERED = 100_000
# From so many that end at one address on the verdict names it, and so many addresses at most.
_SEVERAL, _TOLD = 3, 20


class GalleryEnds:
    """Knows which addresses are galleries, *is_list* those of the list, and where galleries have led to.

    Counts for the stats those that end at one address: ``gallery/led_to/ADDRESS``. Workers that share a queue know it
    together (`ask_others`).
    """

    def __init__(self, is_list: Callable[[str], bool]) -> None:
        self._is_list = is_list
        self._named: LRUCache[str, None] = LRUCache(REMEMBERED)
        self._ends: LRUCache[str, str] = LRUCache(REMEMBERED)
        self._counts: LRUCache[str, int] = LRUCache(REMEMBERED)
        self._told: set[str] = set()

    def name(self, url: str) -> None:
        """Note that *url* is a gallery of its own, so that another one that leads there is `redirected`."""
        self._named[url] = None

    def __contains__(self, url: object) -> bool:
        """Whether *url* is one that was named."""
        return url in self._named

    def astray(self, url: str, asked: str) -> str:
        """Why *url*, where the gallery *asked* has led to, is not that gallery; empty if it may be."""
        if url == asked:
            self._ends[url] = asked
            return ""
        if is_login_address(url):
            return "login"
        is_other = url in self._named or self._is_list(url) or _is_home(url, asked)
        return "redirected" if is_other or self._ends.setdefault(url, asked) != asked else ""

    async def ask_others(self, url: str, asked: str, scheduler: Any) -> None:
        """Learn what workers that share the queue of *scheduler* know of *url*, where the gallery *asked* has led to.

        Where it is counted next, that is among those of all workers.
        """
        shared = getattr(scheduler, "ends", None)
        if url == asked or not shared or (end := await shared.arrive(url, asked)) is None:
            return
        if end.is_named:
            self.name(url)
        if not end.is_first:
            self._ends[url] = ""
        self._counts[url] = end.galleries - 1

    def count(self, url: str, stats: StatsCollector) -> None:
        """Count a gallery that has led to *url*. What workers count adds up."""
        self._counts[url] = count = self._counts.get(url, 0) + 1
        if count >= _SEVERAL and (url in self._told or len(self._told) < _TOLD):
            self._told.add(url)
            stats.inc_value(f"gallery/led_to/{url}", count if count == _SEVERAL else 1)


def _is_home(url: str, asked: str) -> bool:
    """Whether *url* is the start page of the site that *asked*, another page, belongs to."""
    home, page = urlsplit(url), urlsplit(asked)
    if home.path not in ("", "/") or home.query or page.path in ("", "/"):
        return False
    return home.netloc.removeprefix("www.") == page.netloc.removeprefix("www.")
