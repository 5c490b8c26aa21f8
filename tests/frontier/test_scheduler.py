from __future__ import annotations

import pytest

from imgcrawl.frontier.scheduler import BATCH, BATCH_BYTES, ROOM, ROOM_BYTES, Outbox


def boxed(*sizes: int) -> Outbox:
    out = Outbox()
    for size in sizes:
        out.add(("c", b"", "", b"x" * (size - 1)))
    return out


def emptied(out: Outbox) -> list[int]:
    counts = []
    while batch := out.batch():
        counts.append(len(batch))
        out.sent(len(batch))
    assert (len(out), out.reported) == (0, sum(counts))
    return counts


KB = 1024


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([10], [1]),
        ([10] * (2 * BATCH + 1), [BATCH, BATCH, 1]),
        ([100 * KB] * 5, [2, 2, 1]),
        ([128 * KB] * 4, [2, 2]),
        ([10, 1024 * KB, 10, 10], [1, 1, 2]),
        ([1024 * KB] * 3, [1, 1, 1]),
        ([BATCH_BYTES, 1], [1, 1]),
    ],
)
def test_a_batch_is_bounded_by_its_bytes_too(sizes: list[int], batches: list[int]) -> None:
    assert emptied(boxed(*sizes)) == batches


def test_a_batch_is_what_comes_next_until_it_was_sent() -> None:
    out = boxed(200 * KB, 100 * KB, 5)
    assert [len(op[3]) + 1 for op in out.batch()] == [200 * KB]
    assert [len(op[3]) + 1 for op in out.batch()] == [200 * KB]
    out.add(("done", b"token", ""))
    out.sent(1)
    assert [op[0] for op in out.batch()] == ["c", "c", "done"]


def test_what_waits_is_bounded_by_its_bytes_too() -> None:
    assert boxed(*[10] * ROOM).has_room()
    assert not boxed(*[10] * (ROOM + 1)).has_room()
    out = boxed(*[BATCH_BYTES] * (ROOM_BYTES // BATCH_BYTES + 1))
    assert not out.has_room()
    out.sent(1)
    assert out.has_room()
    assert out.has_batch()
    out.clear()
    assert not out.has_batch()
    assert (len(out), out.batch()) == (0, [])
    assert boxed(*[10] * BATCH).has_batch()
    assert not boxed(*[10] * (BATCH - 1)).has_batch()
