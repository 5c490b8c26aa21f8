"""What pages count, in whole crawls: everything once, whoever is killed, and whoever counts it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.exceptions import ScrapyDeprecationWarning
from scrapy.http import Response
from scrapy.statscollectors import MemoryStatsCollector
from scrapy.utils.test import get_crawler

from imgcrawl.engine import on_count
from imgcrawl.frontier.counted import OF_PAGES
from tests.basespiders.test_every_gallery import HTML, add, add_galleries, links
from tests.support.asking import SETTINGS as ASKING
from tests.support.crawling import FAST, Fleet, crawl_command, environment, until
from tests.support.processes import patience
from tests.support.redis_server import RedisServer
from tests.support.server import Server, jpeg
from tests.support.sharing import scrapy

SETTINGS = FAST | {"FRONTIER_LEASE_TIMEOUT": "2", "PRIVATE_HOSTS_ALLOWED": "127.0.0.1", "LIVE_ENABLED": "False"}
NO_JSON = {"Content-Type": "image/jpeg"}


class Sums:
    """The sums in Redis of the only run of *spider*."""

    def __init__(self, server: RedisServer, spider: str) -> None:
        self._server = server
        self._key = f"{{{spider}:requests}}:stats:"

    def read(self, of: str = "") -> dict[str, Any]:
        with self._server.client() as client:
            keys = [key for key in client.scan_iter(f"{self._key}*{of}") if key.decode().count(":") == 3 + bool(of)]
            return {name.decode(): value for key in keys for name, value in client.hgetall(key).items()}

    def numbers(self, *prefixes: str) -> dict[str, int]:
        return {name: int(value) for name, value in self.read().items() if name.startswith(prefixes)}


def crawl(
    fleet: Fleet, redis: RedisServer, spider: str, arguments: Mapping[str, Any], *options: str, **settings: Any
) -> Any:
    command = crawl_command(spider, *options, arguments=arguments, settings={**SETTINGS, **settings})
    return fleet.launch(command, environment(redis.url))


def test_what_a_killed_worker_had_told_of_a_page_counts_once(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    answers = threading.Event()
    server.add("/i/slow.jpg", jpeg(), headers=NO_JSON, delay=answers)
    server.add("/i/fast.jpg", jpeg(64, 64), headers=NO_JSON)
    (tmp_path / "list.txt").write_text(f"{server.url('/i/fast.jpg')}\nhttp://[\n{server.url('/i/slow.jpg')}\n")
    sums, fleet = Sums(redis_server, "urls"), Fleet(tmp_path)
    options = {"COMMAND_FOR_GALLERY": '["true"]'}

    def reports() -> dict[str, Any]:
        return sums.read(":workers")

    killed = crawl(fleet, redis_server, "urls", {"file": "list.txt"}, **options)
    until(lambda: server.count("/i/slow.jpg"))
    until(lambda: sums.read(":reported"))
    (before,) = reports().values()
    until(lambda: int(next(iter(reports().values()))) > int(before) + 1)
    killed.kill()
    killed.wait(10)
    answers.set()
    crawl(fleet, redis_server, "urls", {"file": "list.txt"}, **options)
    fleet.wait()
    assert sums.numbers("row/", "command/", "item_scraped", "image/found", "gallery/c") == {
        "row/count": 3,
        "command/run": 3,
        "item_scraped_count": 3,
        "image/found": 3,
        "gallery/count": 3,
    }


def test_whatever_a_page_counts_is_added_up_as_one_process_has_it(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_galleries(server)
    moved = [f"/g/moved{n}" for n in range(4)]
    add(server, {"/list/1": links("/g/1", "/g/2", "/g/3", *moved), "/list/3": links("/g/4")})
    for path in moved:
        server.add(path, status=302, headers=HTML | {"Location": "/g/1"})
    server.add("/list/2", status=500)
    fleet = Fleet(tmp_path)
    given = {"list": server.url("/list/{page}"), "galleries": "a.g", "pages": "3"}
    breaks = {"ITEM_PIPELINES": json.dumps({f"{__name__}.Breaks": 500, "imgcrawl.pipelines.ImagesPipeline": 300})}
    crawl(fleet, redis_server, "gallery", given, RETRY_TIMES="1", FRONTIER_MAX_DELIVERIES="2", **breaks)
    fleet.wait()
    found = Sums(redis_server, "gallery").numbers(*OF_PAGES)
    assert found.pop("image/bytes") > 100
    assert found == {
        "list/count": 2,
        "list/failed": 1,
        "list/failed/http_500": 1,
        "gallery/count": 3,
        "gallery/failed": 4,
        "gallery/failed/redirected": 4,
        f"gallery/led_to/{server.url('/g/1')}": 4,
        "item_scraped_count": 7,
        "item/error": 1,  # of two times that its page was done
        "image/found": 4,
        "image/downloaded": 3,
        "image/uptodate": 1,  # of the item that was lost, the second time
    }
    assert scrapy(tmp_path, "queue", "gallery", "--requeue", redis_url=redis_server.url)[0] == 0
    crawl(fleet, redis_server, "gallery", given)
    fleet.wait()
    assert Sums(redis_server, "gallery").numbers("gallery/count", "item", "image/found", "image/uptodate") == {
        "gallery/count": 4,
        "item_scraped_count": 8,
        "image/found": 4,
        "image/uptodate": 1,
    }


class Breaks:
    """A pipeline that fails on one gallery."""

    def process_item(self, item: Any) -> Any:
        if item["url"].endswith("/g/3"):
            raise RuntimeError("this one")
        return item


class Starts(Spider):
    """Counts in start(), and lists nothing."""

    name = "counting"
    url = ""

    async def start(self) -> AsyncIterator[Any]:
        self.scheduler: Any = self.crawler.engine.scheduler
        self.crawler.stats.inc_value("row/count", 3)
        self.crawler.stats.inc_value("gallery/count", 2)
        yield Request(self.url)

    def parse(self, response: Response) -> None:
        pass


async def test_what_start_counts_is_added_up_as_it_is_and_is_under_way_nowhere(
    server: Server, redis_server: RedisServer
) -> None:
    """It was told of as of a page of this worker, too; a gallery whose item left the pipelines elsewhere was none."""
    server.add("/", b"page", headers=HTML)
    addons = {"imgcrawl.frontier.Addon": 100}
    runner = AsyncCrawlerRunner({**ASKING, "ADDONS": addons, "ROBOTSTXT_OBEY": False, "REDIS_URL": redis_server.url})
    crawler = runner.create_crawler(Starts)
    await asyncio.wait_for(crawler.crawl_async(url=server.url("/")), patience(20))
    assert Sums(redis_server, "counting").numbers("row/", "gallery/") == {"row/count": 3, "gallery/count": 2}
    assert isinstance(crawler.spider, Starts)
    assert not any(crawler.spider.scheduler.shared_run.counted.settled.values())


def test_a_project_may_name_the_spider_in_its_place() -> None:
    """As Scrapy's own collectors take it."""
    told: list[tuple[str, int]] = []
    stats = MemoryStatsCollector(get_crawler())
    on_count(stats, lambda name, by: told.append((name, by)))
    with pytest.warns(ScrapyDeprecationWarning, match="spider"):
        stats.inc_value("a", 2, 0, None)
    assert (stats.get_value("a"), told) == (2, [("a", 2)])
