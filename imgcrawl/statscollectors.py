"""The stats of a crawl. Tested with Scrapy 2.19."""

from __future__ import annotations

from scrapy.statscollectors import MemoryStatsCollector


class StatsCollector(MemoryStatsCollector):
    """Scrapy's, at a fifth of the price: that one looks, at each of 25 uses an image, for an argument that it warns of
    (``spider``). Here it is taken without a word."""

    __getattribute__ = object.__getattribute__
