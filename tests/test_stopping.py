"""SIGTERM: a crawl ends in order, in time, and what was not done is done by the next one."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider, signals
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.http import Response

from imgcrawl.exitcodes import ExitCode
from tests.support.asking import SETTINGS
from tests.support.crawling import FAST, environment, until
from tests.support.processes import Process, patience
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Server, jpeg
from tests.support.server import Request as ServerRequest

PAGES, IMAGES = 8, 2
IN_TIME = 10  # seconds that `docker stop` waits


class Endless(Spider):
    name = "endless"
    url = ""

    async def start(self) -> AsyncIterator[Any]:
        for number in count():
            yield Request(f"{self.url}?{number}")

    def parse(self, response: Response) -> None:
        pass


class SlowSite:
    """Pages with images; until `quick` is set, the second image of every page takes 30 s."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.quick = threading.Event()
        server.add("*", self.answer)

    def answer(self, request: ServerRequest) -> Answer:
        if not request.path.endswith(".jpg"):
            return Answer(b"<html></html>", headers={"Content-Type": "text/html"})
        slow = request.path.endswith("/1.jpg") and not self.quick.is_set()
        return Answer(jpeg(comment=request.path), delay=30.0 if slow else 0.0)

    @property
    def slow_ones(self) -> int:
        return sum(request.path.endswith("/1.jpg") for request in self.server.requests)


def start(folder: Path, site: SlowSite, *options: str, delay: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scrapy", "crawl", "polite", "-O", "items.json", *options]
    for name, value in {"bases": site.server.url(""), "pages": PAGES, "images": IMAGES}.items():
        command += ["-a", f"{name}={value}"]
    for name, value in {**FAST, "WORKER": "w", "DOWNLOAD_DELAY": delay, "DOWNLOAD_TIMEOUT": 60}.items():
        command += ["-s", f"{name}={value}"]
    with (folder / "log").open("wb") as log:
        return Process(command, cwd=folder, env=environment(), stdout=log, stderr=log)


def stopped(
    folder: Path, process: subprocess.Popen[bytes], in_time: float = IN_TIME
) -> tuple[str, list[dict[str, Any]]]:
    """The log and the feed of a crawl that was sent a SIGTERM and has ended in time."""
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
    log = (folder / "log").read_text()
    assert time.monotonic() - before < in_time, log
    assert code == ExitCode.STOPPED, log
    assert "stopped before the end" in log.splitlines()
    assert "Traceback" not in log
    items: list[dict[str, Any]] = json.loads((folder / "items.json").read_text())
    for image in (image for item in items for image in item["images"]):
        if image["status"] == "downloaded":
            assert (folder / "images" / image["path"]).stat().st_size == image["bytes"]
        else:
            assert (image["status"], image["reason"]) == ("failed", "stopped"), image
    return log, items


def finished(folder: Path, process: subprocess.Popen[bytes]) -> None:
    try:
        code = process.wait(90)
    finally:
        process.kill()
        process.wait()
    assert code == 0, (folder / "log").read_text()
    items = json.loads((folder / "items.json").read_text())
    assert len(items) == len({item["url"] for item in items}) == PAGES
    kept = {"downloaded", "uptodate", "duplicate"}
    assert all(len(item["images"]) == IMAGES for item in items)
    assert {image["status"] for item in items for image in item["images"]} <= kept


async def test_a_stop_that_comes_while_the_spider_opens_is_kept(server: Server) -> None:
    """Scrapy forgets it: the crawl would go on, with each request given up and tried again."""

    def opened(spider: Spider) -> None:
        stops.append(asyncio.ensure_future(spider.crawler.stop_async()))

    stops: list[asyncio.Future[None]] = []
    crawler = AsyncCrawlerRunner({**SETTINGS, "SHUTDOWN_TIMEOUT": 0.1}).create_crawler(Endless)
    crawler.signals.connect(opened, signals.spider_opened)
    await asyncio.wait_for(crawler.crawl_async(url=server.url("/a.jpg")), patience(10))
    assert stops
    assert crawler.stats.get_value("finish_reason") == "shutdown"


@pytest.mark.alone
def test_sigterm_ends_a_crawl_in_time_though_images_take_30_seconds(server: Server, tmp_path: Path) -> None:
    site = SlowSite(server)
    process = start(tmp_path, site, delay=1)
    until(lambda: site.slow_ones >= 1)
    log, items = stopped(tmp_path, process)
    assert "requests that are not done are given up" in log
    assert Counter(image["status"] for item in items for image in item["images"])["failed"] >= 1
    site.quick.set()
    finished(tmp_path, start(tmp_path, site, delay=0))


@pytest.mark.alone
def test_sigterm_ends_all_workers_in_time_and_the_same_command_goes_on(server: Server, tmp_path: Path) -> None:
    site = SlowSite(server)
    process = start(tmp_path, site, "--workers", "2", delay=1)
    until(lambda: site.slow_ones >= 1, 60)
    log, _ = stopped(tmp_path, process)
    assert "crashed" not in log
    asked = Counter(server.paths())
    site.quick.set()
    finished(tmp_path, start(tmp_path, site, "--workers", "2", delay=0))
    assert max(Counter(server.paths()).values()) <= 2, asked
    assert not (tmp_path / ".imgcrawl").exists()


@pytest.mark.alone
def test_sigterm_ends_a_worker_in_time_though_its_redis_is_frozen(
    server: Server, tmp_path: Path, own_redis_server: RedisServer
) -> None:
    site = SlowSite(server)
    shared = ("-s", f"REDIS_URL={own_redis_server.url}", "-s", "FRONTIER_LEASE_TIMEOUT=6")
    process = start(tmp_path, site, *shared, delay=1)
    until(lambda: site.slow_ones >= 1)
    own_redis_server.send(signal.SIGSTOP)
    log, _ = stopped(tmp_path, process, IN_TIME * 1.5)  # nine seconds; 25 if it were waited for
    assert "Redis does not answer: the pages of this worker go back to the others" in log
    own_redis_server.send(signal.SIGCONT)
    site.quick.set()
    finished(tmp_path, start(tmp_path, site, *shared, delay=0))
