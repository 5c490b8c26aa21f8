"""A worker's side of the limits, with a real backend."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from scrapy.settings import Settings

from imgcrawl.limits.backend import HostLimits, LimitGrant, LimitRequest, Membership
from imgcrawl.limits.host import Host
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.local import LocalLimits
from imgcrawl.limits.redis import OUTAGES, limits_from_settings
from tests.support.redis_server import RedisServer


class SlowBackend(LocalLimits):
    """Settles at once what it is asked, and says so as many seconds later as its list has for each exchange."""

    def __init__(self, delays: Sequence[float]) -> None:
        super().__init__()
        self.delays = list(delays)

    async def exchange(
        self, requests: Sequence[LimitRequest], *, before: bool = False
    ) -> tuple[Membership, list[LimitGrant]]:
        reply = await super().exchange(requests, before=before)
        await asyncio.sleep(self.delays.pop(0) if self.delays else 0)
        return reply


async def test_a_worker_that_stood_still_takes_nothing_until_the_backend_has_heard_of_it(
    own_redis_server: RedisServer,
) -> None:
    """It cannot tell an answer that came too late for it from a backend that is gone: others have what it had."""
    settings = Settings({"REDIS_URL": own_redis_server.url, "FRONTIER_LEASE_TIMEOUT": 1})
    backend = limits_from_settings(settings, "pximg", "frozen")
    taken: list[int] = []

    def ready(host: str) -> None:
        if limits.take(host, 1):
            taken.append(limits.exchanges)
            limits.give(host)

    limits = Limiter(backend, lambda _: HostLimits(concurrency=8), ready, lease=1, outages=OUTAGES)
    try:
        async with asyncio.timeout(10):
            while not taken:
                ready("host.example")
                await asyncio.sleep(0)
            own_redis_server.send(signal.SIGSTOP)
            limits.take("other.example", 1)
            await asyncio.sleep(0.05)  # an exchange is under way now, and its end is not in sight
            taken.clear()
            before = limits.exchanges
            time.sleep(1.2)  # noqa: ASYNC251 -- what stands still is the loop
            own_redis_server.send(signal.SIGCONT)
            while not taken:
                ready("host.example")
                await asyncio.sleep(0)
    finally:
        own_redis_server.send(signal.SIGCONT)
        await limits.close()
    assert taken[0] > before


async def test_what_was_asked_before_robots_txt_named_a_delay_is_not_granted_without_it() -> None:
    taken: list[float] = []
    all_taken = asyncio.Event()

    def ready(host: str) -> None:
        if limits.take(host, 3 - len(taken)):
            taken.append(time.monotonic())
            limits.give(host)
            if len(taken) == 3:
                all_taken.set()
            else:
                ready(host)

    limits = Limiter(SlowBackend([0, 0.02]), lambda _: HostLimits(concurrency=8), ready)
    try:
        ready("host.example")
        await asyncio.sleep(0.01)  # the backend has settled it, and its answer is on its way
        limits.floor("host.example", 0.2)
        async with asyncio.timeout(5):
            await all_taken.wait()
    finally:
        await limits.close()
    assert taken[1] - taken[0] >= 0.19
    assert taken[2] - taken[1] >= 0.19


async def test_who_slows_a_crawl_down_slows_down_a_host_without_a_delay_too() -> None:
    limits = Limiter(LocalLimits(), lambda _: HostLimits(concurrency=8), lambda _: None)
    try:
        limits.take("host.example", 1)
        for factor, delay in ((4.0, 0.4), (8.0, 0.8), (1.0, 0.0)):
            limits.slow_down(factor)
            async with asyncio.timeout(10):
                while limits.delay("host.example") != pytest.approx(delay):  # noqa: ASYNC110 -- nothing tells of it
                    await asyncio.sleep(0.01)
    finally:
        await limits.close()


@pytest.mark.parametrize("delays", [[0, 0.2], [0.2, 0]])
async def test_an_answer_that_was_long_on_its_way_moves_no_start_time(delays: list[float]) -> None:
    """Another worker has the next one."""
    started: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def ready(host: str) -> None:
        if not started.done() and limits.take(host, 1):
            started.set_result(time.monotonic())

    backend = SlowBackend(delays)
    host_limits = HostLimits(concurrency=8, floor=0.3)
    limits = Limiter(backend, lambda _: host_limits, ready)
    limits.floor("host.example", host_limits.floor)
    try:
        ready("host.example")
        async with asyncio.timeout(5):
            await started
            _, (other,) = await backend.exchange([LimitRequest("host.example", host_limits, want=1, starts=1)])
    finally:
        await limits.close()
    assert time.monotonic() + other.starts[0] - started.result() >= 0.28


@pytest.mark.alone
async def test_four_workers_at_one_host_are_as_fast_as_one(redis_server: RedisServer) -> None:
    """A host with a delay that lets four requests be under way at a time, in the middle, and room for eight."""
    limits = HostLimits(concurrency=8, delay=0.0125, jitter=0.5)

    async def rate(count: int) -> float:
        sent: list[float] = []
        underway: set[asyncio.Task[None]] = set()

        async def request(limiter: Limiter) -> None:
            sent.append(time.monotonic())
            await asyncio.sleep(0.05)
            limiter.give("host.example", latency=0.05)
            start(limiter)

        def start(limiter: Limiter) -> None:
            while limiter.take("host.example", 100):
                task = asyncio.create_task(request(limiter))
                underway.add(task)
                task.add_done_callback(underway.discard)

        limiters: list[Limiter] = []
        for number in range(count):
            backend = limits_from_settings(Settings({"REDIS_URL": redis_server.url}), "pximg", f"{count}-{number}")
            ready = partial(lambda at, _: start(limiters[at]), number)
            limiters.append(Limiter(backend, lambda _: limits, ready, lease=30, outages=OUTAGES))
        for limiter in limiters:
            start(limiter)
        await asyncio.sleep(4)
        for limiter in limiters:
            await limiter.close()
        await asyncio.gather(*underway)
        end = max(sent)
        return sum(end - 3 < when for when in sent) / 3

    one, four = await rate(1), await rate(4)
    assert four > 0.85 * one, (one, four)


def worker_at(server: RedisServer, name: str, concurrency: int = 100) -> Limiter:
    """The limits of a worker of that *name*, for hosts without a delay."""
    backend = limits_from_settings(Settings({"REDIS_URL": server.url}), "pximg", name)
    limits = HostLimits(concurrency=concurrency)
    return Limiter(backend, lambda _: limits, lambda _: None, lease=30, outages=OUTAGES)


async def take(limiter: Limiter, count: int) -> None:
    while count:
        if limiter.take("host.example", count):
            count -= 1
        else:
            await asyncio.sleep(0.001)


async def test_what_is_given_back_to_others_is_told_together(redis_server: RedisServer) -> None:
    """Each answer to the last of a worker's images was an exchange, and one of each other worker."""
    first, second = worker_at(redis_server, "first"), worker_at(redis_server, "second")
    try:
        async with asyncio.timeout(20):
            await take(first, 30)
            await take(second, 70)
            assert not first.take("host.example", 70)
            while second._hosts["host.example"].share != 50:  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0.01)
            before, begun = second.exchanges, time.monotonic()
            for _ in range(20):
                second.give("host.example")
                await asyncio.sleep(0.01)
            told, seconds = second.exchanges - before, time.monotonic() - begun
            assert told < seconds / 0.05 + 1, (told, seconds)
            await take(first, 15)
    finally:
        await second.close()
        await first.close()


def test_answers_that_change_no_delay_are_told_seldom() -> None:
    now = time.monotonic()
    host = Host("host.example", HostLimits(concurrency=8), in_use=1, permits=1, answers=5, asked=now - 1)
    assert not host.has_news(now)
    assert host.has_news(now + 2), "that it answers is told"
    assert replace(host, slowed=1.0).has_news(now)
    assert replace(host, limits=HostLimits(concurrency=8, target=1.0)).has_news(now)


async def test_what_a_worker_needs_no_more_of_its_share_it_keeps_for_a_moment(redis_server: RedisServer) -> None:
    """What one page does not need the next does: of four workers each told the others of each change."""
    first, second, third = (worker_at(redis_server, name) for name in ("first", "second", "third"))
    try:
        async with asyncio.timeout(20):
            await take(second, 50)
            await take(first, 40)
            await take(third, 10)
            while third._hosts["host.example"].wanted < 33:
                assert not third.take("host.example", 90)
                await asyncio.sleep(0.01)
            host = first._hosts["host.example"]
            for _ in range(39):
                first.give("host.example")
            for _ in range(3):
                told = first.exchanges
                first._exchange.ask(host)
                while first.exchanges == told:  # noqa: ASYNC110 -- no event
                    await asyncio.sleep(0.01)
            assert (host.permits, host.in_use) == (33, 1)
            await take(first, 32)
            first.give("host.example")
            await asyncio.sleep(1.1)  # what was wanted is forgotten
            for _ in range(32):
                first.give("host.example")
            await take(third, 40)
    finally:
        for limiter in (first, second, third):
            await limiter.close()


async def test_a_worker_hears_at_once_that_another_is_there(redis_server: RedisServer) -> None:
    """Were Redis to be gone before it hears of it, each would ask as if it were alone."""
    first, second = worker_at(redis_server, "first", 8), worker_at(redis_server, "second", 8)
    try:
        async with asyncio.timeout(20):
            await take(first, 1)
            await asyncio.sleep(0.1)  # it has nothing to tell
            begun = time.monotonic()
            second.take("host.example", 1)
            while not second.membership.rank:  # noqa: ASYNC110 -- no event
                await asyncio.sleep(0)
            while first.membership.workers < 2:  # noqa: ASYNC110 -- the same
                await asyncio.sleep(0)
        assert time.monotonic() - begun < 0.4, "it would have told its answers after 0.5 s"
    finally:
        await second.close()
        await first.close()


async def test_who_waits_for_more_asks_once_and_is_told(redis_server: RedisServer) -> None:
    """It asked for each request that joined those that wait: twelve times a second where four workers shared a host."""
    first, second = worker_at(redis_server, "first"), worker_at(redis_server, "second")
    try:
        async with asyncio.timeout(20):
            await take(first, 50)
            await take(second, 50)
            before = first.exchanges
            for queued in range(1, 16):
                assert not first.take("host.example", queued)
                await asyncio.sleep(0.04)
            assert first.exchanges - before < 6, first.exchanges - before
            for _ in range(50):
                second.give("host.example")
            await second.close()
            await take(first, 5)
    finally:
        for _ in range(55):
            first.give("host.example")
        await first.close()
