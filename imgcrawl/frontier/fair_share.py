"""How many pages a worker asks a shard for."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcrawl.frontier.run import SharedRun
    from imgcrawl.frontier.shard import Shard


def wanted_of(run: SharedRun, shard: Shard) -> int:
    """How many pages *shard* is to be asked for: of what there is room for its part, where others have pages, too.

    A shard whose best page has a lower priority than that of another waits for that; one that does not answer is not
    counted upon.
    """
    if not run.has_others:
        return run.leases.wanted
    if run.alone is not None and run.alone is not shard:
        return 0
    room = run.leases.wanted - sum(other.asked for other in run.shards if other is not shard)
    others = [other for other in run.shards if other.has_more and other is not shard and not other.session.is_away]
    if shard.top is not None:
        if any(other.top is not None and other.top > shard.top for other in others):
            return 0
        others = [other for other in others if other.top is None or other.top == shard.top]
    share = ceil(run.leases.prefetch / (1 + len(others))) - run.leases.ready_of(shard.number)
    return max(0, min(room, share))


def find_quarantined(run: SharedRun) -> None:
    """Have a worker that holds nothing ask one shard, and no other, for a page that several workers died with."""
    if run.leases or run.alone is not None or any(shard.asked for shard in run.shards):
        return
    for shard in run.shards:
        if shard.reply.quarantined_waiting and not shard.session.is_away:
            run.alone = shard
            shard.session.wake()
            return
