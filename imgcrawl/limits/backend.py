"""What workers say to the common account of the limits of hosts, and what they hear from it.

`imgcrawl.limits.local` is that account for a worker which is alone, `imgcrawl.limits.redis` for those that share a
server. Both follow the same rules, and one test suite holds both to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Protocol

HORIZON = 0.25  # seconds ahead for which start times are given out at once; round trips cost more than foresight
MAX_STARTS = 128  # given out at once
FIRST_DELAY = 0.1  # seconds between two requests, at least, after the first 429 or 503
MOST_LATENCIES = 10.0  # a 429 or 503 makes the delay no longer than so many times what that answer took
WIDENED = 8  # troubles after which that bound is twice as wide: a host that answers nothing else is asked ever less
FORGIVEN = 3  # troubles that a good answer outweighs: where one in four is good, the bound stays
FULL_SPEED = 0.02  # a delay that falls below this is over
MAX_RECOVERY = 1.0  # seconds of good answers that can be credited at a time: silence is no good answer
MAX_BLOCK = 86400.0  # seconds; what asks for more means "go away", and a day is an answer to that
SAME_BLOCK = 0.25  # seconds by which two workers may differ about the end of the same block
DOUBTS = 3  # answers in a row that must ask for a very long wait until a host is believed


@dataclass(frozen=True)
class HostLimits:
    """What the settings and robots.txt say of a host. Times are in seconds.

    *delay* varies by *jitter* (0.5: ±50 %); no gap is ever shorter than *floor* (Crawl-delay). With *target* (0: off)
    the delay follows the latency, between *delay* and *longest*, from *first*. After a 429 or 503 it doubles, up to
    *longest* and some times what that answer took, more if few answers are good; then *speedup* requests a second are
    added in each second. A Retry-After of more than *longest_block*
    is believed when the next answers say the same. The delay that comes out of all that is taken *factor* times.
    """

    concurrency: int
    delay: float = 0.0
    jitter: float = 0.0
    floor: float = 0.0
    target: float = 0.0
    first: float = 0.0
    longest: float = 60.0
    speedup: float = 2.0
    longest_block: float = MAX_BLOCK
    factor: float = 1.0


@dataclass(frozen=True)
class LimitRequest:
    """What a worker has and wants of one host.

    *keep*: permits that this worker has, and may be using already when it hears the answer; *want*: requests under way
    and waiting. *starts*: start times wanted. *answers* came since the last request, with *latency* on average.
    *trouble*: a request sent that many seconds ago, 0.0 if that is not known, was just answered 429 or 503, *why* is
    that answer, its status first. *block*: nothing may be asked for that long; *doubts*: as many answers after the last
    good one asked for more than `HostLimits.longest_block`, the longest for *doubted* seconds.
    """

    host: str
    limits: HostLimits
    keep: int = 0
    want: int = 0
    starts: int = 0
    answers: int = 0
    latency: float = 0.0
    trouble: float | None = None
    why: str = ""
    block: float = 0.0
    doubts: int = 0
    doubted: float = 0.0


@dataclass(frozen=True)
class LimitGrant:
    """What a worker may do. Times are in seconds from the `Membership.clock` that comes with it.

    *permits*: requests under way at a time, never fewer than it said it keeps. If *share* is less, others wait, or have
    what it keeps because it was taken for dead: it is to keep no more than that from *turn* on.
    *delay*: between two requests of anybody, 0 for none; if there is one, requests are sent at *starts* only.
    *blocked*: nothing before. *epoch*: start times of an earlier one are void. *slowed*: the delay that answers as 429
    and 503 have made, 0 if none.
    """

    permits: int
    share: int
    turn: float
    delay: float
    blocked: float
    epoch: int
    starts: tuple[float, ...] = ()
    slowed: float = 0.0


@dataclass(frozen=True)
class Membership:
    """*workers* share the limits, of which this is number *rank* (from 0). *fresh*: the backend did not know it.

    *clock*: seconds, by the backend's clock, at which this was so. It never goes back. *heard*: by the same clock, when
    the other worker that has been silent longest was told so much: all know of who joined before.
    """

    workers: int = 1
    rank: int = 0
    fresh: bool = False
    clock: float = 0.0
    heard: float = inf


class BackendClock:
    """The backend's clock, as a worker counts it on from what it was told."""

    def __init__(self) -> None:
        self._ahead = -inf  # seconds by which it is ahead of monotonic(), at least

    def told(self, clock: float) -> float:
        """The monotonic() at which it said *clock*, in an answer that has just come.

        Later than it was by no more than the fastest answer was on its way: one that was slow, or came to a loop that
        was busy, must not move the start times that it brings, since others have the next ones.
        """
        self._ahead = max(self._ahead, clock - monotonic())
        return clock - self._ahead

    def now(self) -> float:
        """What it says now, or a little later; 0.0 if nothing was told yet."""
        return max(0.0, monotonic() + self._ahead)


class LimitsBackend(Protocol):
    """The common account of all workers. Raises what its medium raises (`OUTAGES`) when it cannot be reached."""

    async def open(self) -> None: ...

    async def exchange(
        self, requests: Sequence[LimitRequest], *, before: bool = False
    ) -> tuple[Membership, list[LimitGrant]]:
        """Settle *requests*, one for a host, in one step. *before*: this worker had grants before."""
        ...

    async def changed_hosts(self, timeout: float) -> Sequence[str]:
        """Wait for hosts about which there is something new to hear, *timeout* seconds at the most."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class HostNotes(Protocol):
    """What workers tell each other about hosts. While it cannot be reached nothing is told, and every claim granted."""

    async def recall(self, name: str) -> dict[str, Any] | None:
        """What `remember` was told under *name*, if that still holds."""
        ...

    async def remember(self, name: str, note: dict[str, Any], seconds: float) -> None:
        """Tell *note* to all workers for the next *seconds*, and end a claim to *name*."""
        ...

    async def spend(self, run: str, amounts: Mapping[str, int]) -> dict[str, int] | None:
        """Add *amounts* to what all workers of *run* have spent, and hear the sums; None if it cannot be reached."""
        ...

    async def claim(self, name: str, seconds: float, *, anew: bool = False) -> bool:
        """Whether it is this worker that finds out about *name*, for the next *seconds*.

        Not if a note holds, unless it is to be found out *anew*."""
        ...
