"""Which galleries of a list are wanted, by their place in it."""

from __future__ import annotations

from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.settings import BaseSettings

from imgcrawl.basespiders.retries import RetriesSpider
from imgcrawl.ranges import Ranges
from imgcrawl.refusal import tell_bad_input, tell_uncaught


class PickedSpider(RetriesSpider):
    """Knows the setting GALLERIES_RANGE (`1-50`; empty: all): the numbers of the galleries, rows or entries of a list
    that are wanted, counted from 1 in the order of the list. Each kind of list does what it says; of others none is
    asked for.

    `from_crawler` raises `InputError` for what is no range.
    """

    galleries_range = Ranges()

    @classmethod
    def all_custom_settings(cls) -> dict[str, Any]:
        """What this spider and its bases set in place of the project's settings."""
        custom: dict[str, Any] = {}
        for kind in reversed(cls.__mro__):
            custom |= vars(kind).get("custom_settings") or {}
        return custom

    @classmethod
    def update_settings(cls, settings: BaseSettings) -> None:
        settings.setdict(cls.all_custom_settings(), priority="spider")
        tell_uncaught(settings)  # where there is no add-on

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        tell_bad_input(crawler)  # that of its own arguments, too: add-ons are loaded later
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.galleries_range = Ranges.from_setting(crawler.settings.get("GALLERIES_RANGE", ""), "GALLERIES_RANGE")
        return spider
