"""WAIT: which pages are queued, which are being done, by whom. Only with REDIS_URL.

`Addon` switches it on; without REDIS_URL this file is all of it that is loaded.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Self

from scrapy.crawler import Crawler
from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings
from scrapy.statscollectors import MemoryStatsCollector

from imgcrawl.engine import on_crawler_made, only_looks, runner_in_making
from imgcrawl.shared.address import redis_url


class Addon:
    """Shares a spider's crawl between all processes with the same Redis: REDIS_URL (setting or environment variable),
    or REDIS_HOST, REDIS_PORT or REDIS_DB. Where SCHEDULER is scrapy-redis' own, that is left in its place.

    Raises `InputError` for settings of the frontier that are not what they should be.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    @classmethod
    def update_pre_crawler_settings(cls, _: BaseSettings) -> None:
        if runner := runner_in_making():
            on_crawler_made(runner, _check_spider)

    def update_settings(self, settings: BaseSettings) -> None:
        url = redis_url(settings)
        if not url:
            return
        settings.set("REDIS_URL", url, max(SETTINGS_PRIORITIES["addon"], settings.getpriority("REDIS_URL") or 0))
        from imgcrawl import settings as ours  # noqa: PLC0415 - the same
        from imgcrawl.extensions.verdict import Verdict  # noqa: PLC0415 - the same
        from imgcrawl.feeds.segments import SegmentWriter  # noqa: PLC0415 - the same
        from imgcrawl.feeds.storage import check_shared_feeds  # noqa: PLC0415 - the same
        from imgcrawl.frontier import compatibility  # noqa: PLC0415 - the same
        from imgcrawl.frontier.middleware import FrontierMiddleware  # noqa: PLC0415 - nothing is loaded without REDIS_URL
        from imgcrawl.frontier.options import check_settings  # noqa: PLC0415 - the same
        from imgcrawl.frontier.parent import ParentWatchdog  # noqa: PLC0415 - the same
        from imgcrawl.frontier.queues import queues_from_settings  # noqa: PLC0415 - the same
        from imgcrawl.frontier.scheduler import Scheduler  # noqa: PLC0415 - the same
        from imgcrawl.frontier.verdict import SharedVerdict  # noqa: PLC0415 - the same

        compatibility.silence_deprecations()
        if only_looks():  # and is no worker, whose pages and values would be lost with it
            compatibility.lend_fetching(self.crawler.spider, settings)
            compatibility.take_over_stats(settings, MemoryStatsCollector)
            return
        compatibility.take_over_stats(settings, compatibility.SharedStatsCollector)
        if compatibility.uses_stock_scheduler(settings):
            return
        compatibility.tell_what_has_no_effect(settings)
        for name, components in (("FEED_STORAGES", ours.FEED_STORAGES), ("FEED_EXPORTERS", ours.FEED_EXPORTERS)):
            for key, component in components.items():  # what is acknowledged must be on disk
                settings[name].set(key, component, "addon")
        check_shared_feeds(settings)
        # Now is when a wrong setting can still be told in one sentence.
        queues_from_settings(settings, self.crawler.spidercls.name)
        check_settings(settings)
        settings.set("SCHEDULER", Scheduler, "addon")
        # Next to the engine: it sees requests as they are when every other middleware has done its work.
        settings.set_in_component_priority_dict("SPIDER_MIDDLEWARES", FrontierMiddleware, 1)
        with suppress(KeyError):  # another project may do without
            settings.replace_in_component_priority_dict("EXTENSIONS", Verdict, SharedVerdict)
        if settings.getint("FRONTIER_PARENT"):
            settings.set_in_component_priority_dict("EXTENSIONS", ParentWatchdog, 0)
            settings.set_in_component_priority_dict("EXTENSIONS", SegmentWriter, 0)


def _check_spider(crawler: Crawler) -> None:
    if spiders := sys.modules.get("scrapy_redis.spiders"):  # whose spider it is has loaded it
        from imgcrawl.frontier.redisspiders import check_redis_spider  # noqa: PLC0415 -- few have such a spider

        check_redis_spider(crawler, spiders)
