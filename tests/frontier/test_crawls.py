"""Whole crawls: real workers, a real server, real kills."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import scrapy

from tests.support.crawling import until
from tests.support.pages import Crawl, Site, SlowProxy, pages, urls
from tests.support.processes import patience
from tests.support.redis_server import RedisServer, free_port


def test_one_worker_does_it_all_and_a_second_run_does_it_again(tmp_path: Path, redis_server: RedisServer) -> None:
    with Site() as site, Crawl(tmp_path, redis_server.url, site) as crawl:
        worker = crawl.start(lists="3")
        crawl.wait(20)
        assert worker.returncode == 0, crawl.log(worker)
        assert urls(crawl) == pages(60)
        assert len(crawl.items()) == 60
        assert "Spider closed (finished)" in crawl.log(worker)
        assert "ERROR" not in crawl.log(worker)
        with redis_server.client() as client:
            left = {key for key in client.scan_iter() if b":seen:" in key or b":queue:" in key or b":leases:" in key}
        assert left == set()

        crawl.start(lists="3")
        crawl.wait(20)
        assert set(site.hits.values()) == {2}


def test_two_workers_share_fetch_the_start_page_once_and_end_together(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Site(0.05) as site, Crawl(tmp_path, redis_server.url, site) as crawl:
        first = crawl.start(lists="25")
        until(lambda: len(crawl.items()) > 30)
        second = crawl.start(lists="25")
        until(lambda: first.poll() is not None or second.poll() is not None, 60)
        until(lambda: first.poll() is not None and second.poll() is not None, 3)
        assert urls(crawl) == pages(500)
        assert len(crawl.items()) == 500
        assert site.hits["/list/1"] == 1
        share = Counter(item["worker"] for item in crawl.items())
        assert min(share.values()) > 500 / 3 / 1.5, share  # it started late
        for worker in crawl.workers:
            assert "Spider closed (finished)" in crawl.log(worker)


def test_whoever_is_killed_no_page_is_lost(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        Site(0.05) as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=3, CONCURRENT_REQUESTS_PER_DOMAIN=4) as crawl,
    ):
        for _ in range(2):
            crawl.start(lists="15")
        for kill in range(3):
            until(lambda seen=20 + 60 * kill: len(crawl.items()) > seen)
            crawl.workers[kill].kill()
            crawl.start(lists="15")
        crawl.wait()
        assert urls(crawl) == pages(300)
        assert [worker.returncode for worker in crawl.workers] == [-9, -9, -9, 0, 0]
        assert sum(site.hits.values()) <= 300 + 15 + 3 * 16, "more was fetched again than was in hand"


def test_a_start_that_is_killed_half_way_is_completed_by_another(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        Site(0.2) as site,
        SlowProxy(redis_server.port, 0.02) as proxy,  # so that half way is not over before it is seen
        Crawl(
            tmp_path, f"redis://127.0.0.1:{proxy.port}/0", site, FRONTIER_LEASE_TIMEOUT=3, CONCURRENT_REQUESTS=2
        ) as crawl,
        redis_server.client() as client,
    ):
        tag = "{pages:requests}:"

        def count(key: str, field: str) -> int:
            return int(client.hget(tag + key, field) or 0)

        first = crawl.start(rows="20000")
        second = crawl.start(rows="20000")
        until(lambda: client.hget(tag + "run", "seeder") and count("seen", "count") > 3000)
        seeder = (client.hget(tag + "run", "seeder") or b"").decode()
        killed, other = (first, second) if f"-{first.pid}-" in seeder else (second, first)
        killed.kill()
        assert client.hget(tag + "run", "seeded") is None
        until(lambda: client.hget(tag + "run", "seeded") == b"1", 60)
        assert client.hget(tag + "run", "seedings") == b"2"
        assert count("seen", "count") == 2 * 20_000  # each in this run, and for ever
        assert count("run", "enqueued") == 20_000
        other.send_signal(signal.SIGINT)
        other.wait(20)
        assert set(site.hits.values()) <= {1, 2}


def test_a_start_goes_on_whose_workers_are_frozen_again_and_again(tmp_path: Path, redis_server: RedisServer) -> None:
    """After five times it was taken for one that kills its workers: a machine with too much to do ended the crawl."""
    with (
        Site(0.2) as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=1, CONCURRENT_REQUESTS=2) as crawl,
        redis_server.client() as client,
    ):
        tag = "{pages:requests}:"

        def seeder() -> str:
            return (client.hget(tag + "run", "seeder") or b"").decode()

        def seen() -> int:
            return int(client.hget(tag + "seen", "count") or 0)

        workers = [crawl.start(rows="1000000") for _ in range(2)]
        until(lambda: seeder() and client.zcard(tag + "workers") == 2)
        for _ in range(6):
            had = seen()
            until(lambda had=had: seeder() and seen() > had + 200)
            name = seeder()
            frozen = next(worker for worker in workers if f"-{worker.pid}-" in name)
            frozen.send_signal(signal.SIGSTOP)
            until(lambda name=name: seeder() not in {"", name})
            frozen.send_signal(signal.SIGCONT)
            until(lambda name=name: client.zscore(tag + "workers", name))
        had = seen()
        until(lambda: seen() > had)
        assert not client.hget(tag + "run", "error")


def test_a_frozen_worker_harms_nothing(tmp_path: Path, redis_server: RedisServer) -> None:
    with Site(0.1) as site, Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=2) as crawl:
        frozen = crawl.start(lists="10")
        crawl.start(lists="10")
        until(lambda: len(crawl.items()) > 40)
        frozen.send_signal(signal.SIGSTOP)
        with redis_server.client() as client:
            until(lambda: client.zcard("{pages:requests}:workers") == 1)
        had = len(crawl.items())
        until(lambda: len(crawl.items()) > had + 20)
        frozen.send_signal(signal.SIGCONT)
        crawl.wait()
        assert urls(crawl) == pages(200)
        assert "silent for too long" in crawl.log(frozen)
        with redis_server.client() as client:
            assert client.hget("{pages:requests}:run", "done") == b"210"  # each page once, whoever fetched it


def test_pages_that_fail_or_kill_are_set_aside_and_told(tmp_path: Path, redis_server: RedisServer) -> None:
    bad = {"/page/3": "fails", "/page/7": "kills"}
    with Site(0.02, bad) as site, Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=1) as crawl:
        while True:
            worker = crawl.start(lists="2")
            worker.wait(30)
            if worker.returncode != -9:
                break
            assert len(crawl.workers) < 8
        assert urls(crawl) == pages(40) - {"/page/3", "/page/7"}
        assert site.hits["/page/7"] == 5
        assert site.hits["/page/3"] in range(1, 6), "in a worker's hands when that dies counts, too, fetched or not"
        assert "2 pages failed 5 times and were set aside" in crawl.log(worker)
        with redis_server.client() as client:
            dead = client.lrange("{pages:requests}:dead", 0, -1)
        reasons = sorted(entry.split(b"\n")[1].split(b" ", 2)[:2] for entry in dead)
        assert reasons[0] == [b"RuntimeError:", b"this"]
        assert reasons[1][:2] == [b"its", b"worker"]


def test_ctrl_c_gives_pages_back_and_the_next_start_goes_on(tmp_path: Path, redis_server: RedisServer) -> None:
    with Site(0.05) as site, Crawl(tmp_path, redis_server.url, site) as crawl:
        worker = crawl.start(lists="10")
        until(lambda: len(crawl.items()) > 40)
        worker.send_signal(signal.SIGINT)
        worker.wait(20)
        with redis_server.client() as client:
            assert client.zcard("{pages:requests}:workers") == 0
            assert list(client.scan_iter("*leases*")) == []
            assert client.zcard("pages:requests") > 0
        assert len(crawl.items()) < 200
        crawl.start(lists="10")
        crawl.wait()
        assert urls(crawl) == pages(200)
        assert set(site.hits.values()) == {1}


def test_redis_may_be_killed_started_again_and_stopped(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with (
        RedisServer(tmp_path / "redis") as server,  # its own: what goes wrong here is nobody else's trouble
        Site(0.05) as site,
        Crawl(
            tmp_path, server.url, site, FRONTIER_LEASE_TIMEOUT=15, DOWNLOADER="imgcrawl.downloader.Downloader"
        ) as crawl,
    ):
        first, second = crawl.start(lists="15"), crawl.start(lists="15")

        def told(what: str) -> list[int]:
            return [crawl.log(worker).count(what) for worker in (first, second)]

        until(lambda: len(crawl.items()) > 50)
        server.kill()
        late = crawl.start(lists="15")
        until(lambda: "cannot be reached" in crawl.log(late) and all(told("does not answer")))
        server.start()
        until(lambda: len(crawl.items()) > 120 and told("answers again") == told("does not answer"))
        before = told("does not answer")
        server.send(signal.SIGSTOP)
        until(lambda: all(map(int.__gt__, told("does not answer"), before)))
        server.send(signal.SIGCONT)
        crawl.wait()
        assert urls(crawl) == pages(300)
        assert [worker.returncode for worker in crawl.workers] == [0, 0, 0]
        # One line an outage, though the limits are there, too; a machine that stands still for seconds
        # makes one more.
        assert told("answers again") == told("does not answer")
        assert max(told("does not answer")) <= 4
        assert told("keeps to its share") == [0, 0]
        assert len(crawl.items()) <= 300 + 3 * 16


@pytest.mark.parametrize("count", [1, 2])
def test_redis_may_come_back_older_than_it_was(tmp_path: Path, count: int) -> None:
    (tmp_path / "redis").mkdir()
    seeding = tmp_path / "items.jsonl.seeding"
    seeding.touch()
    with (
        RedisServer(tmp_path / "redis", "--appendonly", "no") as server,
        Site(0.1) as site,
        Crawl(tmp_path, server.url, site, FRONTIER_LEASE_TIMEOUT=6) as crawl,
        server.client() as client,
    ):
        for _ in range(count):
            crawl.start(rows="100")
        until(lambda: len(crawl.items()) == 1 and client.zcard("{pages:requests}:workers") == count)
        client.save()
        seeding.unlink()
        until(lambda: client.hget("{pages:requests}:run", "seeded") and len(crawl.items()) > 5)
        server.kill()  # what it takes up is from before all but one of the rows
        server.start()
        crawl.wait()
        assert urls(crawl) == pages(100, "row")
        assert [worker.returncode for worker in crawl.workers] == [0] * count
        assert "ERROR" not in "".join(map(crawl.log, crawl.workers))


@pytest.mark.parametrize("total", [16, 64])
def test_a_host_that_hangs_does_not_fill_every_worker(tmp_path: Path, redis_server: RedisServer, total: int) -> None:
    with Site() as site, Crawl(tmp_path, redis_server.url, site, CONCURRENT_REQUESTS=total) as crawl:
        for _ in range(2):
            crawl.start(slow="80", rows="100")
        until(lambda: pages(100, "row") <= urls(crawl), 20)
        assert sum(path.startswith("/slow") for path in site.hits) >= 2
        assert not [page for page in urls(crawl) if "slow" in page]
        site.recovered.set()
        crawl.wait()
        assert len(crawl.items()) == 180


@pytest.mark.alone
def test_the_event_loop_is_free_with_redis_20_ms_away(tmp_path: Path, own_redis_server: RedisServer) -> None:
    lags = []
    while len(lags) < 5 and min(lags, default=20.0) >= 20:  # what others do on this machine makes it late, too
        with SlowProxy(own_redis_server.port, 0.02) as proxy, Site(0.02) as site:
            url = f"redis://127.0.0.1:{proxy.port}/0"
            (folder := tmp_path / str(len(lags))).mkdir()
            with Crawl(folder, url, site) as crawl:
                worker = crawl.start(lists="25")
                crawl.wait()
                assert urls(crawl) == pages(500)
                lags += [float(value) for value in re.findall(r"'lag/p99': ([\d.]+)", crawl.log(worker))]
    assert min(lags) < 20, lags


def test_rows_as_long_as_they_may_be_go_to_redis_a_few_at_a_time(tmp_path: Path, own_redis_server: RedisServer) -> None:
    waits = tmp_path / "items.jsonl.wait"
    waits.touch()  # no page is done, so nothing but the rows is to be said
    with (
        SlowProxy(own_redis_server.port, 0.05) as proxy,  # many rows wait while some are on their way
        own_redis_server.client() as client,
        Site() as site,
    ):
        url = f"redis://127.0.0.1:{proxy.port}/0"
        # The next heartbeat, with which what was left would go, is far away.
        with Crawl(tmp_path, url, site, FRONTIER_LEASE_TIMEOUT=240) as crawl:
            crawl.start(rows="60", weight="50000")
            until(lambda: client.hget("{pages:requests}:run", "enqueued") == b"60", 20)
            waits.unlink()
            crawl.wait(30)
            assert urls(crawl) == pages(60, "row")
            assert set(site.hits.values()) == {1}
        assert 100_000 < proxy.largest < 200_000  # of 256 KB, in half as many bytes


def test_who_waits_for_another_to_seed_does_not_ask_again_and_again(tmp_path: Path, redis_server: RedisServer) -> None:
    seeding = tmp_path / "items.jsonl.seeding"
    seeding.touch()
    with Site() as site, Crawl(tmp_path, redis_server.url, site) as crawl, redis_server.client() as client:

        def asked() -> int:
            return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

        crawl.start(rows="20")
        crawl.start(rows="20")
        until(lambda: client.zcard("{pages:requests}:waiting") == 2)
        before = asked()
        time.sleep(1)
        assert asked() - before < 20
        seeding.unlink()
        crawl.wait()
        assert urls(crawl) == pages(20, "row")


def test_a_crawl_ends_with_its_last_page_not_with_a_heartbeat(tmp_path: Path, redis_server: RedisServer) -> None:
    waits = tmp_path / "items.jsonl.wait"
    waits.touch()
    with (
        Site() as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=240) as crawl,
        redis_server.client() as client,
    ):

        def idle(worker: subprocess.Popen[bytes]) -> bool:
            waiting = client.zrange("{pages:requests}:waiting", 0, -1, withscores=True)
            return any(b"-%d-" % worker.pid in name and has == 0 for name, has in waiting)

        feeder = crawl.start(rows="60")
        until(lambda: sum(site.hits.values()) == 8)  # as many of one host as a worker holds
        last = crawl.start(rows="60")
        until(lambda: sum(site.hits.values()) == 16)
        waits_for_last = tmp_path / f"items.jsonl.wait-{last.pid}"
        waits_for_last.touch()
        waits.unlink()
        until(lambda: idle(feeder))
        assert client.hget("{pages:requests}:run", "feeder").split(b"-")[-2] == b"%d" % feeder.pid
        waits_for_last.unlink()
        crawl.wait(15)
        assert urls(crawl) == pages(60, "row")


def test_workers_with_other_arguments_are_told_and_the_crawl_goes_on(tmp_path: Path, redis_server: RedisServer) -> None:
    with Site(0.05) as site, Crawl(tmp_path, redis_server.url, site) as crawl:
        first = crawl.start(lists="10")
        until(lambda: len(crawl.items()) > 20)
        waits = tmp_path / "items.jsonl.wait"
        waits.touch()
        for options in ({"lists": "3"}, {"lists": "10", "rows": "4"}, {}):
            other = crawl.start(**options)
            other.wait(20)
            given = "".join(f" -a {name}={value}" for name, value in sorted(options.items()))
            sentence = (
                "Spider closed (bad input: the queue pages:requests has a crawl of pages with"
                f" -a base={site.url} -a lists=10 that is not at its end, and this worker has -a base={site.url}"
                f"{given}: expected the same arguments, to join it or go on with it; or wait for its end, or have"
                " another queue (SCHEDULER_QUEUE_KEY), or give it up (scrapy queue pages --clear))"
            )
            assert sentence in crawl.log(other)
            assert "Traceback" not in crawl.log(other)
        assert first.poll() is None
        waits.unlink()
        # So it is with one that was stopped; with the same arguments it goes on.
        first.send_signal(signal.SIGINT)
        first.wait(20)
        assert len(crawl.items()) < 200
        other = crawl.start(lists="3")
        other.wait(20)
        assert "has a crawl of pages with" in crawl.log(other)
        crawl.start(lists="10")
        crawl.wait()
        assert urls(crawl) == pages(200)
        assert set(site.hits.values()) == {1}
        # And the next crawl may be another one.
        crawl.start(rows="4")
        crawl.wait()
        assert urls(crawl) == pages(200) | pages(4, "row")


def test_outsiders_feed_a_running_crawl_and_hostile_values_are_set_aside(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Site(0.05) as site, Crawl(tmp_path, redis_server.url, site, SCHEDULER_IDLE_BEFORE_CLOSE=2) as crawl:
        for _ in range(2):
            crawl.start(lists="1")
        until(lambda: len(crawl.items()) >= 20)
        with redis_server.client() as client:
            until(lambda: client.zcard("{pages:requests}:waiting") == 2)
            fed = {
                f"{site.url}/fed/1": True,
                json.dumps({"url": f"{site.url}/fed/2", "meta": {"hooks": 3}, "callback": "parse_page"}): True,
                json.dumps({"url": f"{site.url}/fed/3", "callback": "parse_page", "q": "1"}): True,
                json.dumps({"url": f"{site.url}/evil/1", "callback": "from_crawler"}): False,
                json.dumps({"url": f"{site.url}/evil/2", "callback": "parse_page", "cb_kwargs": {"x": 1}}): False,
                json.dumps({"url": "file:///etc/passwd"}): False,
                json.dumps({"url": f"{site.url}/evil/3", "headers": {"X": ["a\r\nb"]}}): False,
            }
            began = time.monotonic()
            client.rpush("pages:start_urls", *fed)
            until(lambda: site.hits["/fed/3?q=1"], 5)
            assert time.monotonic() - began < patience(0.5)
            client.rpush("pages:start_urls", b"\x80\x04pickle", "[" * 10_000_000)
            client.rpush("{pages:requests}:queue:0:evil", b"\x80\x04pickle", "[" * 500_000, '{"url":"ftp://x/"}')
            client.zadd("pages:requests", {"evil": 0, "junk": -6})
            crawl.wait()
            assert int(client.hget("{pages:requests}:run", "rejected") or 0) == 4 + 2 + 3 + 1
        assert {"/fed/1", "/fed/2", "/fed/3?q=1"} <= set(site.hits)
        assert not [path for path in site.hits if "evil" in path]
        assert [worker.returncode for worker in crawl.workers] == [0, 0]


def test_ctrl_c_while_what_was_fed_is_on_its_way_to_the_queue(tmp_path: Path, own_redis_server: RedisServer) -> None:
    with (
        SlowProxy(own_redis_server.port, 0.4) as proxy,
        Site() as site,
        Crawl(tmp_path, f"redis://127.0.0.1:{proxy.port}/0", site, SCHEDULER_IDLE_BEFORE_CLOSE=30) as crawl,
        own_redis_server.client() as client,
    ):
        worker = crawl.start()
        until(lambda: client.zcard("{pages:requests}:waiting"))
        until(lambda: client.info("clients")["blocked_clients"] == 2)  # for news, and for what is fed
        client.rpush("pages:start_urls", f"{site.url}/fed/1")
        until(lambda: client.llen("{pages:start_urls}:moving"))
        time.sleep(1.4)  # it was told so, has taken the value and is now putting it into the queue
        worker.send_signal(signal.SIGINT)
        worker.wait(20)
        assert "Spider closed (shutdown)" in crawl.log(worker)
        crawl.redis_url = own_redis_server.url
        # Where a second was not enough to give back what it held, that goes back when its lease has ended: now.
        for name in client.zrange("{pages:requests}:workers", 0, -1):
            client.zadd("{pages:requests}:workers", {name: 1})
        next_worker = crawl.start()
        until(lambda: len((tmp_path / "items.jsonl").read_text().splitlines()) == 20)  # the pages that it leads to
        next_worker.send_signal(signal.SIGINT)
        next_worker.wait(20)


def test_a_page_is_acknowledged_when_its_item_is_through_the_pipelines(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """`imgcrawl.engine` relies on what Scrapy's engine keeps to itself; with another release look at it again."""
    assert scrapy.version_info[:2] == (2, 19)
    waits = tmp_path / "items.jsonl.wait"
    waits.touch()
    with Site() as site, Crawl(tmp_path, redis_server.url, site) as crawl, redis_server.client() as client:
        crawl.start(lists="1")
        until(lambda: sum(site.hits.values()) == 9)  # the list, and as many pages of one host as a worker holds
        assert client.hget("{pages:requests}:run", "done") == b"1"
        waits.unlink()
        crawl.wait()
        assert client.hget("{pages:requests}:run", "done") == b"21"


FEEDS = {
    "FEED_STORAGES": {
        "": "imgcrawl.feeds.storage.FileFeedStorage",
        "file": "imgcrawl.feeds.storage.FileFeedStorage",
    },
    "FEED_EXPORTERS": {
        "jsonl": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
        "csv": "imgcrawl.feeds.exporters.CsvItemExporter",
    },
}
FAILING_DISK = """
import errno, os

def fsync(descriptor):
    raise OSError(errno.EIO, os.strerror(errno.EIO))

class Failing:
    @classmethod
    def from_crawler(cls, crawler):
        os.fsync = fsync
        return cls()
"""


def test_a_page_whose_item_cannot_be_written_is_done_by_another_worker(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with Site(0.02) as site, Crawl(tmp_path, redis_server.url, site, **FEEDS) as crawl:
        full = crawl.start("-o", "/dev/full:jsonl", lists="3")
        full.wait(20)
        assert "Spider closed (feed_error)" in crawl.log(full)
        assert crawl.log(full).count("items cannot be written: No space left on device") == 1
        with redis_server.client() as client:
            assert client.hmget("{pages:requests}:run", "done", "failed") == [b"1", None]  # the list
            assert client.zcard("{pages:requests}:workers") == 0
            # And where only the disk refuses, which a write does not tell.
            (tmp_path / "pages" / "disk.py").write_text(FAILING_DISK)
            options = ("-s", "DURABILITY=fsync", "-s", 'EXTENSIONS={"pages.disk.Failing": 1}')
            failing = crawl.start("-o", "failing.jsonl", *options, lists="3")
            failing.wait(20)
            assert "Spider closed (feed_error)" in crawl.log(failing)
            assert (
                crawl.log(failing).count("ERROR: Feed ")
                == crawl.log(failing).count("written: Input/output error.\n")
                == 1
            )
            assert client.hmget("{pages:requests}:run", "done", "failed") == [b"1", None]
            assert client.zcard("{pages:requests}:workers") == 0
        crawl.start("-o", "whole.jsonl", lists="3")
        crawl.wait()
        fed = [json.loads(line)["url"] for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
        assert sorted(fed) == sorted(site.url + page for page in pages(60))


def test_who_joins_a_crawl_or_goes_on_with_it_overwrites_no_feed_of_it(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    lines, rows = tmp_path / "feed.jsonl", tmp_path / "feed.csv"
    lines.write_text('{"url": "of yesterday"}\n')
    feeds = ("-O", lines.name, "-O", rows.name)
    waits = tmp_path / "items.jsonl.wait"

    def fed() -> list[str]:
        return [str(json.loads(line)["url"]) for line in lines.read_text().splitlines()]

    with (
        Site(0.02) as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_LEASE_TIMEOUT=2, **FEEDS) as crawl,
        redis_server.client() as client,
    ):
        first = crawl.start(*feeds, lists="6")
        until(lambda: len(fed()) >= 5)
        assert "of yesterday" not in fed()
        crawl.start(*feeds, lists="6")
        until(lambda: len({item["worker"] for item in crawl.items()}) == 2)
        waits.touch()
        # What is on its way to the feed is there and acknowledged, so that none of it is done again.
        lists = lambda: sum(path.startswith("/list") for path in [*site.hits])  # noqa: E731 -- beside its use
        until(lambda: int(client.hget("{pages:requests}:run", "done") or 0) == lists() + len(crawl.items()))
        for worker in crawl.workers:
            worker.kill()
            worker.wait()
        waits.unlink()
        assert crawl.start(*feeds, lists="6").wait(60) == 0, crawl.log(crawl.workers[-1])
        assert sorted(fed()) == sorted(site.url + page for page in pages(120))
        with rows.open(newline="") as file:
            assert sorted(row["url"] for row in csv.DictReader(file)) == sorted(fed())
    told = [crawl.log(worker).count(f"Feed {lines}: run ") for worker in crawl.workers]
    assert told == [0, 1, 1], crawl.log(first)


def test_a_retry_is_the_same_page(tmp_path: Path, redis_server: RedisServer) -> None:
    with Site(pages={"/page/3": "busy", "/list/1": "busy"}) as site, Crawl(tmp_path, redis_server.url, site) as crawl:
        crawl.start(lists="1")
        crawl.wait()
        assert (site.hits["/page/3"], site.hits["/list/1"]) == (3, 3)
        assert sorted(item["url"] for item in crawl.items()) == sorted(site.url + page for page in pages(20))
        with redis_server.client() as client:
            assert client.hmget("{pages:requests}:run", "done", "enqueued", "failed") == [b"21", b"21", None]


def test_what_cannot_travel_is_an_error_of_the_page_that_made_it(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        Site(pages={"/page/3": "lambda"}) as site,
        Crawl(tmp_path, redis_server.url, site, FRONTIER_MAX_DELIVERIES=2) as crawl,
    ):
        worker = crawl.start(lists="1")
        crawl.wait()
        assert urls(crawl) == pages(20) - {"/page/3"}
        assert "cannot travel to other workers; expected a method of pages" in crawl.log(worker)
        with redis_server.client() as client:
            (dead,) = client.lrange("{pages:requests}:dead", 0, -1)
        assert b"cannot travel to other workers" in dead


def test_a_server_that_cannot_be_reached_is_told_in_one_sentence(tmp_path: Path) -> None:
    url = f"redis://me:secret@127.0.0.1:{free_port()}/0"
    with Site() as site, Crawl(tmp_path, url, site, FRONTIER_LEASE_TIMEOUT=1) as crawl:
        worker = crawl.start(lists="1")
        crawl.wait(20)
        assert "Spider closed (bad input: REDIS_URL redis://127.0.0.1" in crawl.log(worker)
        assert "secret" not in crawl.log(worker)
        assert "Traceback" not in crawl.log(worker)
        assert not site.hits


def test_without_redis_url_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from scrapy.crawler import Crawler; from scrapy import Spider;"
        "crawler = Crawler(Spider, {'ADDONS': {'imgcrawl.frontier.Addon': 1}});"
        "crawler.addons.load_settings(crawler.settings);"
        "print([name for name in sys.modules if name == 'redis' or name.startswith('imgcrawl.frontier.')],"
        " crawler.settings['SCHEDULER'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[] scrapy.core.scheduler.Scheduler\n"
