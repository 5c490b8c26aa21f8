"""What users of scrapy-redis know works here: its settings, spiders, pipeline, stats and scheduler."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
import redis
from scrapy import Request, Spider
from scrapy.core.scheduler import Scheduler as ScrapysScheduler
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler
from scrapy_redis import defaults
from scrapy_redis.scheduler import Scheduler as StockScheduler

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.compatibility import lend_fetching
from imgcrawl.frontier.decode import decode_start, said_meta
from imgcrawl.frontier.membership import leave
from imgcrawl.frontier.options import FOR_EVER, check_settings, run_options_from_settings
from imgcrawl.frontier.queue import queue_from_settings
from imgcrawl.frontier.scheduler import Scheduler
from imgcrawl.frontier.start_urls import StartUrls
from imgcrawl.shared.address import redis_url
from tests.support.crawling import environment, until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.processes import patience, run
from tests.support.redis_server import RedisServer

SPIDERS = """
import json
from scrapy import Request
from scrapy.exceptions import DontCloseSpider
from scrapy.linkextractors import LinkExtractor
from scrapy.spiders import Rule
from scrapy_redis.spiders import RedisCrawlSpider, RedisSpider
from pages.spider import Pages as Plain

class Fed(RedisSpider):
    name = "pages"
    base = ""
    max_idle_time = 1

    def parse(self, response):
        yield {"url": response.url, "worker": 0, "job": response.meta.get("job")}

class FedRules(RedisCrawlSpider):
    name = "rules"
    base = ""
    max_idle_time = 1
    rules = [Rule(LinkExtractor(allow="/page/"), callback="parse_page", follow=True)]

    def parse_page(self, response):
        yield {"url": response.url, "worker": 0}

class Reading(RedisSpider):
    name = "reading"
    base = ""
    max_idle_time = 1

    def make_request_from_data(self, data):
        said = json.loads(data + "")  # as who decodes has it
        meta = {"handle_httpstatus_list": [503], "dont_retry": True, **said.get("meta", {})}
        yield Request(said["url"], headers={"X-Token": "t"}, cb_kwargs={"n": 1}, errback=self.failed, meta=meta)

    def parse(self, response, n):
        token = response.request.headers[b"X-Token"].decode()
        yield {"url": response.url, "worker": 0, "all": [response.status, n, token, response.meta.get("job")]}

    def failed(self, failure):
        yield {"url": failure.request.url, "worker": 0}

class Ending(Fed):
    name = "ending"
    max_idle_time = 0  # for ever
    idle = 0

    def next_requests(self):
        while data := self.server.lpop("mine"):
            yield Request(data.decode(), dont_filter=True)

    def spider_idle(self):
        self.idle += 1
        self.schedule_next_requests()
        if self.idle < 3:
            raise DontCloseSpider

class Starting(Fed):
    name = "starting"
    max_idle_time = 3
    rows, slow, lists, weight = "0", "0", "0", "0"
    start = Plain.start
    parse_page = Plain.parse_page

class Idling(Fed):
    name = "idling"
    max_idle_time = 7
    spider_idle_start_time = 0  # the process is old

    def spider_idle(self):
        super().spider_idle()
"""


def with_redis_spiders(crawl: Crawl, spider: str) -> None:
    (crawl.folder / "pages" / "fed.py").write_text(SPIDERS)
    settings = crawl.folder / "pages" / "settings.py"
    settings.write_text(settings.read_text() + "SPIDER_MODULES = ['pages.fed']\n")
    crawl.spider = spider


def test_a_redis_spider_loses_nothing_and_waits_as_it_is_told(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        Site(0.05) as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=2) as crawl,
        redis_server.client() as client,
    ):
        with_redis_spiders(crawl, "pages")
        client.lpush("pages:start_urls", *(f"{site.url}/page/{n}" for n in range(20)))
        client.lpush("pages:start_urls", json.dumps({"url": f"{site.url}/job", "meta": {"job": 7}}))
        killed = crawl.start()
        until(lambda: len(crawl.items()) >= 5)
        killed.kill()
        worker = crawl.start()
        crawl.wait()
        assert urls(crawl) == pages(20) | {"/job"}
        assert {item["job"] for item in crawl.items()} == {None, 7}
        assert worker.returncode == 0
        assert "deprecated" not in crawl.log(worker).lower()
        assert "Warning:" not in crawl.log(worker)


def test_a_redis_spider_takes_its_arguments_and_what_is_first_in_a_sorted_set(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = {"REDIS_START_URLS_AS_ZSET": True, "CONCURRENT_REQUESTS": 1}
    with Site() as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl, redis_server.client() as client:
        with_redis_spiders(crawl, "pages")
        client.zadd("in:pages", {f"{site.url}/page/{n}": n for n in range(9)})
        arguments = {"redis_key": "in:%(name)s", "redis_batch_size": "2", "max_idle_time": "1"}
        assert crawl.start(**arguments).wait(60) == 0, crawl.log(crawl.workers[0])
        assert list(site.hits) == [f"/page/{n}" for n in reversed(range(9))]
        assert not client.exists("in:pages", "pages:start_urls")


def test_what_a_spiders_own_code_says_of_what_is_fed_counts_and_what_it_copies_is_no_instruction(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with (
        Site(pages={"/page/0": "busy"}) as site,
        Crawl(tmp_path, redis_server.url, site, REDIS_DECODE_RESPONSES=True) as crawl,
        redis_server.client() as client,
    ):
        with_redis_spiders(crawl, "reading")
        told: list[dict[str, Any]] = [{}, {"meta": {"job": 7}}, {"meta": {"job": 7, "cookiejar": 1}}]
        fed = [json.dumps({"url": f"{site.url}/page/{n}", **more}) for n, more in enumerate(told)]
        client.rpush("reading:start_urls", *fed)
        worker = crawl.start()
        crawl.wait()
        assert sorted(item["all"] for item in crawl.items()) == [[200, 1, "t", 7], [503, 1, "t", None]]
        assert site.hits == {"/page/0": 1, "/page/1": 1}
        assert crawl.log(worker).count("meta 'cookiejar' is an instruction to the crawler") == 1


def test_a_spider_that_says_itself_what_it_does_when_it_is_idle_is_asked(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """It was never idle, and so never ended."""
    with Site() as site, Crawl(tmp_path, redis_server.url, site) as crawl, redis_server.client() as client:
        with_redis_spiders(crawl, "ending")
        client.rpush("ending:start_urls", f"{site.url}/page/0")
        client.rpush("mine", f"{site.url}/page/1")
        worker = crawl.start()
        crawl.wait(30)
        assert urls(crawl) == pages(2)
        assert worker.returncode == 0
        assert "Spider closed (finished)" in crawl.log(worker)


@pytest.mark.parametrize("count", [1, 2])
def test_a_start_of_its_own_is_run_again_if_the_server_has_lost_what_it_gave(tmp_path: Path, count: int) -> None:
    """Its worker told the server that start() was done, whose pages were lost."""
    (tmp_path / "redis").mkdir()
    seeding = tmp_path / "items.jsonl.seeding"
    seeding.touch()
    with (
        RedisServer(tmp_path / "redis", "--appendonly", "no") as server,
        Site(0.1) as site,
        Crawl(tmp_path, server.url, site, FRONTIER_LEASE_TIMEOUT=6) as crawl,
        server.client() as client,
    ):
        with_redis_spiders(crawl, "starting")
        for _ in range(count):
            crawl.start(rows="100")
        until(lambda: len(crawl.items()) == 1 and client.zcard("{starting:requests}:workers") == count)
        client.save()
        seeding.unlink()
        until(lambda: client.hget("{starting:requests}:run", "seeded") and len(crawl.items()) > 20)
        server.kill()  # what it takes up is from before all but one of the rows
        server.start()
        until(lambda: client.hget("{starting:requests}:run", "seeded"))
        client.lpush("starting:start_urls", f"{site.url}/page/0")
        crawl.wait()
        assert urls(crawl) == pages(100, "row") | {"/page/0"}
        assert [worker.returncode for worker in crawl.workers] == [0] * count
        assert "ERROR" not in "".join(map(crawl.log, crawl.workers))


@pytest.mark.parametrize("way", ["shell", "fetch", "parse", "check"])
def test_a_command_that_only_looks_is_no_worker(tmp_path: Path, redis_server: RedisServer, way: str) -> None:
    """It took pages and values of a crawl that was going on, whose items came into no feed; `shell` ended at once."""
    commands = {"shell": ("-c", "response.text"), "fetch": (), "parse": ("--spider=pages",), "check": ()}
    stats = {"STATS_CLASS": "scrapy_redis.stats.RedisStatsCollector"}
    with Site() as site, Crawl(tmp_path, redis_server.url, site, **stats) as crawl, redis_server.client() as client:
        with_redis_spiders(crawl, "pages")
        client.rpush("pages:start_urls", f"{site.url}/page/1")
        client.hset("pages:stats", "item_scraped_count", 1)
        looked = [] if way == "check" else [f"{site.url}/page/0"]
        command = [sys.executable, "-m", "scrapy", way, *looked, *commands[way]]
        env = environment(redis_server.url, settings=None) | {"ITEMS": str(tmp_path / "items.jsonl")}
        done = run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert {"shell": "ok", "fetch": "ok", "parse": "/page/0", "check": ""}[way] in done.stdout
        assert "Traceback" not in done.stderr
        assert set(client.keys("*")) == {b"pages:start_urls", b"pages:stats"}
        assert client.hgetall("pages:stats") == {b"item_scraped_count": b"1"}
        assert sum(site.hits.values()) == len(looked)


@pytest.mark.slow
def test_how_long_a_spider_is_idle_counts_from_its_last_page(tmp_path: Path, redis_server: RedisServer) -> None:
    """As in scrapy-redis; it counted from when the process began, as nothing was seen in the key."""
    with Site() as site, Crawl(tmp_path, redis_server.url, site) as crawl, redis_server.client() as client:
        with_redis_spiders(crawl, "idling")
        client.rpush("idling:start_urls", f"{site.url}/page/0")
        worker = crawl.start()
        until(crawl.items)
        begun = time.monotonic()
        assert worker.wait(30) == 0, crawl.log(worker)
        assert time.monotonic() - begun > 6, crawl.log(worker)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_what_is_fed_says_the_same_in_each_encoding_that_json_is_read_in(encoding: str) -> None:
    assert said_meta(json.dumps({"meta": {"cookiejar": 1}}).encode(encoding), "utf-8") == {"cookiejar"}


def test_a_redis_crawl_spider_follows_its_rules(tmp_path: Path, redis_server: RedisServer) -> None:
    links = "".join(f'<a href="/page/{n}">' for n in range(6))
    with (
        Site(pages={"/front": f"<html>{links}</html>"}) as site,
        Crawl(tmp_path, redis_server.url, site) as crawl,
        redis_server.client() as client,
    ):
        with_redis_spiders(crawl, "rules")
        client.lpush("rules:start_urls", json.dumps({"url": f"{site.url}/front"}))
        crawl.start()
        crawl.wait()
        assert urls(crawl) == pages(6)
        assert client.hget("{rules:requests}:run", "done") == b"7"


def test_the_pipeline_and_the_stats_of_scrapy_redis_work_beside_our_parts(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = {
        "ITEM_PIPELINES": {"pages.pipeline.Pipeline": 1, "scrapy_redis.pipelines.RedisPipeline": 300},
        "STATS_CLASS": "scrapy_redis.stats.RedisStatsCollector",
        "SCHEDULER_PERSIST": True,  # the stats stay, too
        "EXTENSIONS": {"imgcrawl.extensions.verdict.Verdict": 0, "pages.pipeline.Lag": 1},
        "VERDICT_IMAGES_EXPECTED": False,
    }
    with Site(0.01) as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl:
        for _ in range(2):
            crawl.start(lists="4")
        crawl.wait()
        assert urls(crawl) == pages(80)
        with redis_server.client() as client:
            fed = [json.loads(item)["url"].removeprefix(site.url) for item in client.lrange("pages:items", 0, -1)]
            stats = client.hgetall("pages:stats")
        assert sorted(fed) == sorted(pages(80))
        assert int(stats[b"item_scraped_count"]) == 80, "the counts of both workers"
        assert stats[b"finish_reason"] == b"finished"
        for worker in crawl.workers:
            assert worker.returncode == 0
            assert "Traceback" not in crawl.log(worker)
            assert "Deprecat" not in crawl.log(worker)


def test_the_scheduler_of_scrapy_redis_is_left_in_its_place_and_told_of_once(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = {"SCHEDULER": "scrapy_redis.scheduler.Scheduler"}
    with Site() as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl:
        worker = crawl.start(lists="2")
        crawl.wait()
        assert urls(crawl) == pages(40)
        assert worker.returncode == 0
        assert crawl.log(worker).count("SCHEDULER=scrapy_redis.scheduler.Scheduler: a page is lost") == 1
        assert "Deprecat" not in crawl.log(worker)
        with redis_server.client() as client:
            assert not client.exists("{pages:requests}:run")


def test_what_cannot_be_honoured_is_one_sentence(tmp_path: Path, redis_server: RedisServer) -> None:
    settings = {
        "SCHEDULER_QUEUE_CLASS": "scrapy_redis.queue.FifoQueue",
        "DUPEFILTER_CLASS": "scrapy_redis.dupefilter.RFPDupeFilter",
        "SCHEDULER_SERIALIZER": "scrapy_redis.picklecompat",
        "REDIS_PARAMS": {"redis_cls": "redis.StrictRedis"},
    }
    with Site() as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl:
        worker = crawl.start(lists="1")
        crawl.wait()
        assert urls(crawl) == pages(20)
        assert crawl.log(worker).count("SCHEDULER_QUEUE_CLASS, DUPEFILTER_CLASS, SCHEDULER_SERIALIZER: no effect") == 1
        assert crawl.log(worker).count("redis_cls in REDIS_PARAMS: no effect") == 1


def test_host_port_and_database_are_enough_and_a_worker_waits_for_ever(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with redis_server.client() as client:
        at = client.get_connection_kwargs()
        settings = {"REDIS_HOST": at.get("host", "127.0.0.1"), "REDIS_PORT": at["port"], "REDIS_DB": 1}
        settings |= {"MAX_IDLE_TIME_BEFORE_CLOSE": 0, "REDIS_ENCODING": "latin-1"}
        with Site() as site, Crawl(tmp_path, "", site, **settings) as crawl:
            worker = crawl.start()
            client.select(1)
            client.flushdb()
            until(lambda: client.hget("{pages:requests}:run", "seeded"))
            client.lpush("pages:start_urls", json.dumps({"url": f"{site.url}/é"}, ensure_ascii=False).encode("latin-1"))
            until(lambda: site.hits["/%C3%A9"])
            client.sadd("{pages:start_urls}:other", "x")  # of no matter
            until(lambda: not client.exists("{pages:start_urls}:moving"))
            client.sadd("pages:start_urls", f"{site.url}/of-a-set")
            until(lambda: site.hits["/of-a-set"])
            client.zadd("pages:start_urls", {f"{site.url}/less": 1, f"{site.url}/more": 2})
            until(lambda: site.hits["/less"] and site.hits["/more"])
            assert worker.poll() is None
            worker.send_signal(signal.SIGINT)
            worker.wait(20)
            assert "(shutdown)" in crawl.log(worker)
            client.flushdb()


def test_a_crawl_that_persists_crawls_again_the_next_night(tmp_path: Path, redis_server: RedisServer) -> None:
    """What was seen stays seen, as in scrapy-redis; list pages are walked each night, and what is new is fetched."""
    from imgcrawl.demo.server import serve  # noqa: PLC0415 -- a replica for this test only
    from tests.support.sharing import Sharing  # noqa: PLC0415 -- the same

    with serve("pximg", galleries=6, per_page=2, images=1, width=40, misbehave=False) as replica:
        asked, codes = [], []
        for _ in range(2):
            with Sharing(tmp_path, redis_server.url, "pximg", replica.arguments, SCHEDULER_PERSIST=True) as crawl:
                worker = crawl.start()
                crawl.wait()
            codes.append(worker.returncode)
            if not asked:
                with redis_server.client() as client:  # as if the last gallery were of today
                    assert client.hget("{pximg:requests}:seen", "count")
            asked.append(replica.stats()["requests"])
        lists = [f"{replica.base}/topic/nvshen/page/{n}" for n in (1, 2, 3)]
        assert [(asked[0][page], asked[1][page]) for page in lists] == [(1, 2)] * 3
        assert {asked[1][gallery["url"]] for gallery in replica.galleries} == {1}
        assert codes == [0, 0], "a night without anything new is no failure"


def test_what_is_fed_at_any_moment_is_crawled(tmp_path: Path, redis_server: RedisServer) -> None:
    """Before, while and after a crawl ends: what comes too late for one is the next one's."""
    with Site() as site, Crawl(tmp_path, redis_server.url, site) as crawl, redis_server.client() as client:
        worker = crawl.start(lists="1")
        fed = 0
        until(lambda: site.hits["/list/1"])
        while worker.poll() is None:
            client.lpush("pages:start_urls", json.dumps({"url": f"{site.url}/fed/{fed}", "callback": "parse_page"}))
            fed += 1
            if fed % 50 == 0:
                until(lambda: worker.poll() is not None or not client.llen("pages:start_urls"))
                if fed == 300:
                    worker.wait(20)
        client.lpush("pages:start_urls", json.dumps({"url": f"{site.url}/fed/{fed}", "callback": "parse_page"}))
        next_worker = crawl.start(lists="1")
        next_worker.wait(30)
        assert not {f"/fed/{n}" for n in range(fed + 1)} - urls(crawl)
        assert not client.exists("pages:start_urls", "{pages:start_urls}:moving")


# What scrapy-redis' own tests say of its scheduler, in our words


def scheduler(**settings: Any) -> Scheduler:
    crawler = get_crawler(Spider, {"REDIS_URL": "redis://127.0.0.1:1/0", **settings})
    crawler.spider = crawler._create_spider("pages")
    crawler.spidercls.name = "pages"
    return Scheduler.from_crawler(crawler)


def test_it_is_a_scheduler_of_scrapy_redis_and_no_other_is_taken_for_it() -> None:
    made = scheduler(SCHEDULER_PERSIST=True, SCHEDULER_FLUSH_ON_START=True, SCHEDULER_IDLE_BEFORE_CLOSE=3)
    assert isinstance(made, StockScheduler)
    assert (made.persist, made.flush_on_start, made.idle_before_close) == (True, True, 3)
    assert made.queue_key == defaults.SCHEDULER_QUEUE_KEY % {"spider": "pages"}
    for other in (StockScheduler(server=None), ScrapysScheduler(dupefilter=None)):  # type: ignore[arg-type] # none needed
        assert not isinstance(other, Scheduler)
    with pytest.raises(InputError, match="from_crawler"):
        Scheduler.from_settings(Settings())
    with pytest.raises(InputError, match="--clear"):
        made.flush()


@asynccontextmanager
async def opened(server: RedisServer, **settings: Any) -> AsyncIterator[Scheduler]:
    """The scheduler, as an engine opens and closes it that asks for nothing by itself."""
    made = scheduler(REDIS_URL=server.url, **settings)
    slot, scraper = SimpleNamespace(closing=None, nextcall=Mock(), inprogress=set()), SimpleNamespace(_scrape=None)
    made.crawler.engine = cast(
        "Any", SimpleNamespace(_slot=slot, scheduler=made, scraper=scraper, crawler=made.crawler)
    )
    made.spider = made.crawler.spider
    await made._open()
    yield made
    await leave(made.shared_run, "pages", 20)


@pytest.mark.parametrize("persist", [True, False])
async def test_what_was_scheduled_is_there_when_it_is_opened_again_highest_priority_first(
    redis_server: RedisServer, persist: bool
) -> None:
    """Upstream looks at `len(scheduler)`, which there is none of here: what waits is in Redis, and to ask for it would
    keep the engine waiting. Without SCHEDULER_PERSIST upstream forgets what was scheduled; here a crawl that is not at
    its end goes on."""
    priorities = {100: "/1", 50: "/2", 200: "/3"}
    async with opened(redis_server, SCHEDULER_PERSIST=persist) as made:
        for priority, path in priorities.items():
            assert made.enqueue_request(Request(f"http://example.com{path}", priority=priority))
            assert not made.enqueue_request(Request(f"http://example.com{path}", priority=priority))
        assert made.has_pending_requests()
        with pytest.raises(TypeError):
            len(made)  # type: ignore[arg-type] # just that
    async with opened(redis_server, SCHEDULER_PERSIST=persist) as made:
        async with asyncio.timeout(patience(20)):
            while made.leases.ready < 3:  # noqa: ASYNC110 -- what it waits for comes from Redis
                await asyncio.sleep(0.01)
        found = [made.next_request() for _ in range(4)]
        assert [request and request.url for request in found] == [*(f"http://example.com/{n}" for n in (3, 1, 2)), None]
        assert made.has_pending_requests()


@pytest.mark.parametrize("kind", ["list", "set", "zset"])
async def test_what_is_fed_is_taken_in_batches_each_once(redis_server: RedisServer, kind: str) -> None:
    """Upstream's spider takes as many as CONCURRENT_REQUESTS at a time, which here is for the queue to say."""
    urls_ = [f"http://example.com/{n}" for n in range(10)]
    settings = {"REDIS_URL": redis_server.url, "REDIS_START_URLS_KEY": "start:urls", f"REDIS_START_URLS_AS_{kind}": 1}
    queue = queue_from_settings(Settings({name.upper(): value for name, value in settings.items()}), "pages")
    start_urls = StartUrls(queue)
    with redis_server.client() as client:
        for url in urls_:
            put = {"list": client.rpush, "set": client.sadd, "zset": lambda key, url: client.zadd(key, {url: 0})}[kind]
            put("start:urls", url)
        taken = []
        for _ in range(2):
            foreign, fed = await start_urls.take(5)
            assert (foreign, len(fed)) == ([], 5)
            taken += [decode_start(each.value, Spider("pages")).url for each in fed]
            await start_urls.taken(fed)
        assert await start_urls.take(5) == ([], [])
        assert not client.exists("start:urls", queue.moving_key)
    assert (taken if kind == "list" else sorted(taken)) == urls_
    await queue.client.aclose()


async def test_what_is_the_same_page_is_seen_once() -> None:
    """As the duplicate filter of scrapy-redis has it."""
    made = scheduler()
    spider = made.spider = made.crawler.spider
    same = [Request("http://example.com/?a=1&b=2", callback=spider.parse), Request("http://example.com/?b=2&a=1")]
    other = [Request("http://example.com/?a=1&b=2", method="POST"), Request("http://example.com/?a=1")]
    assert [made.enqueue_request(request) for request in [*same, *other, *other]] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    assert made.enqueue_request(same[0].replace(dont_filter=True))
    assert made.has_pending_requests()
    assert [bucket for _, _, bucket, _ in made.shared_run.home.outbox] == ["0:example.com"] * 4
    await made.shared_run.queues.client.aclose()


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(InputError, match="SCHEDULER_IDLE_BEFORE_CLOSE=-1"):
        check_settings(Settings({"SCHEDULER_IDLE_BEFORE_CLOSE": -1}))
    with pytest.raises(InputError, match="REDIS_ENCODING='klingon'"):
        check_settings(Settings({"REDIS_ENCODING": "klingon"}))


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 0),
        ({"SCHEDULER_IDLE_BEFORE_CLOSE": 5}, 5),
        ({"MAX_IDLE_TIME_BEFORE_CLOSE": 0}, FOR_EVER),
        ({"MAX_IDLE_TIME_BEFORE_CLOSE": 7, "SCHEDULER_IDLE_BEFORE_CLOSE": 5}, 7),
    ],
)
def test_how_long_a_crawl_waits(settings: dict[str, Any], seconds: float) -> None:
    assert run_options_from_settings(Settings(settings)).idle_before_close == seconds


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, None),
        ({"REDIS_URL": "redis://h/2", "REDIS_DB": 3}, "redis://h/2"),
        ({"REDIS_URL": "redis://h", "REDIS_DB": 3}, "redis://h/3"),
        ({"REDIS_HOST": "h"}, "redis://h:6379"),
        ({"REDIS_PORT": "7000"}, "redis://localhost:7000"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": 7000, "REDIS_DB": 4}, "redis://[::1]:7000/4"),
        ({"REDIS_DB": 4}, "redis://localhost:6379/4"),
        ({"REDIS_PARAMS": {"socket_timeout": 9}}, None),
        ({"REDIS_PARAMS": {"host": "p", "port": 7000, "db": 3}}, "redis://p:7000"),  # to which the client adds its db
        ({"REDIS_PARAMS": {"host": "p"}, "REDIS_HOST": "h", "REDIS_DB": 1}, "redis://h:6379/1"),
        ({"REDIS_PARAMS": '{"url": "redis://u/1"}'}, "redis://u/1"),
        ({"REDIS_PARAMS": {"host": 5}}, "redis://5:6379"),  # which is then told to be no server
        ({"REDIS_PARAMS": {"url": 5}}, "5"),
    ],
)
def test_where_the_server_is(settings: dict[str, Any], url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert redis_url(Settings(settings)) == url


@pytest.mark.parametrize(("priority", "host"), [("addon", "h"), ("project", "localhost")])
def test_a_spiders_client_is_replaced_where_no_setting_was_there_for_it_to_see(priority: str, host: str) -> None:
    settings = Settings({"REDIS_PARAMS": {"sentinels": [["s", 26379]]}})  # which no client of its takes
    settings.set("REDIS_URL", "redis://h", priority)
    spider = SimpleNamespace(make_request_from_data=None, redis_key="k", server=redis.Redis())
    assert lend_fetching(spider, settings) == "k"
    assert spider.server.connection_pool.connection_kwargs["host"] == host


def test_the_keys_are_those_of_scrapy_redis() -> None:
    settings = {
        "REDIS_URL": "redis://h",
        "REDIS_START_URLS_KEY": "in:%(name)s",
        "SCHEDULER_DUPEFILTER_KEY": "d:%(spider)s",
    }
    queue = queue_from_settings(Settings(settings), "pages")
    assert (queue.key, queue.start_key, queue.seen_key) == ("pages:requests", "in:pages", "d:pages")
    assert queue_from_settings(Settings({"REDIS_URL": "redis://h"}), "pages").start_key == "pages:start_urls"
