"""What a page, a list or a feed leads to is made as the crawl gets there, however much it is."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from scrapy import Request, Spider, signals
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.http import Response

from imgcrawl import outputs
from imgcrawl.frontier.outbox import BATCH, OUTBOX_LIMIT
from tests.support.asking import SETTINGS
from tests.support.crawling import crawl
from tests.support.processes import patience
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Server
from tests.support.server import Request as ServerRequest

HTML = {"Content-Type": "text/html"}
AHEAD, PAGES, CHILDREN = 150, 700, 200


class Held:
    """An extension that says in the stats how many requests waited at the most, and in which folder that is."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        extension = cls(crawler)
        crawler.signals.connect(extension.look, signals.response_received)
        crawler.signals.connect(extension.look, signals.request_scheduled)
        crawler.signals.connect(extension.tell, signals.spider_closed)
        return extension

    def look(self) -> None:
        scheduler: Any = self.crawler.engine.scheduler
        held = len(scheduler) if hasattr(scheduler, "mqs") else len(scheduler.shared_run.home.outbox)
        self.crawler.stats.max_value("held", held)

    def tell(self) -> None:
        stats = {name: value for name, value in self.crawler.stats.get_stats().items() if isinstance(value, int)}
        Path("stats.json").write_text(json.dumps(stats))


@pytest.mark.parametrize("kind", ["list", "sitemap", "json"])
def test_a_list_page_with_very_many_galleries_is_streamed(kind: str, server: Server, tmp_path: Path) -> None:
    """Its requests are some kilobytes each. It is larger than SCRAPER_SLOT_MAX_ACTIVE_SIZE, too: as long as such a page
    counts as under way, Scrapy's engine asks for nothing."""
    count = 45_000
    paths = [f"/g/{number}?{'x' * 100}" for number in range(count)]
    bodies = {
        "list": "".join(f'<a class=g href="{path}">g</a>' for path in paths),
        "sitemap": "".join(f"<url><loc>{server.url(path)}</loc></url>" for path in paths).join(
            ("<urlset>", "</urlset>")
        ),
        "json": json.dumps({"items": [{"url": path} for path in paths]}),
    }
    types = {"list": "text/html", "sitemap": "application/xml", "json": "application/json"}
    server.add("/list", bodies[kind].encode(), headers={"Content-Type": types[kind]})
    assert len(bodies[kind]) > 5_000_000
    server.add("*", lambda request: Answer(f"<title>{request.path}</title>".encode(), headers=HTML))
    where = {"sitemap": server.url("/list")} if kind == "sitemap" else {"list": server.url("/list")}
    galleries = {"list": {"galleries": "a.g"}, "json": {"galleries": "items[].url"}}.get(kind, {})
    extensions = json.dumps({"tests.test_long_lists.Held": 1})
    done = crawl(
        tmp_path, "gallery", {**where, **galleries}, CLOSESPIDER_ITEMCOUNT=50, EXTENSIONS=extensions,
        ROBOTSTXT_OBEY="False",
    )  # fmt: skip
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert 50 <= stats["gallery/count"] < 500, done.log
    assert outputs.AHEAD / 2 < stats["held"] <= outputs.AHEAD + 200
    assert stats["gallery/found"] <= outputs.AHEAD + 700
    assert "Traceback" not in done.log


class Tree(Spider):
    """A page of `PAGES` pages, of which some lead to `CHILDREN` more each, before they are followed by another list."""

    name = "tree"
    url = ""
    on_page: asyncio.Event | None = None

    async def start(self) -> AsyncIterator[Any]:
        yield Request(f"{self.url}/list")

    def parse(self, response: Response) -> Iterator[Request]:
        for number in range(PAGES):
            yield Request(f"{self.url}/g/{number}", self.parse_page, priority=1)
        yield Request(f"{self.url}/next", self.parse_page)

    def parse_page(self, response: Response) -> Iterator[Request]:
        if int(response.url.rpartition("/")[2].replace("next", "1")) % 200 == 0:
            for number in range(CHILDREN):
                yield Request(f"{response.url}/{number + 1}1", self.parse_page, priority=2)


ALL = {
    "/list", "/next", *(f"/g/{number}" for number in range(PAGES)),
    *(f"/g/{number}/{child + 1}1" for number in range(0, PAGES, 200) for child in range(CHILDREN)),
}  # fmt: skip


def crawler_of(spider: type[Spider], folder: Path, way: str, redis: RedisServer, **more: Any) -> Crawler:
    """A crawl in this process, whose requests wait in memory, in a folder (JOBDIR) or in a Redis."""
    where = {"JOBDIR": {"JOBDIR": str(folder / "job")}, "Redis": {"REDIS_URL": redis.url}}.get(way, {})
    settings = {
        **SETTINGS, "ADDONS": {"imgcrawl.frontier.Addon": 100}, "ROBOTSTXT_OBEY": False,
        "SCHEDULER_PRIORITY_QUEUE": "imgcrawl.priorityqueue.PriorityQueue", "SCRAPER_SLOT_MAX_ACTIVE_SIZE": 3000,
        "DOWNLOAD_DELAY": 0, **where, **more,
    }  # fmt: skip
    return AsyncCrawlerRunner(settings).create_crawler(spider)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "AHEAD", AHEAD)


@pytest.fixture
def pages(server: Server) -> Server:
    server.add("*", lambda request: Answer(b"<p>page</p>" * 200, headers=HTML))
    return server


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
@pytest.mark.parametrize("most", [64 * 1024 * 1024, 3000])
async def test_long_pages_that_lead_to_long_pages_come_to_their_end(
    way: str, most: int, pages: Server, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is larger than what may be under way for the engine to go on, and all of them wait at the same time; where
    *most* is little, some of them must not."""
    monkeypatch.setattr(outputs, "_MOST_WAITING", most)
    crawler = crawler_of(Tree, tmp_path, way, redis_server)
    held = Held(crawler)
    crawler.signals.connect(held.look, signals.request_scheduled)
    await asyncio.wait_for(crawler.crawl_async(url=pages.url("")), patience(60))
    assert Counter(pages.paths()) == Counter(ALL)
    assert crawler.stats.get_value("finish_reason") == "finished"
    if way == "memory" and most > 3000:
        assert crawler.stats.get_value("held") < AHEAD * 6  # five long pages, and some that are sent
    at = {path: number for number, path in enumerate(pages.paths())}
    assert at["/next"] > max(at[f"/g/{number}"] for number in range(PAGES)) - 20, "what is more urgent goes first"


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
async def test_a_stop_in_the_middle_of_a_long_page_is_heard_and_loses_nothing(
    way: str, server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    stop, stopping = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer(request: ServerRequest) -> Answer:
        if not stopping.is_set() and len(server.requests) > AHEAD // 2:
            loop.call_soon_threadsafe(stop.set)
        return Answer(b"<p>page</p>" * 200, headers=HTML)

    async def stop_it(crawler: Crawler) -> None:
        await stop.wait()
        stopping.set()
        await crawler.stop_async()

    server.add("*", answer)
    first = crawler_of(Tree, tmp_path, way, redis_server, SHUTDOWN_TIMEOUT=1)
    stopped = asyncio.create_task(stop_it(first))
    await asyncio.wait_for(first.crawl_async(url=server.url("")), patience(20))
    await stopped
    assert first.stats.get_value("finish_reason") == "shutdown"
    asked = server.paths()
    assert len(asked) < len(ALL) / 2
    if way != "Redis":
        assert first.stats.get_value("scheduler/enqueued") < len(ALL) / 2, "what is not asked for is not made"
    if way == "memory":
        return
    second = crawler_of(Tree, tmp_path, way, redis_server)
    await asyncio.wait_for(second.crawl_async(url=server.url("")), patience(60))
    again = Counter(server.paths())
    assert again.keys() == ALL
    # The page is done again, and what was under way.
    assert sum(again.values()) <= len(ALL) + 40


class Keeping(Tree):
    """Has each request twice, and keeps all of them."""

    name = "keeping"

    def parse(self, response: Response) -> Iterator[Request]:
        self.kept = [request for request in super().parse(response) for _ in range(2)]
        self.kept = [request.copy() for request in self.kept]
        yield from self.kept


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
async def test_requests_that_a_spider_keeps_do_not_count_as_waiting(
    way: str, pages: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    crawler = crawler_of(Keeping, tmp_path, way, redis_server)
    await asyncio.wait_for(crawler.crawl_async(url=pages.url("")), patience(60))
    assert Counter(pages.paths()) == Counter(ALL)


class Starts(Spider):
    name = "starts"
    url = ""

    async def start(self) -> AsyncIterator[Any]:
        for number in range(PAGES):
            yield Request(f"{self.url}/g/{number}")

    def parse(self, response: Response) -> None:
        pass


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
async def test_start_is_read_as_the_crawl_gets_there(
    way: str, pages: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Scrapy takes all of it as fast as it comes: 300,000 failures that are tried again are gigabytes."""
    crawler = crawler_of(Starts, tmp_path, way, redis_server)
    held = Held(crawler)
    crawler.signals.connect(held.look, signals.request_scheduled)
    await asyncio.wait_for(crawler.crawl_async(url=pages.url("")), patience(60))
    assert sorted(pages.paths()) == sorted(f"/g/{number}" for number in range(PAGES))
    assert crawler.stats.get_value("held") <= {"memory": AHEAD + 101, "Redis": OUTBOX_LIMIT + 1, "JOBDIR": PAGES}[way]
    numbers = [int(path.rpartition("/")[2]) for path in pages.paths()]
    assert max(abs(number - place) for place, number in enumerate(numbers)) < 100, "in their order"


class KeepingStarts(Starts):
    """Has each of its first requests twice, and keeps all of them."""

    name = "keeping_starts"

    async def start(self) -> AsyncIterator[Any]:
        self.kept = [Request(f"{self.url}/g/{number}") for number in range(PAGES) for _ in range(2)]
        self.kept += [Request(f"{self.url}/g/0") for _ in range(AHEAD * 2)]
        for request in self.kept:
            yield request


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("way", ["memory", "JOBDIR", "Redis"])
async def test_first_requests_that_a_spider_keeps_do_not_count_as_waiting(
    way: str, pages: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    crawler = crawler_of(KeepingStarts, tmp_path, way, redis_server)
    await asyncio.wait_for(crawler.crawl_async(url=pages.url("")), patience(60))
    assert sorted(pages.paths()) == sorted(f"/g/{number}" for number in range(PAGES))


class Wide(Spider):
    """A page with more requests than a server is told at once."""

    name = "wide"
    url = ""

    async def start(self) -> AsyncIterator[Any]:
        yield Request(self.url)

    def parse(self, response: Response) -> Iterator[Request]:
        for number in range(OUTBOX_LIMIT * 2):
            yield Request(f"{self.url}/{number}")


@pytest.mark.usefixtures("little")
async def test_what_a_long_page_gives_waits_in_redis_and_not_in_the_worker(
    pages: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    crawler = crawler_of(Wide, tmp_path, "Redis", redis_server, CLOSESPIDER_PAGECOUNT=30)
    held = Held(crawler)
    crawler.signals.connect(held.look, signals.request_scheduled)
    await asyncio.wait_for(crawler.crawl_async(url=pages.url("/list")), patience(60))
    assert OUTBOX_LIMIT / 2 < crawler.stats.get_value("held") <= OUTBOX_LIMIT + BATCH
