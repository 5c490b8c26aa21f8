"""CLOSESPIDER_TIMEOUT_NO_ITEM does not end a crawl that somebody has paused, or that waits for hours."""

from __future__ import annotations

import pytest
from scrapy.utils.test import get_crawler

from imgcrawl.extensions.closespider import CloseSpider
from tests.support.crawling import project_settings


def test_seconds_without_an_item_count_only_while_something_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    crawler = get_crawler(settings_dict={"CLOSESPIDER_TIMEOUT_NO_ITEM": 3})
    closer = CloseSpider.from_crawler(crawler)
    closed: list[str] = []
    monkeypatch.setattr(closer, "_close_spider", closed.append)
    for name, value in (("live/paused", True), ("budget/waiting", "example.org until 22:00")):
        closer._look()
        crawler.stats.set_value(name, value)
        for _ in range(5):
            closer._look()
        crawler.stats.set_value(name, None)
        closer._look()
        closer.item_scraped_no_item({}, crawler.spider)  # type: ignore[arg-type] # Scrapy's own does not look at it
    for _ in range(4):
        assert not closed
        closer._look()
    closer._look()
    assert closed == ["closespider_timeout_no_item"], "once"


def test_the_project_has_it_in_the_place_of_scrapys() -> None:
    extensions = project_settings().getdict("EXTENSIONS")
    assert extensions["scrapy.extensions.closespider.CloseSpider"] is None
    assert extensions["imgcrawl.extensions.closespider.CloseSpider"] is not None
