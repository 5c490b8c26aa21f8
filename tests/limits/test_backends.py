"""Both backends keep the same promises; the shared one keeps them for all workers together."""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise

import pytest
from redis.exceptions import ResponseError
from scrapy.settings import Settings

import imgcrawl.limits.notes
from imgcrawl.limits.backend import MAX_BLOCK, HostLimits, LimitGrant, LimitRequest, LimitsBackend
from imgcrawl.limits.local import LocalLimits
from imgcrawl.limits.redis import RedisLimits, limits_from_settings
from tests.support.redis_server import RedisServer

LIMITS = HostLimits(concurrency=8)
PACED = HostLimits(concurrency=8, target=4.0, first=0.5)


async def ask(backend: LimitsBackend, limits: HostLimits = LIMITS, **what: float | str | None) -> LimitGrant:
    _, (grant,) = await backend.exchange([LimitRequest("host.example", limits, **what)])  # type: ignore[arg-type]  # a field each
    return grant


async def starts_of(backend: LimitsBackend, limits: HostLimits, count: int) -> list[tuple[float, float]]:
    """Start times that are granted, each as the earliest and latest that it can be: the answer takes a moment."""
    clock = asyncio.get_running_loop().time
    sent = clock()
    grant = await ask(backend, limits, want=count, starts=count)
    heard = clock()
    return [(sent + start, heard + start) for start in grant.starts]


def gaps_of(starts: list[tuple[float, float]]) -> tuple[float, float, float]:
    """The shortest and the longest gap that there certainly is, and the mean."""
    shortest = min(latest - earliest for (earliest, _), (_, latest) in pairwise(starts))
    longest = max(earliest - latest for (_, latest), (earliest, _) in pairwise(starts))
    return shortest, longest, (starts[-1][0] - starts[0][0]) / (len(starts) - 1)


def shared(server: RedisServer, worker: str = "", **settings: object) -> RedisLimits:
    return limits_from_settings(Settings({"REDIS_URL": server.url, **settings}), "pximg", worker)


@pytest.fixture
async def workers(redis_server: RedisServer) -> AsyncIterator[list[RedisLimits]]:
    """Twelve workers of one crawl."""
    async with AsyncExitStack() as stack:
        backends = [shared(redis_server, f"worker-{number:02}") for number in range(12)]
        for backend in backends:
            await backend.open()
            stack.push_async_callback(backend.close)
        yield backends


class Contract:
    async def test_no_more_than_the_concurrency(self, backend: LimitsBackend) -> None:
        assert (await ask(backend, want=3)).permits == 3
        assert (await ask(backend, keep=3, want=100)).permits == 8
        assert (await ask(backend, keep=8, want=0)).permits == 8, "what is in use cannot be taken back"
        assert (await ask(backend, keep=0, want=0)).permits == 0

    async def test_no_delay_needs_no_start_times(self, backend: LimitsBackend) -> None:
        grant = await ask(backend, want=3, starts=3)
        assert (grant.delay, grant.starts) == (0.0, ())

    async def test_start_times_keep_the_delay(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, delay=0.02, jitter=0.5)
        starts = [start for _ in range(20) for start in await starts_of(backend, limits, 8)]
        shortest, longest, mean = gaps_of(starts)
        assert shortest >= 0.0099
        assert longest <= 0.0301
        assert 0.016 < mean < 0.024

    async def test_no_gap_is_shorter_than_the_floor(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, delay=0.01, jitter=1.0, floor=0.05)
        starts = (await ask(backend, limits, want=8, starts=8)).starts
        assert len(starts) > 3
        assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.0499

    async def test_the_delay_follows_the_latency_as_autothrottles(self, backend: LimitsBackend) -> None:
        assert (await ask(backend, PACED, want=1)).delay == 0.5
        assert (await ask(backend, PACED, answers=1, latency=0.4)).delay == pytest.approx(0.3)
        assert (await ask(backend, PACED, answers=2, latency=0.4)).delay == pytest.approx(0.15)
        assert (await ask(backend, PACED, answers=1, latency=8.0)).delay == pytest.approx(2.0), "up at once"
        assert (await ask(backend, PACED, answers=1, latency=8000.0)).delay == PACED.longest

    async def test_trouble_doubles_the_delay_once_for_all_that_were_under_way(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, delay=0.2)
        first = await ask(backend, limits, trouble=0.5, why="503")
        assert first.delay == pytest.approx(0.4)
        again = await ask(backend, limits, trouble=0.3, why="503")
        assert again.delay == first.delay, "sent before the first slowed us"
        assert again.epoch == first.epoch
        await asyncio.sleep(0.01)
        later = await ask(backend, limits, trouble=0.0, why="503")
        assert later.delay == pytest.approx(0.8)
        assert later.epoch > first.epoch

    async def test_a_503_is_bounded_by_what_answers_take_and_a_429_is_not(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, delay=0.2)
        delays = []
        for why in ("503", "429"):
            for _ in range(4):
                await asyncio.sleep(0.01)
                delays.append((await ask(backend, limits, trouble=0.001, why=why)).delay)
        assert delays[3] == pytest.approx(0.2)
        assert delays[7] == pytest.approx(3.2)

    async def test_trouble_without_a_delay_makes_one(self, backend: LimitsBackend) -> None:
        assert (await ask(backend, trouble=0.0)).delay == pytest.approx(0.1)

    async def test_good_answers_add_to_the_speed(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, speedup=100)
        await ask(backend, limits, trouble=0.0)
        await asyncio.sleep(0.1)
        assert (await ask(backend, limits)).delay == pytest.approx(0.1), "silence is no good answer"
        await ask(backend, limits, answers=1, latency=0.01)
        await asyncio.sleep(0.1)
        eased = (await ask(backend, limits, answers=1, latency=0.01)).delay
        assert 0.02 < eased < 0.05, "10 a second, and 100 more in each second"
        await asyncio.sleep(0.5)
        assert (await ask(backend, limits, answers=1, latency=0.01)).delay == 0.0

    async def test_a_recovery_does_not_wait_for_start_times_of_the_slow_days(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, speedup=100)
        for _ in range(5):
            await ask(backend, limits, trouble=0.0)
            await asyncio.sleep(0.001)
        slow = await ask(backend, limits, want=8, starts=1)
        assert slow.starts[0] > 1.5, "doubled four times from 0.1"
        await asyncio.sleep(0.1)
        eased = await ask(backend, limits, want=8, starts=1, answers=1, latency=0.01)
        assert eased.epoch > slow.epoch, "they are void"
        assert 0.25 < eased.starts[0] < 0.5
        again = await ask(backend, limits, want=8, starts=1, answers=1, latency=0.01)
        assert again.epoch == eased.epoch, "and those of the new speed are not"

    async def test_nothing_starts_while_a_host_is_blocked(self, backend: LimitsBackend) -> None:
        limits = HostLimits(concurrency=8, delay=0.01)
        before = await ask(backend, limits, want=8, starts=1)
        grant = await ask(backend, limits, want=8, starts=3, block=2.0, why="429")
        assert grant.epoch > before.epoch
        assert 1.9 < grant.blocked <= 2.0
        assert min(grant.starts) > 1.9
        assert 1.8 < (await ask(backend, limits, want=8, block=0.5)).blocked <= 2.0, "the longest counts"
        assert (await ask(backend, limits, want=8, block=1e9)).blocked < MAX_BLOCK + 1e-6  # a difference of two clocks

    async def test_a_very_long_wait_is_believed_when_the_next_answers_say_the_same(
        self, backend: LimitsBackend
    ) -> None:
        assert (await ask(backend, doubts=2, doubted=5000.0)).blocked == 0
        assert (await ask(backend, answers=1, latency=0.1, doubts=1, doubted=5000.0)).blocked == 0
        assert (await ask(backend, doubts=1, doubted=5000.0)).blocked == 0
        assert 4999 < (await ask(backend, doubts=1, doubted=5000.0)).blocked < 5001

    async def test_after_a_request_without_a_delay_a_new_one_is_kept(self, backend: LimitsBackend) -> None:
        await ask(backend, want=1)
        grant = await ask(backend, replace(LIMITS, floor=1.0), want=1, starts=1)
        assert grant.starts[0] > 0.9


class TestLocal(Contract):
    @pytest.fixture
    def backend(self) -> LocalLimits:
        return LocalLimits()


class TestShared(Contract):
    @pytest.fixture
    async def backend(self, redis_server: RedisServer) -> AsyncIterator[RedisLimits]:
        backend = shared(redis_server)
        await backend.open()
        yield backend
        await backend.close()

    async def test_the_same_answers_make_the_same_delay(self, backend: RedisLimits) -> None:
        local, dice = LocalLimits(), random.Random(5)
        limits = replace(PACED, speedup=1e-9)  # recovery is a matter of time, which passes
        for _ in range(200):
            what = {
                "answers": dice.randrange(4),
                "latency": dice.uniform(0, 3),
                "trouble": dice.choice([None, None, 0.0]),
            }
            here, there = await ask(local, limits, **what), await ask(backend, limits, **what)
            assert here.delay == pytest.approx(there.delay, rel=1e-4)

    async def test_together_never_more_than_the_concurrency(self, workers: list[RedisLimits]) -> None:
        dice = random.Random(3)
        held = [0] * len(workers)
        most = 0
        for _ in range(1500):
            number = dice.randrange(len(workers))
            keep = dice.randint(0, held[number])
            grant = await ask(workers[number], keep=keep, want=keep + dice.randrange(10))
            assert grant.permits >= keep
            held[number] = grant.permits
            most = max(most, sum(held))
        assert most == 8

    async def test_who_was_told_that_there_are_more_is_not_told_again_before_it_asks(
        self, workers: list[RedisLimits]
    ) -> None:
        first, second = workers[:2]
        key = f"{first.key}:wake:{first.worker}"
        await ask(first, want=8)
        await ask(second, want=8)
        await ask(first, keep=4, want=8)
        assert (await ask(second, want=8)).permits == 4
        for _ in range(2):
            await first.store.client.delete(key)
            await ask(second, keep=3, want=3)
            await ask(second, keep=2, want=2)
            assert await first.store.client.llen(key) == 1
            assert (await ask(first, keep=4, want=8)).permits == 6
            await ask(second, want=8)
            await ask(first, keep=4, want=8)
            assert (await ask(second, keep=2, want=8)).permits == 4

    async def test_together_start_times_keep_the_delay(self, workers: list[RedisLimits]) -> None:
        limits = HostLimits(concurrency=20, delay=0.03)
        starts = [start for _ in range(10) for worker in workers for start in await starts_of(worker, limits, 1)]
        assert len(starts) == 120
        shortest, _, mean = gaps_of(starts)
        assert shortest >= 0.0299
        assert mean >= 0.0295

    async def test_whoever_has_more_than_its_share_is_told_and_nobody_starves(self, workers: list[RedisLimits]) -> None:
        """Twelve workers that always want more, and a concurrency of two."""
        limits = HostLimits(concurrency=2)
        served = {worker.worker: 0 for worker in workers}

        async def work(worker: RedisLimits) -> None:
            permits = 0
            while min(served.values()) < 2:
                grant = await ask(worker, limits, keep=permits, want=3)
                permits = grant.permits
                if permits:
                    served[worker.worker] += 1
                    await asyncio.sleep(grant.turn)
                    permits = min(permits, grant.share)
                if not permits:
                    await ask(worker, limits, keep=0, want=3)
                    await worker.changed_hosts(0.5)

        async with asyncio.timeout(20):
            await asyncio.gather(*map(work, workers))

    async def test_a_dead_worker_gives_back_what_it_had(self, redis_server: RedisServer) -> None:
        dead, other = (shared(redis_server, name, FRONTIER_LEASE_TIMEOUT=1) for name in ("dead", "other"))
        await dead.open()
        await other.open()
        assert (await ask(dead, want=8)).permits == 8
        assert (await ask(other, want=8)).permits == 0
        await asyncio.sleep(1.05)
        assert (await ask(other, want=8)).permits == 8
        grant = await ask(dead, keep=3, want=5, limits=replace(LIMITS, delay=0.01), starts=5)
        assert grant.permits == 3, "it was not dead: what it has under way counts"
        assert (grant.share, grant.turn, grant.starts) == (0, 0, ()), "but the other has it, too: nothing new is begun"
        assert (await ask(other, keep=8, want=8)).share == 4
        assert (await ask(other, keep=5, want=8)).permits == 5
        await dead.close()
        await other.close()

    async def test_slower_is_told_to_all(self, workers: list[RedisLimits]) -> None:
        first, second, *_ = workers
        await ask(first, want=1)
        await ask(second, keep=0, want=1)
        await ask(first, keep=1, want=1, trouble=0.0, why="503")
        assert await second.changed_hosts(2) == ["host.example"]
        assert (await ask(second, keep=1, want=1)).delay == pytest.approx(0.1)
        count, hosts, (status,) = await first.status()
        assert (count, hosts) == (2, 1)
        assert (status.why, status.by, status.permits) == ("503", first.worker, 2)

    async def test_after_a_loss_nobody_gets_more_until_all_have_told(
        self, workers: list[RedisLimits], redis_server: RedisServer
    ) -> None:
        first, second, *_ = workers
        assert (await ask(first, want=8)).permits == 8
        with redis_server.client() as client:
            client.flushdb()
        membership, (grant,) = await second.exchange([LimitRequest("host.example", LIMITS, want=8)], before=True)
        assert membership.fresh
        assert grant.permits == 0
        assert (await ask(first, keep=8, want=8)).permits == 8

    async def test_strangers_values_do_no_harm(self, workers: list[RedisLimits], redis_server: RedisServer) -> None:
        first, *_ = workers
        await ask(first, want=1)
        with redis_server.client() as client:
            key = f"{first.key}:host:host.example"
            client.hset(
                key, mapping={"paced": "nan", "blocked": "-5", "w:worker-00": "many", "epoch": "x", "last": "inf"}
            )
            assert (await ask(first, PACED, want=1)).permits == 1
            await first.status()
            client.hset(f"{first.key}:notes", "robots", b"9999999999999 \n\xff[")
            assert await first.notes.recall("robots") is None
            client.hset(key, mapping={"last": 1e11, "blocked": 1e11, "slowed": 1e11})
            grant = await ask(first, want=1, starts=1)
            assert (grant.blocked, grant.delay) == (MAX_BLOCK, LIMITS.longest), "no more than anybody could have said"

    @pytest.mark.parametrize("field", ["w:{}", "{}", "w:worker-{}"])
    async def test_very_many_fields_of_a_host_are_removed_and_take_nobodys_turn(
        self, workers: list[RedisLimits], redis_server: RedisServer, field: str
    ) -> None:
        first = workers[0]
        key = f"{first.key}:host:host.example"
        for count in (4_900, 10_000):
            with redis_server.client() as client:
                client.hset(key, mapping={field.format(n): "1 1 1 0" for n in range(1000, count)})
                client.hset(key, mapping={"why": "x" * 100_000, "concurrency": LIMITS.concurrency})
            assert (await ask(first, want=1)).permits == 1
            assert len((await first.status())[2][0].why) <= 200
            with redis_server.client() as client:
                assert client.hlen(key) < 30

    async def test_notes_stay_readable_whatever_others_write_beside_them(
        self, workers: list[RedisLimits], redis_server: RedisServer
    ) -> None:
        notes, note = workers[0].notes, {"rules": "x"}
        for value in ("x", "-5", "1e9", "9" * 30, "7" * 100_000):
            with redis_server.client() as client:
                client.set(f"{notes.key}:bytes", value)
            await notes.remember("robots", note, 60)
            assert await notes.recall("robots") == note
        for name in ("", ":used", ":bytes"):
            with redis_server.client() as client:
                client.delete(notes.key + name)
                client.sadd(notes.key + name, "theirs")
            await notes.remember("robots", note, 60)
            assert await notes.recall("robots") == note, name

    async def test_whatever_stands_in_redis_a_grant_is_within_the_limits(
        self, workers: list[RedisLimits], redis_server: RedisServer
    ) -> None:
        chosen, first = random.Random(7), workers[0]
        fields = ["last", "paced", "slowed", "slowed_at", "eased_at", "blocked", "epoch", "doubts", "why", "by", "at"]
        fields += ["known", "concurrency", "delay", "w:worker-01", "w:" + first.worker, "w:nobody", "w:"]
        values = ["nan", "-nan", "inf", "-1e308", "1e11", "0x10", "", "-0", "9" * 400, "\xff\0", "1 2 3 0", "1 1 1 1 1"]
        values += ["1e5 1e5 -1 0", "-3 9 nan 1", "%s %d", str(2**63), "5 5 1e11 0"]
        for _ in range(300):
            with redis_server.client() as client, client.pipeline() as pipe:
                for key in (f"{first.key}:host:host.example", f"{first.key}:clock"):
                    names = fields if key.endswith("example") else ["at", "server", "wall", "settled"]
                    pipe.hset(key, mapping={chosen.choice(names): chosen.choice(values) for _ in range(4)})
                for name in (
                    first.key,
                    f"{first.key}:ranks",
                    f"{first.key}:waiting:host.example",
                    f"{first.key}:hosts",
                ):
                    scored = float(chosen.choice(["inf", "-inf", "1e300", "-1", "0"]))
                    pipe.zadd(
                        first.key + name, {chosen.choice(["host.example", "worker-01", first.worker, "\n"]): scored}
                    )
                pipe.execute()
            grant = await ask(first, LIMITS, want=3, starts=5, keep=1)
            assert 1 <= grant.permits <= LIMITS.concurrency
            assert 0 <= grant.delay <= LIMITS.longest
            assert 0 <= grant.blocked <= MAX_BLOCK
            assert len(grant.starts) <= 5
            assert all(0 <= start <= MAX_BLOCK + 200 * LIMITS.longest for start in grant.starts)
            await first.status()
            assert await first.notes.spend("run", {"pages": 1}) != {}

    @pytest.mark.parametrize("name", ["", ":hosts", ":clock"])
    async def test_a_foreign_key_is_named(
        self, name: str, workers: list[RedisLimits], redis_server: RedisServer
    ) -> None:
        first, *_ = workers
        await ask(first, want=1)
        with redis_server.client() as client:
            client.delete(first.key + name)
            client.set(first.key + name, "a string")
            with pytest.raises(
                ResponseError, match=f"WRONGTYPE a string in the place of {re.escape(first.key + name)} "
            ):
                await ask(first, want=1)
            client.delete(first.key + name)

    @pytest.mark.parametrize("name", [":host:host.example", ":waiting:host.example"])
    async def test_what_stands_in_the_place_of_one_host_is_set_aside(
        self, name: str, workers: list[RedisLimits], redis_server: RedisServer
    ) -> None:
        first, *_ = workers
        with redis_server.client() as client:
            client.set(first.key + name, "a string")
            grant = await ask(first, want=1)
            assert grant.permits >= 1
            assert client.get(f"{first.key}{name} is not ours") == b"a string"

    async def test_the_notes(self, workers: list[RedisLimits]) -> None:
        first, second, *_ = workers
        assert await first.notes.claim("robots", 60)
        assert not await second.notes.claim("robots", 60)
        assert await second.notes.recall("robots") is None
        await first.notes.remember("robots", {"rules": "Disallow: /"}, 60)
        assert await second.notes.recall("robots") == {"rules": "Disallow: /"}
        assert not await second.notes.claim("robots", 60), "it is known by now"
        assert await second.notes.claim("robots", 60, anew=True)
        assert await first.notes.recall("robots") is None
        assert await first.notes.spend("run", {"pages ": 2}) == {"pages ": 2}
        assert await second.notes.spend("run", {"pages ": 3, "bytes h": 1}) == {"pages ": 5, "bytes h": 1}
        assert await first.notes.spend("run", {"bytes h": 0}) == {"bytes h": 1}, "no more than was asked for"

    async def test_a_worker_that_has_not_joined_yet_keeps_what_it_claims(self, workers: list[RedisLimits]) -> None:
        first, second, *_ = workers
        assert await first.notes.claim("robots", 60)
        await ask(second, want=1)  # who is one of the workers, and sees that the first is not
        assert not await second.notes.claim("robots", 60)
        assert await first.notes.claim("older", 60)
        (old,) = await first.store.client.hmget(first.notes.key, "older")
        ends, rest = old.split(b" ", 1)
        await first.store.client.hset(first.notes.key, "older", b"%.3f %s" % (float(ends) - 6, rest))
        assert await second.notes.claim("older", 60), "it died before it joined"

    async def test_what_strangers_say_is_bounded_for_all_hosts_together(self, workers: list[RedisLimits]) -> None:
        """A robots.txt of 300 KB that cannot be compressed, of each of a hundred hosts."""
        notes = workers[0].notes
        for number in range(100):
            text = base64.b64encode(random.randbytes(225_000)).decode()
            await notes.remember(f"robots:{number}", {"rules": text}, 86400)
            assert await notes.recall("robots:0"), "used again and again"
        client = workers[0].store.client
        assert 12e6 < await client.memory_usage(notes.key, samples=0) < 18e6
        assert 1 < await client.ttl(notes.key) <= 2 * 86400
        assert await notes.recall("robots:99")
        assert await notes.recall("robots:1") is None, "used least recently"

    async def test_many_small_notes_are_bounded_in_number(
        self, workers: list[RedisLimits], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(imgcrawl.limits.notes, "MAX_COUNT", 50)
        notes = workers[0].notes
        for number in range(200):
            await notes.remember(f"robots:{number}", {"rules": ""}, 86400)
        assert await workers[0].store.client.hlen(notes.key) == 50
        assert await notes.recall("robots:199") == {"rules": ""}

    async def test_hosts_that_nobody_asks_for_are_forgotten(
        self, workers: list[RedisLimits], redis_server: RedisServer
    ) -> None:
        first, *_ = workers
        await first.exchange([LimitRequest(f"{number}.example", LIMITS, want=1) for number in range(20)])
        await first.exchange([LimitRequest(f"{number}.example", LIMITS) for number in range(20)])
        await first.exchange([LimitRequest("blocked.example", LIMITS, block=5000.0)])
        first._clock._ahead += 700  # so much later
        for number in range(10):
            await first.exchange([LimitRequest(f"new-{number}.example", LIMITS)])
        _, hosts, _ = await first.status()
        assert hosts == 11
        with redis_server.client() as client:
            assert len(client.keys("*:host:*")) == 11, "the new ones, and the one that is blocked"
            assert all(client.ttl(key) > 0 for key in client.keys("*limits*"))

    async def test_an_exchange_costs_the_same_for_a_thousand_workers_at_one_host(
        self, redis_server: RedisServer
    ) -> None:
        """By what it reads of the server: a crowd that waits is not walked."""
        crowd = [shared(redis_server, "w0")]
        await crowd[0].open()
        crowd += [RedisLimits(crowd[0].store, crowd[0].url, f"w{number}") for number in range(1, 1000)]

        async def cost(count: int) -> float:
            for worker in crowd[:count]:
                await ask(worker, want=4)
            with redis_server.client() as client:
                client.config_resetstat()
                for worker in crowd[:10]:
                    await ask(worker, want=4)
                calls = client.info("commandstats")
            assert calls["cmdstat_evalsha"]["calls"] == 10
            return float(calls["cmdstat_evalsha"]["usec"])

        few = min([await cost(20) for _ in range(3)])
        many = min([await cost(1000) for _ in range(3)])
        await crowd[0].close()
        assert many < 4 * few
