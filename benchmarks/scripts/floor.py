"""The least that brings images home with Scrapy and aiohttp: settings and spider in one module
(SCRAPY_SETTINGS_MODULE=floor), without middlewares, extensions and pipelines.

-a way=WAY says how an image is asked for: `scheduler` (a request like any), `downloader` (as media pipelines do) or
`handler` (Scrapy's aiohttp handler alone). -a last=STEP says what is done with it (`keeping`), -a threads=N where: in
the event loop (0) or in as many threads. -a part=0/2 takes the first of each two galleries. -a promises=1: images have
names by their galleries, which no other file had, the catalogue is asked for them before, a gallery is an item of the
feed, and a site hears which page shows an image.
"""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import scrapy
from keeping import Keeper

BOT_NAME = "floor"
SPIDER_MODULES = ["floor"]
LOG_LEVEL = "ERROR"
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
DOWNLOADER_STATS = False
EXTENSIONS_BASE: dict[str, int] = {}
DOWNLOADER_MIDDLEWARES_BASE: dict[str, int] = {}
SPIDER_MIDDLEWARES_BASE: dict[str, int] = {}
DOWNLOAD_HANDLERS = {"http": "scrapy.core.downloader.handlers._aiohttp.AiohttpDownloadHandler"}


class FloorSpider(scrapy.Spider):
    name = "floor"
    base = store = ""
    topic = "nvshen"
    way = "downloader"
    last = "outcome"
    threads = "0"
    part = "0/1"
    promises = ""

    async def start(self):
        gc.freeze()  # as imgcrawl does: else what is loaded is looked at for garbage again and again, 0.15 ms an image
        gc.set_threshold(20_000, 4, 10)
        self.keeper = Keeper(Path(self.store), self.last)
        self.pool = ThreadPoolExecutor(int(self.threads)) if int(self.threads) else None
        self.room = asyncio.Semaphore(self.settings.getint("CONCURRENT_REQUESTS"))
        self.ask = getattr(self, f"ask_{self.way}", None)
        yield scrapy.Request(f"{self.base}/topic/{self.topic}/page/1", self.parse, cb_kwargs={"page": 1})

    def parse(self, response, page):
        links = response.xpath("//div[contains(@class, 'camLiTitleC')]/p/a/@href").getall()
        mine, parts = map(int, self.part.split("/"))
        for link in links[mine::parts]:
            yield response.follow(link, self.parse_gallery)
        if links and self.topic == "nvshen":
            address = f"{self.base}/topic/{self.topic}/page/{page + 1}"
            yield scrapy.Request(address, self.parse, cb_kwargs={"page": page + 1})

    async def parse_gallery(self, response):
        urls = [response.urljoin(src).partition("?")[0] for src in response.xpath("//li/a/img/@src").getall()]
        if self.way == "scheduler":
            for url in urls:
                yield scrapy.Request(url, self.parse_image, dont_filter=True)
        elif self.promises:
            yield await self.gallery(response, urls)
        else:
            await asyncio.gather(*map(self.bring, urls))

    async def parse_image(self, response):
        await self.keep(response.url, response.body)

    async def gallery(self, response, urls):
        title = response.xpath("string(//h2)").get()
        loop, keeper = asyncio.get_running_loop(), self.keeper
        known = dict(await loop.run_in_executor(self.pool, keeper.known, urls))
        folder = await loop.run_in_executor(self.pool, keeper.folder, title)
        headers = {"Accept": "image/*,*/*;q=0.8", "Referer": response.url}

        async def outcome(index, url):
            if url in known:
                return {"url": url, "status": "uptodate", "path": known[url]}
            request = scrapy.Request(url, headers=headers)
            body = (await self.crawler.engine.download_async(request)).body
            name = f"{folder}/{index:03}.jpg"
            path, checksum = await loop.run_in_executor(self.pool, keeper.keep, url, body, name)
            return {"url": url, "status": "downloaded", "path": path, "checksum": checksum, "bytes": len(body)}

        images = await asyncio.gather(*(outcome(index, url) for index, url in enumerate(urls, 1)))
        return {"url": response.url, "title": title, "image_urls": urls, "images": images}

    async def bring(self, url):
        await self.keep(url, await self.ask(url))

    async def ask_downloader(self, url):
        return (await self.crawler.engine.download_async(scrapy.Request(url))).body

    async def ask_handler(self, url):
        request = scrapy.Request(url, meta={"download_timeout": self.settings.getfloat("DOWNLOAD_TIMEOUT")})
        async with self.room:
            return (await self.crawler.engine.downloader.handlers.download_request_async(request)).body

    async def keep(self, url, body):
        if self.pool:
            await asyncio.get_running_loop().run_in_executor(self.pool, self.keeper.keep, url, body)
        else:
            self.keeper.keep(url, body)

    def closed(self, reason):
        self.keeper.note()
