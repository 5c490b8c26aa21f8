"""Whose request is sent next: hosts take turns, so that a long queue of one does not hold up the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from itertools import takewhile
from time import monotonic
from typing import cast
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.core.downloader import Slot
from scrapy.http import Response
from scrapy.utils.asyncio import call_later

from imgcrawl.backpressure import Backpressure
from imgcrawl.bodies import received_bytes
from imgcrawl.exceptions import RequestRefused
from imgcrawl.limits.bandwidth import Bandwidth
from imgcrawl.limits.limiter import Limiter
from imgcrawl.limits.retry_after import SLOWER, retry_after
from imgcrawl.limits.settings import LimitSettings, proxy_name

Turn = asyncio.Future[None]


class HostSlot(Slot):
    """A slot that knows the *name* of its host. Requests wait in its queue, each with its turn."""

    __slots__ = ("name",)

    def __init__(self, name: str, slot: Slot) -> None:
        super().__init__(slot.concurrency, slot.delay, slot.jitter)
        self.name = name


class Turns:
    """Gives the requests that wait in *slots* their turns, as *limits*, BANDWIDTH, *total* (requests under way, 0 for
    no limit) and *backpressure* let it. What answers say of a host is reported to *limits*.

    A request with meta ``retry_first``, whose host was too busy for it, goes before those of the host that were not
    sent yet: as long as these come first and are refused as well, nobody knows whether the host has become slow enough.

    A request whose host asks to be left alone for longer than RETRY_AFTER_MAX fails with `RequestRefused`
    (``retry_after``) in place of its turn.
    """

    def __init__(
        self,
        slots: Mapping[str, Slot],
        limits: Limiter,
        settings: LimitSettings,
        backpressure: Backpressure,
        total: int,
    ) -> None:
        self._slots = slots
        self._limits = limits
        self._settings = settings
        self._bandwidth = Bandwidth(settings.bandwidth)
        self._backpressure = backpressure
        self._total = total
        self._transferring = 0
        self._is_paused = False
        self._paying = False  # who waits for BANDWIDTH is woken once, however many ask
        self._ready: dict[Slot, None] = {}  # an ordered set: the slots that may have something to start
        self._behind: dict[str, dict[Slot, None]] = {}  # by proxy: the slots whose next request waits for it

    def wait_in(self, slot: Slot, request: Request) -> Turn:
        """The turn of *request*, which comes when it may be sent. Whoever waits for it says later that it is `done`."""
        turn: Turn = asyncio.get_running_loop().create_future()
        queue = _queue_of(slot)
        if request.meta.get("retry_first"):
            first = sum(1 for _ in takewhile(lambda waiting: waiting[0].meta.get("retry_first"), queue))
            queue.insert(first, (request, turn))
        else:
            queue.append((request, turn))
        self.look_at(slot)
        return turn

    def look_at(self, slot: Slot) -> None:
        """The slot may have something to start."""
        self._ready.setdefault(slot)
        self.give()

    def look_at_host(self, name: str) -> None:
        """The host or proxy may be asked again."""
        slot = self._slots.get(name)
        if slot:
            self._ready.setdefault(slot)
        else:  # a proxy
            self._ready |= {slot: None for slot in self._slots.values() if slot.queue and slot not in self._ready}
        self.give()

    def give(self) -> None:
        """Give turns while there is room."""
        while self._ready and self._has_room():
            slot = next(iter(self._ready))
            del self._ready[slot]
            if self._start_one(slot):
                self._ready[slot] = None

    def done(self, slot: Slot, request: Request, response: Response | None, sent: float) -> None:
        """*request*, whose turn came at *sent* (monotonic()), is answered, or has failed."""
        self._transferring -= 1
        try:
            self._report(_names(slot, request), request, response, sent)
        finally:
            self.look_at(slot)

    def stuck(self) -> dict[str, int]:
        """How many requests wait for each host that cannot be asked for now."""
        return {name: len(self._slots[name].queue) for name in self._limits.stuck() if name in self._slots}

    def pause(self, *, paused: bool) -> None:
        """Give no turns until it is called with False."""
        self._is_paused = paused
        self.give()

    def _has_room(self) -> bool:
        if self._is_paused:
            return False
        if self._bandwidth.is_limited and (early := self._bandwidth.wait()):
            if not self._paying:
                self._paying = True
                call_later(early, self._paid)
            return False
        return not self._backpressure.is_full() and not 0 < self._total <= self._transferring

    def _paid(self) -> None:
        self._paying = False
        self.give()

    def _start_one(self, slot: Slot) -> bool:
        """Send the slot's next request if its limits allow that now. False if they do not, or none waits."""
        queue = _queue_of(slot)
        while queue and queue[0][1].done():  # cancelled while it waited
            queue.popleft()
        if not queue:
            return False
        request, turn = queue[0]
        try:
            if not self._take(slot, request):
                return False
        except Exception as error:  # it is this request's, whatever it is, and not that of whoever gave the turns
            queue.popleft()
            turn.set_exception(error)
            return True
        queue.popleft()
        slot.lastseen = monotonic()
        slot.delay = self._limits.delay(_names(slot, request)[0])  # for whoever looks at it
        slot.transferring.add(request)
        self._transferring += 1
        turn.set_result(None)
        return True

    def _take(self, slot: Slot, request: Request) -> bool:
        """Whether all limits that *request* is subject to allow it now."""
        taken: list[str] = []
        try:
            host, *_ = names = _names(slot, request)
            for name in names:
                if not self._limits.take(name, len(slot.queue)):
                    if self._limits.blocked(name) > self._settings.default.longest_block:
                        self._give_up(slot, name)
                    if name != host:
                        self._behind.setdefault(name, {}).setdefault(slot)
                    break
                taken.append(name)
            else:
                taken.clear()
                return True
        finally:
            for name in taken:
                self._limits.put_back(name)
        return False

    def _give_up(self, slot: Slot, name: str) -> None:
        why = f"{name} asked to be left alone for {self._limits.blocked(name):.0f} s"
        queue = _queue_of(slot)
        while queue:
            _, turn = queue.popleft()
            if not turn.done():
                turn.set_exception(RequestRefused("retry_after", why))

    def _report(self, names: list[str], request: Request, response: Response | None, sent: float) -> None:
        host, *proxies = names
        limits = self._limits
        for proxy in proxies:
            limits.give(proxy)
            self._ready |= self._behind.pop(proxy, {})  # hosts whose last request this one's end may let through
        if response is None:
            limits.give(host)
            return
        self._bandwidth.received(received_bytes(request, response), workers=limits.membership.workers)
        if response.status in SLOWER:
            asked = min(retry_after(response), 1e9)
            why = f"{response.status}" + (f", Retry-After {asked:.0f} s" if asked else "")
            limits.give(host, trouble=sent, why=why, block=asked)
            return
        latency: float | None = request.meta.get("download_latency")
        if latency is None or request.meta.get("autothrottle_dont_adjust_delay"):
            limits.give(host)
        elif response.status == 200:
            limits.give(host, latency=latency)
        else:  # what is small and made fast must not make us faster
            limits.give(host, latency=max(latency, limits.delay(host) * self._settings.default.target))


def _queue_of(slot: Slot) -> deque[tuple[Request, Turn]]:
    # Scrapy's queue has Deferreds; nobody but the downloader looks at it.
    return cast("deque[tuple[Request, Turn]]", slot.queue)


def _names(slot: Slot, request: Request) -> list[str]:
    """Whose limits a request is subject to."""
    assert isinstance(slot, HostSlot)  # noqa: S101 -- the downloader makes no other
    proxy = request.meta.get("proxy")
    return [slot.name, proxy_name(urlsplit(proxy).netloc)] if proxy else [slot.name]
