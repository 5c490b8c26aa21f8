"""Crawls by real processes: a site to crawl, a project with one spider, and workers that can be killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.crawling import Fleet, crawl_command, environment

SPIDER = """
import asyncio, os, random, signal
import scrapy

class Pages(scrapy.Spider):
    name = "pages"
    base = ""
    rows = "0"
    lists = "0"
    slow = "0"
    hosts = "1"  # 127.0.0.1, .2, ...: each has some of the pages
    weight = "0"  # bytes in a row's request that cannot be compressed
    custom_settings = {}

    async def start(self):
        for n in range(int(self.slow)):  # of another host
            yield scrapy.Request(f"{self.base}/slow/{n}".replace("127.0.0.1", "localhost"), callback=self.parse_page)
        for row in range(int(self.rows)):
            while row and os.path.exists(os.environ["ITEMS"] + ".seeding"):
                await asyncio.sleep(0.01)
            meta = {"weight": random.Random(row).randbytes(int(self.weight)).hex()}
            yield scrapy.Request(f"{self.base}/row/{row}", callback=self.parse_page, meta=meta, dont_filter=True)
        if int(self.lists):
            yield scrapy.Request(f"{self.base}/list/1", callback=self.parse, cb_kwargs={"page": 1}, dont_filter=True)

    def parse(self, response, page=1):
        for n in range((page - 1) * 20, page * 20):
            host = f"127.0.0.{n % int(self.hosts) + 1}"
            yield scrapy.Request(f"{self.base}/page/{n}".replace("127.0.0.1", host), callback=self.parse_page)
        if page < int(self.lists):
            yield scrapy.Request(f"{self.base}/list/{page + 1}", callback=self.parse, cb_kwargs={"page": page + 1})

    def parse_page(self, response):
        if "fails" in response.text:
            raise RuntimeError("this page cannot be parsed")
        if "lambda" in response.text:
            return scrapy.Request(f"{self.base}/page/1", callback=lambda response: None)
        if "kills" in response.text:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"url": response.url, "worker": os.getpid(), "hooks": response.meta.get("hooks")}
"""

PIPELINE = """
import asyncio, json, os, time
from scrapy import signals

class Lag:
    # How late the event loop is, in milliseconds, 99th percentile.
    @classmethod
    def from_crawler(cls, crawler):
        lag = cls()
        lag.crawler = crawler
        crawler.signals.connect(lag.opened, signals.spider_opened)
        crawler.signals.connect(lag.closed, signals.spider_closed)
        return lag

    async def opened(self):
        self.late = [0.0]
        self.task = asyncio.get_running_loop().create_task(self.measure())

    async def measure(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.002)
            self.late.append(time.monotonic() - before - 0.002)

    def closed(self):
        self.task.cancel()
        self.late.sort()
        self.crawler.stats.set_value("lag/p99", round(self.late[len(self.late) * 99 // 100] * 1000, 1))

class Pipeline:
    def __init__(self):
        self.file = os.open(os.environ["ITEMS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def process_item(self, item):
        waits = os.environ["ITEMS"] + ".wait"
        while os.path.exists(waits) or os.path.exists(f"{waits}-{os.getpid()}"):
            await asyncio.sleep(0.01)
        os.write(self.file, json.dumps(item).encode() + b"\\n")
        return item
"""


class Site:
    """Answers every path with `ok` after *latency* seconds, or with what *pages* says (`busy`: 503, twice).

    What is below `/slow` hangs until `recovered` is set.
    """

    def __init__(self, latency: float = 0.0, pages: dict[str, str] | None = None) -> None:
        self.hits: Counter[str] = Counter()
        self.latency = latency
        self.pages = pages or {}
        self.recovered = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.hits[self.path] += 1
                time.sleep(site.latency)
                if self.path.startswith("/slow"):
                    site.recovered.wait(60)
                body = site.pages.get(self.path, "ok").encode()
                busy = body == b"busy" and site.hits[self.path] < 3
                self.send_response(503 if busy else 200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # killed workers break their connections

        self.http = Http(("0.0.0.0", 0), Handler)  # 127.0.0.2 and the like are other hosts
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


class Crawl(Fleet):
    """A project with one spider, and the workers that crawl with it."""

    def __init__(self, folder: Path, redis_url: str, site: Site, **settings: Any) -> None:
        super().__init__(folder)
        self.spider = "pages"
        self.redis_url = redis_url
        self.site = site
        (folder / "scrapy.cfg").write_text("[settings]\ndefault = pages.settings\n")
        package = folder / "pages"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "spider.py").write_text(SPIDER)
        (package / "pipeline.py").write_text(PIPELINE)
        known: dict[str, Any] = {
            "SPIDER_MODULES": ["pages.spider"],
            "ADDONS": {"imgcrawl.frontier.Addon": 100},
            "ITEM_PIPELINES": {"pages.pipeline.Pipeline": 1},
            "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
            "TELNETCONSOLE_ENABLED": False,
            "LOG_LEVEL": "INFO",
            "DOWNLOAD_DELAY": 0,
            "EXTENSIONS": {"pages.pipeline.Lag": 1},
            "REMOTE_CONTROL_ENABLED": False,
            **settings,
        }
        lines = [f"{name} = {value!r}" for name, value in known.items()]
        (package / "settings.py").write_text("\n".join(lines) + "\n")

    def start(self, *arguments: str, **options: str) -> subprocess.Popen[bytes]:
        """Start a worker; its log is `log(worker)`."""
        command = crawl_command(self.spider, *arguments, arguments={"base": self.site.url, **options})
        known = environment(self.redis_url, settings=None)
        return self.launch(command, known | {"ITEMS": str(self.folder / "items.jsonl")})

    def items(self) -> list[dict[str, Any]]:
        file = self.folder / "items.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def urls(crawl: Crawl) -> set[str]:
    return {urlsplit(item["url"]).path for item in crawl.items()}


def pages(count: int, kind: str = "page") -> set[str]:
    return {f"/{kind}/{n}" for n in range(count)}


class SlowProxy:
    """Passes bytes on, in both directions, after *delay* seconds. `largest`: bytes said before there was an answer."""

    def __init__(self, port: int, delay: float) -> None:
        self.target = port
        self.delay = delay
        self.largest = 0
        self.loop = asyncio.new_event_loop()
        self.writers: list[asyncio.StreamWriter] = []
        started = threading.Event()

        async def run() -> None:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self.stop = asyncio.Event()
            started.set()
            await self.stop.wait()
            server.close()

        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(run(),))
        self.thread.start()
        started.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += [writer, other_writer]
        said = [0]

        def count(size: int) -> None:
            said[0] += size
            self.largest = max(self.largest, said[0])

        def answered(_: int) -> None:
            said[0] = 0

        await asyncio.gather(self._pass(reader, other_writer, count), self._pass(other_reader, writer, answered))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: Callable[[int], None]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                passed(len(data))
                self.loop.call_later(self.delay, writer.write, data)
            self.loop.call_later(self.delay, writer.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        for writer in self.writers:
            self.loop.call_soon(writer.close)
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()
