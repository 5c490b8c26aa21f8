"""A queue over several hash tags: as one, and shared by the nodes of a cluster."""

from __future__ import annotations

from pathlib import Path

from tests.support.crawling import until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.redis_server import RedisServer


def test_two_workers_and_four_shards(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        Site(0.05) as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_SHARDS=4, FRONTIER_LEASE_TIMEOUT=6) as crawl,
    ):
        first = crawl.start(lists="6", hosts="9")
        second = crawl.start(lists="6", hosts="9")
        crawl.wait(60)

        assert urls(crawl) == pages(120)
        assert len(crawl.items()) == 120
        assert set(site.hits.values()) == {1}
        assert [worker.returncode for worker in (first, second)] == [0, 0]
