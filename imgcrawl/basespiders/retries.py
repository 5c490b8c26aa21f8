"""ITEM: images of a gallery that are tried again, without its page."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, ClassVar

import scrapy
from scrapy.http import Response

from imgcrawl.items import Gallery
from imgcrawl.urls import OUTSIDE, WEB, host_of, is_private_literal


class RetriesSpider(scrapy.Spider):
    """Yields what `scrapy retry` has found in the catalogue (`imgcrawl.retries`)."""

    item_class: type[Gallery] = Gallery
    media = "image"
    base: str | None = None
    # What carries rows is answered by a middleware of ours; the shared queue lets no other scheme but http through.
    own_schemes: ClassVar[tuple[str, ...]] = ("rows",)
    # Callbacks for these schemes only: what such a request carries is what a spider has read itself.
    own_callbacks: ClassVar[frozenset[str]] = frozenset({"parse_retry", "parse_rows"})

    @abstractmethod
    def scraped(self, item: Gallery) -> Gallery:
        """*item*, counted."""

    def parse_retry(self, response: Response, item: dict[str, Any]) -> Iterator[Gallery]:
        """The gallery that *item* is, with its images that are tried again.

        It may have come through Redis, where anybody may write: none of its addresses counts as the user's own, and
        which page named one is not for sure (`failed` says so).
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        urls, pages = (_listed(item.get(f"{self.media}_{name}")) for name in ("urls", "pages"))
        place = item.get("url")
        if not isinstance(place, str) or not place:
            place = OUTSIDE
        own = {
            "url": place,
            "scraped_at": now,
            "failed": _listed(item.get("failed")),
            f"{self.media}s": [],
            f"{self.media}_urls": urls,
            f"{self.media}_pages": [
                page if isinstance(page, str) and page.startswith(WEB) else place
                for page, _ in zip_longest(pages[: len(urls)], urls)
            ],
        }
        yield self.scraped(self.item_class(**{**item, **own}))

    def is_own_private_page(self, page: str, url: str) -> bool:
        """Whether *page*, which this crawl has not asked for, is on the very machine that the user has named as the
        site, by an address that is not public; and *url*, which it shows, too, where what is tried again may have come
        through Redis. What this machine's own catalogue has a page of the site has shown, as in the crawl before."""
        named = (self.base or "", getattr(self, "list_url", ""))
        host = host_of(page)
        is_near = host == host_of(url) or not self.settings.get("REDIS_URL")
        return is_private_literal(page) and host in map(host_of, named) and is_near


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
