from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from scrapy.settings import Settings

from imgcrawl.extensions.verdict import findings
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.verdict import Told, last_reason, report_of, tell, together
from tests.support.redis_server import RedisServer

GOOD = {"image/found": 3, "image/downloaded": 2, "image/failed": 1, "image/failed/timeout": 1, "gallery/count": 1}
NOISE = {"elapsed_time_seconds": 3.5, "log_count/INFO": 7, "start_time": "now", "scheduler/dequeued": 5}


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Queue]:
    store = queue_from_settings(Settings({"REDIS_URL": redis_server.url}), "s")
    yield store
    await store.client.aclose()


async def test_the_counts_of_all_are_added_up(store: Queue) -> None:
    await tell(store, "run", "a", report_of({**GOOD, **NOISE}, ""))
    await tell(store, "run", "a", report_of({**GOOD, **NOISE}, "finished"))  # said twice, counted once
    await tell(store, "other run", "x", report_of(GOOD, "finished"))
    told = await tell(store, "run", "b", report_of({"verdict/error": "b", "list/count": 2, **GOOD}, "shutdown"))
    assert together(told) == {
        "image/found": 6,
        "image/downloaded": 4,
        "image/failed": 2,
        "image/failed/timeout": 2,
        "gallery/count": 2,
        "list/count": 2,
        "verdict/error": "b",
    }
    assert {worker: said.reason for worker, said in told.items()} == {"a": "finished", "b": "shutdown"}
    assert last_reason(told.values()) == "finished"


async def test_the_books_are_right_after_a_kill(store: Queue) -> None:
    under_way = {**GOOD, "image/found": 10}
    told = await tell(store, "run", "killed", report_of(under_way, ""))
    assert not list(findings(together(told), "finished", max_failed=0.5))
    told = await tell(store, "run", "closed", report_of(under_way, "finished"))
    assert "books are wrong" in next(findings(together(told), "finished", max_failed=0.5))


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"1 nonsense", b"1 []", b"x {}", b'1 {"reason": 1, "stats": []}', b"1 " + b"[" * 1_000_000]
)
async def test_what_is_no_report_counts_for_nothing(store: Queue, value: bytes) -> None:
    await store.client.hset(f"{store.prefix}stats:run", b"evil", value)
    assert set(await tell(store, "run", "a", report_of(GOOD, ""))) == {"a"}


async def test_a_stranger_in_the_place_of_the_reports(store: Queue) -> None:
    await store.client.set(f"{store.prefix}stats:run", b"\x80\x04pickle")
    assert set(await tell(store, "run", "a", report_of(GOOD, ""))) == {"a"}
    text = {"reason": "", "stats": {"image/found": "7", "image/failed": [1], "verdict/error": 5}}
    assert together(await tell(store, "run", "b", json.dumps(text))) == together({"a": Told(0, "", GOOD)})
