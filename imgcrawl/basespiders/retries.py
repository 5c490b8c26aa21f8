"""ITEM: images of a gallery that are tried again, without its page."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import scrapy
from scrapy.http import Response

from imgcrawl.items import Gallery
from imgcrawl.urls import is_public, literal_ip


class RetriesSpider(scrapy.Spider):
    """Yields what `scrapy retry` has found in the catalogue (`imgcrawl.retries`)."""

    item_class: type[Gallery] = Gallery
    media = "image"
    base: str | None = None
    # What carries rows is answered by a middleware of ours; the shared queue lets no other scheme but http through.
    own_schemes: ClassVar[tuple[str, ...]] = ("rows",)

    @abstractmethod
    def scraped(self, item: Gallery) -> Gallery:
        """*item*, counted."""

    def parse_retry(self, response: Response, item: dict[str, Any]) -> Iterator[Gallery]:
        """The gallery that *item* is, with its images that are tried again."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        yield self.scraped(self.item_class(**{**item, "scraped_at": now, f"{self.media}s": []}))

    def is_own_private_page(self, url: str) -> bool:
        """Whether the page *url*, which this crawl has not asked for, is on the very machine that the user has named
        as the site, by an address that is not public: what it shows may be there, too."""
        host = urlsplit(url).hostname or ""
        ip = literal_ip(host)
        named = (self.base or "", getattr(self, "list_url", ""))
        return ip is not None and not is_public(ip) and any(urlsplit(each).hostname == host for each in named)
