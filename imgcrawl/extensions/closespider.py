"""Scrapy's CloseSpider, which knows that a crawl may be paused."""

from __future__ import annotations

import logging

import scrapy.extensions.closespider
from scrapy import Spider
from scrapy.utils.asyncio import create_looping_call

logger = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between two looks at whether there was an item


class CloseSpider(scrapy.extensions.closespider.CloseSpider):
    """Ends a crawl by Scrapy's CLOSESPIDER_ settings. CLOSESPIDER_TIMEOUT_NO_ITEM counts the seconds since the last
    item, without those in which somebody has paused the crawl, or its hosts wait for their CRAWL_HOURS."""

    _without_item = 0.0

    def spider_opened_no_item(self, spider: Spider) -> None:
        self.task_no_item = create_looping_call(self._look)
        self.task_no_item.start(_LOOK, now=False)
        logger.info("The crawl ends when no item has come for %d seconds", self.timeout_no_item)

    def _look(self) -> None:
        stats = self.crawler.stats
        if self.items_in_period:
            self.items_in_period, self._without_item = 0, 0.0
        elif not stats.get_value("live/paused") and not stats.get_value("budget/waiting"):
            self._without_item += _LOOK
        if self._without_item >= self.timeout_no_item:
            self._without_item = -1e9  # once
            logger.info("The crawl ends: no item has come for %d seconds", self.timeout_no_item)
            self._close_spider("closespider_timeout_no_item")
