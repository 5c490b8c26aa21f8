"""Ends of pages, after what the pages led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcrawl.frontier.outbox import Operation

if TYPE_CHECKING:
    from imgcrawl.frontier.shard import Shard


class Acknowledgements:
    """Operations that are reported to a shard when all other *shards* have what was to be reported to them before.

    So a page whose worker dies is done again as long as what it led to may be unknown.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._waiting: list[tuple[Shard, Operation, dict[Shard, int], int]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def report(self, shard: Shard, operation: Operation) -> None:
        others = {other: other.outbox.end for other in self._shards if other is not shard and other.outbox}
        if others:
            self._count += 1
            self._waiting.append((shard, operation, others, self._count))
        else:
            shard.report(operation)

    def of(self, shard: Shard) -> list[Operation]:
        """What waits to be reported to *shard*."""
        return [operation for to, operation, _, _ in self._waiting if to is shard]

    def all(self) -> set[int]:
        """Names of all that waits."""
        return {number for _, _, _, number in self._waiting}

    def release(self) -> None:
        """Report what has waited long enough."""
        waiting, self._waiting = self._waiting, []
        for shard, operation, others, number in waiting:
            left = {other: end for other, end in others.items() if other.outbox.reported < end}
            if left:
                self._waiting.append((shard, operation, left, number))
            else:
                shard.report(operation)

    def wait_for(self, shard: Shard) -> None:
        """All that waits is to wait for what *shard* is told now, too."""
        for to, _, others, _ in self._waiting:
            if to is not shard:
                others[shard] = shard.outbox.end

    def replace(self, kind: str, by: Operation) -> None:
        """Report *by* in the place of each operation of that *kind*."""
        self._waiting = [
            (to, by if operation[0] == kind else operation, others, number)
            for to, operation, others, number in self._waiting
        ]

    def clear(self) -> None:
        self._waiting.clear()
