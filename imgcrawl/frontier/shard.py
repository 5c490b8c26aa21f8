"""A worker's part in one shard of the queue: what it reports there, and what it leases."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from math import inf
from typing import TYPE_CHECKING

from imgcrawl.exceptions import BAD_INPUT, record_fatal_error
from imgcrawl.frontier.fair_share import wanted_of
from imgcrawl.frontier.leases import ENDS
from imgcrawl.frontier.outbox import Operation, Outbox
from imgcrawl.frontier.queue import ForeignKeyError, Queue, Reply
from imgcrawl.shared.connection import OUTAGES
from imgcrawl.shared.session import Session

if TYPE_CHECKING:
    from scrapy.statscollectors import StatsCollector

    from imgcrawl.frontier.run import SharedRun

logger = logging.getLogger(__name__)

BATCH_WINDOW = 0.02  # seconds in which what is to be reported comes together
IDLE_FLUSH_DELAY = 0.003  # the same, for a worker with little to do
NEWS_WINDOW = 0.1  # seconds in which a worker that has enough to do hears of new work with the end of a page
ENDS_WINDOW = 0.5  # seconds in which ends of pages come together, where they bring this worker nothing that it needs
ASKS_AGAIN = 1.0  # seconds in which a worker whose pages come to their ends asks again
EXCHANGES_A_SECOND = 400  # of all workers together, with all shards: where there are more, each says more at a time
FULL_PAUSE = 0.5  # the same, while the server is full
FULL_PATIENCE = 60.0  # seconds that a worker with pages in hand waits for room in a full server, at least
REPEATED = 2_000  # pages queued last that are queued again where a server came back without them
_PAGES = ("c", "s", "u")  # operations that queue a page


class Shard:
    """A session with one shard of the queue of a *run*, number 0 being its home. `reply` is what the last exchange
    brought. One that does not answer holds up no other.
    """

    def __init__(self, run: SharedRun, number: int, queue: Queue) -> None:
        self.run = run
        self.number = number
        self.queue = queue
        self.outbox = Outbox()
        self.reply = Reply("ok")
        self.asked = 0  # pages that are being asked for
        self.top: int | None = None  # the highest priority that waits, if that is known
        self.has_more = True  # pages that this worker might lease; where it has not, it is told of new ones
        self.has_left = False
        self._says_goodbye = False  # with the last exchange
        self._is_told = False  # of new work
        self._ended_at = -inf  # when a page ended last
        self._queued: deque[Operation] = deque(maxlen=REPEATED)
        self._reconcile = True  # say which pages are held: the server takes back what is not said
        self._reconciled_at = 0.0
        self._is_full = False  # the server has no room for what is to be reported
        self._full_since = 0.0
        heartbeat = queue.settings.heartbeat_interval
        self.session = Session(
            self._exchange,
            heartbeat=min(heartbeat, run.options.idle_before_close or heartbeat),
            timeout=heartbeat,
            outages=OUTAGES,
            batch_window=self._batch_window,
            on_outage=self.give_back,
            server="Redis" if len(run.queues) == 1 else f"Redis, shard {number + 1} of {len(run.queues)},",
        )

    @property
    def is_home(self) -> bool:
        return self.number == 0

    def report(self, operation: Operation) -> None:
        self.outbox.add(operation)
        is_end = operation[0] == "done"
        if is_end:
            self._ended_at = time.monotonic()
        self.session.wake(max(ENDS_WINDOW, self._batch_window()) if is_end and self._has_enough() else None)

    def give_back(self) -> None:
        """What this worker holds, as the server knows it, may not be right: it is said with the next exchange."""
        # What was asked for may have been done or not: fingerprints, tokens and the list of what is held make it right.
        self._reconcile = True
        self.asked = 0
        if self.run.alone is self:
            self.run.alone = None
        self.session.wake()

    def queue_again(self) -> None:
        """Queue what this worker has queued last: the server may have lost it. What it knows it filters."""
        for operation in [*self._queued]:
            self.outbox.add(operation)
        self._queued.clear()

    async def listen(self) -> None:
        """Hear of new work without asking: at once, or soon where there is enough to do."""
        try:
            if await self.queue.wait(self.run.worker, self.queue.settings.heartbeat_interval):
                self.has_more, self.top = True, None
                self.session.wake(NEWS_WINDOW if self.run.leases.is_enough else None)
                await self.session.exchanged()
        except ForeignKeyError:
            self.session.wake()  # the exchange tells of it
            await asyncio.sleep(1)

    async def leave(self) -> bool:
        """Report what is left and leave. False if that is to be tried again."""
        if not self.has_left and await self.session.attempt():
            self.has_left = self._says_goodbye and len(self.outbox) == 0
        return self.has_left

    def _has_enough(self) -> bool:
        """Whether this worker needs nothing of the queue for now: it has pages, and asking would bring it no more."""
        leases = self.run.leases
        is_served = leases.is_enough or (len(leases) > 0 and self._is_told and not self.has_more)
        return is_served and not (self._is_full or self.run.is_closing or self.outbox.has_batch())

    def _batch_window(self) -> float:
        if self.outbox.has_batch() and not self._is_full:
            return 0.0
        if self._is_full:
            return FULL_PAUSE
        # Of several shards each hears less often from each worker, as there is less to say to each.
        parts = self.reply.workers * len(self.run.shards)
        return max(1.0, parts / (EXCHANGES_A_SECOND * BATCH_WINDOW)) * (
            BATCH_WINDOW if self.run.leases.ready or self.run.leases.is_enough else IDLE_FLUSH_DELAY
        )

    async def _exchange(self) -> None:
        """Report a batch and lease what is wanted. The last batch is that with which a closing worker leaves."""
        run = self.run
        operations = self.outbox.batch()
        is_last = len(operations) == len(self.outbox)
        leave = self._says_goodbye = is_last and self._may_leave()
        closing = leave or run.is_closing
        now = time.monotonic()
        if closing and not leave:
            run.drop_ready()
        reconcile = self._reconcile or now - self._reconciled_at > self.queue.settings.heartbeat_interval
        self._reconcile = False
        held: list[bytes] = []
        if reconcile:
            ends = [op for op in (*self.outbox, *run.acknowledgements.of(self)) if op[0] in ENDS]
            held = [*run.leases.tokens(self.number), *(op[1] for op in ends)]
        wanted = self.asked = 0 if closing else wanted_of(run, self)
        # Who has enough, and asks again soon with the end of a page, needs not be told.
        is_busy = run.leases.is_enough and now - self._ended_at < ASKS_AGAIN
        try:
            reply = await self.queue.exchange(
                run.id,
                run.worker,
                wanted=wanted,
                per_host=run.leases.per_host,
                flags=self._flags(closing=closing, leave=leave, reconcile=reconcile, is_last=is_last, is_busy=is_busy),
                idle=run.options.idle_before_close,
                expected=run.end.signature,
                sequence=self.outbox.reported,
                of_list=run.list if self.is_home and not closing else b"",
                hosts=run.leases.hosts(self.number),
                held=held,
                ops=operations,
            )
        except ForeignKeyError as error:
            run.give_up(f"{BAD_INPUT}{error}")
            return
        self.asked = 0
        if run.has_others:
            self._queued.extend(op for op in operations[: reply.accepted] if op[0] in _PAGES)
        self.outbox.sent(reply.accepted)
        self._look_for_room(reply, len(operations))
        if reconcile:
            self._reconciled_at = now
        self._is_told = not is_busy
        run.took(self, reply, sent=now)
        if not is_last or reply.accepted < len(operations):
            self.session.wake()
        if reply.short and is_busy:
            self.session.wake(max(ASKS_AGAIN, self._batch_window()))

    def _may_leave(self) -> bool:
        """Home is left last: others who begin the next run look there whether this one is left."""
        run = self.run
        others_left = not self.is_home or all(shard.has_left for shard in run.shards if shard is not self)
        return run.leaving and others_left and not run.acknowledgements.of(self)

    def _flags(self, *, closing: bool, leave: bool, reconcile: bool, is_last: bool, is_busy: bool) -> str:
        """What an exchange says; see `Queue.exchange`."""
        run = self.run
        letters = {
            "s": run.may_seed and not closing if self.is_home else run.is_seeding,
            "e": run.nothing_outside and is_last and not run.leases and not run.acknowledgements,
            "h": reconcile,
            "l": leave,
            "b": is_busy,
            "i": self.is_home and run.has_seeded,
            "p": run.options.persist,
            "w": run.has_others and self.is_home,
            "x": not self.is_home,
            "f": run.is_feeder.is_set() and not self.is_home,
            "q": run.alone is self,
            "d": run.home.reply.state == "done",
        }
        return "".join(letter for letter, is_so in letters.items() if is_so)

    def _look_for_room(self, reply: Reply, reported: int) -> None:
        """End this worker where the server is full and stays so, because no page comes to its end."""
        run = self.run
        self._is_full = reply.accepted < reported
        is_stuck = self._is_full or (run.is_seeding and not reply.has_room and not reply.queued and not run.leases)
        if not is_stuck or reply.accepted or reply.done != self.reply.done:
            self._full_since = time.monotonic()
            return
        # Longer while a page in hand may come to its end.
        lease_timeout = self.queue.settings.lease_timeout
        patience = max(lease_timeout, FULL_PATIENCE) if run.leases else lease_timeout
        if (waited := time.monotonic() - self._full_since) > patience:
            tell_error(
                run.stats,
                "Redis is full (maxmemory): what is to be queued has no place, and no page came to its end for"
                f" {waited:.0f} s; give it more memory and start the same crawl again:"
                " it goes on",
            )
            run.give_up("frontier_full")


def tell_error(stats: StatsCollector, sentence: str) -> None:
    """Log *sentence* and have the crawl end with it."""
    logger.error(sentence)
    record_fatal_error(stats, sentence)
