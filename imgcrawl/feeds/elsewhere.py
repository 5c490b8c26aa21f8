"""Feeds that Scrapy stores at the end of a crawl (s3://, gs://, ftp://): one that has brought nothing replaces none."""

from __future__ import annotations

from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Self

from scrapy.extensions import feedexport

from imgcrawl.feeds.files import tell_nothing_new
from imgcrawl.lines import shown_address

if TYPE_CHECKING:
    from pathlib import Path

    from scrapy.crawler import Crawler
    from twisted.internet.defer import Deferred


SCRAPED = "item_scraped_count"  # Scrapy's own count


def has_brought_nothing(crawler: Crawler) -> bool:
    """Whether *crawler* has not had one item yet. False where nobody counts (a project without Scrapy's CoreStats)."""
    count = crawler.stats.get_value(SCRAPED)
    return not count and (count is not None or crawler.stats.get_value("start_time") is not None)


def in_place_of_nothing(crawler: Crawler, path: Path) -> IO[bytes] | None:
    """What a feed at *path* is written to that would be empty; told. None if there is an item for it."""
    if not has_brought_nothing(crawler):
        return None
    tell_nothing_new(path)
    return BytesIO()


class _OldOneStays(feedexport.BlockingFeedStorage):
    """A storage of Scrapy's that is given a whole feed at its end."""

    _crawler: Crawler
    _shown: str

    @classmethod
    def from_crawler(cls, crawler: Crawler, uri: str, *, feed_options: dict[str, Any] | None = None) -> Self:
        storage: Self = super().from_crawler(crawler, uri, feed_options=feed_options)  # type: ignore[misc] # of the other base
        storage._crawler, storage._shown = crawler, shown_address(uri)
        return storage

    def store(self, file: IO[bytes]) -> Deferred[None] | None:  # type: ignore[override] # as a storage may
        if has_brought_nothing(self._crawler):
            tell_nothing_new(self._shown)
            file.close()
            return None
        return super().store(file)


class S3FeedStorage(_OldOneStays, feedexport.S3FeedStorage):
    """Scrapy's, except that an empty feed is not stored."""


class GCSFeedStorage(_OldOneStays, feedexport.GCSFeedStorage):
    """Scrapy's, except that an empty feed is not stored."""


class FTPFeedStorage(_OldOneStays, feedexport.FTPFeedStorage):
    """Scrapy's, except that an empty feed is not stored."""
