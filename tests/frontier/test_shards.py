"""A queue over several hash tags: as one, and shared by the nodes of a cluster."""

from __future__ import annotations

import signal
from pathlib import Path

from scrapy.settings import Settings

from imgcrawl.frontier import inspect
from imgcrawl.frontier.queues import Queues, queues_from_settings
from tests.support.crawling import until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.redis_cluster import redis_cluster
from tests.support.redis_server import RedisServer


def queues(url: str, shards: int = 4, spider: str = "pages") -> Queues:
    return queues_from_settings(Settings({"REDIS_URL": url, "FRONTIER_SHARDS": shards}), spider)


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


def test_a_cluster_loses_a_node_and_then_a_node_for_good(tmp_path: Path) -> None:
    """One comes back as it was; the replica of the other takes over. Workers are killed meanwhile, too."""
    settings = {"FRONTIER_SHARDS": 3, "FRONTIER_LEASE_TIMEOUT": 12, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
    with (
        redis_cluster(tmp_path, replicas=True) as cluster,
        Site(0.1) as site,
        Crawl(tmp_path, cluster.url, site, **settings) as crawl,
    ):
        for _ in range(3):
            crawl.start(lists="25", hosts="9")
        until(lambda: len(urls(crawl)) > 60)
        assert min(cluster.keys()[:3]) > 0, "a node without a shard"
        lost, back = cluster.masters[1:]
        back.send(signal.SIGSTOP)
        crawl.workers[0].kill()
        back.kill()
        back.start()
        crawl.start(lists="25", hosts="9")
        until(cluster.is_whole)
        seen = len(urls(crawl))
        until(lambda: len(urls(crawl)) > seen + 20, 20)
        lost.kill()
        until(lambda: cluster.takes_over(cluster.replica_of(lost)), 20)
        crawl.wait(60)
        assert urls(crawl) == pages(500)
        assert [worker.returncode for worker in crawl.workers] == [-9, 0, 0, 0]
        assert sum(site.hits.values()) < 500 + 25 + 100, "much was fetched again"
