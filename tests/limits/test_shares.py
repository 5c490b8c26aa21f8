"""What each worker may do at a host while Redis does not answer: together never more than the host's limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from math import inf

import pytest
from scrapy.settings import Settings

from imgcrawl.limits.backend import HostLimits, LimitGrant, LimitRequest, Membership
from imgcrawl.limits.host import BackendState, Host
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.redis import OUTAGES, limits_from_settings
from tests.support.redis_server import RedisServer

HOST = "host.example"
LIMITS = HostLimits(concurrency=3)
LEASE = 1.0


@pytest.fixture
async def pair(redis_server: RedisServer) -> AsyncIterator[list[Limiter]]:
    """Two workers, each of which can be cut off from Redis."""
    settings = Settings({"REDIS_URL": redis_server.url, "FRONTIER_LEASE_TIMEOUT": LEASE})
    limiters = [
        Limiter(
            limits_from_settings(settings, "pximg", name),
            lambda _: LIMITS, lambda _: None, lease=LEASE, outages=OUTAGES,
        )
        for name in ("first", "second")
    ]  # fmt: skip
    yield limiters
    for limiter in limiters:
        await limiter.close()


def cut_off(limiter: Limiter) -> None:
    async def exchange(
        requests: Sequence[LimitRequest], *, before: bool = False
    ) -> tuple[Membership, list[LimitGrant]]:
        raise ConnectionError("cut off")

    limiter.backend.exchange = exchange  # type: ignore[method-assign]  # it is not reached any more


async def joined(limiters: Sequence[Limiter]) -> None:
    """Returns when all know of each other."""
    async with asyncio.timeout(10):
        while not all(limiter._state.alone and limiter._state.alone.workers == 2 for limiter in limiters):
            for limiter in limiters:
                limiter.take(HOST, 1)
            await asyncio.sleep(0.01)


async def most_under_way(limiters: Sequence[Limiter]) -> list[int]:
    """What each has under way when it has noticed that it is cut off, the leases are over and it takes what it may."""
    async with asyncio.timeout(10):
        while not all(limiter._state.away_since for limiter in limiters):
            for limiter in limiters:
                limiter.take(HOST, 9)
            await asyncio.sleep(0.01)
    for limiter in limiters:
        for _ in range(limiter._hosts[HOST].in_use):
            limiter.give(HOST)  # what was begun before ends in time
    end = time.monotonic() + 1.5 * LEASE
    while time.monotonic() < end:
        for limiter in limiters:
            limiter.take(HOST, 9)
        await asyncio.sleep(0.01)
    return sorted(limiter._hosts[HOST].in_use for limiter in limiters)


async def test_who_is_not_known_to_all_yet_asks_for_nothing(pair: list[Limiter]) -> None:
    """The first, which has not heard of it, goes on as if it were alone."""
    first, second = pair
    async with asyncio.timeout(10):
        while not first._hosts.used(HOST).permits:
            first.take(HOST, 2)
            await asyncio.sleep(0)
        cut_off(first)
        while second.membership.workers < 2:
            second.take(HOST, 1)
            await asyncio.sleep(0)
        cut_off(second)
    assert await most_under_way(pair) == [0, 3]


async def test_who_are_known_to_all_keep_to_their_shares(pair: list[Limiter]) -> None:
    await joined(pair)
    for limiter in pair:
        cut_off(limiter)
    assert await most_under_way(pair) == [1, 2]


async def test_a_newcomer_is_known_to_all_soon_though_they_have_nothing_to_tell(pair: list[Limiter]) -> None:
    """Each asks who is there once in the sixth of a lease."""
    first, second = pair
    async with asyncio.timeout(10):
        first.take(HOST, 1)
        while first._state.alone is None:  # noqa: ASYNC110 -- no event
            await asyncio.sleep(0.01)
        second.take(HOST, 1)
        while not second._state.met:  # noqa: ASYNC110 -- the same
            await asyncio.sleep(0.001)
        begun = time.monotonic()
        while second._state.alone is None:  # noqa: ASYNC110 -- the same
            await asyncio.sleep(0.001)
    assert time.monotonic() - begun < LEASE / 3


async def test_the_first_to_come_back_to_an_account_that_was_lost_does_not_forget_the_others(
    pair: list[Limiter], redis_server: RedisServer
) -> None:
    await joined(pair)
    first, second = pair
    cut_off(second)
    with redis_server.client() as client:
        client.flushall()
    async with asyncio.timeout(10):
        while first.membership.workers == 2:  # noqa: ASYNC110 -- no event
            await asyncio.sleep(0.001)
        cut_off(first)
    assert await most_under_way(pair) == [1, 2]


def test_who_stood_still_must_be_heard_of_anew() -> None:
    """It was taken for dead, and others have counted without it since."""
    state = BackendState(lease=30)
    host = Host(HOST, LIMITS)

    def share() -> int:
        state.answered, state.away_since = -inf, 1.0
        return host.allowed(state, time.monotonic())

    def hear(told: Membership, silent: float) -> None:
        state.tried = time.monotonic() - silent
        state.hear(told)
        state.tried = time.monotonic()

    hear(Membership(2, 0, fresh=True, clock=100.0, heard=90.0), 1)
    assert share() == 0
    hear(Membership(2, 0, clock=101.0, heard=100.5), 1)
    assert share() == 2
    hear(Membership(3, 0, clock=102.0, heard=100.5), 1)
    assert share() == 1, "another has joined, which is known to all when this one has heard of it"
    hear(Membership(2, 0, fresh=True, clock=140.0, heard=139.0), 26)
    assert share() == 0
