"""A queue over several hash tags: as one, and shared by the nodes of a cluster."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from scrapy import Request
from scrapy.settings import Settings
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from imgcrawl.frontier import inspect, shard
from imgcrawl.frontier.end_of_run import EndOfRun
from imgcrawl.frontier.leases import Leases, Page
from imgcrawl.frontier.membership import join, leave, start
from imgcrawl.frontier.queue import Reply
from imgcrawl.frontier.queues import Queues, queues_from_settings, shard_of
from imgcrawl.frontier.run import RunOptions, RunState, SharedRun
from imgcrawl.limits.backend import HostLimits
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.redis import OUTAGES
from imgcrawl.limits.sharded import ShardedLimiter, limits_of_shards
from tests.support.crawling import until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.redis_cluster import redis_cluster
from tests.support.redis_server import RedisServer
from tests.support.sharing import scrapy


def queues(url: str, shards: int = 4, spider: str = "pages", **settings: Any) -> Queues:
    return queues_from_settings(Settings({"REDIS_URL": url, "FRONTIER_SHARDS": shards, **settings}), spider)


async def test_two_workers_crawl_four_shards_as_one(tmp_path: Path, redis_server: RedisServer) -> None:
    settings = {"FRONTIER_SHARDS": 4, "FRONTIER_LEASE_TIMEOUT": 6}
    with Site(0.05) as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl:
        workers = [crawl.start(lists="6", hosts="9") for _ in range(2)]
        until(lambda: len(urls(crawl)) > 20)
        other = crawl.start("-s", "FRONTIER_SHARDS=3", lists="6", hosts="9")
        with redis_server.client() as client:
            client.lpush("pages:start_urls", f"{site.url.replace('127.0.0.1', '127.0.0.7')}/page/fed")
        crawl.wait(60)
        assert urls(crawl) >= pages(120)
        assert site.hits["/page/fed"] == 1
        assert set(site.hits.values()) == {1}
        assert [worker.returncode for worker in workers] == [0, 0], crawl.log(workers[0])
        assert "FRONTIER_SHARDS=3: the queue pages:requests has 4 of them; expected the same" in crawl.log(other)
        assert "Traceback" not in crawl.log(other)
    store = queues(redis_server.url)
    done = [await inspect.counts(queue) for queue in store]
    assert sum(one["done"] for one in done) == (await inspect.counts(store))["done"] == 120 + 6 + 1
    assert sum(one["done"] > 0 for one in done) > 1, "one shard did it all"
    await store.client.aclose()


def test_all_shards_were_empty_at_one_moment() -> None:
    """A page that goes from one shard to another between two looks is not overlooked."""

    def look(shard: int, signature: str, sent: float, *, quiet: bool = True) -> bool:
        end.looked(shard, Reply("ok", signature=signature, quiet=quiet), sent=sent, received=sent + 1)
        return end.is_here

    end = EndOfRun(2)
    assert not look(0, "a", 0)
    assert not look(1, "x", 0, quiet=False)  # a page here is to lead to one there
    assert not look(1, "x", 2)  # it has: this was empty, and that was empty when it was looked at, but not now
    assert end.unconfirmed() == [0, 1]
    assert not look(0, "b", 4)  # it was queued and done meanwhile
    assert not look(1, "x", 4.5)  # begun before the answer of the other came: not surely later than it
    assert end.signature == ""
    assert look(1, "x", 6) is False
    assert end.unconfirmed() == [0]
    assert look(0, "b", 7)
    assert end.signature == "b"
    end.reset()
    assert not end.is_here


class Worker:
    """A worker's part in a run of two *shards*, without a crawl: what it leases is in `pages`."""

    def __init__(self, server: RedisServer, shards: int = 2) -> None:
        self.url = server.url
        self.queues = queues(server.url, shards)
        self.pages: dict[bytes, tuple[Request, Page]] = {}
        self.run = SharedRun(
            self.queues, Leases(16, 8), RunOptions(), StatsCollector(get_crawler()),
            accept=self.accept, wake_engine=lambda: None, is_stopping=lambda: False,
        )  # fmt: skip
        self.run.may_seed = True

    def accept(self, shard: int, token: bytes, priority: bytes, value: bytes, quarantined: bool) -> None:
        page = Page(token, "h", value, shard)
        request = Request("http://h/")
        self.run.leases.add(request, page, quarantined=quarantined)
        self.run.leases.start_next()
        self.pages[value] = request, page

    def done(self, value: bytes) -> None:
        request, page = self.pages.pop(value)
        self.run.leases.finish(request)
        self.run.end_page(page, "done")

    def queue(self, value: str, shard: int) -> None:
        host = next(host for n in count() if shard_of(host := f"h{n}", len(self.queues)) == shard)
        self.run.enqueue("c", value.encode().ljust(12), Request(f"http://{host}/{value}"), value.encode())

    async def __aenter__(self) -> Self:
        await join(self.run, self.url, "pages")
        start(self.run, partial(asyncio.sleep, 3600))
        await self.until(lambda: self.run.is_seeding)
        return self

    async def __aexit__(self, *_: object) -> None:
        await leave(self.run, "pages", 10)

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not is_so():
                await self.run.next_exchange()


async def test_a_page_ends_after_what_it_led_to_is_in_another_shard_and_the_run_after_that(
    redis_server: RedisServer,
) -> None:
    async with Worker(redis_server) as worker:
        run, (home, other) = worker.run, worker.queues
        worker.queue("parent", 0)
        await worker.until(lambda: b"parent" in worker.pages)
        answering, other.client = other.client, Redis.from_url("redis://127.0.0.1:1")
        worker.queue("child", 1)
        worker.done(b"parent")
        run.report("seeded", "", "")
        await worker.until(lambda: run.shards[1].session.is_away)
        for _ in range(2):
            run.home.session.wake()
            await run.home.session.exchanged()
        assert (await inspect.counts(home))["leased"] == 1, "acknowledged though its child is nowhere"
        assert not run.home.reply.seeded
        other.client = answering
        await worker.until(lambda: b"child" in worker.pages and not run.has_reports)
        run.nothing_outside = True
        assert (await inspect.counts(worker.queues))["done"] == 1
        assert run.state is RunState.RUNNING
        worker.done(b"child")
        await worker.until(lambda: run.state is RunState.DONE)
        worker.queue("fed", 1)  # outsiders may do so until all have left
        await worker.until(lambda: run.state is RunState.RUNNING and b"fed" in worker.pages)
        worker.done(b"fed")
        await worker.until(lambda: run.state is RunState.DONE)


async def test_what_one_shard_has_lost_is_queued_there_again(redis_server: RedisServer) -> None:
    """Its parent is of another shard, which has lost nothing, so that nobody would do it again."""
    async with Worker(redis_server) as worker:
        home, other = worker.queues
        worker.queue("parent", 0)
        await worker.until(lambda: b"parent" in worker.pages)
        keys = [key async for key in other.client.scan_iter(f"{other.prefix}*")]
        dumps = [(key, await other.client.dump(key)) for key in keys]
        old = [(key, value) for key, value in dumps if value is not None]  # a heartbeat goes on between the two looks
        worker.queue("child", 1)
        worker.done(b"parent")
        await worker.until(lambda: b"child" in worker.pages and not worker.run.has_reports)
        assert (await inspect.counts(home))["done"] == 1
        del worker.pages[b"child"]
        async with other.client.pipeline(transaction=True) as pipe:  # as a replica that had not heard of it
            pipe.delete(*[key async for key in other.client.scan_iter(f"{other.prefix}*")])
            for key, value in old:
                pipe.restore(key, 0, value)
            await pipe.execute()
        worker.run.wake()
        await worker.until(lambda: b"child" in worker.pages)
        assert (await inspect.counts(worker.queues))["enqueued"] == 2


async def test_a_shard_forgets_no_error_of_a_run_that_goes_on(redis_server: RedisServer) -> None:
    """The last who leaves does so at home last: who joins then finds no other worker in the shard."""
    store = queues(redis_server.url, 2)
    arguments: dict[str, Any] = {"persist": False, "flush": False, "arguments": {}}
    run, _ = await store.join("leaves", "", **arguments)
    stats = f"{store[1].prefix}stats:{run}"

    async def errors() -> Any:
        return await store.client.hget(stats, "spider_exceptions/KeyError")

    await store.client.hset(stats, "spider_exceptions/KeyError", 1)
    await store[1].exchange(run, "leaves", flags="xl")
    await store.join("joins", "", **arguments)
    assert await errors() == b"1"
    for queue in (store[1], store[0]):
        for worker in ("joins", "leaves"):
            await queue.exchange(run, worker, flags="xl" if queue is store[1] else "l")
    assert (await store.join("goes-on", "", **arguments))[0] == run
    assert await errors() is None
    await store.client.hset(stats, "spider_exceptions/KeyError", 1)
    await store[1].exchange(run, "goes-on", flags="xl")
    await store.join("joins-it", "", **arguments)
    assert await errors() == b"1"
    await store.client.aclose()


async def test_the_queue_command_shows_and_changes_all_shards(tmp_path: Path, redis_server: RedisServer) -> None:
    store = queues(redis_server.url, spider="pximg", FRONTIER_MAX_DELIVERIES=1)
    run, _ = await store.join("host-1-abc", "", persist=False, flush=False, arguments={})
    for number, queue in enumerate(store):
        ops = [("c", f"{n:012}".encode(), f"0:h{number}", b'{"url": "http://h/"}') for n in range(5)]
        said: dict[str, Any] = {"per_host": 9, "flags": "x" if number else "s"}
        reply = await queue.exchange(run, "host-1-abc", ops=ops, wanted=3, **said)
        (done, _, _), (failed, _, _), _ = reply.leases
        ends = [("done", done, ""), ("failed", failed, "no")]
        await queue.exchange(run, "host-1-abc", ops=ends, sequence=5, **said)
    code, out, _ = scrapy(tmp_path, "queue", "pximg", redis_url=redis_server.url)  # with no FRONTIER_SHARDS
    assert code == 0
    rows = {line.split()[0]: line.split()[1] for line in out.splitlines() if len(line.split()) > 1}
    shown = {name: rows[name] for name in ("queued", "leased", "done", "seen", "dead", "host-1-abc")}
    assert shown == {"queued": "8", "leased": "4", "done": "4", "seen": "20", "dead": "4", "host-1-abc": "4"}
    assert (
        "4 pages are in the queue again"
        in scrapy(tmp_path, "queue", "pximg", "--requeue", redis_url=redis_server.url)[1]
    )
    assert (await inspect.counts(store))["queued"] == 12
    assert scrapy(tmp_path, "queue", "pximg", "--clear", "--yes", redis_url=redis_server.url)[0] == 0
    assert [(await inspect.counts(queue))["seen"] for queue in store] == [0] * 4
    other = queues(redis_server.url, 2, "pximg")
    assert await other.join("w", "", persist=False, flush=False, arguments={}), "cleared, and still of four shards"
    await store.client.aclose()
    await other.client.aclose()


async def test_the_limit_of_a_host_holds_for_all_workers_in_whichever_shard_it_is(redis_server: RedisServer) -> None:
    settings = Settings({"REDIS_URL": redis_server.url, "FRONTIER_SHARDS": 4})
    workers = [
        ShardedLimiter(
            [
                Limiter(shard, lambda _: HostLimits(4), lambda _: None, lease=shard.lease, outages=OUTAGES)
                for shard in limits_of_shards(settings, "pages")
            ]
        )
        for _ in range(2)
    ]
    hosts = [f"host-{number}" for number in range(9)]
    taken: Counter[str] = Counter()

    def take() -> None:
        for worker, host in product(workers, hosts):
            taken[host] += worker.take(host, 8)

    async with asyncio.timeout(20):
        while set(taken.values()) != {4}:
            take()
            await asyncio.sleep(0.01)
        until_then = [worker.exchanges + 2 for worker in workers]
        while any(worker.exchanges < then for worker, then in zip(workers, until_then, strict=True)):
            take()
            await asyncio.sleep(0.01)
    assert set(taken.values()) == {4}, "more at a time than the host allows"
    assert len({shard_of(host, 4) for host in hosts}) > 1
    for worker in workers:
        await worker.close()


def test_a_cluster_loses_a_node_and_then_a_node_for_good(tmp_path: Path) -> None:
    """One comes back as it was; the replica of the other takes over. Workers are killed meanwhile, too."""
    settings = {"FRONTIER_SHARDS": 3, "FRONTIER_LEASE_TIMEOUT": 12, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
    with (
        redis_cluster(tmp_path, replicas=True) as cluster,
        Site(0.1) as site,
        Crawl(tmp_path, cluster.url, site, **settings) as crawl,
    ):
        for _ in range(2):
            crawl.start(lists="15", hosts="9")
        until(lambda: len(urls(crawl)) > 40)
        assert min(cluster.keys()[:3]) > 0, "a node without a shard"
        lost, back = cluster.masters[1:]
        back.send(signal.SIGSTOP)
        crawl.workers[0].kill()
        back.kill()
        back.start()
        crawl.start(lists="15", hosts="9")
        until(cluster.is_whole)
        seen = len(urls(crawl))
        until(lambda: len(urls(crawl)) > seen + 20, 20)
        lost.kill()
        until(lambda: cluster.takes_over(cluster.replica_of(lost)), 20)
        crawl.wait(60)
        assert urls(crawl) == pages(300)
        assert [worker.returncode for worker in crawl.workers] == [-9, 0, 0]
        assert sum(site.hits.values()) < 300 + 15 + 100, "much was fetched again"


async def test_who_has_enough_to_do_hears_of_new_work_with_the_end_of_a_page(redis_server: RedisServer) -> None:
    """It asked at once, and again when a page ended: of some thousand requests of four workers a hundred exchanges."""
    async with Worker(redis_server, shards=1) as worker:
        home = worker.run.shards[0]
        await fill(worker, 9)

        async def exchanges(end: str) -> int:
            await home.session.exchanged()
            before = home.queue._exchanges
            await home.queue.client.rpush(f"{home.queue.prefix}wake:{worker.run.worker}", "1")
            if end:
                worker.done(end.encode())
            await home.session.exchanged()
            await asyncio.sleep(0.3)
            return home.queue._exchanges - before

        assert await exchanges("page0") == 1
        assert await exchanges("") == 1, "nothing ends: it asks all the same"


async def test_ends_of_pages_are_reported_together_and_at_once_where_there_is_nothing_else_to_do(
    redis_server: RedisServer,
) -> None:
    """Each end of a page was an exchange within 20 ms: of 1,000 requests of four workers sixty."""
    async with Worker(redis_server, shards=1) as worker:
        home = worker.run.shards[0]
        await fill(worker, 15)
        await asyncio.sleep(0.1)
        before = home.queue._exchanges
        for number in range(6):
            worker.done(b"page%d" % number)
            await asyncio.sleep(0.04)
        assert home.queue._exchanges - before <= 1
        await home.session.exchanged()
        assert (await inspect.counts(home.queue))["done"] >= 5
        begun = time.monotonic()
        while worker.pages:
            worker.done(min(worker.pages))
        while (await inspect.counts(home.queue))["done"] < 15:  # noqa: ASYNC110 -- Redis knows
            await asyncio.sleep(0.01)
        assert time.monotonic() - begun < shard.ENDS_WINDOW / 2, "it has nothing else to do"


async def test_who_is_busy_is_not_told_of_new_work_and_asks_for_it_within_a_second(redis_server: RedisServer) -> None:
    async with Worker(redis_server, shards=1) as worker:
        home, client = worker.run.shards[0], worker.run.shards[0].queue.client
        waiting = f"{home.queue.prefix}waiting"
        await fill(worker, 12)
        worker.done(b"page0")
        await home.session.exchanged()
        assert not await client.zcard(waiting), "it asks again soon, as its pages come to their ends"
        begun = time.monotonic()
        while not await client.zcard(waiting):  # noqa: ASYNC110 -- Redis knows
            await asyncio.sleep(0.01)
        assert time.monotonic() - begun < 4 * shard.ASKS_AGAIN, "no page comes to its end: it is to be told"
        worker.done(b"page1")
        await home.session.exchanged()
        for number in range(2, 10):
            worker.done(b"page%d" % number)
        assert home.session._due._at - time.monotonic() < 0.1, "it has not enough any more"


async def fill(worker: Worker, pages: int) -> None:
    """Have *worker* hold so many pages, all that there are."""
    for _ in range(8):
        worker.run.leases.start_next()
    worker.run.leases._may_start = worker.run.leases._per_host = 100
    for number in range(pages):
        worker.queue(f"page{number}", 0)
    await worker.until(lambda: len(worker.pages) == pages)
