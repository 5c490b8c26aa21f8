"""Workers and nodes of a Redis Cluster are killed and stopped, again and again, and no page is lost.

`python -m tests.cluster_chaos --runs 10` does ten such crawls with different seeds and prints a table. Three nodes with
a replica each, four shards, three workers, 27 hosts. Of the nodes one is killed and comes back, one is stopped for some
seconds, and two are killed until their replicas have taken over.
"""

# ruff: noqa: T201 -- it is a script

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.chaos import run_chaos
from tests.support.crawling import until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.redis_cluster import Cluster, redis_cluster
from tests.support.redis_server import RedisServer

WORKERS, KILLS, LISTS, HOSTS, SHARDS = 3, 10, 60, 27, 4
IN_FLIGHT = 32  # pages that a worker has in hand, at most
PATIENCE = 150  # seconds after the last kill
NODE_EVENTS = ("back", "stop", "replica", "replica")


@dataclass
class Outcome:
    seed: int
    seconds: float
    kills: int
    node_events: int
    ended: bool
    pages: int
    missing: int
    refetched: int
    most_refetched: int
    rejected: int

    def is_good(self) -> bool:
        fired = self.kills == KILLS and self.node_events == len(NODE_EVENTS)
        return self.ended and fired and self.missing == 0 and self.rejected == 0


def chaos(seed: int, folder: Path) -> Outcome:
    """One crawl; *seed* says who is hit when."""
    dice = random.Random(seed)
    settings = {
        "FRONTIER_SHARDS": SHARDS,
        "FRONTIER_LEASE_TIMEOUT": 12,
        "FRONTIER_MAX_DELIVERIES": 50,
        "CONCURRENT_REQUESTS": IN_FLIGHT - 16,
    }
    with (
        redis_cluster(folder, replicas=True) as cluster,
        Site(0.6) as site,
        Crawl(folder, cluster.url, site, **settings) as crawl,
    ):
        began = time.monotonic()
        given = {"lists": str(LISTS), "hosts": str(HOSTS)}
        for _ in range(WORKERS):
            crawl.start(**given)
        at = dict(zip(sorted(dice.sample(range(1, KILLS), len(NODE_EVENTS))), NODE_EVENTS, strict=True))
        kills = events = 0
        while kills < KILLS and not any(worker.poll() == 0 for worker in crawl.workers):
            time.sleep(dice.uniform(1, 3))
            living = [worker for worker in crawl.workers if worker.poll() is None]
            dice.choice([worker for worker in living if " of run " in crawl.log(worker)] or living).kill()
            kills += 1
            crawl.start(**given)
            if kills in at:
                hit(cluster, dice, at[kills])
                events += 1
        ended = True
        try:
            crawl.wait(PATIENCE)
        except AssertionError as error:
            print(error, file=sys.stderr)
            ended = False
        codes = Counter(worker.returncode for worker in crawl.workers)
        if codes != {0: WORKERS, -signal.SIGKILL: kills}:
            print(f"seed {seed}: exit codes {dict(codes)}", file=sys.stderr)
            ended = False
        wanted = pages(20 * LISTS)
        rejected = sum("set aside" in crawl.log(worker) for worker in crawl.workers)
        asked = sum(site.hits.values()) - len(site.hits)
        found = urls(crawl)
        seconds = time.monotonic() - began
        missing = len(wanted - found)
        return Outcome(
            seed, seconds, kills, events, ended, len(wanted), missing, asked, max(site.hits.values()), rejected
        )


def hit(cluster: Cluster, dice: random.Random, what: str) -> None:
    node = dice.choice([node for node in cluster.nodes if cluster.takes_over(node)])
    if what == "stop":
        node.send(signal.SIGSTOP)
        time.sleep(dice.uniform(0.5, 6))
        node.send(signal.SIGCONT)
    else:
        node.kill()
        if what == "back":
            time.sleep(dice.uniform(0, 1))
        else:
            until(lambda: cluster.is_whole() and _masters(cluster, but=node) == len(cluster.masters), 30)
        node.start()
    until(lambda: cluster.is_whole() and _masters(cluster) == len(cluster.masters), 30)


def _masters(cluster: Cluster, but: RedisServer | None = None) -> int:
    return sum(cluster.takes_over(node) for node in cluster.nodes if node is not but)


if __name__ == "__main__":
    run_chaos(__doc__, Outcome, chaos)
