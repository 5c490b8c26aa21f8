"""How a worker knows that nothing is left in any shard of the queue."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from imgcrawl.frontier.fair_share import find_quarantined
from imgcrawl.frontier.queue import Reply

if TYPE_CHECKING:
    from imgcrawl.frontier.run import SharedRun
    from imgcrawl.frontier.shard import Shard


@dataclass
class _Span:
    """From *since* until *until* no page was queued or leased in a shard."""

    signature: str
    since: float
    until: float = -inf


class EndOfRun:
    """Whether all *shards* were without pages at one moment, after which none can come.

    Looks at them are not at one time: a page that is leased in one may lead to pages of another, which was looked at
    before. A shard that is empty at two looks, and in which nothing was queued in between, was empty all the time. When
    all these times have a moment in common nobody held a page then; and as what a page leads to is queued before the
    page is acknowledged, nothing was on its way either. What is left are start() and what outsiders feed: `reset`.
    """

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._spans: dict[int, _Span] = {}

    def reset(self) -> None:
        """Pages may come from elsewhere."""
        self._spans.clear()

    def looked(self, shard: int, reply: Reply, *, sent: float, received: float) -> None:
        """What an exchange with *shard* showed; times are those of one monotonic clock."""
        span = self._spans.get(shard)
        if not reply.quiet:
            self._spans.pop(shard, None)
        elif span is not None and span.signature == reply.signature:
            span.until = sent
        else:
            self._spans[shard] = _Span(reply.signature, since=received)

    def unconfirmed(self) -> list[int]:
        """If all were empty when they were looked at: the shards of which another look shows whether at one time."""
        if len(self._spans) < self._shards:
            return []
        latest = max(span.since for span in self._spans.values())
        return [number for number, span in self._spans.items() if span.until < latest]

    @property
    def is_here(self) -> bool:
        spans = self._spans.values()
        return len(spans) == self._shards and max(s.since for s in spans) <= min(s.until for s in spans)

    @property
    def signature(self) -> str:
        """That of the home shard if all were empty at one moment, or ""."""
        return self._spans[0].signature if self.is_here else ""


def look_at_all(run: SharedRun, shard: Shard, sent: float) -> None:
    """Look for the end of the run in several shards, and for pages that are done alone, after an exchange with
    *shard* that was begun at *sent*."""
    end, home = run.end, run.home
    if run.leases.ready <= run.leases.prefetch // 2:
        run.look_for_more()
    if run.alone is shard:
        run.alone = None
    find_quarantined(run)
    if not home.reply.seeded:
        end.reset()
        return
    was_here = end.is_here
    end.looked(shard.number, shard.reply, sent=sent, received=time.monotonic())
    was_idle = run.is_idle
    run.is_idle = run.is_feeder.is_set() and run.nothing_outside and not run.leases and not run.has_reports
    if not run.is_idle or home.reply.state != "running":
        return
    if not was_idle:
        run.wake()
    elif end.is_here and not was_here:
        home.session.wake()
    else:
        for number in end.unconfirmed():
            run.shards[number].session.wake()
