"""Stock Scrapy: settings and spider in one module (SCRAPY_SETTINGS_MODULE=stock), as its documentation says.

Which pipeline, which scheduler, and how many at once is said with -s by whoever starts it.
"""

from __future__ import annotations

import scrapy

BOT_NAME = "stock"
SPIDER_MODULES = ["stock"]
LOG_LEVEL = "INFO"
COOKIES_ENABLED = False
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
RETRY_ENABLED = False
ROBOTSTXT_OBEY = False
MEDIA_ALLOW_REDIRECTS = True
FEED_EXPORT_ENCODING = "utf-8"


class StockSpider(scrapy.Spider):
    name = "stock"
    base = ""
    topic = "nvshen"

    async def start(self):
        yield scrapy.Request(f"{self.base}/topic/{self.topic}/page/1", self.parse, cb_kwargs={"page": 1})

    def parse(self, response, page):
        links = response.xpath("//div[contains(@class, 'camLiTitleC')]/p/a/@href").getall()
        for link in links:
            yield response.follow(link, self.parse_gallery)
        if links and self.topic == "nvshen":
            address = f"{self.base}/topic/{self.topic}/page/{page + 1}"
            yield scrapy.Request(address, self.parse, cb_kwargs={"page": page + 1})

    def parse_gallery(self, response):
        urls = [response.urljoin(src).partition("?")[0] for src in response.xpath("//li/a/img/@src").getall()]
        yield {"url": response.url, "title": response.xpath("//h2/text()").get(), "image_urls": urls, "file_urls": urls}
