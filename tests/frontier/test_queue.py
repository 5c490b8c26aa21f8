"""The queue itself, on a real server: leases, fences, order, fairness, strangers' values, runs."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import redis
from scrapy import Request
from scrapy.http import Response
from scrapy.settings import Settings
from scrapy.utils.misc import load_object
from scrapy.utils.test import get_crawler

from imgcrawl.exceptions import InputError
from imgcrawl.frontier import inspect
from imgcrawl.frontier.codec import bucket_of, encode
from imgcrawl.frontier.counted import Counted
from imgcrawl.frontier.leases import Leases
from imgcrawl.frontier.queue import GALLERY, ForeignKeyError, Queue, Reply, queue_from_settings
from imgcrawl.frontier.start_urls import StartUrls
from imgcrawl.frontier.verdict import RunStats
from imgcrawl.shared.connection import check_server
from imgcrawl.spiders.pximg import PximgSpider
from tests.support.crawling import until
from tests.support.processes import patience
from tests.support.redis_server import RedisServer

TAG = "{s:requests}:"


def page(n: int | str, bucket: str = "0:h", kind: str = "c") -> tuple[bytes | str, ...]:
    return (kind, str(n).rjust(12, "_").encode(), bucket, json.dumps({"url": f"http://h/{n}"}).encode())


def numbers(reply: Reply) -> list[str]:
    return [json.loads(request)["url"].removeprefix("http://h/") for _, _, request in reply.leases]


class Worker:
    """A worker of the store that does what it is told."""

    def __init__(self, store: Queue, name: str) -> None:
        self.store = store
        self.name = name
        self.run = ""
        self.held: dict[bytes, str] = {}
        self.reported = 0

    async def join(self, run: str = "", *, persist: bool = False, flush: bool = False) -> str:
        self.run, state = await self.store.join(self.name, run, persist=persist, flush=flush)
        return state

    async def say(
        self,
        *ops: Sequence[bytes | str],
        wanted: int = 0,
        per_host: int = 100,
        flags: str = "",
        sequence: int | None = None,
    ) -> Reply:
        hosts = {host: list(self.held.values()).count(host) for host in self.held.values()}
        reply = await self.store.exchange(
            self.run,
            self.name,
            ops=[tuple(op) for op in ops],
            wanted=wanted,
            per_host=per_host,
            flags=flags,
            sequence=self.reported if sequence is None else sequence,
            hosts=hosts,
            held=list(self.held) if "h" in flags else [],
        )
        self.reported = (self.reported if sequence is None else sequence) + reply.accepted
        for op in ops:
            self.held.pop(op[1], None)
        self.held |= {token: "h" for token, _, _ in reply.leases}
        return reply

    async def done(self, reply: Reply, **options: Any) -> Reply:
        return await self.say(*[("done", token, "") for token, _, _ in reply.leases], **options)


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Queue]:
    store = make(redis_server)
    yield store
    await store.client.aclose()


def make(server: RedisServer, **settings: Any) -> Queue:
    return queue_from_settings(Settings({"REDIS_URL": server.url, **settings}), "s")


async def workers(store: Queue, count: int) -> list[Worker]:
    made = [Worker(store, f"w{n}") for n in range(count)]
    for worker in made:
        await worker.join()
    return made


async def test_a_page_is_leased_once_acknowledged_and_then_the_run_is_done(store: Queue) -> None:
    a, b = await workers(store, 2)
    assert (await a.say(flags="s")).seeder
    assert not (await b.say(flags="s")).seeder
    first = await a.say(page(1), page(2), page(1), ("seeded", "", ""), wanted=1)
    assert (numbers(first), first.added, first.dropped) == (["1"], 2, 1)
    second = await b.say(wanted=5)
    assert numbers(second) == ["2"]
    assert {name: len(held) for name, held in (await inspect.workers(store)).items()} == {"w0": 1, "w1": 1}
    await b.done(second)
    reply = await a.done(first)
    assert reply.state == "running"  # only when nothing waits outside or unsaid
    assert (await a.say(flags="e")).state == "done"
    assert (await b.say()).state == "done"


async def test_children_and_acknowledgement_are_one_step(store: Queue) -> None:
    (a,) = await workers(store, 1)
    lease = await a.say(page(1), ("seeded", "", ""), wanted=1)
    reply = await a.say(page(2), ("done", lease.leases[0][0], ""), flags="e", wanted=1)
    assert (reply.state, numbers(reply)) == ("running", ["2"])


async def test_priority_first_then_hosts_in_turn(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(*[page(f"slow{n}", "0:slow") for n in range(9)])
    await a.say(page("x", "0:x"), page("y", "0:y"), page("late", "-1:x"), page("soon", "7:slow"))
    reply = await a.say(wanted=6)
    assert numbers(reply)[0] == "soon"
    assert set(numbers(reply)[1:4]) == {"slow0", "x", "y"}
    assert numbers(reply)[4:] == ["slow1", "slow2"]
    rest = await a.say(wanted=20)
    assert numbers(rest)[-1] == "late"
    assert [priority for _, priority, _ in rest.leases][-1] == b"-1"


async def test_a_host_has_no_more_than_its_share_of_a_worker(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(*[page(n, "5:slow") for n in range(9)], page("other", "0:other"))
    reply = await a.say(wanted=9, per_host=3)
    assert numbers(reply) == ["0", "1", "2", "other"]


@pytest.mark.parametrize("priorities", [3, 3000])
async def test_a_host_of_which_a_worker_has_enough_hides_no_other(
    redis_server: RedisServer, store: Queue, priorities: int
) -> None:
    """However many priorities its pages have; what that costs the server does not grow with them."""
    (a,) = await workers(store, 1)
    for first in range(0, priorities, 500):
        await a.say(*[page(n, f"{n + 5}:h") for n in range(first, min(first + 500, priorities))])
    await a.say(page("other", "0:other"), page("late", "-3:h"))
    held = await a.say(wanted=1, per_host=1)
    assert numbers(held) == [str(priorities - 1)]
    with redis_server.client() as client:
        client.config_resetstat()
        reply = await a.say(wanted=9, per_host=1)
        commands = client.info("commandstats")
    assert numbers(reply) == ["other"]
    assert sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("zrange", "zpopmin", "zadd")) <= 6
    rest, reply = [], held
    while (reply := await a.done(reply, wanted=400)).leases:
        rest += numbers(reply)
    assert rest == [str(n) for n in reversed(range(priorities - 1))] + ["late"]


async def test_a_late_worker_still_finds_work(store: Queue) -> None:
    a, b = await workers(store, 2)
    reply = await a.say(*[page(n) for n in range(10)], wanted=16)
    assert len(reply.leases) == 5
    assert len((await b.say(wanted=16)).leases) == 5


async def test_dead_workers_pages_go_back_in_time_and_it_is_fenced_off(redis_server: RedisServer) -> None:
    store = make(redis_server, FRONTIER_LEASE_TIMEOUT=1)
    a, b = await workers(store, 2)
    taken = await a.say(page(1), page(2), ("seeded", "", ""), wanted=1)
    began = time.monotonic()
    found: Reply = await b.say(wanted=1)
    assert numbers(found) == ["2"]
    await b.done(found)
    while numbers(found) != ["1"]:
        assert time.monotonic() - began < patience(1), "not within FRONTIER_LEASE_TIMEOUT"
        await asyncio.sleep(store.settings.heartbeat_interval)
        found = await b.say(wanted=1)
    assert found.leases[0][0] != taken.leases[0][0]
    back = await a.say(("done", taken.leases[0][0], ""), ("failed", taken.leases[0][0], "x"), flags="h")
    assert (back.status, back.fenced, back.done) == ("rejoined", 2, 1)
    assert (await b.done(found)).done == 2
    await store.client.aclose()


async def test_nobody_is_dead_because_the_server_was_away(redis_server: RedisServer) -> None:
    store = make(redis_server, FRONTIER_LEASE_TIMEOUT=1)
    a, b = await workers(store, 2)
    await b.say(page(1), wanted=1)
    await asyncio.sleep(1.1)
    assert (await a.say(wanted=1)).status == "ok"
    assert (await b.say()).status == "ok"
    assert (await inspect.counts(store))["leased"] == 1
    await store.client.aclose()


async def test_leaving_gives_back_at_once_and_in_order(store: Queue) -> None:
    a, b = await workers(store, 2)
    await a.say(*[page(n) for n in range(6)], wanted=3)
    await a.say(flags="l")
    assert numbers(await b.say(wanted=9)) == ["0", "1", "2", "3", "4", "5"]
    counts = await inspect.counts(store)
    assert (counts["redelivered"], list(await inspect.workers(store))) == (0, ["w1"])


async def test_leases_that_a_worker_never_learnt_of_go_back(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(page(1), page(2), wanted=1)
    a.held.clear()  # as after an answer that was lost
    assert numbers(await a.say(wanted=9, flags="h")) == ["1", "2"]


async def test_a_page_that_fails_again_and_again_is_set_aside_and_can_be_put_back(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(page(1), ("seeded", "", ""))
    for n in range(5):
        reply = await a.say(wanted=1)
        assert numbers(reply) == ["1"]
        await a.say(("failed", reply.leases[0][0], f"ValueError: no {n}"))
    assert not (await a.say(wanted=1)).leases
    (dead,) = await inspect.dead(store)
    assert (dead["reason"], dead["failures"], json.loads(dead["request"])["url"]) == (
        "ValueError: no 4",
        5,
        "http://h/1",
    )
    assert (await a.say(flags="e")).state == "done"
    assert (await inspect.counts(store))["dead"] == 1
    assert await store.requeue() == 1
    assert numbers(await a.say(wanted=1)) == ["1"]
    assert (await inspect.counts(store))["dead"] == 0


async def test_the_page_that_kills_is_found_and_its_neighbours_are_not_blamed(redis_server: RedisServer) -> None:
    store = make(redis_server, FRONTIER_LEASE_TIMEOUT=1)
    (observer,) = await workers(store, 1)
    await observer.say(*[page(n) for n in range(5)], page("killer"))
    done: set[str] = set()
    for n in range(40):
        worker = Worker(store, f"victim{n}")
        await worker.join()
        # The killer ends its worker before anything else is reported.
        while reply := await worker.say(wanted=9):
            if not reply.leases or "killer" in numbers(reply):
                break
            done |= set(numbers(reply))
            await worker.done(reply)
        if not reply.leases:
            break
        # As `reap` does it, without the wait.
        await store.client.zadd(f"{TAG}workers", {worker.name: 1})
        await observer.say()
    assert done == {"0", "1", "2", "3", "4"}
    (dead,) = await inspect.dead(store)
    assert (json.loads(dead["request"])["url"], dead["deaths"]) == ("http://h/killer", 5)
    assert "died" in dead["reason"]
    await store.client.aclose()


async def test_a_retry_takes_the_place_of_its_page(store: Queue) -> None:
    (a,) = await workers(store, 1)
    reply = await a.say(page(1, "3:h"), wanted=1)
    again = await a.say(("again", reply.leases[0][0], b'2:h\n{"url":"http://h/1","meta":{"retry_times":1}}'), wanted=9)
    assert [(priority, b"retry_times" in request) for _, priority, request in again.leases] == [(b"2", True)]
    assert (await inspect.counts(store))["done"] == 0


async def test_who_waits_hears_of_work_within_100_ms(store: Queue) -> None:
    a, b, c = await workers(store, 3)
    waited = []
    for number in (1, 3, 5, 7, 9):  # the quickest of five: the machine may have been late, but not with each
        for worker in (b, c):
            assert (await worker.say(wanted=4)).short
        waiting = [asyncio.create_task(store.wait(worker.name, 10)) for worker in (b, c)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await a.say(page(number))
        done, pending = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        waited.append(time.monotonic() - began)
        assert len(done) == 1  # one page, one worker
        await a.say(page(number + 1))
        await asyncio.wait(pending, timeout=5)
        assert all(task.done() for task in waiting)
        for worker in (b, c):
            await worker.done(await worker.say(wanted=4))
    assert min(waited) < 0.1


async def test_the_end_wakes_everyone(store: Queue) -> None:
    a, b, c = await workers(store, 3)
    for worker in (b, c):
        await worker.say(wanted=1)
    waiting = [asyncio.create_task(store.wait(worker.name, 10)) for worker in (b, c)]
    await asyncio.sleep(0.05)
    assert (await a.say(("seeded", "", ""), flags="e")).state == "running"  # a woken worker may be the feeder
    for worker in (a, b, c):
        await worker.say(flags="e")
    assert {(await worker.say()).state for worker in (a, b, c)} == {"done"}
    assert await asyncio.gather(*waiting) == [True, True]


async def heard(store: Queue, worker: Worker) -> bool:
    """Whether *worker*, which waits, is told within 100 ms that there is news."""
    return await store.wait(worker.name, 0.1)


@pytest.mark.parametrize("attempt", range(8))  # a wake-up that goes to anybody goes to the right one half of the time
async def test_news_go_to_whoever_has_nothing_not_to_whoever_cannot_use_them(store: Queue, attempt: int) -> None:
    a, b, c = await workers(store, 3)
    assert numbers(await a.say(page(1), wanted=4)) == ["1"]
    assert (await b.say(wanted=4)).short
    # One page more: a, which has one, would get none, as b is to have its share.
    await c.say(page(2))
    assert await heard(store, b)
    assert not (await a.say(wanted=4)).leases
    # And another, by a itself.
    assert numbers(await b.done(await b.say(wanted=4), wanted=4)) == []
    assert not (await a.say(page(3), wanted=4)).leases
    assert await heard(store, b)
    assert numbers(await b.say(wanted=4)) == ["3"]


async def test_the_last_page_done_by_another_is_news_for_the_steward(store: Queue) -> None:
    feeder, other = await workers(store, 2)
    assert (await feeder.say(page(1), ("seeded", "", ""))).feeder
    last = await other.say(wanted=1)
    assert (await feeder.say(wanted=4, flags="e")).state == "running"
    assert (await other.done(last, wanted=4, flags="e")).state == "running"
    assert await heard(store, feeder)
    assert (await feeder.say(wanted=4, flags="e")).state == "done"
    assert await heard(store, other)


async def test_pages_that_a_newcomer_takes_from_the_dead_are_news_for_all(store: Queue) -> None:
    dead, waiting = await workers(store, 2)
    await dead.say(page(1), page(2), wanted=1)
    await waiting.done(await waiting.say(wanted=1))
    assert (await waiting.say(wanted=4)).short
    await store.expire_worker(dead.name)
    newcomer = Worker(store, "newcomer")
    await newcomer.join()
    assert await heard(store, waiting)
    assert numbers(await waiting.say(wanted=4)) == ["1"]


async def test_whoever_queues_does_not_wake_itself(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(*[page(n) for n in range(9)], wanted=1)
    await a.say(wanted=99, per_host=1)
    await a.say(page("more"), wanted=99, per_host=1)
    assert not await heard(store, a)


async def test_leases_of_one_answer_are_few_where_they_are_large(store: Queue) -> None:
    (a,) = await workers(store, 1)
    sizes = [100_000, 100_000, 100_000, 500_000, 10, 10]
    noise = random.Random(1).randbytes(max(sizes)).hex()  # which half of its size can hold
    ops = [
        ("u", b"", "0:h", json.dumps({"url": f"http://h/{n}", "body": noise[: 2 * size]}).encode())
        for n, size in enumerate(sizes)
    ]
    reply = await a.say(*ops, wanted=9)
    assert (numbers(reply), reply.short) == (["0", "1"], False)
    rest = [await a.say(wanted=9) for _ in range(3)]
    assert [(numbers(reply), reply.short) for reply in rest] == [(["2"], False), (["3"], False), (["4", "5"], True)]


async def test_a_server_that_came_back_older_has_the_pages_in_hand_done_again(tmp_path: Path) -> None:
    """It knows of a page that it is leased, but not of the children that were queued from it."""
    with RedisServer(tmp_path, "--appendonly", "no") as server, server.client() as client:
        store = make(server)
        a, b = await workers(store, 2)
        taken = await a.say(page(1), page(2), wanted=1, flags="s")
        client.save()
        assert (await a.say(page("child"), sequence=2)).status == "ok"
        server.kill()
        server.start()
        await store.client.connection_pool.disconnect()
        a.held.clear()
        back = await a.say(("done", taken.leases[0][0], ""), ("seeded", "", ""), sequence=3, flags="s")
        assert (back.status, back.fenced, back.done, back.seeded, back.seeder) == ("older", 1, 0, False, True)
        assert (await a.say(sequence=5)).status == "ok"
        assert (await b.say()).status == "ok"
        assert numbers(await b.say(wanted=1)) == ["1"]
        await store.client.aclose()


async def test_seeding_passes_to_a_worker_that_can(store: Queue) -> None:
    a, b = await workers(store, 2)
    assert (await a.say(flags="s")).seeder
    assert (await b.say(page(1))).error == ""
    await a.say(flags="l")
    assert not (await b.say()).seeder
    assert (await b.say(flags="s")).seeder


@pytest.mark.parametrize(("flags", "error"), [("s", "start() killed its worker 5 times"), ("si", "")])
async def test_a_start_that_kills_its_workers_ends_and_one_whose_workers_are_silent_does_not(
    store: Queue, flags: str, error: str
) -> None:
    """A machine with too much to do leaves each of them standing for longer than its lease, again and again."""
    a, b = await workers(store, 2)
    await a.say(page(1), flags="s")
    for silent, other in [(a, b), (b, a)] * 3:
        await store.client.zadd(f"{TAG}workers", {silent.name: 1})
        reply = await other.say(flags="s")
        assert reply.seeder or reply.error
        back = await silent.say(flags=flags)
        assert back.status == "rejoined"
    assert back.error == error


async def test_a_finished_run_is_followed_by_a_new_one_and_a_stopped_one_goes_on(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(page(1), page(2), ("seeded", "", ""), flags="s")
    await a.say(flags="l")  # stopped
    run = a.run
    b = Worker(store, "b")
    await b.join(flush=False)
    assert b.run == run
    assert (await b.say()).seeded
    reply = await b.say(wanted=2)
    await b.done(reply)
    assert (await b.say(flags="e")).state == "done"
    late = Worker(store, "late")
    assert await late.join() == "done"  # others are still leaving
    await late.say(flags="l")
    await b.say(flags="l")
    await store.sweep()
    assert [key async for key in store.client.scan_iter(f"{TAG}seen:*")] == []
    c = Worker(store, "c")
    assert await c.join() == "running"
    assert c.run != run
    assert (await c.say(page(1), wanted=1)).added == 1
    assert (await inspect.counts(store))["done"] == 0


async def test_persist_keeps_what_was_seen_and_a_named_run_is_done_once(store: Queue) -> None:
    a = Worker(store, "a")
    await a.join("monday", persist=True)
    await a.done(await a.say(page(1), ("seeded", "", ""), wanted=1, flags="p"))
    assert (await a.say(flags="ep")).state == "done"
    await a.say(flags="lp")
    again = Worker(store, "again")
    assert await again.join("monday", persist=True) == "done"
    await again.say(flags="lp")
    b = Worker(store, "b")
    assert await b.join("tuesday", persist=True) == "running"
    assert (await b.say(page(1), page(2))).added == 1
    # A start page is for every run, once a run.
    start = ("s", b"tuesday-----" + page(1)[1], "0:h", page(1)[3])
    assert [(await b.say(start)).added for _ in range(2)] == [1, 0]


async def test_flush_on_start_only_when_alone(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(page(1))
    b = Worker(store, "b")
    await b.join(flush=True)
    assert b.run == a.run
    await a.say(flags="l")
    await b.say(flags="l")
    c = Worker(store, "c")
    await c.join(flush=True)
    assert c.run != a.run
    assert (await inspect.counts(store))["queued"] == 0


async def test_clear_asks_for_nobody_to_be_there(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(page(1))
    assert not await store.clear()
    assert await store.clear(force=True)
    assert (await a.say(wanted=1)).status == "gone"
    counts = await inspect.counts(store)
    assert (counts["queued"], counts["seen"], counts["workers"]) == (0, 0, 0)


HOSTILE: dict[str, bytes] = {
    "pickle": pickle.dumps({"url": "http://x/"}),
    "not utf-8": b"\xff\xfe\x00",
    "nesting": b"[" * 10_000_000,
    "empty": b"",
    "number": b"12345678901234567890",
}


KINDS = {
    **dict.fromkeys(("", "workers", "waiting", "priorities:h"), "zset"),  # "": the queue itself
    **dict.fromkeys(("run", "sequences", "hosts", "seen", "leases:w0", "seen:1:0"), "hash"),
    **dict.fromkeys(("dead", "rejected", "quarantined", "garbage", "wake:w1", "queue:0:h", "backlog:0"), "list"),
    "clock": "string",
}


def write(client: redis.Redis, kind: str, key: str, value: bytes) -> None:
    {
        "string": lambda: client.set(key, value),
        "list": lambda: client.rpush(key, value),
        "set": lambda: client.sadd(key, value),
        "zset": lambda: client.zadd(key, {value: 1}),
        "hash": lambda: client.hset(key, value, value),
        "stream": lambda: client.xadd(key, {b"f": value}),
    }[kind]()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", ["string", "list", "set", "zset", "hash", "stream"])
async def test_another_kind_of_value_in_any_key_ends_the_worker_in_one_sentence(
    redis_server: RedisServer, store: Queue, kind: str, name: str
) -> None:
    if kind == KINDS[name]:
        pytest.skip("what is ours")
    a, b = await workers(store, 2)
    await a.say(*[page(n) for n in range(3)], flags="s", wanted=1)
    await b.say(wanted=2, flags="h")
    key = f"{TAG}{name}" if name else store.key
    with redis_server.client() as client:
        ours = client.dump(key)
        client.delete(key)
        write(client, kind, key, b"theirs")
        with pytest.raises(ForeignKeyError, match=r"key .* holds a \w+, expected .*SCHEDULER_QUEUE_KEY") as refusal:
            for worker in (a, b):
                await worker.say(page("x", "0:h"), wanted=9, flags="h")
            if name in ("backlog:0", "priorities:h"):  # looked at when the list of a host is empty
                await a.done(await a.say(wanted=9), wanted=9)
        assert key in str(refusal.value)
        # It was removed, and nothing is lost: what is queued is done by whoever comes.
        client.delete(key)
        if ours:
            client.restore(key, 0, ours)
    seen = set()
    for worker in (a, b):
        await worker.say(flags="l")
    c = Worker(store, "c")
    await c.join()
    while (reply := await c.say(wanted=9, flags="s")).leases:
        seen |= set(numbers(reply))
        await c.done(reply)
    assert {"0", "1", "2"} <= seen
    assert (await c.say(("seeded", "", ""), flags="se")).state == "done"


@pytest.mark.parametrize("name", [name for name in KINDS if name != "clock"])
async def test_a_foreign_value_in_any_key_is_counted_and_the_crawl_goes_on(
    redis_server: RedisServer, store: Queue, name: str
) -> None:
    a, b = await workers(store, 2)
    held = [await a.say(*[page(n) for n in range(4)], flags="s", wanted=1), await b.say(wanted=1)]
    key = f"{TAG}{name}" if name else store.key
    with redis_server.client() as client:
        for value in HOSTILE.values():
            write(client, KINDS[name], key, value)
    seen: list[bytes] = []

    async def done(worker: Worker, reply: Reply, **options: Any) -> Reply:
        """What a worker of ours makes of it."""
        seen.extend(request for _, _, request in reply.leases)
        ends = [("done" if b"http" in request else "reject", token, "") for token, _, request in reply.leases]
        return await worker.say(*ends, **options)

    assert (await a.say(page("x", "0:other"), page("y", "1:fine"), flags="sh")).status == "ok"
    await done(a, held[0])
    await done(b, held[1])
    await a.say(("seeded", "", ""), flags="s")
    for _ in range(40):
        for worker in (a, b):
            await done(worker, await worker.say(wanted=9, flags="ehs"), flags="es")
            await store.wait(worker.name, 0.005)
        if (await a.say(flags="es")).state == "done":
            break
    assert (await b.say(flags="e")).state == "done"
    assert {b'{"url": "http://h/%s"}' % n for n in (b"0", b"1", b"2", b"3", b"x", b"y")} <= set(seen)
    assert not any(len(request) > store.settings.max_request_size for request in seen)
    await store.requeue()
    await a.say(flags="l")
    await store.sweep()
    counts = await inspect.counts(store)
    # What was rejected is where foreign values belong; a hash of what was seen is looked at when it is split; names
    # beside ours in these two change nothing.
    assert counts["rejected"] >= 1 or name in ("rejected", "seen:1:0", "seen", "sequences", "hosts")
    assert counts["queued"] == 0
    await inspect.dead(store)
    await inspect.rejected(store)
    await inspect.workers(store)


async def test_what_stands_among_the_fingerprints_is_told_when_they_are_split(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await store.client.hset(f"{TAG}seen:1:0", b"\x80\x04pickle", b"x")
    await a.say(*[page(n) for n in range(200)])
    assert (await inspect.counts(store))["rejected"] == 1
    assert (await a.say(*[page(n) for n in range(200)])).added == 0


async def test_fingerprints_that_are_said_to_be_without_number_are_not_removed_one_by_one(store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(*[page(n) for n in range(2000)])
    await store.client.hset(f"{TAG}seen", "hashes", 9 * 10**15)
    await store.client.rpush(f"{TAG}garbage", "1:9007199254740991", "7:999999999999")
    await a.say(flags="l")
    async with asyncio.timeout(60):
        await store.sweep()
        await store.clear(force=True)
    assert not await store.client.llen(f"{TAG}garbage")


async def test_pages_that_somebody_removed_are_told_and_no_end(redis_server: RedisServer, store: Queue) -> None:
    (a,) = await workers(store, 1)
    await a.say(*[page(n) for n in range(3)], ("seeded", "", ""))
    with redis_server.client() as client:
        client.delete(store.key)
    with pytest.raises(ForeignKeyError, match="lacks 3 pages that were queued"):
        await a.say(flags="e", wanted=9)


async def test_a_report_that_is_repeated_is_not_done_twice(store: Queue) -> None:
    a, b = await workers(store, 2)
    taken = await a.say(page(1), wanted=1)
    token = taken.leases[0][0]
    # Of a retry, of a page that is to be fetched each time, and of the end of another; after an answer that was lost.
    batch = [page("twice", kind="u"), ("failed", token, "x"), page("more", kind="u")]
    first = await a.say(*batch, sequence=1)
    again = await a.say(*batch, page("late", kind="u"), sequence=1, flags="h")
    assert [(r.status, r.accepted, r.added, r.fenced) for r in (first, again)] == [("ok", 3, 2, 0), ("ok", 4, 1, 0)]
    # Even when its leases had expired meanwhile.
    await store.expire_worker(a.name)
    await b.say()
    back = await a.say(*batch, page("late", kind="u"), sequence=1)
    assert (back.status, back.accepted, back.added, back.queued) == ("rejoined", 4, 0, 4)
    rest = [*numbers(await b.say(wanted=9)), *numbers(await a.say(wanted=9))]
    assert sorted(rest) == ["1", "late", "more", "twice"]


@pytest.mark.parametrize("jump", [3600, -3600, 86400 * 365])
async def test_a_clock_that_jumps_expires_nobody_and_keeps_nobody_alive(redis_server: RedisServer, jump: int) -> None:
    store = make(redis_server, FRONTIER_LEASE_TIMEOUT=1)
    a, b = await workers(store, 2)
    await a.say(page(1), ("seeded", "", ""), wanted=1)
    # What the server's clock was at the last call: as if it had jumped since, or another server had taken over.
    clock, wall = map(int, (await store.client.get(f"{TAG}clock")).split())
    await store.client.set(f"{TAG}clock", f"{clock} {wall - 1000 * jump}")
    late = Worker(store, "late")
    await late.join()
    assert set(await inspect.workers(store)) == {"w0", "w1", "late"}
    assert (await a.say()).status == (await b.say()).status == "ok"
    # And whoever is gone is gone in time, by the clock that is now.
    began = time.monotonic()
    while not numbers(await b.say(wanted=1)):
        assert time.monotonic() - began < patience(1.3)
        await asyncio.sleep(store.settings.heartbeat_interval)
    await store.client.aclose()


async def test_a_full_server_takes_what_ends_a_page_and_no_new_ones(own_redis_server: RedisServer) -> None:
    store = make(own_redis_server)
    a, b = await workers(store, 2)
    taken = await a.say(*[page(n) for n in range(4)], wanted=2, flags="s")
    assert taken.has_room
    memory = await store.client.info("memory")
    await store.client.config_set("maxmemory", int(memory["used_memory"] * 1.2))
    assert not (await a.say(flags="s")).has_room  # for start pages: the rest is for what pages lead to
    assert (await b.say(page("child"))).accepted == 1
    await store.client.config_set("maxmemory", int(memory["used_memory"] * 0.9))
    ends = [("done", token, "") for token, _, _ in taken.leases]
    reply = await a.say(page(0), ends[0], page("new"), ends[1], wanted=1, flags="s")
    assert (reply.accepted, reply.dropped, reply.added, reply.done, reply.has_room) == (2, 1, 0, 1, False)
    after = await a.say(ends[1], wanted=1)
    assert (after.accepted, len(after.leases)) == (1, 1)  # and leases go on, which make room
    newcomer = Worker(store, "newcomer")
    assert await newcomer.join() == "running"
    await RunStats(store, a.run, "w0").report({"image/found": 1}, Counted(Leases(1, 1)))
    assert (await a.say(flags="l")).accepted == 0
    await store.client.config_set("maxmemory", 0)
    assert (await b.say(page("new"))).accepted == 1
    await store.client.aclose()


async def test_hosts_without_number_are_all_served_and_priorities_hold(store: Queue) -> None:
    """A thousand hosts have lists of their own; the pages of the others wait behind them, and none is forgotten."""
    (a,) = await workers(store, 1)
    for at in range(0, 3000, 500):
        await a.say(*[page(n, f"0:h{n % 2500}") for n in range(at, at + 500)])
    assert await store.client.zcard(store.key) < 1100
    await a.say(*[page(f"soon{n}", f"1:s{n}") for n in range(3)], ("seeded", "", ""))
    found: list[str] = []
    while (reply := await a.say(wanted=300)).leases:
        found += numbers(reply)
        await a.done(reply)
    assert set(found[:3]) == {"soon0", "soon1", "soon2"}
    assert sorted(found[3:]) == sorted(str(n) for n in range(3000))
    assert (await a.say(flags="e")).state == "done"
    assert await store.client.keys(f"{TAG}queue:*") + await store.client.keys(f"{TAG}backlog:*") == []


async def test_an_exchange_and_a_verdict_make_as_many_calls_for_hundreds_of_workers_and_thousands_of_hosts(
    redis_server: RedisServer, store: Queue
) -> None:
    crowd = await workers(store, 10)

    def calls_since() -> int:
        with redis_server.client() as client:
            stats = client.info("commandstats")
            client.config_resetstat()
        return sum(int(each["calls"]) for name, each in stats.items() if "info" not in name and "config" not in name)

    async def costs() -> list[int]:
        """Calls within ten exchanges that lease a page, acknowledge it and queue another, and within ten reports."""
        verdicts = [RunStats(store, worker.run, worker.name) for worker in crowd[:10]]
        leased = [await worker.say(wanted=1) for worker in crowd[:10]]
        calls_since()
        for number, (worker, lease) in enumerate(zip(crowd, leased, strict=False)):
            await worker.say(("done", lease.leases[0][0], ""), page(f"{len(crowd)}-{hosts}-{number}", "0:h1"), wanted=1)
        exchanges = calls_since()
        for verdict in verdicts:
            await verdict.report({"image/found": 1}, Counted(Leases(1, 1)))
        return [exchanges, calls_since()]

    hosts = 10
    await crowd[0].say(*[page(n, f"0:h{n % hosts}") for n in range(400)])
    few = await costs()
    crowd += [Worker(store, f"more{n}") for n in range(290)]
    for worker in crowd[10:]:
        await worker.join()
        await worker.say(wanted=0)
        await RunStats(store, worker.run, worker.name).report({"image/found": 1}, Counted(Leases(1, 1)))
    more_workers = await costs()
    hosts = 3000
    for at in range(400, 3400, 500):
        await crowd[0].say(*[page(n, f"0:h{n}") for n in range(at, at + 500)])
    more_hosts = await costs()
    assert min(few) >= 10
    for cost in (more_workers, more_hosts):
        assert all(now <= before * 1.2 for now, before in zip(cost, few, strict=True)), (few, cost)


@pytest.mark.parametrize("kind", ["list", "set", "zset", "string", "hash"])
async def test_outsiders_feed_any_kind_of_key(redis_server: RedisServer, store: Queue, kind: str) -> None:
    with redis_server.client() as client:
        for n in range(3):
            {
                "list": lambda n: client.lpush("s:start_urls", n),
                "set": lambda n: client.sadd("s:start_urls", n),
                "zset": lambda n: client.zadd("s:start_urls", {n: n}),
                "string": lambda n: client.set("s:start_urls", n),
                "hash": lambda n: client.hset("s:start_urls", n, n),
            }[kind](n)
    start_urls = StartUrls(store)
    foreign, fed = await start_urls.take()
    values = [each.value for each in fed]
    if kind in ("string", "hash"):
        assert (len(foreign), values) == (1, [])
        return
    assert (foreign, sorted(values)) == ([], [b"0", b"1", b"2"])
    if kind != "set":
        assert values == [b"2", b"1", b"0"]
    assert await start_urls.take() == ([], fed)  # until it is queued it is there, under the same ids
    assert len({each.id for each in fed}) == 3
    assert await start_urls.waiting() == 3
    await start_urls.taken(fed)
    assert await start_urls.take() == ([], [])
    assert await start_urls.waiting() == 0


MIDDLEWARES = (
    "imgcrawl.spidermiddlewares.PageUrlMiddleware",
    "scrapy.spidermiddlewares.referer.RefererMiddleware",
    "scrapy.spidermiddlewares.depth.DepthMiddleware",
)


@pytest.mark.parametrize("hosts", [1, 20_000])
async def test_bytes_of_a_seen_and_queued_page(redis_server: RedisServer, store: Queue, hosts: int) -> None:
    """SCRAPY-FACTS: scrapy-redis takes 88 and 417 bytes. The request is the one that `pximg` makes of a gallery, with
    what Scrapy's middlewares and ours add, as it travels, and is queued as it is there."""
    (a,) = await workers(store, 1)
    count = 20_000
    crawler = get_crawler(PximgSpider)
    spider = crawler.spider = PximgSpider.from_crawler(crawler)
    added_to = [load_object(each).from_crawler(crawler).get_processed_request for each in MIDDLEWARES]

    def gallery(n: int) -> tuple[str, bytes]:
        host = "www.pximg.com" if hosts == 1 else f"www.{sha256(b'%d' % n).hexdigest()[:9]}.com"
        address = f"https://{host}/topic/nvshen/page/{n // 25 + 1}"
        page = Response(address, request=Request(address, meta={"depth": n // 25}))
        made = spider.gallery_request(f"https://{host}/meinv/{39211 + n}.html")
        for add in added_to:
            add(made, page)
        assert made.headers["Referer"] and made.meta["page_url"] == address and made.meta["task"] == "gallery"
        return bucket_of(made) + GALLERY, encode(made, spider, 10_000)

    def used() -> int:
        with redis_server.client() as client:
            # Some servers free in the background; buffers of clients and scripts are not what is measured.
            until(lambda: client.info("memory")["lazyfree_pending_objects"] == 0)
            size: int = client.info("memory")["used_memory_dataset"]
            return size

    await a.say()
    before = used()
    prints = [sha256(b"%d" % n).digest()[:12] for n in range(count)]
    for at in range(0, count, 500):
        ops = [("c", prints[n], *gallery(n)) for n in range(at, at + 500)]
        await a.say(*ops)
    size = (used() - before) / count
    assert size < 150, size
    assert (await inspect.counts(store))["seen"] == count
    assert (await a.say(*[("c", fingerprint, "0:h", b"{}") for fingerprint in prints[::40]])).added == 0
    reply = await a.say(wanted=9)
    assert len(reply.leases) == 9
    for _, _, request in reply.leases:
        assert b'"callback":"parse_gallery","errback":"gallery_failed"' in request


async def test_a_cluster_takes_all_keys_in_one_slot(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--cluster-enabled", "yes") as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True))
        store = make(server)
        await check_server(store, server.url)
        assert "Cluster" in type(store.client).__name__
        (a,) = await workers(store, 1)
        assert numbers(await a.say(page(1), wanted=1)) == ["1"]
        await store.client.lpush("s:start_urls", "http://h/2")
        start_urls = StartUrls(store)
        await start_urls.wait(5)
        ((fed,)) = (await start_urls.take())[1]
        assert fed.value == b"http://h/2"
        await start_urls.taken([fed])
        assert await store.wait(a.name, 0.05) is False
        await start_urls.wait(0.05)
        await store.client.aclose()


def test_sentinel_speaks_as_the_address_says(redis_server: RedisServer) -> None:
    store = make(
        redis_server, REDIS_URL="rediss://me:secret@h/3?ssl_ca_certs=x", REDIS_PARAMS={"sentinels": [("127.0.0.1", 1)]}
    )
    pool = store.client.connection_pool
    assert pool.connection_class.__name__ == "SentinelManagedSSLConnection"
    said = {"username": "me", "password": "secret", "db": 3, "ssl_ca_certs": "x"}
    assert said.items() <= pool.connection_kwargs.items()


async def test_what_cannot_be_used_is_told_in_one_sentence(own_redis_server: RedisServer) -> None:
    with pytest.raises(InputError, match="REDIS_URL ftp://x"):
        make(own_redis_server, REDIS_URL="ftp://x")
    with pytest.raises(InputError, match="FRONTIER_LEASE_TIMEOUT='soon'"):
        make(own_redis_server, FRONTIER_LEASE_TIMEOUT="soon")
    with pytest.raises(InputError, match="SCHEDULER_QUEUE_KEY"):
        make(own_redis_server, SCHEDULER_QUEUE_KEY="%(who)s:requests")
    with pytest.raises(InputError, match=r"REDIS_PARAMS: .* expected a JSON object") as refusal:
        make(own_redis_server, REDIS_PARAMS='{"password": "secret"')
    assert "secret" not in str(refusal.value)
    for where in ({}, {"sentinels": [("127.0.0.1", 1)]}):
        with pytest.raises(InputError, match=r"with REDIS_PARAMS: .* unexpected keyword argument 'charset'"):
            make(own_redis_server, REDIS_PARAMS={"charset": "utf-8", **where})
    for url, shown in {
        "redis://:secret/x@host:1/0": "redis://host:1/0",
        "redis://:12/secret@host:1/0": "redis://host:1/0",
        "me:secret@host:1": "host:1",
        "redis://:se cret@host:port": "redis://host:port",
        "unix://:sec/ret@/run/r.sock": "unix:///run/r.sock",
        "redis://me:secret@host:1/0?socket_timeout=long": "redis://host:1/0?socket_timeout=long",
    }.items():
        with pytest.raises(
            InputError, match=re.escape(f"REDIS_URL {shown} cannot be read; expected redis://")
        ) as refusal:
            make(own_redis_server, REDIS_URL=url)
        assert "ret" not in str(refusal.value).replace(shown, "")
    with own_redis_server.client() as client:
        client.config_set("requirepass", "secret")
    try:
        store = make(own_redis_server)
        with pytest.raises(InputError, match=r"refuses us .* expected a user and password"):
            await check_server(store, own_redis_server.url)
        store = make(own_redis_server, REDIS_PARAMS={"password": "secret"})
        await check_server(store, own_redis_server.url)
        await store.client.aclose()
    finally:
        with redis.Redis.from_url(own_redis_server.url.replace("//", "//:secret@")) as client:
            client.config_set("requirepass", "")


async def test_a_server_that_drops_keys_is_told_of_once(
    own_redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = make(own_redis_server)

    async def told(limit: str, policy: str) -> list[str]:
        await store.client.config_set("maxmemory", limit)
        await store.client.config_set("maxmemory-policy", policy)
        for _ in range(2):
            await check_server(store, own_redis_server.url)
        return [record.getMessage() for record in caplog.records]

    assert await told("0", "allkeys-lru") == []
    assert await told("100mb", "noeviction") == []
    (sentence,) = await told("100mb", "volatile-lru")
    assert sentence == (
        f"REDIS_URL {own_redis_server.url}: when its 104857600 bytes are full the server drops what it was given"
        " to keep (maxmemory-policy volatile-lru); expected noeviction"
    )
    await store.client.aclose()
