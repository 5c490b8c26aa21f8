"""The run of a spider as one of its workers sees it: it joins, reports what it did, leases pages and leaves."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from scrapy.statscollectors import StatsCollector

from imgcrawl.exceptions import InputError, record_fatal_error
from imgcrawl.frontier.leases import Leases
from imgcrawl.frontier.outbox import Outbox
from imgcrawl.frontier.queue import ForeignKeyError, OtherArgumentsError, Queue, Reply
from imgcrawl.frontier.run_arguments import shown
from imgcrawl.lines import printable
from imgcrawl.shared.connection import OUTAGES, check_server
from imgcrawl.shared.session import Session, one_line

logger = logging.getLogger(__name__)

BATCH_WINDOW = 0.02  # seconds in which what is to be reported comes together
IDLE_FLUSH_DELAY = 0.003  # the same, for a worker with nothing to do
EXCHANGES_A_SECOND = 500  # of all workers together: where there are more, each says more at a time
FULL_PAUSE = 0.5  # the same, while the server is full
FULL_PATIENCE = 60.0  # seconds that a worker with pages in hand waits for room in a full server, at least
BAD_INPUT = "bad input: "  # how the reason of a crawl begins that `scrapy crawl` ends with exit code 2

_ENDS = ("done", "failed", "again", "reject")  # operations that end a lease


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

    *accept* is called with each lease: its token, the priority, the request as JSON, and whether it is quarantined.
    *wake_engine* is called when there is something for the engine to see, *is_stopping* says whether the crawl is being
    stopped. `state` says how the run is, `reply` what the last exchange brought.
    """

    def __init__(
        self,
        queue: Queue,
        leases: Leases,
        options: RunOptions,
        stats: StatsCollector,
        *,
        accept: Callable[[bytes, bytes, bytes, bool], None],
        wake_engine: Callable[[], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self.queue = queue
        self.leases = leases
        self.options = options
        self.stats = stats
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.id = ""
        self.state = RunState.RUNNING
        self.reply = Reply("ok")
        self.outbox = Outbox()
        self.close_reason = ""
        self.lost_reports = 0  # times that what was reported may have been lost
        self.may_seed = False  # whether this worker could run start()
        self.start_error = ""
        self.is_feeder = asyncio.Event()  # whether this worker queues what outsiders feed
        self.nothing_outside = False
        self.when_done: Callable[[], None] | None = None  # called for the feeder, which then sets `is_over`
        self.is_over = True
        self._accept = accept
        self.wake_engine = wake_engine
        self._is_stopping = is_stopping
        self._reconcile = True  # say which pages are held: the server takes back what is not said
        self._reconciled_at = 0.0
        self._leave_with_next = False
        self._is_full = False  # the server has no room for what is to be reported
        self._full_since = 0.0
        heartbeat = queue.settings.heartbeat_interval
        self.session = Session(
            self._exchange,
            heartbeat=min(heartbeat, options.idle_before_close or heartbeat),
            timeout=heartbeat,
            outages=OUTAGES,
            batch_window=self._batch_window,
            on_outage=self._unsure,
        )

    @property
    def is_open(self) -> bool:
        """Whether this worker is in the run."""
        return self.state in (RunState.RUNNING, RunState.DONE)

    # What this worker says

    def report(self, *operation: bytes | str) -> None:
        if self.state is not RunState.GIVEN_UP:
            self.outbox.add(operation)
            self.session.wake()

    def give_back(self) -> None:
        """A page was let go of that is not done: with the next exchange it is in the queue again."""
        self._reconcile = True
        self.session.wake()

    async def next_exchange(self) -> None:
        self.session.wake()
        await self.session.exchanged()

    async def flushed(self) -> bool:
        """Wait until all that is to be reported now is reported. False if that will not be."""
        end = self.outbox.reported + len(self.outbox)
        while self.outbox.reported < end and self.is_open:
            await self.next_exchange()
        return self.outbox.reported >= end

    # Joining and leaving

    async def join(self, url: str, spider: str) -> None:
        """Raises `InputError` if the server cannot be reached or used, or the run has other arguments."""
        patience = time.monotonic() + self.queue.settings.lease_timeout
        told = False
        options = self.options
        while True:
            try:
                async with asyncio.timeout(5):
                    await check_server(self.queue, url)
                    self.id, state = await self.queue.join(
                        self.worker,
                        options.name,
                        persist=options.persist,
                        flush=options.flush_on_start,
                        arguments=options.arguments,
                    )
                break
            except OtherArgumentsError as error:
                raise InputError(
                    f"the queue {self.queue.key} has a crawl of {spider} with {shown(error.theirs)} that is not at its"
                    f" end, and this worker has {shown(options.arguments)}: expected the same arguments, to join it or"
                    f" go on with it; or wait for its end, or have another queue (SCHEDULER_QUEUE_KEY), or give it up"
                    f" (scrapy queue {spider} --clear)"
                ) from None
            except OUTAGES as error:
                if time.monotonic() > patience:
                    raise InputError(f"REDIS_URL {printable(url)}: cannot be reached ({one_line(error)})") from None
                if not told:
                    logger.warning("Redis at %s cannot be reached (%s); trying", printable(url), one_line(error))
                    told = True
                await asyncio.sleep(0.5)
        if state == "done":
            self.state = RunState.DONE
        logger.info("Worker %s of run %s on %s", self.worker, self.id, printable(url))

    async def close(self, spider: str, patience: float) -> None:
        """Report what is left, give back what is held, and leave; wait *patience* seconds for a Redis that is away."""
        if self.is_open:
            self.state = RunState.CLOSING
        if self.session.is_started:
            end = time.monotonic() + patience
            await self.session.stop(patience / 2)
            self._leave_with_next = True
            left = False
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.1, end - time.monotonic())):
                    while not left and self.state is not RunState.LOST and time.monotonic() < end:
                        left = await self.session.attempt() and len(self.outbox) == 0
            if self.state is not RunState.LOST:
                await self._after_leaving(spider, left=left)
        await self._try(self.queue.client.aclose)

    async def _after_leaving(self, spider: str, *, left: bool) -> None:
        settings = self.queue.settings
        if left:
            await self._try(self.queue.sweep)
        else:
            logger.warning(
                "Redis does not answer: the pages of this worker go back to the others after %g s",
                settings.lease_timeout,
            )
        if self.reply.dead:
            self._tell_error(
                f"{self.reply.dead} pages failed {settings.max_deliveries} times and were set aside;"
                f" scrapy queue {spider} --dead shows them"
            )

    async def _try(self, work: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(self.queue.settings.heartbeat_interval):
                await work()
        except (*OUTAGES, ForeignKeyError) as error:
            logger.debug("Left undone in Redis: %s", one_line(error))

    # Talking to Redis

    def _batch_window(self) -> float:
        if self.outbox.has_batch() and not self._is_full:
            return 0.0
        if self._is_full:
            return FULL_PAUSE
        workers = max(1.0, self.reply.workers / (EXCHANGES_A_SECOND * BATCH_WINDOW))
        return workers * (BATCH_WINDOW if self.leases.ready else IDLE_FLUSH_DELAY)

    def _unsure(self) -> None:
        # What was asked for may have been done or not: fingerprints, tokens and the list of what is held make it right.
        self._reconcile = True

    async def _exchange(self) -> None:
        """Report a batch and lease what is wanted. The last batch is that with which a closing worker leaves."""
        operations = self.outbox.batch()
        is_last = len(operations) == len(self.outbox)
        leave = self._leave_with_next and is_last
        closing = leave or not self.is_open or self._is_stopping()
        now = time.monotonic()
        reconcile = self._reconcile or now - self._reconciled_at > self.queue.settings.heartbeat_interval
        flags = self._flags(closing=closing, leave=leave, reconcile=reconcile, is_last=is_last)
        if closing and not leave and self.leases.drop_ready():
            self._reconcile = True
        held = self.leases.tokens() if reconcile else []
        if reconcile:
            held += [op[1] for op in self.outbox if op[0] in _ENDS]  # type: ignore[misc] # a token is bytes
        try:
            reply = await self.queue.exchange(
                self.id,
                self.worker,
                wanted=0 if closing else self.leases.wanted,
                per_host=self.leases.per_host,
                flags=flags,
                idle=self.options.idle_before_close,
                sequence=self.outbox.reported,
                hosts=self.leases.hosts(),
                held=held,
                ops=operations,
            )
        except ForeignKeyError as error:
            self._give_up(f"{BAD_INPUT}{error}")
            return
        self.outbox.sent(reply.accepted)
        self._look_for_room(reply, len(operations))
        if reconcile:
            self._reconcile, self._reconciled_at = False, now
        self._take(reply)

    def _look_for_room(self, reply: Reply, reported: int) -> None:
        """End this worker where the server is full and stays so, because no page comes to its end."""
        self._is_full = reply.accepted < reported
        seeds = reply.seeder and not reply.seeded
        is_stuck = self._is_full or (seeds and not reply.has_room and not reply.queued and not self.leases)
        if not is_stuck or reply.accepted or reply.done != self.reply.done:
            self._full_since = time.monotonic()
            return
        # Longer while a page in hand may come to its end.
        lease_timeout = self.queue.settings.lease_timeout
        patience = max(lease_timeout, FULL_PATIENCE) if self.leases else lease_timeout
        if (waited := time.monotonic() - self._full_since) > patience:
            self._tell_error(
                "Redis is full (maxmemory): what is to be queued has no place, and no page came to its end for"
                f" {waited:.0f} s; give it more memory and start the same crawl again:"
                " it goes on"
            )
            self._give_up("frontier_full")

    def _give_up(self, reason: str) -> None:
        """This worker can go on no more; what it holds goes back to the queue."""
        self.state = RunState.GIVEN_UP
        self.close_reason = self.close_reason or reason
        self.outbox.clear()
        self.leases.drop_ready()
        self.wake_engine()

    def _flags(self, *, closing: bool, leave: bool, reconcile: bool, is_last: bool) -> str:
        letters = {
            "s": self.may_seed and not closing,
            "e": self.nothing_outside and is_last and not self.leases,
            "h": reconcile,
            "l": leave,
            "p": self.options.persist,
        }
        return "".join(letter for letter, is_so in letters.items() if is_so)

    def _take(self, reply: Reply) -> None:
        if reply.status == "gone":
            self._lose()
            return
        self.reply = reply
        if reply.status != "ok":
            # What was not begun is in the queue again. What was begun ends here, too, but counts for nothing.
            if reply.status == "older":
                logger.warning("Redis has lost the last of what it was told: the pages in hand are done again")
            else:
                logger.warning("This worker was silent for too long, or Redis has lost it: others do its pages")
            self.lost_reports += 1
            self.leases.drop_ready()
        self._count(reply)
        for token, priority, value in reply.leases:
            self._accept(token, priority, value, reply.quarantined)
        if reply.feeder:
            self.is_feeder.set()
        else:
            self.is_feeder.clear()
            self.nothing_outside = False
        if self.start_error and not reply.seeded and not self.outbox:
            self.report("seeded", self.start_error, "")  # the server has lost it
        if self.is_open:
            was, self.state = self.state, RunState.DONE if reply.state == "done" else RunState.RUNNING
            if self.state is RunState.DONE and was is not RunState.DONE and reply.feeder and self.when_done:
                self.is_over = False
                self.when_done()
        if self.outbox:
            self.session.wake()
        if reply.leases or self.state is RunState.DONE:
            self.wake_engine()

    def _count(self, reply: Reply) -> None:
        counts = {
            "scheduler/enqueued": reply.added,
            "dupefilter/filtered": reply.dropped,
            "frontier/fenced": reply.fenced,
        }
        for stat, count in counts.items():
            if count:
                self.stats.inc_value(stat, count)
        for name in ("workers", "queued", "done", "dead", "rejected"):
            self.stats.set_value(f"frontier/{name}", getattr(reply, name))

    def _lose(self) -> None:
        if self.state is not RunState.LOST and self.state is not RunState.DONE:
            self._tell_error("the shared queue of this crawl was cleared or lost while it ran; start the crawl again")
        self.state = RunState.LOST
        self.outbox.clear()
        self.leases.drop_ready()
        self.wake_engine()

    def _tell_error(self, sentence: str) -> None:
        logger.error(sentence)
        record_fatal_error(self.stats, sentence)
