"""What a worker of `--workers` writes in place of feeds: a segment, from which the feeds are made at the end."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from weakref import WeakKeyDictionary

from itemadapter import ItemAdapter
from scrapy import signals
from scrapy.exceptions import NotConfigured

from imgcrawl.durability import GroupSync, wants_fsync
from imgcrawl.exceptions import ImgcrawlError
from imgcrawl.feeds.exporters import JsonLinesItemExporter, encode_item
from imgcrawl.feeds.files import FeedFile, LinesFile, UnwritableFeed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from scrapy import Request, Spider
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)


def uri_params(params: dict[str, Any], spider: Spider) -> dict[str, Any]:
    """FEED_URI_PARAMS: adds `worker` and `run` to what may stand in the address of a feed.

    So `-o 'part-%(worker)s.jsonl'` gives each worker a feed of its own. They are the frontier's names of this
    worker and of its run; without REDIS_URL they are `<host>-<process>` and empty.
    """
    worker, run = _names(spider.crawler)
    return {**params, "worker": file_name(worker), "run": file_name(run)}


def file_name(name: str) -> str:
    """*name* of a worker or a run, made safe for the names of files."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", name)[:120]


def _names(crawler: Crawler) -> tuple[str, str]:
    scheduler = crawler.engine.scheduler
    return getattr(scheduler, "worker", f"{socket.gethostname()}-{os.getpid()}"), getattr(scheduler, "run", "")


class SegmentWriter:
    """Writes each item to `<run>,<worker>.jsonl` in the folder FRONTIER_SEGMENTS, as one line of JSON that notes the
    lease of the page it came from (`_lease`): so that, of a page that was done twice, each item is in the feeds once.

    An item is on its way to disk when `item_scraped` has been handled, and on it with DURABILITY="fsync". One that
    cannot be written counts in `feed/lost`, one that is no JSON in `item/error`.
    """

    def __init__(self, crawler: Crawler, folder: Path, *, fsync: bool) -> None:
        self.crawler = crawler
        self.folder = folder
        self._file: FeedFile | None = None
        self._sync = GroupSync(self._sync_file) if fsync else None
        # How many items with an address a page has given so far: the second one is another item.
        self._given: WeakKeyDictionary[Request, Counter[str]] = WeakKeyDictionary()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        folder = crawler.settings.get("FRONTIER_SEGMENTS")
        if not folder:
            raise NotConfigured
        writer = cls(crawler, Path(folder), fsync=wants_fsync(crawler.settings))
        crawler.signals.connect(writer.item_scraped, signals.item_scraped)
        crawler.signals.connect(writer.spider_closed, signals.spider_closed)
        return writer

    def item_scraped(self, item: Any, response: Any) -> Coroutine[Any, Any, None] | None:
        if self._file is None:
            self._file = self._open()
            self._exporter = JsonLinesItemExporter(cast("Any", self._file), encoding="utf-8")
        try:
            data = encode_item(self._exporter, item)
        except (TypeError, ValueError, RecursionError):
            self.crawler.stats.inc_value("item/error")
            logger.exception("An item cannot be written as JSON: %.500r", item)
            return None
        if lease := self._lease_of(item, response):
            data = data[:-1] + (b", " if len(data) > 2 else b"") + b'"_lease": "' + lease.encode() + b'"}'
        self._file.write(data + b"\n")
        return self._sync.wait_for(self.crawler, response) if self._sync else None

    def _open(self) -> FeedFile:
        worker, run = _names(self.crawler)
        path = self.folder / f"{file_name(run)},{file_name(worker)}.jsonl"
        try:
            return LinesFile(path, self.crawler.stats, dialect=None)
        except OSError as error:
            return UnwritableFeed(path, self.crawler.stats, error)

    def _lease_of(self, item: Any, response: Any) -> str:
        request: Request | None = getattr(response, "request", None)
        if request is None or not str(lease := request.meta.get("lease", "")).isalnum():
            return ""
        count = self._given.setdefault(request, Counter())
        url = str(ItemAdapter(item).get("url"))
        count[url] += 1
        return f"{lease}-{count[url]}"

    def _sync_file(self) -> None:
        if self._file:
            self._file.sync()

    def spider_closed(self) -> None:
        if self._file:
            with suppress(ImgcrawlError):  # it lacks items, as was told when they were lost
                self._file.finish()
