"""Workers and Redis are killed and stopped, again and again, and nothing is lost.

`python -m tests.test_chaos --runs 10` does ten such crawls with different seeds and prints a table.
"""

# ruff: noqa: T201 -- it is a script, too
from __future__ import annotations

import hashlib
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from imgcrawl.demo.server import Replica, serve
from tests.support.chaos import run_chaos
from tests.support.crawling import Crawl
from tests.support.redis_server import RedisServer
from tests.support.sharing import Sharing, refetched

WORKERS = 3
KILLS = 14
IN_FLIGHT = 8  # requests that a worker has under way at the replica's image host, at most
PATIENCE = 75.0  # seconds after the last kill


@dataclass
class Outcome:
    """One crawl under fire. `refetched` images were asked for again, at most `in_flight` were under way at kills."""

    seed: int
    seconds: float
    kills: int
    redis_kills: int
    ended: bool  # by itself, with the same exit code for all, 0
    galleries: int
    missing_galleries: int
    images: int
    missing_images: int
    wrong_files: int
    twice: int  # galleries more than once in the merged feed
    refetched: int
    in_flight: int

    def is_good(self) -> bool:
        lost = self.missing_galleries + self.missing_images + self.wrong_files + self.twice
        fired = self.kills >= 12 and self.redis_kills == 2
        return self.ended and fired and lost == 0 and self.refetched <= self.in_flight


def chaos(seed: int, folder: Path) -> Outcome:
    """One crawl of the replica by three workers; *seed* says who is hit when."""
    dice = random.Random(seed)
    (folder / "redis").mkdir()
    with (
        serve(galleries=110, images=6, per_page=22, latency=0.4, width=100, misbehave=False, seed=str(seed)) as replica,
        RedisServer(folder / "redis") as redis,
        Sharing(
            folder,
            redis.url,
            "pximg",
            {"base": replica.base},
            FRONTIER_LEASE_TIMEOUT=12,
            CONCURRENT_REQUESTS_PER_DOMAIN=IN_FLIGHT,
            LOG_LEVEL="DEBUG",
        ) as workers,
    ):
        began = time.monotonic()
        for _ in range(WORKERS):
            workers.start()
        kills = redis_kills = 0
        first, stop, second = sorted(dice.sample(range(2, KILLS - 1), 3))
        stopping = threading.Thread(target=_stop_for, args=(redis, 10.0))
        while kills < KILLS and not _is_over(workers):
            time.sleep(dice.uniform(1, 3))
            if not (living := workers.living):
                break
            # Whoever has joined has something to lose.
            dice.choice([worker for worker in living if " of run " in workers.log(worker)] or living).kill()
            kills += 1
            workers.start()
            if kills in (first, second):
                if stopping.ident:
                    stopping.join()
                redis.kill()
                time.sleep(dice.uniform(0, 1))
                redis.start()
                redis_kills += 1
            elif kills == stop:
                stopping.start()
        if stopping.ident:
            stopping.join()
        ended = True
        try:
            workers.wait(PATIENCE)
        except AssertionError as error:
            print(error, file=sys.stderr)
            ended = False
        seconds = time.monotonic() - began
        codes = Counter(worker.returncode for worker in workers.workers)
        if codes != {0: WORKERS, -signal.SIGKILL: kills}:
            print(f"seed {seed}: exit codes {dict(codes)}", file=sys.stderr)
            ended = False
        return _judged(Outcome(seed, seconds, kills, redis_kills, ended, *[0] * 8), workers.merge(), replica)


def _is_over(workers: Sharing) -> bool:
    return any(worker.poll() == 0 for worker in workers.workers)


def _stop_for(redis: RedisServer, seconds: float) -> None:
    redis.send(signal.SIGSTOP)
    time.sleep(seconds)
    redis.send(signal.SIGCONT)


def _judged(outcome: Outcome, done: Crawl, replica: Replica) -> Outcome:
    truth = {image["clean"]: image for gallery in replica.galleries for image in gallery["images"]}
    galleries = Counter(item["url"] for item in done.items)
    stored = {image["url"]: image for image in done.images if "path" in image}
    files = {name: hashlib.sha256(body).hexdigest() for name, body in done.files.items()}
    right = {url for url, image in stored.items() if files.get(image["path"]) == truth[url]["sha256"]}
    outcome.galleries = len(replica.galleries)
    outcome.missing_galleries = len({gallery["url"] for gallery in replica.galleries} - set(galleries))
    outcome.images = len(truth)
    outcome.missing_images = len(set(truth) - set(stored))
    outcome.wrong_files = len(set(stored) - right) + len(set(files.values()) - {i["sha256"] for i in truth.values()})
    outcome.twice = sum(count - 1 for count in galleries.values())
    asked = replica.stats()["requests"]
    assert truth.keys() <= asked.keys(), "the replica counts by other addresses"
    outcome.refetched = refetched(asked, set(truth))
    outcome.in_flight = outcome.kills * IN_FLIGHT
    return outcome


def test_workers_and_redis_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    outcome = chaos(int(time.time()), tmp_path)
    assert outcome.is_good(), outcome


if __name__ == "__main__":
    run_chaos(__doc__, Outcome, chaos)
