from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from scrapy.settings import Settings

from imgcrawl.extensions.verdict import findings
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.verdict import RunStats, last_reason, reporters, run_stats, summed
from tests.support.redis_server import RedisServer

GOOD = {"image/found": 3, "image/downloaded": 2, "image/failed": 1, "image/failed/timeout": 1}
GOOD |= {"gallery/count": 1, "item_scraped_count": 1}
NOISE = {"elapsed_time_seconds": 3.5, "log_count/INFO": 7, "start_time": "now", "scheduler/dequeued": 5}


@pytest.fixture
async def queue(redis_server: RedisServer) -> AsyncIterator[Queue]:
    queue = queue_from_settings(Settings({"REDIS_URL": redis_server.url}), "s")
    yield queue
    await queue.client.aclose()


def doubled(stats: dict[str, int]) -> dict[str, int]:
    return {name: 2 * value for name, value in stats.items()}


async def test_the_counts_of_all_are_added_up(queue: Queue) -> None:
    a, b = RunStats(queue, "run", "a"), RunStats(queue, "run", "b")
    assert await a.report({**GOOD, **NOISE}) == (1, 1)
    await a.report({**GOOD, **NOISE}, "finished")
    await RunStats(queue, "other run", "x").report(GOOD, "finished")
    assert (await b.report({"list/count": 2, "verdict/error": "first", **GOOD})).awaited == 1
    assert await a.report({**GOOD, "verdict/error": "second"}, "finished") == (1, 2)
    assert (await b.report({"list/count": 3, **doubled(GOOD)}, "shutdown")).awaited == 0
    sums = await run_stats(queue, "run")
    assert sums == {
        "image/found": 9,
        "image/downloaded": 6,
        "image/failed": 3,
        "image/failed/timeout": 3,
        "gallery/count": 3,
        "item_scraped_count": 3,
        "list/count": 3,
        "verdict/error": "first",
        "reason/finished": 1,
        "reason/shutdown": 1,
    }
    assert last_reason(sums) == "finished"
    assert await reporters(queue, "run") == {"a": True, "b": True}


async def test_a_report_that_is_repeated_adds_nothing_and_what_the_server_lost_is_added_again(queue: Queue) -> None:
    a = RunStats(queue, "run", "a")
    await a.report(GOOD)
    keys = await queue.client.keys(f"{queue.prefix}stats:run*")
    older = {key: await queue.client.dump(key) for key in keys}
    await a.report(doubled(GOOD))
    a._number = 1  # as after an answer that was lost
    await a.report(doubled(GOOD))
    assert (await run_stats(queue, "run"))["image/downloaded"] == 4
    for key, value in older.items():
        await queue.client.restore(key, 0, value, replace=True)
    assert (await run_stats(queue, "run"))["image/downloaded"] == 2
    await a.report(doubled(GOOD))
    assert (await run_stats(queue, "run"))["image/downloaded"] == 4
    await queue.client.flushdb()
    await a.report(doubled(GOOD))
    assert (await run_stats(queue, "run"))["image/downloaded"] == 4


async def test_the_books_are_right_after_a_kill(queue: Queue) -> None:
    under_way = {**GOOD, "image/found": 10}
    await RunStats(queue, "run", "killed").report(under_way)
    assert not list(findings(await run_stats(queue, "run"), "finished", max_failed=0.5))
    await RunStats(queue, "run", "closed").report(under_way, "finished")
    assert "books are wrong" in next(findings(await run_stats(queue, "run"), "finished", max_failed=0.5))


@pytest.mark.parametrize("value", [b"", b"\xff", b"1 nonsense", b"1e9", b"9" * 5000, b"[" * 1_000_000])
async def test_what_is_no_count_counts_for_nothing(queue: Queue, value: bytes) -> None:
    for name in ("image/found", "nonsense", "\x00", "image/" + "x" * 100):
        await queue.client.hset(f"{queue.prefix}stats:run", name, value)
    await RunStats(queue, "run", "a").report(GOOD)
    assert await run_stats(queue, "run") == GOOD


async def test_another_kind_of_value_in_the_place_of_the_sums(queue: Queue) -> None:
    for name in ("", ":workers", ":open"):
        await queue.client.set(f"{queue.prefix}stats:run{name}", b"\x80\x04pickle")
    await RunStats(queue, "run", "a").report(GOOD)
    assert await run_stats(queue, "run") == GOOD


@pytest.mark.parametrize("number", ["x", "007", "-1", "9" * 400, ""])
async def test_a_number_of_a_report_that_is_none_of_ours_is_not_waited_for(queue: Queue, number: str) -> None:
    a = RunStats(queue, "run", "a")
    await a.report(GOOD)
    await queue.client.hset(f"{queue.prefix}stats:run:workers", "a", number)
    async with asyncio.timeout(20):
        await a.report(GOOD)
        await a.report(doubled(GOOD))
    assert (await run_stats(queue, "run"))["image/downloaded"] >= 4


async def test_the_more_workers_there_are_the_less_often_each_reports(queue: Queue) -> None:
    await queue.client.hset(f"{queue.prefix}stats:run:workers", mapping={str(n): 1 for n in range(999)})
    a = RunStats(queue, "run", "a")
    assert (await a.report(GOOD)).workers == 1000
    assert a.interval == 5


def test_a_gallery_whose_images_are_under_way_is_not_scraped_until_its_worker_has_closed() -> None:
    stats = {"gallery/count": 5, "gallery/failed": 2, "item_scraped_count": 4, "item/error": 1}
    assert summed(stats, closed=False)["gallery/count"] == 3
    assert summed(stats, closed=True)["gallery/count"] == 5
    assert summed({"gallery/count": 5, "item_scraped_count": 9}, closed=False)["gallery/count"] == 5
    stopped = {"gallery/count": 5, "gallery/failed": 3, "gallery/failed/stopped": 1, "image/found": 9, "image/bytes": 7}
    stopped |= {"image/failed": 2, "image/failed/stopped": 2, "image/downloaded": 7}
    again = {"gallery/count": 2, "gallery/failed": 1, "gallery/failed/stopped": 1, "image/found": 4}
    again |= {"image/failed": 2, "image/failed/stopped": 2, "image/downloaded": 2}
    sums = {name: number for name, number in summed(stopped | given_back(again), closed=True).items() if number}
    assert sums == {
        "gallery/count": 3, "gallery/failed": 2, "image/found": 5, "image/downloaded": 5, "image/bytes": 7
    }  # fmt: skip


async def test_what_a_worker_that_dies_had_counted_of_pages_that_others_do_again_is_taken_back(queue: Queue) -> None:
    run, _ = await queue.join("killed", "run", persist=False, flush=False, arguments={})
    settled = {
        "gallery/count": 1,
        "image/found": 2,
        "image/downloaded": 1,
        "image/failed": 1,
        "image/failed/timeout": 1,
    }
    more = {"image/found": 9, "image/downloaded": 3, "image/bytes": 30, "list/count": 1}
    await RunStats(queue, run, "killed").report({**GOOD, **more}, settled=settled)
    await RunStats(queue, run, "other").report(GOOD, settled=GOOD)
    assert (await run_stats(queue, run))["image/downloaded"] == 5
    await queue.expire_worker("killed")
    await queue.join("other", "run", persist=False, flush=False, arguments={})
    sums = await run_stats(queue, run)
    assert sums == {**settled, "list/count": 1, "image/bytes": 30, "item_scraped_count": 2} | {
        name: settled[name] + GOOD[name] for name in settled
    }


async def test_one_that_has_closed_keeps_its_counts(queue: Queue) -> None:
    run, _ = await queue.join("a", "run", persist=False, flush=False, arguments={})
    await (a := RunStats(queue, run, "a")).report(GOOD, settled={})
    await a.report(GOOD, "finished", settled={})
    await queue.expire_worker("a")
    await queue.join("other", "run", persist=False, flush=False, arguments={})
    assert (await run_stats(queue, run))["image/downloaded"] == 2


def given_back(stats: dict[str, int]) -> dict[str, int]:
    return {f"given_back/{name}": number for name, number in stats.items()}
