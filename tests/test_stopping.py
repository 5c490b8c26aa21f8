"""SIGTERM: a crawl ends in order, in time, and what was not done is done by the next one."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from errno import ENOSPC
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider, signals
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.http import Response
from scrapy.squeues import PickleFifoDiskQueue

from imgcrawl.exitcodes import ExitCode
from imgcrawl.longwork import WorkGivenUp
from imgcrawl.stopping import are_over, is_cut_short, stop_with
from tests.support.asking import SETTINGS
from tests.support.crawling import FAST, environment, until
from tests.support.processes import Process, patience
from tests.support.redis_server import RedisServer
from tests.support.s3 import KEYS
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
        if request.method in {"HEAD", "PUT"}:  # to an object store
            return Answer(delay=30.0)
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


def finished(folder: Path, process: subprocess.Popen[bytes], *, adds: bool) -> None:
    """*adds*: to the feed of a run that goes on, where pages that were given back are done again."""
    try:
        code = process.wait(90)
    finally:
        process.kill()
        process.wait()
    assert code == 0, (folder / "log").read_text()
    items = json.loads((folder / "items.json").read_text())
    last = {item["url"]: item for item in items}
    assert len(items) == PAGES or adds
    items = list(last.values())
    assert len(items) == PAGES
    kept = {"downloaded", "uptodate", "duplicate"}
    assert all(len(item["images"]) == IMAGES for item in items)
    assert {image["status"] for item in items for image in item["images"]} <= kept


def sums_in(server: RedisServer) -> dict[str, int]:
    """What the workers of the only run there have counted together."""
    with server.client() as client:
        (run,) = {key.partition(b":stats:")[2].partition(b":")[0] for key in client.keys("*:stats:*")}
        sums = client.hgetall(b"{polite:requests}:stats:" + run)
    return {name.decode(): int(number) for name, number in sums.items() if number.lstrip(b"-").isdigit()}


def test_a_stop_does_not_wait_for_a_store_that_does_not_answer(server: Server, tmp_path: Path) -> None:
    """Its library would, and Python for the library's threads."""
    site = SlowSite(server)
    site.quick.set()
    store = {"IMAGES_STORE": "s3://images/", **KEYS, "AWS_ENDPOINT_URL": server.url("").rstrip("/")}
    options = [part for name, value in store.items() for part in ("-s", f"{name}={value}")]
    process = start(tmp_path, site, *options, delay=0)
    until(lambda: any(request.method == "PUT" for request in server.requests))
    _, items = stopped(tmp_path, process)
    assert items


def test_a_stop_is_kept_that_comes_while_a_worker_joins_the_others(
    server: Server, tmp_path: Path, own_redis_server: RedisServer
) -> None:
    """Scrapy ended its process at once, with exit code 1: the other workers waited for it until its lease was over."""
    site = SlowSite(server)
    own_redis_server.send(signal.SIGSTOP)
    process = start(tmp_path, site, "-s", f"REDIS_URL={own_redis_server.url}", "-s", "SHUTDOWN_TIMEOUT=60", delay=0)
    try:
        until(lambda: "Spider opened" in (tmp_path / "log").read_text())
        process.send_signal(signal.SIGTERM)
        until(lambda: "Received SIGTERM" in (tmp_path / "log").read_text())
        own_redis_server.send(signal.SIGCONT)
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
    log = (tmp_path / "log").read_text()
    assert code == ExitCode.STOPPED, log
    assert "stopped before the end" in log.splitlines(), log
    with own_redis_server.client() as client:
        assert client.zcard("{polite:requests}:workers") == 0


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


async def test_the_time_of_a_stop_is_that_of_the_stop_whoever_asks_for_it(server: Server) -> None:
    """It was that of the first large page that was read after it: twice as long."""
    server.add("*", delay=60.0)
    over: list[bool] = []

    def opened(spider: Spider) -> None:
        stop_with(spider.crawler)
        stops.append(asyncio.ensure_future(spider.crawler.stop_async()))

    def closed() -> None:
        over.append(are_over())

    stops: list[asyncio.Future[None]] = []
    crawler = AsyncCrawlerRunner({**SETTINGS, "SHUTDOWN_TIMEOUT": 0.5}).create_crawler(Endless)
    crawler.signals.connect(opened, signals.spider_opened)
    crawler.signals.connect(closed, signals.spider_closed)
    await asyncio.wait_for(crawler.crawl_async(url=server.url("/a")), patience(10))
    assert over == [True]


def test_an_item_of_others_may_have_what_it_likes_where_ours_has_images() -> None:
    assert not is_cut_short({"images": 5, "videos": "none", "failed_pages": True})
    assert is_cut_short({"images": [{"reason": "stopped"}, "other"]})


class GivesUp(Spider):
    """Its pages are given up while they are read, in a callback of each kind and in an errback."""

    name = "gives_up"
    url = ""

    async def start(self) -> AsyncIterator[Any]:
        for callback in (self.plain, self.generator, self.coroutine, self.asynchronous):
            yield Request(f"{self.url}?{callback.__name__}", callback)
        yield Request(f"{self.url}/gone", self.plain, errback=self.plain)

    def plain(self, _: Any) -> list[Any]:
        raise WorkGivenUp

    def generator(self, _: Response) -> Iterator[Any]:
        yield {"a": 1}
        raise WorkGivenUp

    async def coroutine(self, _: Response) -> list[Any]:
        await asyncio.sleep(0)
        raise WorkGivenUp

    async def asynchronous(self, _: Response) -> AsyncIterator[Any]:
        yield {"a": 1}
        raise WorkGivenUp


class FullDisk(PickleFifoDiskQueue):
    """Has no room for what is put back."""

    def push(self, request: Request) -> None:
        if request.dont_filter:
            raise OSError(ENOSPC, "No space left on device")
        super().push(request)


@pytest.mark.parametrize("queue", [PickleFifoDiskQueue, FullDisk])
async def test_a_page_that_is_given_up_ends_whatever_its_callback_is(
    queue: type, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.add("/a", b"page")
    settings = {"JOBDIR": str(tmp_path / "job"), "SCHEDULER_START_DISK_QUEUE": queue, "CLOSESPIDER_PAGECOUNT": 9}
    crawler = AsyncCrawlerRunner({**SETTINGS, **settings}).create_crawler(GivesUp)
    with caplog.at_level(logging.INFO, "imgcrawl"):
        await asyncio.wait_for(crawler.crawl_async(url=server.url("/a")), patience(10))
    assert sum("was being read" in record.getMessage() for record in caplog.records) >= 5
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.alone(forks=True)
def test_sigterm_ends_crawls_in_time_and_the_same_commands_go_on(
    tmp_path: Path, own_redis_server: RedisServer, redis_server: RedisServer
) -> None:
    """Four crawls at once, which mostly wait: one process, two workers, one with a Redis, one whose Redis is frozen."""
    servers = {"shared": redis_server, "frozen": own_redis_server}
    redis = {way: ("-s", f"REDIS_URL={one.url}", "-s", "FRONTIER_LEASE_TIMEOUT=6") for way, one in servers.items()}
    ways: dict[str, tuple[str, ...]] = {"one": (), "two": ("--workers", "2"), **redis}
    with ExitStack() as stack:
        sites = {way: SlowSite(stack.enter_context(Server())) for way in ways}
        for way in ways:
            (tmp_path / way).mkdir()

        def start_all(delay: float) -> dict[str, subprocess.Popen[bytes]]:
            return {way: start(tmp_path / way, sites[way], *ways[way], delay=delay) for way in ways}

        crawls = start_all(delay=1)
        until(lambda: all(site.slow_ones >= 1 for site in sites.values()), 60)
        own_redis_server.send(signal.SIGSTOP)
        # With a frozen Redis nine seconds; 25 if it were waited for.
        with ThreadPoolExecutor() as threads:
            ends = {
                way: threads.submit(stopped, tmp_path / way, crawl, IN_TIME * (1.5 if way == "frozen" else 1))
                for way, crawl in crawls.items()
            }
        log, items = ends["one"].result()
        assert "requests that are not done are given up" in log
        assert Counter(image["status"] for item in items for image in item["images"])["failed"] >= 1
        assert "crashed" not in ends["two"].result()[0]
        assert "Redis does not answer: the pages of this worker go back to the others" in ends["frozen"].result()[0]
        own_redis_server.send(signal.SIGCONT)
        for site in sites.values():
            site.quick.set()
        for way, crawl in start_all(delay=0).items():
            finished(tmp_path / way, crawl, adds=way in servers)
        for way, one in servers.items():
            sums = sums_in(one)
            found = {name: sums.get(name, 0) for name in ("image/found", "image/failed")}
            assert found == {"image/found": PAGES * IMAGES, "image/failed": 0}, way
        asked = Counter(sites["two"].server.paths())
        assert max(asked.values()) <= 2, asked
        assert not (tmp_path / "two" / ".imgcrawl").exists()
