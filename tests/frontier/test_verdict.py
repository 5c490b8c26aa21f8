from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import cast

import pytest
from scrapy import Request
from scrapy.settings import Settings

from imgcrawl.frontier import inspect
from imgcrawl.frontier.counted import Counted, as_text
from imgcrawl.frontier.leases import Leases, Page
from imgcrawl.frontier.lessons import SharedLessons
from imgcrawl.frontier.queue import GALLERY, Queue, Reply, queue_from_settings
from imgcrawl.frontier.queues import Queues
from imgcrawl.frontier.run import RunState, SharedRun
from imgcrawl.frontier.verdict import RunStats, last_reason, reporters, run_stats, summed
from imgcrawl.workers.terminal import Terminal
from imgcrawl.workers.watch import Watch
from tests.frontier.test_queue import Worker, page
from tests.support.redis_server import RedisServer

GOOD = {"image/found": 3, "image/downloaded": 2, "image/failed": 1, "image/failed/timeout": 1}
GOOD |= {"gallery/count": 1, "item_scraped_count": 1}
LISTS = {"list/count": 2, "row/count": 2, "command/run": 1}
NO_PAGES = Counted(Leases(1, 1))
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
    assert (await a.report({**LISTS, **NOISE}, NO_PAGES))[:3] == (1, 1, [])
    await a.report({**LISTS, **NOISE}, NO_PAGES, "finished")
    await RunStats(queue, "other run", "x").report(LISTS, NO_PAGES, "finished")
    assert (await b.report({**LISTS, "verdict/error": "first"}, NO_PAGES)).awaited == 1
    assert (await a.report({**LISTS, "verdict/error": "second"}, NO_PAGES, "finished"))[:3] == (1, 2, [])
    assert (await b.report(doubled(LISTS), NO_PAGES, "shutdown")).awaited == 0
    sums = await run_stats(queue, "run")
    assert sums == {
        "list/count": 6,
        "row/count": 6,
        "command/run": 3,
        "verdict/error": "first",
        "reason/finished": 1,
        "reason/shutdown": 1,
    }
    assert last_reason(sums) == "finished"
    assert await reporters(queue, "run") == {"a": True, "b": True}


async def test_a_report_that_is_repeated_adds_nothing_and_what_the_server_lost_is_added_again(queue: Queue) -> None:
    a = RunStats(queue, "run", "a")
    await a.report(LISTS, NO_PAGES)
    keys = await queue.client.keys(f"{queue.prefix}stats:run*")
    older = {key: await queue.client.dump(key) for key in keys}
    await a.report(doubled(LISTS), NO_PAGES)
    a._number = 1  # as after an answer that was lost
    await a.report(doubled(LISTS), NO_PAGES)
    assert (await run_stats(queue, "run"))["row/count"] == 4
    for key, value in older.items():
        await queue.client.restore(key, 0, value, replace=True)
    assert (await run_stats(queue, "run"))["row/count"] == 2
    await a.report(doubled(LISTS), NO_PAGES)
    assert (await run_stats(queue, "run"))["row/count"] == 4
    await queue.client.flushdb()
    await a.report(doubled(LISTS), NO_PAGES)
    assert (await run_stats(queue, "run"))["row/count"] == 4


async def test_all_hear_what_one_has_learned_and_one_corrects_what_all_have_told(queue: Queue) -> None:
    a, b = RunStats(queue, "run", "a"), RunStats(queue, "run", "b")
    await a.report({"placeholder/x": 1, "image/downloaded": 5}, NO_PAGES)
    counted = Counted(Leases(1, 1))
    run = SimpleNamespace(id="1500-b", state=RunState.RUNNING, counted=counted)
    lessons = SharedLessons(cast("SharedRun", run))
    answer = await b.report({}, counted)
    assert abs(answer.clock / 1000 - time.time()) < 60
    lessons.hear(answer.learned, 0)
    assert list(lessons.learned) == ["placeholder/x"]
    assert lessons.since_if_done is None
    run.state = RunState.DONE
    assert lessons.since_if_done == 1.5
    lessons.hear([], time.time() + 3600)
    assert -3700 < lessons.since_if_done < -3590

    counted.by_pages["image/downloaded"] = 1  # with the page's end
    lessons.count_beside({"image/downloaded": -3, "image/failed": 3}, {"image/downloaded": -1})
    await b.report({"image/downloaded": 0}, counted, "finished")
    sums = await run_stats(queue, "run")
    assert (sums["image/downloaded"], sums["image/failed"]) == (2, 3)


@pytest.mark.parametrize(("is_over", "is_done", "where"), [(0, 0, "page"), (1, 1, "beside"), (1, 0, "nowhere")])
def test_what_is_counted_anew_is_counted_where_it_was(is_over: int, is_done: int, where: str) -> None:
    counted, page = Counted(Leases(1, 1)), Page(b"t", "h", b"f")
    if is_over:
        counted.settle(page, is_done=bool(is_done))
    with counted.anew(page):
        counted.count("image/failed", 1)
    assert counted.page is None
    assert (page.counted["image/failed"] == 1) == (where == "page")
    assert (summed({"image/failed": 1}, counted.by_pages)["image/failed"] == 1) == (where == "beside")


async def test_what_is_nothing_after_all_is_nothing_for_all(queue: Queue) -> None:
    a = RunStats(queue, "run", "a")
    await a.report({"feed/missing": 2}, NO_PAGES)  # as long as the feed is not closed
    await a.report({"feed/missing": 0}, NO_PAGES)
    assert await run_stats(queue, "run") == {"feed/missing": 0}


@pytest.mark.parametrize("value", [b"", b"\xff", b"1 nonsense", b"1e9", b"9" * 5000, b"[" * 1_000_000])
async def test_what_is_no_count_counts_for_nothing(queue: Queue, value: bytes) -> None:
    for name in ("list/count", "nonsense", "\x00", "image/" + "x" * 100):
        await queue.client.hset(f"{queue.prefix}stats:run", name, value)
    await RunStats(queue, "run", "a").report(LISTS, NO_PAGES)
    assert await run_stats(queue, "run") == LISTS


async def test_another_kind_of_value_in_the_place_of_the_sums(queue: Queue) -> None:
    for name in ("", ":workers", ":open"):
        await queue.client.set(f"{queue.prefix}stats:run{name}", b"\x80\x04pickle")
    await RunStats(queue, "run", "a").report(LISTS, NO_PAGES)
    assert await run_stats(queue, "run") == LISTS


@pytest.mark.parametrize("number", ["x", "007", "-1", "9" * 400, ""])
async def test_a_number_of_a_report_that_is_none_of_ours_is_not_waited_for(queue: Queue, number: str) -> None:
    a = RunStats(queue, "run", "a")
    await a.report(LISTS, NO_PAGES)
    await queue.client.hset(f"{queue.prefix}stats:run:workers", "a", number)
    async with asyncio.timeout(20):
        await a.report(LISTS, NO_PAGES)
        await a.report(doubled(LISTS), NO_PAGES)
    assert (await run_stats(queue, "run"))["row/count"] >= 4


async def test_the_more_workers_there_are_the_less_often_each_reports(queue: Queue) -> None:
    await queue.client.hset(f"{queue.prefix}stats:run:workers", mapping={str(n): 1 for n in range(999)})
    a = RunStats(queue, "run", "a")
    assert (await a.report(LISTS, NO_PAGES)).workers == 1000
    assert a.interval == 5


class Reporter(Worker):
    """A worker that counts, and reports that."""

    def __init__(self, queue: Queue, name: str) -> None:
        super().__init__(queue, name)
        self.leases = Leases(100, 100)
        self.counted = Counted(self.leases)
        self.reports: RunStats | None = None

    def begin(self, token: bytes, counts: Mapping[str, int]) -> Page:
        """A page that has counted *counts* so far."""
        page = Page(token, "h", token, counted=Counter(counts))
        self.leases.add(Request(f"http://h/{token.decode()}"), page, quarantined=False)
        return page

    def end(self, page: Page, *, is_done: bool) -> str:
        for request, each in [*self.leases._pages.items()]:
            if each is page:
                self.leases.finish(request)
        return self.counted.settle(page, is_done=is_done)

    async def report(self, reason: str = "") -> None:
        self.reports = self.reports or RunStats(self.store, self.run, self.name)
        await self.reports.report({}, self.counted, reason)

    async def acknowledge(self, reply: Reply, kind: str = "done", counts: Mapping[str, int] = GOOD) -> Reply:
        pages = [self.begin(token, counts) for token, _, _ in reply.leases]
        return await self.say(*[(kind, page.token, "why", self.end(page, is_done=kind == "done")) for page in pages])


def test_a_gallery_whose_images_are_under_way_is_not_scraped_yet(queue: Queue) -> None:
    worker = Reporter(queue, "a")
    worker.begin(b"1", {"gallery/count": 5, "gallery/failed": 2, "item_scraped_count": 3, "item_dropped_count": 1})
    worker.begin(b"2", {"gallery/count": 1, "item/error": 1})  # whose item is lost
    worker.begin(b"3", {"item_scraped_count": 9})  # which are no galleries
    assert worker.counted.so_far()["gallery/count"] == 2


async def reporters_of(queue: Queue, *names: str) -> list[Reporter]:
    made = [Reporter(queue, name) for name in names]
    for worker in made:
        await worker.join()
    return made


async def shown(queue: Queue, worker: Reporter) -> int:
    return (await run_stats(queue, worker.run)).get("image/downloaded", 0)


async def test_a_page_is_counted_in_one_step_with_its_end_whoever_dies_and_whenever(queue: Queue) -> None:
    killed, other = await reporters_of(queue, "killed", "other")
    done = await killed.say(page(1), page(2), page(3), ("seeded", "", ""), wanted=1)
    half = await killed.say(wanted=1)
    killed.begin(half.leases[0][0], {"image/downloaded": 1, "image/bytes": 10, "list/failed": 1})
    await killed.report()
    assert await shown(queue, killed) == 1
    await killed.acknowledge(done)  # and it dies before it can report again
    assert await shown(queue, killed) == 2
    await queue.expire_worker("killed")
    again = await other.say(wanted=5, flags="h")
    assert await run_stats(queue, other.run) == GOOD
    assert len(again.leases) == 2
    await other.report()
    await other.acknowledge(again)
    assert await run_stats(queue, other.run) == {name: number * 3 for name, number in GOOD.items()}
    await other.report("finished")
    sums = {name: number * 3 for name, number in GOOD.items()} | {"reason/finished": 1}
    assert await run_stats(queue, other.run) == sums


async def test_the_speed_of_workers_that_go_on_is_theirs(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    (earlier,) = await reporters_of(queue, "earlier")
    await earlier.acknowledge(await earlier.say(page(1), page(2), ("seeded", "", ""), wanted=1))
    settings = Settings({"LIVE_ENABLED": False, "PROGRESS_INTERVAL": 1e-9})
    watch = Watch(settings, "s", Queues([queue]), Terminal("s", settings), "", None)
    await watch.begin()
    with caplog.at_level("INFO"):
        await watch.look(1, stopping=False)
    assert "2 of 3 images" in caplog.text
    assert " 0.0 images/s" in caplog.text


async def test_a_page_that_a_slow_worker_lost_counts_once(queue: Queue) -> None:
    slow, other = await reporters_of(queue, "slow", "other")
    lost = await slow.say(page(1), ("seeded", "", ""), wanted=1)
    held = slow.begin(lost.leases[0][0], GOOD)
    await slow.report()
    await queue.expire_worker("slow")
    again = await other.say(wanted=1)
    await slow.report()
    await other.acknowledge(again)
    slow.counted.lose(0)  # as it is told then
    assert (await slow.say(("done", held.token, "", slow.end(held, is_done=True)))).fenced == 1
    await slow.report()
    assert await run_stats(queue, slow.run) == GOOD
    await slow.report("finished")
    assert await run_stats(queue, slow.run) == {**GOOD, "reason/finished": 1}


async def test_what_a_server_that_came_back_older_has_lost_counts_once(queue: Queue) -> None:
    (worker,) = await reporters_of(queue, "a")
    held = await worker.say(page(1), ("seeded", "", ""), wanted=1)
    older = {key: await queue.client.dump(key) for key in await queue.client.keys("*")}
    await worker.acknowledge(held)
    await worker.report()
    await queue.client.flushdb()
    for key, value in older.items():
        await queue.client.restore(key, 0, value)
    reply = await worker.say(wanted=1)
    assert reply.status == "older"
    worker.counted.lose(0)
    await worker.report()
    assert await shown(queue, worker) == 0
    await worker.acknowledge(reply)
    assert await run_stats(queue, worker.run) == GOOD


async def test_a_page_that_fails_counts_when_it_is_given_up(queue: Queue) -> None:
    (worker,) = await reporters_of(queue, "a")
    await worker.say(page(1), ("seeded", "", ""))
    for number in range(queue.settings.max_deliveries):
        assert await shown(queue, worker) == 0, number
        await worker.acknowledge(await worker.say(wanted=1), "failed")
    assert await run_stats(queue, worker.run) == GOOD
    await worker.report()
    alive = await worker.say(page(2), wanted=1)
    worker.begin(alive.leases[0][0], {"image/downloaded": 2})
    await worker.report()
    assert await shown(queue, worker) == 4, "what is in hand is told besides what was given up"
    assert await queue.requeue() == 1
    assert await shown(queue, worker) == 2
    await worker.acknowledge(await worker.say(wanted=1))
    assert (await run_stats(queue, worker.run))["gallery/count"] == 1


async def test_errors_that_are_forgiven_are_not_taken_back_from_those_of_others(queue: Queue) -> None:
    (worker,) = await reporters_of(queue, "a")
    broken = {"spider_exceptions/count": 1, "spider_exceptions/KeyError": 1, "item/error": 1, "image/found": 1}

    async def give_up(worker: Reporter) -> None:
        for _ in range(queue.settings.max_deliveries):
            await worker.acknowledge(await worker.say(wanted=1), "failed", broken)

    dead = f"{queue.prefix}dead"
    await worker.say(page(1), ("seeded", "", ""))
    await give_up(worker)
    await worker.say(flags="l")  # stopped
    at, _, rest = (await queue.client.lrange(dead, 0, 0))[0].partition(b",")
    await queue.client.lset(dead, 0, b"%d,%b" % (int(at) - 1, rest))  # it is told in milliseconds, and was before that
    (later,) = await reporters_of(queue, "b")
    assert await run_stats(queue, later.run) == {"image/found": 1}
    await later.say(page(2))
    await give_up(later)
    assert await run_stats(queue, later.run) == {**broken, "image/found": 2}
    since = await queue.client.rpop(dead)
    assert await queue.requeue() == 1
    assert await run_stats(queue, later.run) == broken
    await queue.client.rpush(dead, since)
    assert await queue.requeue() == 1
    assert await run_stats(queue, later.run) == {}, "those since are"


async def test_pages_of_another_run_are_not_taken_back_from_this_one(queue: Queue) -> None:
    (worker,) = await reporters_of(queue, "a")
    await worker.say(page(1), ("seeded", "", ""))
    for _ in range(queue.settings.max_deliveries):
        await worker.acknowledge(await worker.say(wanted=1), "failed")
    await worker.say(flags="e")
    await worker.say(flags="l")
    (later,) = [Reporter(queue, "b")]
    await later.join(persist=True)
    await later.say(page(2), ("seeded", "", ""))
    await later.acknowledge(await later.say(wanted=1))
    assert await queue.requeue() == 1
    assert await run_stats(queue, later.run) == GOOD


async def test_what_start_counts_counts_when_it_is_done_whoever_began_it(queue: Queue) -> None:
    killed, other = await reporters_of(queue, "killed", "other")
    await killed.say(page(1), flags="s")
    await queue.expire_worker("killed")
    assert (await other.say(flags="s")).seeder
    assert await run_stats(queue, other.run) == {}
    for _ in range(2):  # also where two believe that it is theirs
        await other.say(("seeded", "", as_text({"row/bad": 3})))
    assert await run_stats(queue, other.run) == {"row/bad": 3}


async def test_what_a_stranger_is_called_is_no_other_count(queue: Queue) -> None:
    (worker,) = await reporters_of(queue, "a")
    await worker.say(page(1), ("seeded", "", ""))
    strange = {"gallery/failed": 1, "gallery/failed/x\n1\nimage/downloaded": 7, "gallery/led_to/" + "y" * 90_000: 3}
    await worker.acknowledge(await worker.say(wanted=1), counts=strange)
    await worker.report()
    sums = await run_stats(queue, worker.run)
    assert sums.pop("gallery/led_to/" + "y" * 1985) == 3
    assert sums == {"gallery/failed": 1, "gallery/failed/x 1 image/downloaded": 7}


@pytest.mark.parametrize("noted", ["", "ab,7", "x" * 1000, "ab,cd,ef,01"])
async def test_a_gallery_that_arrives_again_is_the_same(queue: Queue, noted: str) -> None:
    (worker,) = await reporters_of(queue, "a")
    ends = f"{queue.prefix}stats:{worker.run}:ends"
    names = ["a1", "b2", "c3", "d4", "e5"]

    async def arrive(name: str) -> tuple[bytes, int]:
        _, first, number = await queue.call("arrive", worker.run, "f" * 12, "page", name)
        return first, number

    if noted:
        await queue.client.hset(ends, "page", noted)
        assert (await arrive("a1"))[1] in range(1, 5)
    else:
        for _ in range(2):
            assert [await arrive(name) for name in names] == [(b"a1", number) for number in (1, 2, 3, 4, 4)]
    assert len(await queue.client.hget(ends, "page")) <= 1000


@pytest.mark.parametrize("value", [b"\xff", b"image/found\n9\n" * 10_000, b"a\nb\nc"])
async def test_what_others_write_in_the_place_of_counts(queue: Queue, value: bytes) -> None:
    (worker,) = await reporters_of(queue, "a")
    reply = await worker.say(page(1), page(2), ("seeded", "", ""), wanted=2)
    key = f"{queue.prefix}stats:{worker.run}"
    await queue.client.hset(f"{key}:acknowledged", "a", value)
    await queue.client.hset(f"{key}:reported", "a", value)
    await worker.acknowledge(await worker.say())
    await worker.say(("done", reply.leases[0][0], "", as_text(GOOD)))
    await worker.report()
    for name in ("reported", "acknowledged"):
        await queue.client.set(f"{key}:{name}", value)
    await worker.say(("done", reply.leases[1][0], "", as_text(GOOD)))
    assert await shown(queue, worker) == 4


async def test_pages_that_are_no_galleries_are_told_from_those_that_have_been_read(queue: Queue) -> None:
    (worker,) = await reporters_of(queue, "a")
    await worker.say(page(1), page(2, "0:h" + GALLERY), page(3, "0:h" + GALLERY), ("seeded", "", ""))
    held = await worker.say(wanted=2)
    assert (await inspect.counts(queue))["lists"] == 1
    await worker.say(("done", held.leases[0][0], "", ""))
    assert (await inspect.counts(queue))["lists"] == 0
    await worker.say(("done", held.leases[1][0], "", as_text(GOOD)))
    found = await inspect.counts(queue)
    assert (found["lists"], found["galleries_done"]) == (0, 1)
