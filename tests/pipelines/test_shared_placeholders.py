"""Images that stand for others, where several workers meet them: what all have seen teaches, and counts once."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from scrapy import Spider
from scrapy.utils.test import get_crawler

from imgcrawl.catalogue import SqliteCatalogue
from imgcrawl.pipelines import ImagesPipeline
from tests.support.crawling import FAST, Fleet, crawl_command, environment, until
from tests.support.postgres import PostgresServer
from tests.support.processes import run
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg

REMOVED, OTHERS = 17, 12
FOUND = REMOVED + OTHERS
STORED = ("downloaded", "uptodate", "duplicate")


HTML = {"Content-Type": "text/html"}


class Site:
    """Galleries of one image each, of which many are the same one. Each of two workers, known by its User-Agent, waits
    at its eighth of these for the other's: no worker has more than nine."""

    def __init__(self, server: Server, *, twice: bool = False) -> None:
        self.removed: Counter[str] = Counter()
        self.both = threading.Event()
        self.last = threading.Event()
        self.names = [*(f"o{n}" for n in range(OTHERS)), *(f"r{n}" for n in range(REMOVED))]
        self.list = server.url("/list")
        self.galleries = "gh" if twice else "g"
        server.add("*", self.answer)

    def answer(self, request: Request) -> Answer:
        name, worker = request.path.rpartition("/")[2], request.headers.get("user-agent", "")
        if name == "list":
            links = (f"<a class=g href=/{page}/{name}>x</a>" for page in self.galleries for name in self.names)
            return Answer("".join(links).encode(), 200, HTML)
        if request.path.startswith(("/g/", "/h/")):
            return Answer(f"<title>{request.path}</title><img src=/i/{name}>".encode(), 200, HTML)
        if request.path == "/i/last":
            return Answer(jpeg(99), delay=self.last)
        if request.path.startswith("/i/o"):
            return Answer(jpeg(20 + int(name[1:])))
        if not request.path.startswith("/i/r"):
            return Answer(b"", 404)
        self.removed[worker] += 1
        if min(self.removed["one"], self.removed["two"]) == 8:
            self.both.set()
        return Answer(jpeg(), delay=self.both if self.removed[worker] == 8 else 0.0)


def command(site: Site, worker: str, *options: str, **settings: Any) -> list[str]:
    settings = {
        **FAST,
        "USER_AGENT": worker,
        "CONCURRENT_REQUESTS": 1,
        "FRONTIER_PREFETCH": 1,
        "RUN_SUMMARY": f"{worker}.summary.json",
        **settings,
    }
    arguments = {"list": site.list, "galleries": "a.g"}
    return crawl_command("gallery", "-O", f"{worker}.json", *options, arguments=arguments, settings=settings)


def told(folder: Path, *workers: str) -> Counter[str]:
    """What the summaries of *workers* say of images, together."""
    told: Counter[str] = Counter()
    for worker in workers:
        images = json.loads((folder / f"{worker}.summary.json").read_text())["images"]
        told.update({name: images[name] for name in ("found", *STORED, "failed")})
        told.update(images["reasons"]["failed"])
    return told


def in_feeds(folder: Path, *workers: str) -> Counter[str]:
    items = [item for worker in workers for item in json.loads((folder / f"{worker}.json").read_text() or "[]")]
    return Counter(image.get("reason", image["status"]) for item in items for image in item["images"])


def late_in(*logs: str) -> int:
    """How many outcomes, by *logs*, stand otherwise in the feeds."""
    return sum(
        int(count) for log in logs for count in re.findall(r"(\d+) addresses that lead to \w+ are in the feed", log)
    )


def not_had(folder: Path) -> list[str]:
    with closing(SqliteCatalogue(folder / "images" / ".catalogue.sqlite3")) as catalogue:
        return sorted(f"{outcome.url.rpartition('/')[2]} {outcome.reason}" for outcome in catalogue.not_had("gallery"))


def sums_of(client: redis.Redis) -> bytes:
    """The key of what the workers have counted."""
    keys = [key for key in client.scan_iter("*stats:*") if b":" not in key.partition(b"stats:")[2]]
    return keys[0] if keys else b"nothing"


EXPECTED = sorted(f"r{n} placeholder" for n in range(REMOVED))


def test_what_two_workers_learn_together_counts_once_and_is_known_the_second_night(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    site = Site(server)
    for night in (1, 2):
        with Fleet(tmp_path) as fleet:
            for worker in ("one", "two"):
                fleet.launch(command(site, worker), environment(redis_server.url))
            fleet.wait()
            logs = [fleet.log(worker) for worker in fleet.workers]
            assert [worker.returncode for worker in fleet.workers] == [1, 1], logs
        for log in logs:
            assert f"{REMOVED} of {FOUND} images failed" in log, log
        assert not_had(tmp_path) == EXPECTED
        counts = told(tmp_path, "one", "two")
        assert counts["found"] == FOUND == sum(counts[status] for status in (*STORED, "failed"))
        assert counts["placeholder"] == counts["failed"] == REMOVED
        late = REMOVED - in_feeds(tmp_path, "one", "two")["placeholder"]
        assert (late > 0) == (night == 1)
        assert late_in(*logs) == late
        site.both.set()
        site.removed.clear()


def test_addresses_in_two_galleries_count_for_both(server: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    site = Site(server, twice=True)
    site.both.set()
    with Fleet(tmp_path) as fleet:
        for worker in ("one", "two"):
            fleet.launch(command(site, worker), environment(redis_server.url))
        fleet.wait()
        logs = [fleet.log(worker) for worker in fleet.workers]
        assert [worker.returncode for worker in fleet.workers] == [1, 1], logs
    for log in logs:
        assert f"{2 * REMOVED} of {2 * FOUND} images failed" in log, log
    counts = told(tmp_path, "one", "two")
    assert counts["found"] == 2 * FOUND == sum(counts[status] for status in (*STORED, "failed"))
    assert counts["placeholder"] == counts["failed"] == 2 * REMOVED
    assert late_in(*logs) == 2 * REMOVED - in_feeds(tmp_path, "one", "two")["placeholder"]
    assert not_had(tmp_path) == EXPECTED


def test_what_a_worker_that_is_killed_has_learned_counts(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    site = Site(server)
    site.both.set()
    site.names.append("last")
    with Fleet(tmp_path) as fleet, redis_server.client() as client:
        first = fleet.launch(command(site, "one", FRONTIER_LEASE_TIMEOUT=2), environment(redis_server.url))
        until(lambda: "/i/last" in server.paths())
        until(lambda: any(b"placeholder/" in name for name in client.hkeys(sums_of(client))))
        first.send_signal(signal.SIGKILL)
        first.wait()
        site.last.set()
        second = fleet.launch(command(site, "two", FRONTIER_LEASE_TIMEOUT=2), environment(redis_server.url))
        assert second.wait(60) == 1, fleet.log(second)
        assert f"{REMOVED} of {FOUND + 1} images failed" in fleet.log(second)
    assert not_had(tmp_path) == EXPECTED
    assert told(tmp_path, "two")["found"] == 1, "its own table is of what it has done itself"


def test_what_a_worker_that_is_killed_has_told_teaches_the_other_and_is_told_anew(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    site = Site(server)
    with Fleet(tmp_path) as fleet:
        for worker in ("one", "two"):
            fleet.launch(command(site, worker, FRONTIER_LEASE_TIMEOUT=2), environment(redis_server.url))
        until(lambda: max(site.removed["one"], site.removed["two"]) == 8)
        one, two = fleet.workers
        one.send_signal(signal.SIGKILL)
        one.wait()
        site.both.set()
        assert two.wait(60) == 1, fleet.log(two)
        assert f"{REMOVED} of {FOUND} images failed" in fleet.log(two)
    assert not_had(tmp_path) == EXPECTED


def test_what_workers_saw_before_they_were_stopped_teaches_the_one_that_goes_on(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    site = Site(server)
    with Fleet(tmp_path) as fleet:
        for worker in ("one", "two"):
            fleet.launch(command(site, worker), environment(redis_server.url))
        until(lambda: min(site.removed["one"], site.removed["two"]) >= 7)
        for stopped in fleet.workers:
            stopped.send_signal(signal.SIGINT)
        site.both.set()
        fleet.wait()
        last = fleet.launch(command(site, "three"), environment(redis_server.url))
        assert last.wait(60) == 1, fleet.log(last)
        assert f"{REMOVED} of {FOUND} images failed" in fleet.log(last)
    assert not_had(tmp_path) == EXPECTED


@pytest.mark.parametrize("options", [[], ["--workers", "1"], ["--workers", "2"]])
def test_one_command_tells_the_same_with_and_without_workers_whatever_comes_first(
    server: Server, tmp_path: Path, options: list[str]
) -> None:
    site = Site(server)
    site.both.set()
    done = run(command(site, "one", *options), cwd=tmp_path, env=environment(), capture_output=True, timeout=60)
    log = done.stderr.decode()
    assert done.returncode == 1, log
    assert f"{REMOVED} of {FOUND} images failed" in log
    assert not_had(tmp_path) == EXPECTED
    counts = told(tmp_path, "one")
    assert counts["found"] == FOUND == sum(counts[status] for status in (*STORED, "failed"))
    assert counts["placeholder"] == counts["failed"] == REMOVED
    late = REMOVED - in_feeds(tmp_path, "one")["placeholder"]
    assert late > 0, "the others, by which it is evident, may be last"
    assert late_in(log) == late


@pytest.mark.parametrize("away", ["catalogue", "redis"])
def test_what_is_away_at_the_end_of_a_run_is_told_in_a_sentence(
    server: Server, tmp_path: Path, postgres_server: PostgresServer, away: str
) -> None:
    postgres_server.empty()
    site = Site(server)
    (tmp_path / "redis").mkdir()
    settings = {
        "SCHEDULER_IDLE_BEFORE_CLOSE": 3,
        "CATALOGUE_URL": postgres_server.url,
        "CATALOGUE_TIMEOUT": 2,
        "LOG_LEVEL": "WARNING",
    }
    with RedisServer(tmp_path / "redis") as queue, queue.client() as client, Fleet(tmp_path) as fleet:
        for worker in ("one", "two"):
            fleet.launch(command(site, worker, **settings), environment(queue.url))
        # All galleries are done: what is left is the end.
        until(lambda: client.hget("{gallery:requests}:run", "idle_since") not in (None, b""), 60)
        try:
            if away == "catalogue":
                postgres_server.freeze()
            else:
                queue.kill()
                time.sleep(1)
                queue.start()
            fleet.wait(60)
        finally:
            postgres_server.freeze(on=False)
        logs = [fleet.log(worker) for worker in fleet.workers]
        assert [worker.returncode for worker in fleet.workers] == [1, 1], logs
        for log in logs:
            assert "Traceback" not in log, log
            if away == "catalogue":
                assert "placeholders could not be noted in the catalogue" in log.splitlines()[-1], log
            else:
                assert f"{REMOVED} of {FOUND} images failed" in log.splitlines()[-1], log
    assert told(tmp_path, "one", "two")["found"] == FOUND


async def test_the_catalogue_is_closed_whatever_the_last_look_at_placeholders_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "images")
    crawler = get_crawler(Spider, {"IMAGES_STORE": store})
    crawler.spider = crawler._create_spider("x")
    pipeline = ImagesPipeline(store, crawler=crawler)
    monkeypatch.setattr(pipeline.witnesses, "settle", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.close_spider()
    with pytest.raises(sqlite3.ProgrammingError):
        list(pipeline.catalogue.not_had("x"))
