"""The queue of a crawl in one process: a host that has enough under way gives its place to the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scrapy.crawler import Crawler
from scrapy.pqueues import DownloaderAwarePriorityQueue, DownloaderInterface

from imgcrawl.downloader import Downloader


class PriorityQueue(DownloaderAwarePriorityQueue):
    """Scrapy's, which takes the host with the least under way, and none of a host that has enough.

    What a host that hangs has queued, of whatever priorities, so stays here and takes no place in the downloader.
    """

    def __init__(self, crawler: Crawler, *arguments: Any, **options: Any) -> None:
        super().__init__(crawler, *arguments, **options)
        if isinstance(crawler.engine.downloader, Downloader):
            self._downloader_interface = _HostsWithRoom(crawler)


class _HostsWithRoom(DownloaderInterface):
    downloader: Downloader

    def stats(self, possible_slots: Iterable[str]) -> list[tuple[int, str]]:
        has_enough_of = self.downloader.backpressure.has_enough_of
        return super().stats(slot for slot in possible_slots if not has_enough_of(slot))
