"""A command for each gallery, when it is in the feed."""

from __future__ import annotations

import asyncio
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from itemadapter import ItemAdapter
from scrapy import signals

from imgcrawl.engine import downloader_in, scheduler_in
from imgcrawl.extensions.verdict import STOPPED_AT_ONCE
from imgcrawl.hooks.arguments import GALLERY, Arguments
from imgcrawl.hooks.commands import CommandRunner
from imgcrawl.items import outcomes_of

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class GalleryCommands:
    """Runs COMMAND_FOR_GALLERY for each item that was scraped, and is no failed page.

    The page counts as done when its command has ended, so that no more of them wait than items are worked on at once;
    what a killed crawl had under way is done again, and so is its command; a command that was stopped with its crawl is
    run by who goes on with it, another worker or the next start with its JOBDIR. Counts `command/run` and
    `command/failed`.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self.crawler = crawler
        self.arguments = Arguments(settings.get("COMMAND_FOR_GALLERY", []), GALLERY, setting="COMMAND_FOR_GALLERY")
        self.runner = CommandRunner(settings, lambda: not crawler.crawling)
        self.store = absolute_store(settings.get("IMAGES_STORE") or "")
        crawler.signals.connect(self.item_scraped, signals.item_scraped)
        crawler.signals.connect(self.spider_closed, signals.spider_closed)
        crawler.signals.connect(self.runner.stop_at_once, STOPPED_AT_ONCE)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def item_scraped(self, item: Any, response: Any) -> None:
        adapter = ItemAdapter(item)
        if adapter.get("error"):
            return
        reason = await asyncio.get_running_loop().run_in_executor(self.runner.threads, self._run, adapter)
        count_command(self.crawler.stats, reason)
        scheduler: Any = scheduler_in(self.crawler)
        if reason != "stopped":
            return
        if getattr(scheduler, "shared_run", None) is not None:
            scheduler.results.leave(response)
        elif unfinished := getattr(downloader_in(self.crawler), "unfinished", None):
            unfinished.give_back(response)

    def _run(self, adapter: ItemAdapter) -> str:
        fields = dict(adapter)  # what is within is made JSON of as it is written
        spider = self.crawler.spidercls.name
        stored = [str(outcome["path"]) for outcome in outcomes_of(fields) if outcome.get("path")]
        facts = {
            "spider": spider,
            "url": str(fields.get("url") or ""),
            "title": str(fields.get("title") or ""),
            "folder": posixpath.join(self.store, _common_folder(stored)) if stored else self.store,
            "store": self.store,
            "images": str(len(stored)),
        }
        given = {"event": "gallery", "spider": spider, "store": self.store, "item": fields}
        return self.runner.run(self.arguments, facts, given)

    def spider_closed(self) -> None:
        self.runner.close()


def count_command(stats: Any, reason: str) -> None:
    """Count a command that has ended, in *stats*; *reason* says why it failed."""
    stats.inc_value("command/run")
    if reason:
        stats.inc_value("command/failed")
        stats.inc_value(f"command/failed/{reason}")


def absolute_store(uri: str) -> str:
    """*uri*, an IMAGES_STORE, as another program can use it."""
    return uri if "://" in uri else str(Path(uri).absolute())


def _common_folder(paths: list[str]) -> str:
    return posixpath.commonpath([posixpath.dirname(path) for path in paths])
