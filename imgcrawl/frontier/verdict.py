"""What a worker tells the others of its run, so that all leave with the same verdict."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals

from imgcrawl.extensions.verdict import Verdict, findings
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.scheduler import Scheduler
from imgcrawl.items import STATUSES
from imgcrawl.shared.connection import OUTAGES, check_server

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two reports
STALE = 5.0  # seconds after which a worker that has not said its last word is not waited for
KEPT = 30 * 86400  # seconds that reports outlive the last one: a crawl that was stopped may go on next week
ASK = 0.1  # seconds between two looks at whether the others have said their last word

# What is told of the stats: numbers that add up.
TOLD = (
    "image/", "gallery/", "subpage/", "list/", "row/", "video/", "item/", "item_", "feed/", "feedexport/failed_count/",
    "spider_exceptions/", "frontier/failed", "frontier/fenced",
)  # fmt: skip

# Puts a worker's report beside those of the others. -> the server's time, all reports
REPORT = """
local now = redis.call('TIME')
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('UNLINK', KEYS[1]) end
if ARGV[1] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[1], now[1] .. ' ' .. ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return {now[1], redis.call('HGETALL', KEYS[1])}
"""


@dataclass(frozen=True)
class Told:
    """The last report of a worker, *age* seconds ago. *reason* is empty until it has closed."""

    age: float = 0.0
    reason: str = ""
    stats: Mapping[str, Any] = field(default_factory=dict)


async def tell(store: Queue, run: str, worker: str = "", report: str = "") -> dict[str, Told]:
    """Put *report* in the place of the last one of *worker*, if one is given; return those of all workers of *run*."""
    now, flat = await store.client.eval(REPORT, 1, f"{store.prefix}stats:{run}", worker, report, KEPT)
    told = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        at, _, text = value.decode("utf-8", "replace").partition(" ")
        try:
            wire = json.loads(text)
            age, reason, stats = int(now) - int(at), wire["reason"], wire["stats"]
        except (ValueError, RecursionError, TypeError, KeyError):
            continue  # not what we wrote
        if isinstance(reason, str) and isinstance(stats, dict):
            told[name.decode("utf-8", "replace")] = Told(age, reason, stats)
    return told


def report_of(stats: Mapping[str, Any], reason: str) -> str:
    """The report of a worker with these stats; *reason* once it has closed."""
    kept: dict[str, Any] = {
        name: value for name, value in stats.items() if name.startswith(TOLD) and isinstance(value, int)
    }
    if not reason:
        # What is under way has no outcome yet, and will have none if this worker is killed.
        kept["image/found"] = sum(kept.get(f"image/{status}", 0) for status in STATUSES)
    if error := stats.get("verdict/error"):
        kept["verdict/error"] = str(error)[:1000]
    return json.dumps({"reason": reason, "stats": kept})


def together(told: Mapping[str, Told]) -> dict[str, Any]:
    """The stats of all workers, added up; `verdict/error` is that of the first by name, the same for whoever asks."""
    sums: Counter[str] = Counter()
    errors: list[str] = []
    for worker in sorted(told):
        for name, value in told[worker].stats.items():
            if name.startswith(TOLD) and isinstance(value, int):
                sums[name] += value
            elif name == "verdict/error" and isinstance(value, str):
                errors.append(value)
    return dict(sums) | ({"verdict/error": errors[0]} if errors else {})


class SharedVerdict(Verdict):
    """Judges what all workers of a run have done, in the place of `Verdict`.

    Each second a worker reports its counts to Redis. One that ends because the crawl is done waits for the last
    words of those that live; so all come to the same verdict, whoever had which pages. A worker that was stopped, or
    that cannot reach Redis, judges by what it knows.
    """

    store: Queue
    _reporting: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        verdict = super().from_crawler(crawler)
        verdict.store = queue_from_settings(crawler.settings, crawler.spidercls.name)
        crawler.signals.connect(verdict.spider_opened, signals.spider_opened)
        crawler.signals.connect(verdict.engine_stopped, signals.engine_stopped)
        return verdict

    async def spider_opened(self) -> None:
        scheduler = self.crawler.engine.scheduler
        if isinstance(scheduler, Scheduler) and scheduler.run:
            self.run, self.worker = scheduler.run, scheduler.worker
            self._reporting = asyncio.create_task(self._report())

    async def _report(self) -> None:
        while True:
            await self._tell("")
            await asyncio.sleep(INTERVAL)

    async def _tell(self, reason: str) -> dict[str, Told] | None:
        report = report_of(self.crawler.stats.get_stats(), reason)
        try:
            async with asyncio.timeout(self.store.limits.beat):
                if not self._checked:
                    await check_server(self.store, self.crawler.settings["REDIS_URL"])
                    self._checked = True
                return await tell(self.store, self.run, self.worker, report)
        except OUTAGES as error:
            logger.debug("The counts of this worker could not be told: %s", error)
            return None

    _checked = False

    async def engine_stopped(self) -> None:
        if self._reporting is None:
            await self.store.client.aclose()
            return
        self._reporting.cancel()
        await asyncio.wait([self._reporting])
        told = await self._last_words(self.reason or "shutdown")
        if told is None:
            logger.warning("Redis does not answer: the verdict is on what this worker has done, not on the whole crawl")
        else:
            self._judge_all(told)
        await self.store.client.aclose()

    async def _last_words(self, reason: str) -> dict[str, Told] | None:
        patience = time.monotonic() + self.store.limits.lease_timeout
        while True:
            told = await self._tell(reason)
            waiting = told is None or (reason == "finished" and any(_is_expected(other) for other in told.values()))
            if not waiting or time.monotonic() > patience:
                return told
            await asyncio.sleep(ASK)

    def _judge_all(self, told: Mapping[str, Told]) -> None:
        stats = self.crawler.stats
        found = list(
            findings(
                together(told), self.reason or "", max_failed=self.max_failed, images_expected=self.images_expected
            )
        )
        stats.set_value("verdict/workers", len(told))
        stats.set_value("verdict/findings", found)
        stats.set_value("verdict", found[0] if found else "")


def _is_expected(other: Told) -> bool:
    return not other.reason and other.age <= STALE


def last_reason(told: Iterable[Told]) -> str:
    """Why a run ended: `finished` if any of its workers came to the end of it."""
    reasons = [worker.reason for worker in told if worker.reason]
    return "finished" if "finished" in reasons or not reasons else reasons[-1]
