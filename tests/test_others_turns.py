"""What fails for one request, in a limit, a queue or somebody's own part, takes nobody else's turn."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider, signals
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.http import Response
from scrapy.utils.request import RequestFingerprinter

from imgcrawl.exceptions import InputError
from tests.support.asking import SETTINGS, ask, crawl
from tests.support.processes import patience
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Server

GOOD = 40


class Fingerprinter(RequestFingerprinter):
    """A project's own, which not every request is made for."""

    def fingerprint(self, request: Request) -> bytes:
        if "/bad" in request.url:
            raise KeyError(request.url)
        return super().fingerprint(request)


class Proxies:
    """A downloader middleware that takes a proxy from somewhere."""

    def process_request(self, request: Request) -> None:
        if "/bad" in request.url:
            request.meta["proxy"] = "http://[::1"


class Fed(Spider):
    """As users of scrapy-redis write them: each value that is fed is JSON with an address."""

    name = "fed"

    def make_request_from_data(self, data: bytes) -> Request:
        return Request(json.loads(data)["url"])

    def parse(self, response: Response) -> None:
        pass


class Listing(Spider):
    name = "listing"
    url = ""
    start_urls = ()

    async def start(self) -> Any:
        yield Request(f"{self.url}/list")

    def parse(self, response: Response) -> Iterator[Request]:
        for number in range(GOOD // 2):
            yield Request(f"{self.url}/{number}", self.parse_page)
        for number in range(5):
            yield Request(f"{self.url}/bad/{number}", self.parse_page)
        for number in range(GOOD // 2, GOOD):
            yield Request(f"{self.url}/{number}", self.parse_page)

    def parse_page(self, response: Response) -> None:
        pass

    def received(self, request: Request) -> None:
        if "/unknown" in request.url:
            raise AttributeError(request.url)


def crawler_of(spider: type[Spider], way: str, folder: Path, redis: RedisServer, **more: Any) -> Crawler:
    where = {"JOBDIR": {"JOBDIR": str(folder / "job")}, "Redis": {"REDIS_URL": redis.url}}.get(way, {})
    settings = {**SETTINGS, "ADDONS": {"imgcrawl.frontier.Addon": 100}, "ROBOTSTXT_OBEY": False, "RETRY_TIMES": 0}
    settings |= {"FRONTIER_MAX_DELIVERIES": 1, **where, **more}
    return AsyncCrawlerRunner(settings).create_crawler(spider)


ALL = {"/list", *(f"/{number}" for number in range(GOOD))}


@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
async def test_a_request_that_cannot_be_queued_is_told_and_the_others_are_asked_for(
    way: str, server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Those behind it were lost without a word."""
    server.add("*", b"page", headers={"Content-Type": "text/html"})
    own = "tests.test_others_turns.Fingerprinter"
    crawler = crawler_of(Listing, way, tmp_path, redis_server, REQUEST_FINGERPRINTER_CLASS=own)
    told: list[BaseException] = []

    def tell(failure: Any) -> None:
        told.append(failure.value)

    crawler.signals.connect(tell, signals.spider_error)
    await asyncio.wait_for(crawler.crawl_async(url=server.url("")), patience(20))
    assert set(server.paths()) == ALL
    assert [type(error) for error in told] == [KeyError] * 5
    assert crawler.stats.get_value("spider_exceptions/KeyError") == 5
    assert crawler.stats.get_value("finish_reason") == "finished"


class Starting(Listing):
    name = "starting"

    async def start(self) -> Any:
        for request in self.parse(Response(self.url)):
            yield request
        yield Request(f"{self.url}/list", self.parse_page, meta={"kept": "here"})


class Refusing:
    """A spider middleware with a part in start(): some of its requests cannot travel to other workers."""

    async def process_start(self, start: Any) -> Any:
        async for request in start:
            if "/5" in request.url:
                yield Request(f"{request.url}/lambda", lambda response: None)
            yield request


@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
async def test_a_request_of_start_that_cannot_be_queued_ends_no_crawl(
    way: str, server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Those behind it were lost, without a JOBDIR for good."""
    server.add("*", b"page", headers={"Content-Type": "text/html"})
    own = "tests.test_others_turns.Fingerprinter"
    middlewares = {**SETTINGS["SPIDER_MIDDLEWARES"], Refusing: 100}
    crawler = crawler_of(
        Starting, way, tmp_path, redis_server, REQUEST_FINGERPRINTER_CLASS=own, SPIDER_MIDDLEWARES=middlewares
    )
    told: list[BaseException] = []

    def tell(failure: Any) -> None:
        told.append(failure.value)

    crawler.signals.connect(tell, signals.spider_error)
    await asyncio.wait_for(crawler.crawl_async(url=server.url("")), patience(20))
    assert set(server.paths()) - {"/5/lambda"} == ALL
    assert Counter(type(error).__name__ for error in told) == {
        "KeyError": 5, **({"CannotTravelError": 1} if way == "Redis" else {}),
    }  # fmt: skip
    assert crawler.stats.get_value("spider_exceptions/KeyError") == 5
    assert crawler.stats.get_value("finish_reason") == "finished"


async def test_a_request_that_fails_in_its_limit_takes_nobodys_turn(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    server.add("*", b"page", headers={"Content-Type": "text/html"})
    for way in ("memory", "Redis"):
        proxies = SETTINGS["DOWNLOADER_MIDDLEWARES"] | {Proxies: 740}
        crawler = crawler_of(
            Listing, way, tmp_path, redis_server, DOWNLOADER_MIDDLEWARES=proxies, CONCURRENT_REQUESTS_PER_DOMAIN=1
        )
        before = len(server.paths())
        await asyncio.wait_for(crawler.crawl_async(url=server.url("")), patience(20))
        assert set(server.paths()[before:]) == ALL, way


async def test_what_a_spider_does_not_know_in_what_is_fed_keeps_nobody_waiting(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """The worker waited for ever, with all that was fed behind it."""
    server.add("*", b"page", headers={"Content-Type": "text/html"})
    good = [json.dumps({"url": server.url(f"/{number}")}) for number in range(6)]
    bad = ['{"address": "http://h/"}', "[1]", "null", "7", '{"url": 7}', '{"url": "http://["}', "not JSON"]
    with redis_server.client() as client:
        client.rpush("fed:start_urls", *good[:3], *bad, *good[3:])
        own = "tests.test_others_turns.Fingerprinter"
        client.rpush(
            "fed:start_urls", json.dumps({"url": server.url("/bad")}), json.dumps({"url": server.url("/last")})
        )
        crawler = crawler_of(Fed, "Redis", tmp_path, redis_server, REQUEST_FINGERPRINTER_CLASS=own)
        await asyncio.wait_for(crawler.crawl_async(url=server.url("")), patience(20))
        assert client.exists("fed:start_urls") == 0
    assert sorted(server.paths()) == sorted([*(f"/{number}" for number in range(6)), "/last"])
    assert crawler.stats.get_value("finish_reason") == "finished"
    assert crawler.stats.get_value("frontier/rejected") == len(bad) + 1


async def test_what_a_spider_does_not_know_in_the_queue_is_set_aside(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Written by somebody, or by a worker with another release of the spider. It was leased again and again."""
    server.add("*", b"page", headers={"Content-Type": "text/html"})
    server.add("/list", b"list", headers={"Content-Type": "text/html"})
    own = "tests.test_others_turns.Fingerprinter"

    class Newer(Listing):
        def parse(self, response: Response) -> Iterator[Request]:
            yield from (Request(f"{self.url}/unknown/{number}", self.parse_page) for number in range(3))
            yield from (Request(f"{self.url}/{number}", self.parse_page) for number in range(GOOD))

    crawler = crawler_of(Newer, "Redis", tmp_path, redis_server, REQUEST_FINGERPRINTER_CLASS=own)
    await asyncio.wait_for(crawler.crawl_async(url=server.url("")), patience(20))
    assert set(server.paths()) == ALL
    assert crawler.stats.get_value("frontier/rejected") == 3


BAD_SLOTS = [
    {"concurrency": "2.5"}, {"concurrency": "1e3"}, {"concurrency": 10**400},
    {"concurrency": "many"}, {"concurrency": math.inf}, {"concurrency": None}, {"concurrency": 0}, {"delay": "long"},
    {"delay": math.nan}, {"delay": math.inf}, {"delay": -1}, {"jitter": "x"}, {"jitter": [1]}, 5, None, "x",
]  # fmt: skip


@pytest.mark.parametrize("own", BAD_SLOTS, ids=repr)
async def test_limits_of_a_host_that_make_no_sense_are_named(own: Any, server: Server) -> None:
    """The requests of that host failed, others went on, and the crawl never ended."""

    async def script(crawler: Crawler) -> None:
        raise AssertionError("it started")

    with pytest.raises(InputError, match=r"DOWNLOAD_SLOTS: .*'127\.0\.0\.2' is .*; expected"):
        await asyncio.wait_for(crawl(script, DOWNLOAD_SLOTS={"127.0.0.2": own}), patience(10))


async def test_limits_of_a_host_that_make_sense_are_kept(server: Server) -> None:
    server.add("*", JPEG, delay=0.05)
    slots = {"127.0.0.1": {"concurrency": "2", "delay": 0, "jitter": 0.5, "throttle": None}}
    answers = await ask(*(server.url(f"/{number}") for number in range(6)), DOWNLOAD_SLOTS=slots, ROBOTSTXT_OBEY=False)
    assert [getattr(answer, "status", answer) for answer in answers] == [200] * 6
    assert server.max_in_flight == 2
