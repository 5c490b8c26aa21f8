"""The run of a spider as one of its workers sees it: it joins, reports what it did, leases pages and leaves."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.statscollectors import StatsCollector

from imgcrawl.frontier.acknowledgements import Acknowledgements
from imgcrawl.frontier.codec import bucket_of
from imgcrawl.frontier.counted import Counted
from imgcrawl.frontier.end_of_run import EndOfRun, look_at_all
from imgcrawl.frontier.fair_share import wanted_of
from imgcrawl.frontier.leases import Leases, Page
from imgcrawl.frontier.queue import GALLERY, Reply
from imgcrawl.frontier.queues import Queues, shard_of
from imgcrawl.frontier.shard import Shard, tell_error

logger = logging.getLogger(__name__)

ROOM_INTERVAL = 0.2  # seconds between two looks at whether the servers have room for more start pages


class RunState(Enum):
    RUNNING = auto()
    DONE = auto()  # all pages are done; what is fed or put back makes it RUNNING again
    LOST = auto()  # the queue was cleared or lost under its workers
    CLOSING = auto()  # this worker leaves
    GIVEN_UP = auto()  # this worker can go on no more: `close_reason` says why


@dataclass(frozen=True)
class RunOptions:
    """What a worker wants of its run. *idle_before_close* is in seconds; *arguments* are the spider's."""

    persist: bool = False
    flush_on_start: bool = False
    idle_before_close: float = 0.0
    name: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


class SharedRun:
    """A worker's part in a run.

    *accept* is called with each lease: the number of its shard, its token, the priority, the request as JSON, and
    whether it is quarantined. *wake_engine* is called when there is something for the engine to see, *is_stopping* says
    whether the crawl is being stopped. `state` says how the run is, `home` has what the last exchange there brought.
    """

    def __init__(
        self,
        queues: Queues,
        leases: Leases,
        options: RunOptions,
        stats: StatsCollector,
        *,
        accept: Callable[[int, bytes, bytes, bytes, bool], None],
        wake_engine: Callable[[], None],
        is_stopping: Callable[[], bool],
        start_again: Callable[[], bool] = bool,  # of an engine, if there is one
    ) -> None:
        self.queues = queues
        self.leases = leases
        self.counted = Counted(leases)
        self.options = options
        self.stats = stats
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.id = ""
        self.state = RunState.RUNNING
        self.shards = [Shard(self, number, queue) for number, queue in enumerate(queues)]
        self.home = self.shards[0]
        self.has_others = len(self.shards) > 1
        self.acknowledgements = Acknowledgements(self.shards)
        self.end = EndOfRun(len(self.shards))
        self.alone: Shard | None = None  # that is asked for a page that several workers died with, and no other is
        self.close_reason = ""
        self.lost_reports = 0  # times that what was reported may have been lost
        self.may_seed = False  # whether this worker could run start()
        self.start_error = ""
        self.has_seeded = False  # something that was new, since it is this worker that seeds
        self.list = b""  # by what the list that start() reads is known in this run; of several each is read once
        self.start_is_over = False  # here: it does not wait to be run a second time
        self.is_feeder = asyncio.Event()  # whether this worker queues what outsiders feed
        self.nothing_outside = False
        self.when_done: Callable[[], None] | None = None  # called for the feeder, which then sets `is_over`
        self.is_over = True
        self.leaving = False
        self._accept = accept
        self.wake_engine = wake_engine
        self._is_stopping = is_stopping
        self.start_again = start_again
        self.exchanged = asyncio.Event()  # cleared by those who wait for it
        self.is_idle = False

    @property
    def is_open(self) -> bool:
        """Whether this worker is in the run."""
        return self.state in (RunState.RUNNING, RunState.DONE)

    @property
    def is_closing(self) -> bool:
        return not self.is_open or self._is_stopping()

    @property
    def is_seeding(self) -> bool:
        return self.home.reply.seeder and not self.home.reply.seeded

    @property
    def has_room(self) -> bool:
        """Whether all servers have room for more start pages."""
        return all(shard.reply.has_room for shard in self.shards)

    @property
    def has_reports(self) -> bool:
        """Whether there is something that was not reported yet."""
        return bool(self.acknowledgements) or any(shard.outbox for shard in self.shards)

    # What this worker says

    def report(self, *operation: bytes | str) -> None:
        """Say what is no page's end and no page: ("foreign", reason, value), ("running", "", ""), or
        ("seeded", error, counts), after all that is reported now."""
        if self.state is not RunState.GIVEN_UP:
            self.acknowledgements.report(self.home, operation)

    def enqueue(self, kind: str, fingerprint: bytes, request: Request, encoded: bytes) -> None:
        """Queue *request* in the shard of its host: *kind* and *fingerprint* as `Queue.exchange` has them."""
        if self.state is RunState.GIVEN_UP:
            return
        shard = self.home
        if self.has_others:
            shard = self.shards[shard_of(urlsplit(request.url).hostname or "", len(self.shards))]
            self.end.reset()
            if self.state is RunState.DONE:
                self.home.report(("running", "", ""))
        mark = GALLERY if request.meta.get("task") == "gallery" else ""
        shard.report((kind, fingerprint, bucket_of(request) + mark, encoded))

    def end_page(self, page: Page, kind: str, argument: bytes | str = "", counts: str = "") -> None:
        """End the lease of *page*, which has counted *counts*. What it led to is queued before."""
        if self.state is not RunState.GIVEN_UP:
            self.acknowledgements.report(self.shards[page.shard], (kind, page.token, argument, counts))

    def wake(self) -> None:
        for shard in self.shards:
            shard.session.wake()

    def look_for_more(self) -> None:
        """Lease more, where there may be more."""
        for shard in self.shards:
            if shard.has_more and (not self.has_others or wanted_of(self, shard)):
                shard.session.wake()

    async def next_exchange(self) -> None:
        """Wait for the next exchange, which is soon if there is something to report."""
        for shard in self.shards:
            if shard.outbox or not self.has_others:
                shard.session.wake()
        self.exchanged.clear()
        await self.exchanged.wait()

    async def flushed(self) -> bool:
        """Wait until all that is to be reported now is reported. False if that will not be."""
        waiting = self.acknowledgements.all()
        while self.is_open and waiting & self.acknowledgements.all():
            await self.next_exchange()
        ends = [(shard.outbox, shard.outbox.end) for shard in self.shards]
        while self.is_open and any(outbox.reported < end for outbox, end in ends):
            await self.next_exchange()
        return all(outbox.reported >= end for outbox, end in ends)

    # What the shards ask and tell

    def took(self, shard: Shard, reply: Reply, *, sent: float) -> None:
        """An exchange with *shard*, begun at *sent*, brought that *reply*."""
        if reply.status == "gone":
            self._lose()
            return
        shard.reply = reply
        shard.has_more = not reply.short
        self.has_seeded = self.is_seeding and self.home.reply.status == "ok" and (self.has_seeded or reply.added > 0)
        shard.top = int(reply.top) if reply.top else None
        if reply.status != "ok":
            self._lost_reports(shard)
        count_reply(self, reply)
        for token, priority, value in reply.leases:
            self._accept(shard.number, token, priority, value, reply.quarantined)
        if shard.is_home:
            self._hear_from_home(reply)
        self.acknowledgements.release()
        if self.has_others:
            look_at_all(self, shard, sent)
        if reply.leases or self.state is RunState.DONE:
            self.wake_engine()
        self.exchanged.set()

    def drop_ready(self) -> None:
        """Let go of what was not begun."""
        for shard in self.shards:
            if self.leases.drop_ready(shard.number):
                shard.give_back()
                shard.session.wake()

    def give_up(self, reason: str) -> None:
        """This worker can go on no more; what it holds goes back to the queue."""
        self.state = RunState.GIVEN_UP
        self.close_reason = self.close_reason or reason
        self._forget_reports()

    def _lose(self) -> None:
        if self.state is not RunState.LOST and self.state is not RunState.DONE:
            tell_error(
                self.stats, "the shared queue of this crawl was cleared or lost while it ran; start the crawl again"
            )
        self.state = RunState.LOST
        self._forget_reports()

    def _forget_reports(self) -> None:
        self.acknowledgements.clear()
        for shard in self.shards:
            shard.outbox.clear()
        self.leases.drop_ready()
        self.wake_engine()
        self.exchanged.set()

    def _lost_reports(self, shard: Shard) -> None:
        # What was not begun is in the queue again. What was begun ends here, too, but counts for nothing.
        if shard.reply.status == "older":
            logger.warning("Redis has lost the last of what it was told: the pages in hand are done again")
        else:
            logger.warning("This worker was silent for too long, or Redis has lost it: others do its pages")
        self.lost_reports += 1
        for reports in (self.home.outbox, self.acknowledgements):  # start() is run again: some that it gave are lost
            reports.replace("seeded", ("running", "", ""))
        self.leases.drop_ready(shard.number)
        self.counted.lose(shard.number)
        if self.has_others:  # pages of this shard may be lost that pages of others led to, which are acknowledged
            shard.queue_again()
            self.acknowledgements.wait_for(shard)

    def _hear_from_home(self, reply: Reply) -> None:
        if reply.feeder:
            self.is_feeder.set()
        else:
            self.is_feeder.clear()
            self.nothing_outside = False
        if self.start_error and not reply.seeded and not self.home.outbox:
            self.report("seeded", self.start_error, "")  # the server has lost it
        if self.start_is_over and not reply.seeded and self.is_open and self.start_again():  # and what it gave
            self.start_is_over = False
        if not self.is_open:
            return
        was, self.state = self.state, RunState.DONE if reply.state == "done" else RunState.RUNNING
        if self.state is RunState.DONE and was is not RunState.DONE and reply.feeder and self.when_done:
            if self.has_others and not self.end.is_here:  # something was fed meanwhile
                self.report("running", "", "")
            self.is_over = False
            self.when_done()


def is_waiting(run: SharedRun) -> bool:
    """Whether this worker of *run* has nothing to do until something is queued or fed."""
    nothing_fed = run.nothing_outside or not run.is_feeder.is_set()
    is_idle = run.home.reply.seeded and nothing_fed and not run.leases and not run.has_reports
    return run.state is RunState.RUNNING and is_idle and not any(shard.reply.queued for shard in run.shards)


def count_reply(run: SharedRun, reply: Reply) -> None:
    """Add what *reply* tells to the stats."""
    counts = {
        "scheduler/enqueued": reply.added,
        "dupefilter/filtered": reply.dropped,
        "frontier/fenced": reply.fenced,
    }
    for stat, count in counts.items():
        if count:
            run.stats.inc_value(stat, count)
    told = {
        name: sum(getattr(shard.reply, name) for shard in run.shards) for name in ("queued", "done", "dead", "rejected")
    }
    told["workers"] = run.home.reply.workers
    for name, count in told.items():
        run.stats.set_value(f"frontier/{name}", count)
