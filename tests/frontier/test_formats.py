"""A queue that another release has left in Redis: brought to the format of this one, or refused, never guessed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from imgcrawl.frontier.queue import FORMAT, ForeignKeyError, Queue
from tests.frontier.test_queue import TAG, Worker, make, numbers, page
from tests.support.redis_server import GivenServer, RedisServer

# What the release before format 2 wrote (510b395^), with eight pages of hosts h to m: 5 is done, 6 failed once, 6 and 1
# are in the hands of worker w0, the others wait.
LEFT = Path(__file__).with_name("format-1.json")


def lay(client: Any) -> None:
    for key, value in json.loads(LEFT.read_text("utf-8")).items():
        if isinstance(value, str):
            client.set(key, value)
        elif isinstance(value, list):
            client.rpush(key, *(element.encode("latin-1") for element in value))
        elif isinstance(next(iter(value.values())), float):
            client.zadd(key, value)
        else:
            client.hset(key, mapping={field: text.encode("latin-1") for field, text in value.items()})


@pytest.fixture
async def store(redis_server: RedisServer | GivenServer) -> AsyncIterator[Queue]:
    with redis_server.client() as client:
        lay(client)
    store = make(redis_server)
    yield store
    await store.client.aclose()


async def join(store: Queue) -> Worker:
    worker = Worker(store, "new")
    worker.run, _ = await store.join("new", "", persist=True, flush=False, arguments={"pages": "3"})
    return worker


async def test_a_queue_of_an_older_release_is_gone_on_with_once_its_workers_are_gone(store: Queue) -> None:
    with pytest.raises(
        ForeignKeyError, match=r"queue of another release .*\(format 1, expected 2\): let its workers end"
    ):
        await join(store)
    assert await store.client.hget(f"{TAG}run", "format") is None
    await store.expire_worker("w0")
    worker = await join(store)
    assert await store.client.hget(f"{TAG}run", "format") == str(FORMAT).encode()
    reply = await worker.say(page(3), page(5, "7:h"), page(9), wanted=20)
    assert (reply.dropped, reply.added) == (2, 1)  # 3 waits, 5 is done: both were seen
    assert sorted(numbers(reply)) == ["1", "2", "3", "4", "6", "7", "8", "9"]
    priorities = [int(priority) for _, priority, _ in reply.leases]
    assert priorities == sorted(priorities, reverse=True) == [7, 0, 0, 0, 0, 0, -5, -5]
    assert (await worker.done(reply, flags="e")).state == "done"
    assert await store.client.keys(f"{TAG}queue:*") == []


async def test_a_queue_of_an_older_release_can_be_cleared(store: Queue) -> None:
    assert not await store.clear()
    assert await store.clear(force=True)
    left = await store.client.keys()
    assert not [key for key in left if b":queue:" in key or b":leases:" in key or b":run" in key], left
    assert await store.client.exists("s:requests") == 0


async def test_a_queue_of_a_newer_release_is_refused_and_left_as_it_is(store: Queue, redis_server: RedisServer) -> None:
    await store.expire_worker("w0")
    await store.client.hset(f"{TAG}run", "format", "3")
    with redis_server.client() as client:
        before = _contents(client)
        for use in (join, Queue.clear, Queue.requeue):
            with pytest.raises(ForeignKeyError, match=r"\(format 3, expected 2\)"):
                await use(store)
        clock = f"{TAG}clock".encode()
        assert {key: value for key, value in _contents(client).items() if key != clock} == {
            key: value for key, value in before.items() if key != clock
        }


async def test_a_strangers_value_in_the_place_of_the_format_is_none(store: Queue) -> None:
    await store.expire_worker("w0")
    await store.client.hset(f"{TAG}run", "format", "the newest")
    worker = await join(store)
    assert len(numbers(await worker.say(wanted=20))) == 7
    (entry,) = await store.client.lrange(f"{TAG}rejected", 0, -1)
    assert b"not a format" in entry


def _contents(client: redis.Redis) -> dict[Any, Any]:
    return {key: client.dump(key) for key in client.keys("*")}  # type: ignore[union-attr] -- not an awaitable here
