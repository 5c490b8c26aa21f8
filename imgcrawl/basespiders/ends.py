"""Where the addresses of galleries lead to, if not to these."""

from __future__ import annotations

from collections.abc import Callable
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

    Counts for the stats those that end at one address: ``gallery/led_to/ADDRESS``.
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

    def astray(self, url: str, asked: str) -> str:
        """Why *url*, where the gallery *asked* has led to, is not that gallery; empty if it may be."""
        if url == asked:
            self._ends[url] = asked
            return ""
        if is_login_address(url):
            return "login"
        is_other = url in self._named or self._is_list(url) or _is_home(url, asked)
        return "redirected" if is_other or self._ends.setdefault(url, asked) != asked else ""

    def count(self, url: str, stats: StatsCollector) -> None:
        """Count a gallery that has led to *url*."""
        self._counts[url] = self._counts.get(url, 0) + 1
        if self._counts[url] >= _SEVERAL and (url in self._told or len(self._told) < _TOLD):
            self._told.add(url)
            stats.set_value(f"gallery/led_to/{url}", self._counts[url])


def _is_home(url: str, asked: str) -> bool:
    """Whether *url* is the start page of the site that *asked*, another page, belongs to."""
    home, page = urlsplit(url), urlsplit(asked)
    if home.path not in ("", "/") or home.query or page.path in ("", "/"):
        return False
    return home.netloc.removeprefix("www.") == page.netloc.removeprefix("www.")
