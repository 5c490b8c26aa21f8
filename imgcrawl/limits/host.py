"""What one worker knows of one host, and what it may do there now."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

from imgcrawl.limits.backend import HORIZON, HostLimits, LimitGrant, LimitRequest, Membership

KEPT_UNUSED = 1.0  # seconds that a permit which is not used is kept: the next page of the host may come
ASK_AGAIN = 5.0  # seconds after which who waits asks again: it is told when there is something, if all goes well
UNHURRIED = 2.0  # seconds after which answers are told that change no delay: they only say that the host answers
TELL_AGAIN = 60.0  # seconds after which who has permits says so again: hosts that nobody asks for are forgotten
TIMER_SLACK = 0.001  # seconds that a timer may be early


@dataclass(eq=False)
class BackendState:
    """What a worker knows of the backend. Times are monotonic().

    *lease*: seconds after which the others take a silent worker for dead. *answered*: when the last exchange that was
    answered was sent; *tried*: the same, or one that failed in its time. *away_since*: 0.0 while it answers. *met*:
    whether it has ever answered. *alone*: what the shares are while it is away, of which those of all workers together
    are a whole; None as long as others may not have heard of this one.
    """

    lease: float
    membership: Membership = field(default_factory=Membership)
    alone: Membership | None = None
    joined: float = 0.0  # by the backend's clock
    answered: float = -inf
    tried: float = -inf
    away_since: float = 0.0
    met: bool = False

    @property
    def is_known(self) -> bool:
        """Whether every worker has heard of this one."""
        return self.membership.heard > self.joined

    def hear(self, told: Membership) -> None:
        """The backend has *told* so."""
        if monotonic() - self.tried > self.lease * 5 / 6:
            self.alone = None  # this process stood still, and was taken for dead
        self.membership = told
        if told.fresh:
            self.joined = told.clock
        if self.is_known or (self.alone and told.workers >= self.alone.workers):
            self.alone = told


@dataclass(eq=False)
class Host:
    """What this worker knows of a host. Times are monotonic()."""

    name: str
    limits: HostLimits
    in_use: int = 0
    queued: int = 0
    permits: int = 0
    share: int = 0
    turn: float = inf  # from then on no more than the share
    delay: float = 0.0
    blocked: float = 0.0
    epoch: int = -1
    starts: deque[float] = field(default_factory=deque)
    started: float = -inf
    given: int = 0  # start times in the last grant
    wanted: int = 0  # asked for last
    asked: float = -inf  # when
    peak: int = 0  # wanted most of late
    peaked: float = -inf  # when
    answers: int = 0
    latency: float = 0.0  # in sum
    trouble: float | None = None  # when the request was sent
    why: str = ""
    doubts: int = 0  # answers that asked for more than the longest block
    doubted: float = 0.0
    slowed: float = 0.0  # the delay after a 429 or 503
    answered: int = 0  # requests, ever
    used: float = field(default_factory=monotonic)
    timer: asyncio.TimerHandle | None = None
    timer_at: float = inf

    def wants(self) -> int:
        """Requests that this worker could have under way."""
        if self.delay >= HORIZON:
            return self.in_use + min(1, self.queued)
        return min(self.in_use + self.queued, self.limits.concurrency)

    def _wanted_of_late(self, backend: BackendState, now: float) -> int:
        """Requests that it had use for in the last second, its share at the most: what one page does not need the next
        does, and each change of what a worker wants is told, and heard by the others."""
        wants = self.wants()
        if wants >= self.peak or now - self.peaked > KEPT_UNUSED:
            self.peak, self.peaked = wants, now
        return 0 if self.delay else min(self.peak, self.limits.concurrency // backend.membership.workers)

    def allowed(self, backend: BackendState, now: float) -> int:
        """Requests that this worker may have under way."""
        if now - backend.tried > backend.lease * 5 / 6:
            return 0  # this process stood still, and others have what it had
        if backend.away_since:
            share = self._share_alone(backend)
            return share if now - backend.answered > backend.lease else min(self.permits, share)
        if now < self.turn:
            return self.permits
        # While it waits for its start time, a request needs its permit.
        waits_for_start = self.in_use == 0 and bool(self.starts) and self.queued > 0
        return min(self.permits, max(self.share, waits_for_start))

    def has_too_many(self, backend: BackendState, now: float) -> bool:
        """Whether its turn is over and others wait for permits that it does not need."""
        return now >= self.turn and self.permits > max(self.in_use, self.allowed(backend, now))

    def next_start(self, backend: BackendState, now: float) -> float | None:
        """When the next request may be sent, by the start times that are left; None if there is none."""
        starts = self.starts
        while starts and starts[0] < now - self._lateness():
            starts.popleft()
        if not starts and backend.alone and backend.away_since:
            # Others may still have start times that they were given before.
            given_until = backend.away_since + max(HORIZON, self.delay * backend.alone.workers)
            starts.append(max(given_until, self._start_alone(backend.alone, max(now, given_until))))
        return starts[0] if starts else None

    def request(self, backend: BackendState, now: float) -> LimitRequest:
        """What is to be said to the backend; from now on it counts as said."""
        self.wanted = max(self.wants(), self._wanted_of_late(backend, now))
        self.asked = now
        kept = self.allowed(backend, now)
        if now - self.used > KEPT_UNUSED:
            kept = min(kept, self.wanted)
        # What is given up here is not used any more, whenever the answer comes.
        self.permits = max(self.in_use, kept)
        request = LimitRequest(
            host=self.name,
            limits=self.limits,
            keep=self.permits,
            want=max(self.wanted, self.in_use),
            starts=max(0, min(self.queued, self.limits.concurrency * 16) - len(self.starts)),
            answers=self.answers,
            latency=self.latency / self.answers if self.answers else 0.0,
            trouble=None if self.trouble is None else max(0.0, now - self.trouble),
            why=self.why,
            block=max(0.0, self.blocked - now),  # again and again: the backend may have lost it
            doubts=self.doubts,
            doubted=self.doubted,
        )
        self.answers, self.latency, self.trouble, self.doubts, self.doubted = 0, 0.0, None, 0, 0.0
        return request

    def take_back(self, request: LimitRequest, now: float) -> None:
        """What *request* told did not reach the backend and is to be told again."""
        self.answers += request.answers
        self.latency += request.latency * request.answers
        if request.trouble is not None and self.trouble is None:
            self.trouble = now - request.trouble
            self.delay = max(self.delay * 2, 0.1)  # nobody else will say so for now
        self.doubts += request.doubts
        self.doubted = max(self.doubted, request.doubted)

    def granted(self, grant: LimitGrant, settled: float) -> None:
        """*settled*: when the backend made the *grant*."""
        self.permits, self.share = grant.permits, grant.share
        self.turn = settled + grant.turn if grant.share < grant.permits else inf
        self.delay, self.slowed = grant.delay, grant.slowed
        if grant.epoch != self.epoch:
            self.epoch = grant.epoch
            self.starts.clear()
        if grant.blocked:
            self.blocked = max(self.blocked, settled + grant.blocked)
        self.starts.extend(settled + start for start in grant.starts)
        self.given = len(grant.starts)

    def is_stuck(self, now: float) -> bool:
        """Whether requests wait and none can be sent soon."""
        soon = self.starts[0] if self.starts else now
        return self.in_use == 0 and self.queued > 0 and (self.blocked > now or not self.permits or soon > now + 1)

    def has_news(self, now: float) -> bool:
        """Whether the backend should hear of it: answers, permits too many, or too few."""
        wants = self.wants()
        surplus = self.permits > wants and now - self.used > KEPT_UNUSED
        wanting = self.queued > 0 and self.permits < wants and now - self.asked > ASK_AGAIN
        is_paced = self.limits.target > 0 or self.slowed > 0
        answers = self.answers > 0 and (is_paced or now - self.asked > UNHURRIED)
        return answers or surplus or wanting or (self.permits > 0 and now - self.asked > TELL_AGAIN)

    def is_content(self, backend: BackendState, now: float) -> bool:
        """Whether it has all that it could use, or its share where there are others, and nothing is to be told that
        these should hear at once."""
        is_news = self.trouble is not None or self.doubts or self.blocked > now
        share = self.limits.concurrency // backend.membership.workers
        return share > 0 and not is_news and not self.delay and min(self.wants(), share) <= self.permits

    def is_idle(self) -> bool:
        """Whether nothing is under way, wanted or to be told."""
        return not (self.in_use or self.queued or self.permits or self.answers)

    def view(self) -> dict[str, Any]:
        """How it is being asked now, and who slowed it: as `imgcrawl.live.overview` has it, with `answered`."""
        blocked = self.blocked - monotonic()
        return {
            "host": self.name,
            "active": self.in_use,
            "limit": self.limits.concurrency,
            "delay": self.delay,
            "reason": "retry_after" if blocked > 0 else self._slowed_by(),
            "until": time.time() + blocked if blocked > 0 else None,
            "waiting": self.queued,
            "answered": self.answered,
        }

    def _slowed_by(self) -> str:
        limits, delay = self.limits, self.delay / self.limits.factor
        if delay <= limits.delay + TIMER_SLACK:
            return ""
        if self.slowed >= delay - TIMER_SLACK:
            return "errors"
        return "robots" if limits.floor >= delay - TIMER_SLACK else "autothrottle"

    def _lateness(self) -> float:
        """Seconds after which a start time has passed: others count on the gap that follows it."""
        return max(0.01, 0.04 * self.delay) if self.delay > 0.05 else 0.05

    def _share_alone(self, backend: BackendState) -> int:
        if backend.alone is None:
            return 0  # nobody knows how many there are, or others count without this one
        whole, rest = divmod(self.limits.concurrency, backend.alone.workers)
        return whole + (backend.alone.rank < rest)

    def _start_alone(self, alone: Membership, now: float) -> float:
        """When this worker may start, with nobody to ask: once in as many delays as there are workers, each in its
        turn by the clock that all machines have more or less."""
        gap = max(self.delay, self.limits.floor)
        period = gap * alone.workers
        start = now + (alone.rank * gap - time.time()) % period
        if start < self.started + period / 2:
            start += period
        return start
