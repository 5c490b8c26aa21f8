"""What a worker has to report to the queue, until it is reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

BATCH, BATCH_BYTES = 500, 256 * 1024  # operations and bytes in one script: some milliseconds of the server's time
# That may wait; start() pauses beyond. What waits when a server turns full goes into the room that is kept for what
# pages lead to: more of it would stand before the ends of pages, which alone make room.
OUTBOX_LIMIT, OUTBOX_LIMIT_BYTES = 2 * BATCH, 2 * BATCH_BYTES

Operation = tuple[bytes | str, ...]


class Outbox:
    """Operations that are to be reported, in their order, in batches that Redis takes in a moment."""

    def __init__(self) -> None:
        self._operations: deque[Operation] = deque()
        self._bytes = 0
        self.reported = 0  # operations so far

    def __len__(self) -> int:
        return len(self._operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    @property
    def end(self) -> int:
        """Operations so far, those included that are not reported."""
        return self.reported + len(self._operations)

    def add(self, operation: Operation) -> None:
        self._operations.append(operation)
        self._bytes += _size(operation)

    def batch(self) -> list[Operation]:
        """What is to go next: as much as BATCH and BATCH_BYTES allow, a single larger one alone."""
        batch: list[Operation] = []
        size = 0
        for operation in self._operations:
            size += _size(operation)
            if batch and (len(batch) == BATCH or size > BATCH_BYTES):
                break
            batch.append(operation)
        return batch

    def sent(self, count: int) -> None:
        """The first *count* were reported; some of them may have been dropped meanwhile (`clear`)."""
        for _ in range(min(count, len(self._operations))):
            self._bytes -= _size(self._operations.popleft())
        self.reported += count

    def replace(self, kind: str, by: Operation) -> None:
        """Report *by* in the place of each operation of that *kind*."""
        self._operations = deque(by if operation[0] == kind else operation for operation in self._operations)
        self._bytes = sum(map(_size, self._operations))

    def clear(self) -> None:
        self._operations.clear()
        self._bytes = 0

    def has_batch(self) -> bool:
        return len(self._operations) >= BATCH or self._bytes >= BATCH_BYTES

    def has_room(self) -> bool:
        return len(self._operations) <= OUTBOX_LIMIT and self._bytes <= OUTBOX_LIMIT_BYTES


def _size(operation: Operation) -> int:
    return sum(map(len, operation))
