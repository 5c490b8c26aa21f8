"""What the queue holds, for whoever looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from imgcrawl.digits import whole
from imgcrawl.frontier import run_arguments as wire
from imgcrawl.frontier.packing import unpack
from imgcrawl.frontier.queue import Queue
from imgcrawl.frontier.queues import Queues

SUMMED = (
    *("queued", "leased", "seen", "done", "failed", "dead", "rejected", "redelivered", "enqueued"),
    *("galleries", "galleries_done"),
)


class Lease(NamedTuple):
    request: bytes  # JSON, as it is
    since: float  # seconds


async def counts(queue: Queue | Queues) -> dict[str, Any]:
    """How the queue is: `state`, `queued`, `leased`, `seen`, `done`, `dead`, `rejected`, `workers`, and the run's own.
    `galleries` are those that were queued in the run, each once, `lists` pages, queued or leased, that are none.

    All are numbers that are kept, not counted: it costs the same however much is queued, and by however many workers.
    Those of several shards are added up.
    `arguments` are what its workers were started with, None if that cannot be read.
    """
    home, *others = [await _counts(shard) for shard in _shards(queue)]
    for other in others:
        for name in SUMMED:
            home[name] += other[name]
        home["deaths"] = max(home["deaths"], other["deaths"])  # each shard has seen all of them
    galleries = max(0, home["galleries"] - home["galleries_done"] - home["dead"])
    home["lists"] = max(0, home["queued"] + home["leased"] - galleries)
    return home


async def _counts(queue: Queue) -> dict[str, Any]:
    fields, seen, queued, dead, workers, galleries_done = await queue.call("counts")
    run = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in _pairs(fields)}
    found: dict[str, Any] = {name: run.get(name, "") for name in ("id", "name", "state", "error")}
    found["arguments"] = wire.load(run.get("arguments", "").encode())
    for name in (*SUMMED, "deaths", "started", "ended"):
        found[name] = whole(run.get(name, "")) or 0
    return found | {
        "queued": queued,
        "seen": seen,
        "dead": dead,
        "workers": workers,
        "galleries_done": galleries_done,
        "seeded": run.get("seeded") == "1",
    }


def _shards(queue: Queue | Queues) -> Sequence[Queue]:
    return queue if isinstance(queue, Queues) else [queue]


async def workers(queue: Queue | Queues, most: int = 50) -> dict[str, list[Lease]]:
    """The workers, at most so many, and what each holds, since when (seconds, the server's clock)."""
    found: dict[str, list[Lease]] = {}
    for shard in _shards(queue):
        for worker, leases in await shard.call("workers", most):
            held = found.setdefault(worker.decode("utf-8", "replace"), [])
            for _, entry in _pairs(leases):
                head, _, request = entry.partition(b"\n")
                if numbers := _numbers(head):
                    held.append(Lease(unpack(request, shard.settings.max_request_size), numbers[2] / 1000))
    return dict(sorted(found.items())[:most])


async def names(queue: Queue | Queues) -> list[str]:
    """The names of all workers."""
    home = _shards(queue)[0]
    found = await home.client.zrange(f"{home.prefix}workers", 0, -1)
    return [name.decode("utf-8", "replace") for name in found]


async def dead(queue: Queue | Queues, most: int = 100) -> list[dict[str, Any]]:
    """The pages given up, last first: `request` (JSON bytes), `reason`, `failures`, `deaths`, `at` (seconds)."""
    found = []
    for entry in [entry for shard in _shards(queue) for entry in reversed(await shard.call("entries", "dead", most))]:
        head, _, rest = entry.partition(b"\n")
        reason, _, request = rest.partition(b"\n")
        if numbers := _numbers(head):
            at, failures, deaths = numbers
            found.append(
                {
                    "request": unpack(request, queue.settings.max_request_size),
                    "reason": reason.decode("utf-8", "replace"),
                    "failures": failures,
                    "deaths": deaths,
                    "at": at / 1000,
                }
            )
    return sorted(found, key=lambda page: -page["at"])[:most]


async def rejected(queue: Queue | Queues, most: int = 100) -> list[tuple[str, bytes]]:
    """Values that were none of ours, last first: why, and their first 500 bytes."""
    found = []
    for entry in [
        entry for shard in _shards(queue) for entry in reversed(await shard.call("entries", "rejected", most))
    ]:
        _, reason, _, value = (entry.split(b"\n", 3) + [b""] * 3)[:4]
        found.append((reason.decode("utf-8", "replace"), value))
    return found


def _numbers(head: bytes) -> list[int]:
    """The three numbers with which an entry begins; [] if it does not."""
    found = [number for text in head.split(b",")[:3] if (number := whole(text)) is not None]
    return found if len(found) == 3 else []


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
