"""What the workers of a run have done, added up, so that all leave with the same verdict."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from scrapy import signals

from imgcrawl.cancelling import cancel_all
from imgcrawl.digits import whole
from imgcrawl.exceptions import BAD_INPUT
from imgcrawl.extensions.verdict import Verdict, findings, gallery_counts
from imgcrawl.frontier import inspect
from imgcrawl.frontier.bounded import hashes_beside
from imgcrawl.frontier.counted import OF_PAGES, Counted, as_text, from_text
from imgcrawl.frontier.lessons import SharedLessons
from imgcrawl.frontier.queue import LUA, ForeignKeyError, Queue
from imgcrawl.frontier.queues import Queues, queues_from_settings
from imgcrawl.frontier.scheduler import Scheduler
from imgcrawl.items import STATUSES
from imgcrawl.shared.connection import OUTAGES, check_server
from imgcrawl.shared.script import Script
from imgcrawl.stopping import leave_within

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

REPORT_INTERVAL = 2.0  # seconds between two reports of a worker among few
REPORTS = 200  # a second of all workers together: the more there are, the longer is the interval of each
STALE = 3.0  # intervals after which a worker that has not closed is not waited for
KEPT = 30 * 86400  # seconds that the sums outlive the last report: a crawl that was stopped may go on next week
TOLD = 30  # seconds in which the workers of a run that has ended leave
POLL_INTERVAL = 0.05  # seconds between two looks at whether the others have closed
REMEMBERED = 64  # reports that a server which came back older than it was may have lost

# The stats that add up.
SUMMED_STATS = (
    *OF_PAGES, "feed/", "feedexport/failed_count/", "frontier/failed", "frontier/fenced", "dupefilter/filtered",
    "placeholder/",
)  # fmt: skip

REPORT = Script(LUA / "clock.lua", LUA / "verdict.lua")


class Answer(NamedTuple):
    """What became of a report: how many workers that have not closed are waited for, how many there were at all, what
    they have `learned`, the server's `clock`, in milliseconds."""

    awaited: int
    workers: int
    learned: list[bytes]
    clock: int


class RunStats:
    """The part of *worker* in the sums of *run* that is not counted with the ends of pages.

    Each report adds what is new since the last one that the server has: one that is repeated, as its answer was lost,
    adds nothing, and what a server that came back older than it was has lost is added again.
    """

    def __init__(self, queue: Queue, run: str, worker: str) -> None:
        self.queue = queue
        self.run = run
        self.key = _key(queue, run)
        self.worker = worker
        self.interval = REPORT_INTERVAL
        self._number = 0  # of the last report that the server has
        self._last = 0  # of the last report
        self._reported: deque[tuple[int, dict[str, int]]] = deque([(0, {})], REMEMBERED)

    async def report(self, stats: Mapping[str, Any], counted: Counted, reason: str = "") -> Answer:
        """Add what is new in *stats* and was not *counted* by pages; *reason* once this worker has closed. What pages
        have counted is shown until then, and remains with their ends."""
        sums = summed(stats, counted.by_pages)
        text = "" if reason else as_text(counted.so_far())
        error = str(stats.get("verdict/error") or "")[:1000]
        while True:
            before = next((sums_ for number, sums_ in self._reported if number >= self._number), {})
            new = {name: value - before.get(name, 0) for name, value in sums.items()}
            changes = [part for name, value in new.items() if value for part in (name, value)]
            self._last += 1
            self._reported.append((self._last, sums))
            settings = self.queue.settings
            fixed = (self.queue.prefix, KEPT, settings.longest_step, int(STALE * self.interval * 1000), self.worker)
            last, awaited, workers, learned, clock = await REPORT.run(
                self.queue.client, [self.key], (*fixed, self._number, self._last, reason, error, text, *changes)
            )
            self._number = whole(last) or 0
            self.interval = max(REPORT_INTERVAL, workers / REPORTS)
            if self._number == self._last:
                return Answer(awaited, workers, learned, clock)


def summed(stats: Mapping[str, Any], by_pages: Counter[str]) -> dict[str, int]:
    """What of *stats* adds up by reports: what pages have not counted."""
    return {
        name: value - by_pages[name]
        for name in dict.fromkeys((*stats, *by_pages))
        if name.startswith(SUMMED_STATS) and isinstance(value := stats.get(name, 0), int)
    }


class RunSums(NamedTuple):
    """What all workers of a run have counted: `settled` by the pages that are done and what reports add, `under_way` by
    pages that workers have in hand."""

    settled: dict[str, Any]
    under_way: dict[str, int]

    def together(self) -> dict[str, Any]:
        return self.settled | {name: self.settled.get(name, 0) + number for name, number in self.under_way.items()}


async def run_sums(queue: Queue | Queues, run: str) -> RunSums:
    """The sums of all workers of *run*. `verdict/error` is the first that was told, the same for whoever asks."""
    shards = queue if isinstance(queue, Queues) else [queue]
    keys = [f"{_key(shards[0], run)}:reported"]
    keys += [f"{_key(shard, run)}{name}" for shard in shards for name in ("", ":acknowledged")]
    workers, (reported, *found) = await hashes_beside(queue.client, f"{shards[0].prefix}workers", keys)
    settled: dict[str, Any] = {}
    for name, value in (pair for sums in found[::2] for pair in sums.items()):
        text = name.decode("utf-8", "replace")
        if text == "verdict/error":
            settled[text] = value.decode("utf-8", "replace")
        elif text.startswith((*SUMMED_STATS, "reason/")):
            number = whole(value.removeprefix(b"-"))
            if number is not None:  # else it is not what we wrote
                settled[text] = settled.get(text, 0) + (-number if value.startswith(b"-") else number)
    under_way: Counter[str] = Counter()
    for worker in workers:
        counts = from_text(reported.get(worker, b""))
        for acknowledged in found[1::2]:
            counts.subtract(from_text(acknowledged.get(worker, b"")))
        under_way.update(+counts)
    under_way["image/found"] = sum(under_way[f"image/{status}"] for status in STATUSES)
    return RunSums(settled, dict(+under_way))


async def run_stats(queue: Queue | Queues, run: str) -> dict[str, Any]:
    """What all workers of *run* have counted, with what is under way."""
    return (await run_sums(queue, run)).together()


def last_reason(sums: Mapping[str, Any]) -> str:
    """Why a run ended: `finished` if any of its workers came to the end of it."""
    reasons = [name.removeprefix("reason/") for name in sums if name.startswith("reason/")]
    return "finished" if "finished" in reasons or not reasons else reasons[-1]


async def reporters(queue: Queue, run: str) -> dict[str, bool]:
    """The workers of *run* that have reported, and whether each has closed."""
    async with queue.client.pipeline(transaction=False) as pipe:
        pipe.hkeys(f"{_key(queue, run)}:workers")
        pipe.zrange(f"{_key(queue, run)}:open", 0, -1)
        names, open_ = await pipe.execute()
    return {name.decode("utf-8", "replace"): name not in set(open_) for name in names}


def _key(queue: Queue, run: str) -> str:
    return f"{queue.prefix}stats:{run}"


class SharedVerdict(Verdict):
    """Judges what all workers of a run have done, in the place of `Verdict`.

    Every REPORT_INTERVAL seconds a worker adds its counts to those of the run in Redis. One that ends because the crawl
    is done waits for the final reports of those that live; so all come to the same verdict, whoever had which pages. A
    worker that was stopped, or that cannot reach Redis, judges by what it knows.
    """

    queues: Queues
    store: Queue  # the first of them
    _counted: Counted
    _lessons: SharedLessons
    _reporting: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        verdict = super().from_crawler(crawler)
        verdict.queues = queues_from_settings(crawler.settings, crawler.spidercls.name)
        verdict.store = verdict.queues.home
        crawler.signals.connect(verdict.spider_opened, signals.spider_opened)
        return verdict

    async def spider_opened(self) -> None:
        scheduler = self.crawler.engine.scheduler
        if isinstance(scheduler, Scheduler) and scheduler.run:
            self.run_stats = RunStats(self.store, scheduler.run, scheduler.worker)
            self._counted = scheduler.shared_run.counted
            self._lessons = scheduler.lessons
            self._reporting = asyncio.create_task(self._report_regularly())

    async def _report_regularly(self) -> None:
        while True:
            await self._report("")
            await asyncio.sleep(self.run_stats.interval * random.uniform(0.8, 1.2))

    async def _report(self, reason: str, patience: float = inf) -> Answer | None:
        try:
            async with asyncio.timeout(min(self.store.settings.heartbeat_interval, patience)):
                if not self._checked:
                    await check_server(self.store, self.crawler.settings["REDIS_URL"])
                    self._checked = True
                answer = await self.run_stats.report(self.crawler.stats.get_stats(), self._counted, reason)
                self._lessons.hear(answer.learned, answer.clock / 1000)
                return answer
        except OUTAGES as error:
            logger.debug("The counts of this worker could not be reported: %s", error)
            return None

    _checked = False

    async def engine_stopped(self) -> None:
        if self._reporting is None:
            await self.store.client.aclose()
            await self._tell_judged(speaks_for_all=True)
            return
        await cancel_all(self._reporting)
        answer = await self._final_report(self.reason or "shutdown")
        sums: dict[str, Any] | None = None
        counts: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self.store.settings.heartbeat_interval):
                sums = await run_stats(self.queues, self.run_stats.run) if answer else None
                counts = await inspect.counts(self.queues) if sums else {}
        except ForeignKeyError as error:  # which ends a worker by itself; the sums are what they are
            logger.debug("How many galleries were found is not known: %s", error)
        except OUTAGES:
            sums = None
        if sums is None or answer is None:
            logger.warning("Redis does not answer: the verdict is on what this worker has done, not on the whole crawl")
        else:
            if counts.get("id") == self.run_stats.run:
                sums["gallery/found"] = counts["galleries"]
            self._judge_all(sums, answer.workers)
        speaks_for_all = answer is None or (answer.awaited == 0 and await self._speaks_first())
        await self.store.client.aclose()
        await self._tell_judged(speaks_for_all=speaks_for_all)

    async def _speaks_first(self) -> bool:
        """Whether no other worker of the run tells others of it; also where nobody can say so."""
        try:
            key = f"{_key(self.store, self.run_stats.run)}:told"
            return bool(await self.store.client.set(key, self.run_stats.worker, nx=True, ex=TOLD))
        except OUTAGES:
            return True

    async def _final_report(self, reason: str) -> Answer | None:
        seconds = leave_within(self.crawler.settings, reason, self.store.settings.lease_timeout)
        end = time.monotonic() + seconds
        while True:
            answer = await self._report(reason, seconds)
            # Who leaves because of what stands in the place of our keys is not heard for as long as it stands there.
            unheard = answer is None and not reason.startswith(BAD_INPUT)
            waiting = unheard or (answer is not None and reason == "finished" and answer.awaited > 0)
            if not waiting or time.monotonic() > end:
                return answer
            await asyncio.sleep(POLL_INTERVAL * self.run_stats.interval)

    def _judge_all(self, sums: Mapping[str, Any], workers: int) -> None:
        stats = self.crawler.stats
        found = list(
            findings(sums, self.reason or "", max_failed=self.max_failed, images_expected=self.images_expected)
        )
        stats.set_value("verdict/workers", workers)
        for name, number in gallery_counts(sums).items():
            stats.set_value(f"run/galleries/{name}", number)
        stats.set_value("verdict/findings", found)
        stats.set_value("verdict", found[0] if found else "")
