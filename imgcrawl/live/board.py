"""What the workers of a spider say of themselves, in Redis beside their queue. Loaded with REDIS_URL only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from imgcrawl.frontier.queue import Queue
from imgcrawl.live import border
from imgcrawl.samples import FAILURES, NEWEST
from imgcrawl.shared.script import Script

SCRIPT = Script(files("imgcrawl.live") / "lua" / "publish.lua")
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
    def of(cls, found: Mapping[bytes, bytes]) -> Control:
        """Of the hash in Redis, whatever is in it."""

        def value(name: bytes) -> str:
            return found.get(name, b"").decode("utf-8", "replace")

        checked = border.control({"delay_factor": _number(value(b"delay_factor"))})
        return cls(
            border.text(value(b"run"), 100),
            paused=value(b"paused") == "1",
            delay_factor=checked["delay_factor"],
            stop=int(_number(value(b"stop"))),
        )


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
        row: Mapping[str, Any] | None,
        newest: Sequence[Mapping[str, Any]] = (),
        failures: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[int, int, Control]:
        """Say *row* of *worker*, None to be forgotten. Returns the server's milliseconds, how many workers are on the
        board, and what is asked of them."""
        said = _encoded(row) if row is not None else ""
        silent = FORGOTTEN * self.queue.settings.lease_timeout
        lists = [_encoded(each) for each in (*newest, *failures)]
        arguments = (worker, said, silent, KEPT, NEWEST, FAILURES, len(newest), *lists)
        at, workers, control = await SCRIPT.run(self.queue.client, [self.key], arguments)
        found = control if isinstance(control, dict) else dict(zip(control[::2], control[1::2], strict=False))
        return int(at), workers, Control.of(found)

    async def read(self) -> Said:
        """All that is there, in one round trip."""
        async with self.queue.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self.key)
            pipe.zrange(f"{self.key}:at", 0, border.WORKERS, withscores=True)
            pipe.lrange(f"{self.key}:newest", 0, NEWEST - 1)
            pipe.lrange(f"{self.key}:failures", 0, FAILURES - 1)
            pipe.hgetall(f"{self.key}:control")
            found = await pipe.execute(raise_on_error=False)
        time = await self.now()
        kept: list[Any] = [None if isinstance(each, Exception) else each for each in found]  # keys that are not ours
        rows, control = kept[0] or {}, kept[4] or {}
        times, newest, failures = (each or [] for each in kept[1:4])
        known = {name: (time - score) / 1000 for name, score in times}
        workers, ages = {}, {}
        for name in list(rows)[: border.WORKERS]:
            if name in known:
                shown = border.text(name.decode("utf-8", "replace"), 100)
                workers[shown] = border.worker(border.parsed(rows[name])) | {"name": shown}
                ages[shown] = border.number(known[name])
        return Said(
            workers,
            ages,
            [border.newest(border.parsed(each)) for each in newest],
            [border.failure(border.parsed(each)) for each in failures],
            Control.of(control),
        )

    async def control(self) -> Control:
        """What is asked of the workers."""
        return Control.of(await self.queue.client.hgetall(f"{self.key}:control"))

    async def forget_control(self) -> None:
        """What was asked of workers that are no more is not asked of others."""
        await self.queue.client.delete(f"{self.key}:control")

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
            values |= {"stop": await self.now(), "paused": 0}
        await client.hset(key, mapping=values)
        await client.expire(key, KEPT)


def _encoded(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _number(text: str) -> float:
    try:
        return border.number(float(text))
    except ValueError:
        return 0.0
