"""imgcrawl's `alexa` for sites on loopback addresses: the user names them, so they may be private.

Settings and spider in one module (SCRAPY_SETTINGS_MODULE=firstpages).
"""

from __future__ import annotations

from imgcrawl.settings import *  # noqa: F403 -- the project's own, as they are
from imgcrawl.spiders.alexa import AlexaSpider

SPIDER_MODULES = ["firstpages"]
ITEM_PIPELINES: dict[str, int] = {}  # pages are what is compared


class FirstPagesSpider(AlexaSpider):
    name = "firstpages"

    def site_request(self, about, depth, **meta):
        return super().site_request(about, depth, **(meta | {"page_url": None}))
