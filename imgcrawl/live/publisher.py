"""Says about once a second how this process is, and does what a person asks of it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from imgcrawl.cancelling import cancel_all
from imgcrawl.display import Speed, stored_images, told_control
from imgcrawl.engine import downloader_in, is_stopping, pages_left, scheduler_in
from imgcrawl.exceptions import BAD_INPUT, InputError
from imgcrawl.extensions.counts import counts_of
from imgcrawl.lines import printable
from imgcrawl.live.aside import Aside
from imgcrawl.live.folder import OwnEntry, open_entry
from imgcrawl.live.process import group_of, memory, store_of, waiting_for_hours, working_folder
from imgcrawl.samples import Samples, samples_of
from imgcrawl.stopping import leave_within

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from imgcrawl.live.board import Board

logger = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two words of a worker among few
WORDS = 200  # a second of all workers together: the more there are, the longer is the interval of each
LONGEST = 10.0  # seconds between two words, however many workers there seem to be
HOSTS, HOSTS_OF_ALL = 20, 600  # that one worker tells of, and all together
SAMPLES = 100  # new images, and failures, a second that all workers tell together
SMOOTHED = 5.0  # seconds over which the answers of a host are counted
TIMEOUT = 5.0  # seconds for Redis to take it
NOTHING: dict[str, Any] = {"paused": False, "delay_factor": 1.0, "stop": False}  # is asked


class Publisher:
    """Publishes how this crawl is, so that `scrapy status` and `scrapy watch` find it; an extension.

    Settings: LIVE_ENABLED (default True), LIVE_FOLDER (default: in the user's folder for the state of programs). With
    REDIS_URL also in Redis, beside the queue. What cannot be written is not: a crawl does not end for it. What a person
    asks for there is done within about two seconds: pause, go on, slow down, stop.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.samples: Samples = samples_of(crawler)
        self.started, self.how = time.time(), ""
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        named = getattr(crawler.spider, "list", None)
        self._where = {"folder": working_folder(), "list": printable(named) if isinstance(named, str) else ""}
        self._store = store_of(crawler.settings)
        self._ended: float | None = None
        self._images, self._galleries = Speed(), Speed()
        self._curve: list[float] = []
        self._rates: dict[str, tuple[int, float]] = {}  # by host: answers, and how many a second
        self._looked, self._told = time.monotonic(), (0, 0)  # images and failures, of those ever
        self._entry: OwnEntry | None = None
        self._board: Board | None = None
        self._known_run = ""  # once the engine has stopped it has no scheduler
        self._interval, self._workers, self._joined = INTERVAL, 1, 0  # the last: the server's ms at our first word
        self._asked = self._asked_of_all = self._wanted = NOTHING
        self._saying: asyncio.Task[None] | None = None
        self._aside = Aside()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        if not settings.getbool("LIVE_ENABLED", True) or settings.getbool("KEEP_ALIVE"):  # `scrapy shell` is no crawl
            raise NotConfigured
        publisher = cls(crawler)
        crawler.signals.connect(publisher.spider_opened, signals.spider_opened)
        crawler.signals.connect(publisher.spider_closed, signals.spider_closed)
        crawler.signals.connect(publisher.engine_stopped, signals.engine_stopped)
        return publisher

    async def spider_opened(self) -> None:
        scheduler = self.crawler.engine.scheduler
        self.name = getattr(scheduler, "worker", "") or self.name
        try:
            self._entry = await self._aside.do(
                open_entry, self.crawler.settings, self.crawler.spidercls.name, self.name
            )
        except (OSError, InputError) as error:
            logger.info("scrapy status cannot find this crawl by itself: %s", error)
        if self._run:
            from imgcrawl.frontier.queue import queue_from_settings  # noqa: PLC0415 -- loaded with REDIS_URL only
            from imgcrawl.live.board import Board  # noqa: PLC0415 -- the same

            self._board = Board(queue_from_settings(self.crawler.settings, self.crawler.spidercls.name))
        self._images, self._galleries = Speed(), Speed()
        self._saying = asyncio.create_task(self._say_regularly())

    async def spider_closed(self, reason: str) -> None:
        self.how, self._ended = reason, time.time()
        if self._saying:
            await cancel_all(self._saying)
            self._saying = None
        with suppress(TimeoutError):
            async with asyncio.timeout(leave_within(self.crawler.settings, reason, TIMEOUT)):
                await self._say()

    async def engine_stopped(self) -> None:
        if self._board:
            with suppress(Exception):
                await self._board.queue.client.aclose()
            self._board = None
        if self.is_child:  # whoever started it tells
            self.close()
        elif self._entry:
            with suppress(TimeoutError):
                await self._aside.do(self._write, self._entry, self.snapshot(self._row()))

    def close(self, how: str = "") -> None:
        """The process of this crawl ends, or the crawl, because of *how*: its last word is what the stats say now."""
        if not self._entry:
            return
        if how:
            self.how, self._ended = how, time.time()
        entry, self._entry = self._entry, None
        with suppress(TimeoutError):
            self._aside.wait_for(self._write, entry, self.snapshot(self._row()))
            self._aside.wait_for(entry.close, remove=self.is_child or self.how.startswith(BAD_INPUT))

    @property
    def is_child(self) -> bool:
        """Whether another process (`--workers`) has started this one, and tells of the crawl."""
        return bool(self.crawler.settings.getint("FRONTIER_PARENT"))

    @property
    def _run(self) -> str:
        self._known_run = str(getattr(scheduler_in(self.crawler), "run", "")) or self._known_run
        return self._known_run

    @property
    def _state(self) -> str:
        if self._ended:
            return "ended"
        if not self.crawler.crawling or is_stopping(self.crawler.engine):
            return "stopping"
        return "paused" if self._wanted["paused"] else "running"

    # Saying

    async def _say_regularly(self) -> None:
        while True:
            await self._say()
            for _ in range(round(self._interval)):
                await asyncio.sleep(self._interval / round(self._interval))
                self._look()

    def _look(self) -> None:
        """Note, once a second, how much there is."""
        self._curve = self._images.each_second(stored_images(self.crawler.stats.get_stats()))

    async def _say(self) -> None:
        with _harmless():
            row = self._row()
            if self._entry:
                with _harmless():
                    self._asked = await self._aside.do(self._exchange, self._entry, self.snapshot(row))
            if self._board:
                await self._say_to_all(self._board, row)
        self._obey()

    def _exchange(self, entry: OwnEntry, snapshot: dict[str, Any]) -> dict[str, Any]:
        self._write(entry, snapshot)
        return entry.asked()

    async def _say_to_all(self, board: Board, row: dict[str, Any]) -> None:
        samples, (stored, failed) = self.samples, self._told
        share = max(1, round(SAMPLES / self._workers))
        newest = list(samples.newest)[::-1][: min(share, samples.stored - stored)][::-1]
        failures = list(samples.failures)[::-1][: min(share, samples.failed - failed)][::-1]
        async with asyncio.timeout(TIMEOUT):
            now, self._workers, control = await board.publish(self.name, row, newest, failures)
            if not self._joined and control.run and not self.is_child and await board.forget_control(1):
                control = type(control)()  # it was asked of workers before this one
        self._told = (samples.stored, samples.failed)
        self._joined = self._joined or now
        self._interval = min(LONGEST, max(INTERVAL, self._workers / WORDS))
        is_ours = control.run == self._run
        stop = is_ours and control.stop > self._joined
        factor = control.delay_factor if is_ours else 1.0
        self._asked_of_all = {"paused": is_ours and control.paused, "delay_factor": factor, "stop": stop}

    @staticmethod
    def _write(entry: OwnEntry, snapshot: dict[str, Any]) -> None:
        with suppress(OSError):  # a full disk: the crawl tells of it elsewhere
            entry.write(snapshot)

    def _row(self) -> dict[str, Any]:
        """What this worker says of itself."""
        stats, scheduler = self.crawler.stats, scheduler_in(self.crawler)
        images = stored_images(stats.get_stats())
        galleries = stats.get_value("gallery/count", 0)
        return {
            "name": self.name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "run": self._run,
            "state": self._state,
            "how": self.how,
            "started": self.started,
            "rate": round(self._images.recent(images), 2),
            "gallery_rate": round(self._galleries.recent(galleries + stats.get_value("gallery/failed", 0)), 4),
            "images": images,
            "galleries": galleries,
            "bytes": stats.get_value("image/bytes", 0),
            "leases": len(getattr(scheduler, "leases", ())),
            "memory": memory(),
            "curve": self._curve,
            "hosts": self._hosts(),
            "store": self._store,
        }

    def _hosts(self) -> list[dict[str, Any]]:
        """The busiest hosts, with what each has answered a second of late."""
        downloader = downloader_in(self.crawler)
        if not hasattr(downloader, "limits"):  # it is not ours
            return []
        most = max(2, min(HOSTS, HOSTS_OF_ALL // self._workers))
        now, before, self._rates = time.monotonic(), self._rates, {}
        passed, self._looked = max(0.1, now - self._looked), now
        waiting = str(self.crawler.stats.get_value("budget/waiting") or "")
        hosts: list[dict[str, Any]] = downloader.limits.busiest(most) + waiting_for_hours(waiting)
        for host in hosts:
            answered = host.pop("answered")
            was, rate = before.get(host["host"], (answered, 0.0))
            rate += ((answered - was) / passed - rate) * min(1.0, passed / SMOOTHED)
            self._rates[host["host"]] = (answered, rate)
            host["rate"], host["delay"] = round(rate, 2), round(host["delay"], 4)
        return hosts

    def snapshot(self, row: dict[str, Any]) -> dict[str, Any]:
        """What this process says of its crawl."""
        stats = self.crawler.stats.get_stats()
        parent = self.crawler.settings.getint("FRONTIER_PARENT")
        return {
            "spider": self.crawler.spidercls.name,
            "run": self._run,
            "group": group_of(parent) if parent else self._run or self.name,
            "kind": "worker" if parent or self._run else "process",
            "started": self.started,
            "at": time.time(),
            "ended": self._ended,
            "how": self.how,
            "verdict": str(stats.get("verdict") or "") if self._ended else "",
            **self._where | {"store": row["store"]},
            "worker": row,
            "control": self._wanted,
            "pages": pages_left(self.crawler),
            **counts_of(stats),
            "seconds": (self._ended or time.time()) - self.started,
            "waiting": stats.get("budget/waiting", ""),
            "newest": list(self.samples.newest)[::-1],
            "failures": list(self.samples.failures)[::-1],
        }

    # Obeying

    def _obey(self) -> None:
        before, asked, of_all = self._wanted, self._asked, self._asked_of_all
        wanted = self._wanted = {
            "paused": asked["paused"] or of_all["paused"],
            "delay_factor": max(asked["delay_factor"], of_all["delay_factor"]),
            "stop": before["stop"] or asked["stop"] or of_all["stop"],
        }
        if wanted == before or self._ended:
            return
        logger.info("Somebody asks: %s", told_control(wanted), extra={"spider": self.crawler.spider})
        self.crawler.stats.set_value("live/paused", wanted["paused"])
        downloader = downloader_in(self.crawler)
        if hasattr(downloader, "limits") and hasattr(downloader, "turns"):
            downloader.turns.pause(paused=wanted["paused"])
            downloader.limits.slow_down(wanted["delay_factor"])
        elif wanted["paused"] != before["paused"]:  # a downloader that is not ours: no new pages, at least
            (self.crawler.engine.pause if wanted["paused"] else self.crawler.engine.unpause)()
        # Whoever leads workers stops them all, by a signal; a second stop would end them at once.
        if wanted["stop"] and not before["stop"] and not self.is_child:
            self._stopping = asyncio.create_task(self.crawler.stop_async())


@contextmanager
def _harmless() -> Iterator[None]:
    """Whatever happens, the crawl is not to end for it, and says it again in a second."""
    try:
        yield
    except Exception:
        logger.debug("What this worker says of itself could not be said", exc_info=True)
