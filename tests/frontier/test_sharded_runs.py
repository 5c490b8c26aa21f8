"""What settings and priorities mean, and what becomes of bad pages and foreign keys, in a queue of several shards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from imgcrawl.frontier import inspect
from imgcrawl.frontier.fair_share import wanted_of
from imgcrawl.frontier.queues import shard_of
from tests.frontier.test_shards import Worker, queues
from tests.support.crawling import until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.redis_server import RedisServer

SHARDS = 3
TEN_HOSTS = {"lists": "2", "hosts": "10"}


def page_hits(site: Site) -> set[int]:
    return {hits for path, hits in site.hits.items() if path.startswith("/page/")}


async def test_what_was_seen_is_kept_in_all_shards_or_flushed_and_their_number_stays(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """SCHEDULER_PERSIST, SCHEDULER_FLUSH_ON_START and FRONTIER_SHARDS of four runs, one after another."""
    settings = {"FRONTIER_SHARDS": SHARDS, "SCHEDULER_PERSIST": True, "FRONTIER_LEASE_TIMEOUT": 10}
    with Site() as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl:

        def run(*options: str) -> str:
            worker = crawl.start(*options, **TEN_HOSTS)
            worker.wait(60)
            log = crawl.log(worker)
            assert "Traceback" not in log, log[-3000:]
            return log

        run()
        assert urls(crawl) == pages(40)
        store = queues(redis_server.url, SHARDS)
        seen = [(await inspect.counts(queue))["seen"] for queue in store]
        assert min(seen) > 1, "a shard that has nothing to keep"
        run()
        assert page_hits(site) == {1}
        assert site.hits["/list/1"] == 2, "where a walk begins it is walked again"
        seen = [(await inspect.counts(queue))["seen"] for queue in store]
        log = run("-s", f"FRONTIER_SHARDS={SHARDS + 1}", "-s", "SCHEDULER_FLUSH_ON_START=True")
        assert f"FRONTIER_SHARDS={SHARDS + 1}: the queue pages:requests has {SHARDS} of them" in log
        assert [(await inspect.counts(queue))["seen"] for queue in store] == seen
        assert page_hits(site) == {1}
        run("-s", "SCHEDULER_FLUSH_ON_START=True")
        assert page_hits(site) == {2}, "what was seen is not forgotten in all shards"
        assert await store.clear()
        run("-s", f"FRONTIER_SHARDS={SHARDS + 1}")
        assert page_hits(site) == {3}
        await store.client.aclose()


async def test_a_shard_waits_for_those_that_have_pages_of_a_higher_priority(redis_server: RedisServer) -> None:
    worker = Worker(redis_server)
    _, second = shards = worker.run.shards

    def wanted(*tops: int | None) -> list[int]:
        for shard, top in zip(shards, tops, strict=True):
            shard.top = top
        return [wanted_of(worker.run, shard) for shard in shards]

    assert wanted(5, 3) == [16, 0]
    assert wanted(-1, 0) == [0, 16]
    assert wanted(3, 3) == [8, 8], "each its part"
    assert wanted(3, None) == [8, 8], "nobody waits for one that was not heard of"
    second.has_more = False
    assert wanted(3, 5)[0] == 16, "nor for one whose pages others have"
    await worker.queues.client.aclose()


async def test_pages_that_kill_or_fail_and_foreign_values_are_set_aside_in_each_shard(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    bad = {"/page/1": "kills", "/page/2": "fails", "/page/3": "kills", "/page/4": "fails"}
    of_shard = Counter(shard_of(f"127.0.0.{int(path[6:]) % 10 + 1}", 2) for path in bad)
    settings = {"FRONTIER_SHARDS": 2, "FRONTIER_LEASE_TIMEOUT": 1, "FRONTIER_MAX_DELIVERIES": 3}
    store = queues(redis_server.url, 2)
    with Site(0.02, bad) as site, Crawl(tmp_path, redis_server.url, site, **settings) as crawl:
        assert crawl.start(**TEN_HOSTS).wait(60) == -9
        with redis_server.client() as client:
            for queue in store:
                client.rpush(f"{queue.prefix}queue:0:foreign", "0,0\nno request")
                client.zadd(queue.key, {"foreign": 0})
        while (worker := crawl.start(**TEN_HOSTS)).wait(60) == -9:
            assert len(crawl.workers) < 12
        assert urls(crawl) == pages(40) - set(bad)
        assert max(site.hits[path] for path in bad) <= 3
        assert "4 pages failed 3 times and were set aside" in crawl.log(worker)
    dead = [len(await inspect.dead(queue)) for queue in store]
    assert dead == [of_shard[0], of_shard[1]] and min(dead) > 0
    assert [(await inspect.counts(queue))["rejected"] for queue in store] == [1, 1]
    await store.client.aclose()


def test_a_foreign_key_in_one_shard_ends_the_worker_in_one_sentence_and_the_next_goes_on(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    settings = {"FRONTIER_SHARDS": SHARDS, "FRONTIER_LEASE_TIMEOUT": 5}
    with (
        redis_server.client() as client,
        Site(0.05) as site,
        Crawl(tmp_path, redis_server.url, site, **settings) as crawl,
    ):
        worker = crawl.start(lists="6", hosts="10")
        until(lambda: len(urls(crawl)) > 5)
        run = f"{queues(redis_server.url, SHARDS)[1].prefix}run"
        with client.pipeline(transaction=True) as both:  # between the two the run would be gone
            both.rename(run, "aside").set(run, "theirs").execute()
        worker.wait(20)
        log = crawl.log(worker)
        assert f"key {run} holds a string, expected a hash" in log
        assert "Traceback" not in log
        client.rename("aside", run)
        assert crawl.start(lists="6", hosts="10").wait(60) == 0
        assert urls(crawl) == pages(120)
