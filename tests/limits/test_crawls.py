"""However many workers, a site sees one polite guest: real crawls, and a server that writes down when it was asked."""

from __future__ import annotations

import logging
import re
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.crawling import until
from tests.support.pages import SlowProxy
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Answer, Request, Server
from tests.support.workers import Workers

pytestmark = pytest.mark.alone(forks=True)  # measured is what a site sees
logger = logging.getLogger(__name__)  # what is measured: pytest --log-cli-level=INFO

OWN = {"ADDONS": "{}"}  # no shared queue: each worker walks its own list, and only the limits are shared
TROUBLE = 4  # seconds
ONE, TWO = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def site() -> Iterator[Server]:
    with Server(hosts=(ONE, TWO)) as running:
        running.robots("User-agent: *\nDisallow: /no")
        running.add("*", JPEG, delay=0.05)
        yield running


def asked(site: Server, host: str) -> list[float]:
    """When the pages and images of *host* were asked for."""
    return [each.time for each in site.requests if each.address == host and each.path != "/robots.txt"]


def gaps(times: list[float]) -> list[float]:
    return sorted(later - earlier for earlier, later in pairwise(times))


def told(gaps: list[float]) -> str:
    at = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    return ", ".join(f"{share:.0%} {gaps[int(share * (len(gaps) - 1))] * 1000:.0f} ms" for share in at)


def test_four_workers_are_as_many_as_one_and_ask_for_robots_once(
    site: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    arguments = {"bases": site.url("", ONE), "pages": 20, "images": 11}
    with Workers(tmp_path, redis_server.url, 4, arguments) as workers:
        workers.wait()
        assert sum(len(item["images"]) for number in range(4) for item in workers.items(number)) == 220
    assert len(asked(site, ONE)) == 240
    assert site.max_in_flight == 8
    assert site.count("/robots.txt") == 1


def test_twelve_workers_and_two_at_a_time(site: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    site.add("*", JPEG, delay=0.02)
    arguments = {"bases": site.url("", ONE), "pages": 10, "images": 1}
    settings = {**OWN, "CONCURRENT_REQUESTS_PER_DOMAIN": 2}
    with Workers(tmp_path, redis_server.url, 12, arguments, **settings) as workers:
        workers.wait(90)
    assert site.max_in_flight == 2
    served = {number: sum(each.path.startswith(f"/{number}/") for each in site.requests) for number in range(12)}
    assert set(served.values()) == {20}, served


def test_the_gaps_between_any_two_requests(site: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    """DOWNLOAD_DELAY on one host, Crawl-delay on the other, which only its own robots.txt names."""

    def robots(request: Request) -> Answer:
        return Answer(b"User-agent: *\nCrawl-delay: 1" if request.address == TWO else b"")

    site.add("/robots.txt", robots)
    site.add("*", JPEG)
    fast, slow = site.url("", ONE), site.url("", TWO)
    arguments = {"bases": f"{fast}/a,{slow},{fast}/b,{fast}/c", "pages": 1, "images": 1}
    settings = {**OWN, "DOWNLOAD_DELAY": 0.25, "DOWNLOAD_DELAY_JITTER": 0.2}
    with Workers(tmp_path, redis_server.url, 4, arguments, **settings) as workers:
        workers.wait()
    for host, count, shortest, longest in ((ONE, 24, 0.2, 0.3), (TWO, 8, 1, 1)):
        found = gaps(asked(site, host))
        logger.info(f"gaps at {host}: {told(found)}")
        assert len(found) == count - 1
        # A request takes a moment from the worker to the server, and not always the same.
        assert found[0] > shortest - 0.05, told(found)
        assert found[len(found) // 2] < longest + 0.05, told(found)


def test_retry_after_stops_every_worker_for_that_host_only(
    site: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """From the 429 on the host answers nothing for a second, so that nobody asks again who has not been told."""
    moments: list[float] = []

    def one(request: Request) -> Answer:
        if request.address == TWO:
            return Answer(JPEG, delay=0.05)
        if not moments and len(asked(site, ONE)) >= 60:
            moments.append(time.time())
            return Answer(b"", 429, {"Retry-After": "3"})
        return Answer(JPEG, delay=max(0.05, moments[0] + 1 - time.time()) if moments else 0.05)

    site.add("*", one)
    arguments = {"bases": f"{site.url('', ONE)},{site.url('', TWO)}", "pages": 4, "images": 9}
    settings = {**OWN, "RETRY_TIMES": 0, "LIMITS_SPEEDUP": 50, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
    with Workers(tmp_path, redis_server.url, 4, arguments, **settings) as workers:
        workers.wait()
        outcomes = [
            image["status"] for number in range(4) for item in workers.items(number) for image in item["images"]
        ]
    assert len(outcomes) == 4 * 2 * 36
    assert "failed" not in outcomes
    (moment,) = moments
    later = [when - moment for when in asked(site, ONE) if when > moment]
    late = [when for when in later if when < 3]
    logger.info(f"{len(late)} requests were on their way, the last {max(late, default=0):.3f} s after the answer")
    # What was sent before its worker had been told: one for each permit but that of the 429, all while the host is
    # silent, because they have no answer yet.
    assert len(late) <= 3
    assert all(when < 1 for when in late), late
    after = later[len(late)]
    logger.info(f"after a 429 with Retry-After 3 the first request came after {after:.2f} s")
    meanwhile = [when for when in asked(site, TWO) if 0 < when - moment < 3]
    rate = len([when for when in asked(site, TWO) if -1 < when - moment < 0])
    logger.info(f"the other host meanwhile: {len(meanwhile)} requests in 3 s, {rate} in the second before")
    assert len(meanwhile) > 60


def test_a_host_in_trouble_is_slowed_for_all_and_recovers(
    site: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    trouble: list[float] = []

    def slow(request: Request) -> Answer:
        if not trouble and len(asked(site, ONE)) >= 30:
            trouble.append(time.time())
        if trouble and time.time() - trouble[0] < TROUBLE:
            return Answer(b"", 503, delay=0.3)
        return Answer(JPEG, delay=0.2)

    site.add("*", slow)
    arguments = {"bases": site.url("", ONE), "pages": 100, "images": 30}
    settings = {
        "RETRY_TIMES": 20,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 4,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": 0.1,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": 2,
    }
    with Workers(tmp_path, redis_server.url, 2, arguments, **settings):
        until(lambda: trouble, 40)

        def rate(begin: float, end: float) -> float:
            return sum(begin <= when - trouble[0] < end for when in asked(site, ONE)) / (end - begin)

        def recovered() -> bool:
            now = time.time() - trouble[0]
            return now > TROUBLE + 2 and rate(now - 2, now) > 0.8 * before

        before = rate(-2, 0)
        until(recovered, 70)
        took = time.time() - trouble[0] - TROUBLE
    during = rate(TROUBLE / 2, TROUBLE)
    logger.info(f"before {before:.1f}/s, in trouble {during:.1f}/s, back {took:.0f} s after its end")
    assert during < before / 5
    assert took < 60


def test_a_robots_txt_in_trouble_is_waited_for(site: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    site.add("/robots.txt", status=503, times=3)
    arguments = {"bases": site.url("", ONE), "pages": 4, "images": 2}
    settings = {"RETRY_TIMES": 1, "ROBOTSTXT_RETRY": 1, "ROBOTSTXT_WAIT": 30, "LIMITS_SPEEDUP": 50}
    with Workers(tmp_path, redis_server.url, 2, arguments, **settings) as workers:
        workers.wait()
        outcomes = [
            image["status"] for number in range(2) for item in workers.items(number) for image in item["images"]
        ]
    assert len(outcomes) == 8
    assert set(outcomes) <= {"downloaded", "duplicate"}
    order = [each.path == "/robots.txt" for each in site.requests]
    assert order == [True] * 4 + [False] * 12, "nothing is asked of a host whose robots.txt answers 503"


def test_a_killed_worker_gives_back_its_part_within_the_lease_time(
    site: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    site.add("*", JPEG, delay=0.1)
    arguments = {"bases": site.url("", ONE), "pages": 300, "images": 1}
    settings = {**OWN, "FRONTIER_LEASE_TIMEOUT": 2}
    with Workers(tmp_path, redis_server.url, 2, arguments, **settings) as workers:

        def recent(number: int) -> int:
            since = time.time() - 0.5
            return sum(each.time > since and each.path.startswith(f"/{number}/") for each in site.requests)

        until(lambda: min(recent(0), recent(1)) >= 15)
        workers.workers[0].send_signal(signal.SIGKILL)
        killed = time.time()
        until(lambda: recent(1) >= 34, 20)
        took = time.time() - killed
    logger.info(f"at full rate again {took:.1f} s after SIGKILL, lease time 2 s")
    assert took < 2 + 1.5
    assert site.max_in_flight == 8


def test_a_frozen_worker_takes_nothing_before_it_is_given_again(
    site: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    site.add("*", JPEG, delay=0.1)
    arguments = {"bases": site.url("", ONE), "pages": 600}
    settings = {**OWN, "FRONTIER_LEASE_TIMEOUT": 2, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
    with Workers(tmp_path, redis_server.url, 2, arguments, **settings) as workers:

        def recent(number: int) -> int:
            since = time.time() - 0.5
            return sum(each.time > since and each.path.startswith(f"/{number}/") for each in site.requests)

        until(lambda: min(recent(0), recent(1)) >= 7)
        workers.workers[0].send_signal(signal.SIGSTOP)
        until(lambda: recent(1) >= 16, 20)
        workers.workers[0].send_signal(signal.SIGCONT)
        woken = time.time()
        until(lambda: min(recent(0), recent(1)) >= 7)
    over = [each for each in site.requests if each.in_flight > 4]
    # It may have been about to send what it had a permit for, and that may be under way for as long as an answer takes.
    assert sum(each.path.startswith("/0/") for each in over) <= 2, over
    assert all(0 < each.time - woken < 0.3 for each in over), over


def test_redis_20_ms_away(tmp_path: Path, own_redis_server: RedisServer) -> None:
    """First a host whose limit is so far away that only the workers limit the rate, then one with a near limit."""
    with (
        Server(hosts=(ONE,)) as far,
        Server(hosts=(TWO,)) as near,
        SlowProxy(own_redis_server.port, 0.02) as proxy,
    ):
        far.add("*", JPEG, delay=0.05)
        near.add("*", JPEG, delay=0.1)
        arguments = {"bases": ",".join((*(f"{far.url('')}/{part}" for part in "abc"), near.url(""))), "pages": 10}
        settings = {
            **OWN,
            "CONCURRENT_REQUESTS": 1,
            "DOWNLOAD_SLOTS": f'{{"{ONE}": {{"concurrency": 64}}, "{TWO}": {{"concurrency": 3}}}}',
        }
        with Workers(tmp_path, f"redis://127.0.0.1:{proxy.port}/0", 4, arguments, **settings) as workers:
            workers.wait()
        waits = []
        for number in range(4):
            times = [each.time for each in far.requests if f"/{number}/" in each.path]
            assert len(times) == 30
            waits.append(gaps(times)[14])
        logger.info(f"far limit: a worker asks every {[round(wait * 1000) for wait in waits]} ms, 50 at best")
        times = asked(near, TWO)
        assert len(times) == 40
        rate = 39 / (times[-1] - times[0])
        logger.info(f"near limit: {near.max_in_flight} in flight, {rate:.1f} requests a second, 30 possible")
        # The middle one: while others start, a worker waits for the processor.
        assert max(waits) < 0.075, "were each request to wait for Redis, it would be 0.09"
        assert near.max_in_flight == 3


def test_without_redis_each_worker_keeps_to_its_share(
    site: Server, tmp_path: Path, own_redis_server: RedisServer
) -> None:
    site.add("*", JPEG, delay=0.1)
    arguments = {"bases": site.url("", ONE), "pages": 500}
    settings = {**OWN, "FRONTIER_LEASE_TIMEOUT": 2, "CONCURRENT_REQUESTS_PER_DOMAIN": 3}
    with Workers(tmp_path, own_redis_server.url, 2, arguments, **settings) as workers:
        # Who was there first must have heard of the other: else that one waits for Redis (tests/limits/test_shares.py).
        until(lambda: min(sum(f"/{number}/" in each.path for each in site.requests[-30:]) for number in range(2)) >= 8)
        try:
            own_redis_server.kill()
            killed = time.time()
            time.sleep(4)  # what is measured is a time
            shares = [sum(each.path.startswith(f"/{number}/") for each in site.requests[-45:]) for number in range(2)]
            assert time.time() - site.requests[-1].time < 1, "nothing is asked without Redis"
        finally:
            own_redis_server.start()
        until(lambda: all("answers again" in workers.log(workers.workers[number]) for number in range(2)))
    over = [(round(each.time - killed, 2), each.path) for each in site.requests if each.in_flight > 3]
    assert not over, over
    assert {round(share / 15) for share in shares} == {1, 2}, shares


def test_the_round_trips(site: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    """With limits far away, few: a worker keeps what it was given as long as it needs it."""
    site.add("*", JPEG, delay=0.02)
    arguments = {"bases": site.url("", ONE), "pages": 20, "images": 24}
    settings = {**OWN, "CONCURRENT_REQUESTS_PER_DOMAIN": 64}
    with redis_server.client() as client:
        client.config_resetstat()
        with Workers(tmp_path, redis_server.url, 1, arguments, **settings) as workers:
            workers.wait()
            assert re.search("'downloader/response_status_count/200': 50[01]", workers.log(workers.workers[0]))
        stats = client.info("commandstats")
    calls = sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval", "get", "blpop"))
    logger.info(f"{calls} round trips for 500 requests")
    assert calls < 50
