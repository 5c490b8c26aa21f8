"""What the workers of a spider say of themselves, in Redis beside their queue. Loaded with REDIS_URL only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from math import inf
from typing import Any

from imgcrawl.frontier import inspect
from imgcrawl.frontier.queue import Queue
from imgcrawl.live import border
from imgcrawl.samples import FAILURES, NEWEST
from imgcrawl.shared.script import Script

PUBLISH, READ = (Script(files("imgcrawl.live") / "lua" / name) for name in ("publish.lua", "read.lua"))
KEPT = 30 * 86400  # seconds: as long as the sums of a run
FORGOTTEN = 2  # times the lease's time after which a worker that is silent is shown no more


@dataclass(frozen=True)
class Control:
    """What a person asks of the workers of *run*: *stop* is when, by the server's clock, in milliseconds; 0 if not."""

    run: str = ""
    paused: bool = False
    delay_factor: float = 1.0
    stop: int = 0

    @classmethod
    def of(cls, found: Sequence[bytes | None]) -> Control:
        """Of the fields of the hash in Redis, in this order, whatever is in them."""
        run, paused, factor, stop = (
            (value or b"")[:100].decode("utf-8", "replace") for value in (*found, *[None] * 4)[:4]
        )
        checked = border.control({"delay_factor": _number(factor)})
        return cls(border.text(run, 100), paused == "1", checked["delay_factor"], int(_number(stop)))


@dataclass(frozen=True)
class Said:
    """What was read: a worker's own words by its name, and how many seconds ago each said them."""

    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    ages: dict[str, float] = field(default_factory=dict)
    newest: Sequence[dict[str, Any]] = ()
    failures: Sequence[dict[str, Any]] = ()
    control: Control = Control()


class Board:
    """The board of the *queue* of a spider. Its methods raise `OUTAGES`."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.key = f"{queue.prefix}live"

    async def publish(
        self,
        worker: str,
        row: Mapping[str, Any],
        newest: Sequence[Mapping[str, Any]] = (),
        failures: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[int, int, Control]:
        """Say *row* of *worker*. Returns the server's milliseconds, how many workers are on the board, and what is
        asked of them."""
        silent = FORGOTTEN * self.queue.settings.lease_timeout
        lists = [_encoded(each) for each in (*newest, *failures)]
        arguments = (worker, _encoded(row), silent, KEPT, NEWEST, FAILURES, len(newest), *lists)
        at, workers, control = await PUBLISH.run(self.queue.client, [self.key], arguments)
        return int(at), workers, Control.of(control)

    async def read(self) -> Said:
        """All that is there, in one round trip."""
        time, rows, newest, failures, control = await self._read(border.WORKERS, NEWEST, FAILURES)
        workers, ages = {}, {}
        for name, at, row in rows:
            shown = border.text(name.decode("utf-8", "replace"), 100)
            workers[shown] = border.worker(border.parsed(row)) | {"name": shown}
            ages[shown] = border.number((int(time) - float(at)) / 1000)
        return Said(
            workers,
            ages,
            [border.newest(border.parsed(each)) for each in newest],
            [border.failure(border.parsed(each)) for each in failures],
            Control.of(control),
        )

    async def control(self) -> Control:
        """What is asked of the workers."""
        return Control.of((await self._read(0, 0, 0))[-1])

    async def _read(self, workers: int, newest: int, failures: int) -> list[Any]:
        found: list[Any] = await READ.run(self.queue.client, [self.key], (workers, newest, failures, border.LARGEST))
        return found

    async def forget_control(self, most: float = inf) -> bool:
        """Have what was asked of workers that are no more not asked of others. False, and nothing done, if there are
        more than so many workers."""
        if (await inspect.counts(self.queue))["workers"] > most:
            return False
        await self.queue.client.delete(f"{self.key}:control")
        return True

    async def now(self) -> int:
        """The server's clock, in milliseconds."""
        time = await self.queue.client.time()
        seconds, microseconds = next(iter(time.values())) if isinstance(time, dict) else time
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def ask(self, run: str, changes: Mapping[str, Any]) -> None:
        """Have the workers of *run* obey *changes*; what another run was asked for is forgotten."""
        key = f"{self.key}:control"
        client = self.queue.client
        before = await client.hget(key, "run")
        if before is None or before.decode("utf-8", "replace") != run:
            await client.delete(key)
        values: dict[str, Any] = {"run": run}
        if "paused" in changes:
            values["paused"] = int(changes["paused"])
        if "delay_factor" in changes:
            values["delay_factor"] = changes["delay_factor"]
        if changes.get("stop"):
            values["stop"] = await self.now()
        await client.hset(key, mapping=values)
        await client.expire(key, KEPT)


def _encoded(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _number(text: str) -> float:
    try:
        return border.number(float(text))
    except ValueError:
        return 0.0
