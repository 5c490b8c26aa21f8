"""What workers tell each other in Redis about hosts: robots.txt, and what a run has spent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from imgcrawl.shared.connection import OUTAGES
from imgcrawl.shared.script import Script

if TYPE_CHECKING:
    from imgcrawl.limits.redis import RedisLimits

SCRIPT = Script(files("imgcrawl.limits") / "lua" / "notes.lua")
MAX_BYTES = 16 * 1024 * 1024  # of all notes of a crawl together, compressed: what strangers say costs no more
MAX_COUNT = 50_000  # the same in number, each with some 200 bytes of Redis' own
MAX_NOTE = 4 * 1024 * 1024  # bytes of one: 500 KiB of robots.txt, however its characters are written
_IN_LOOP = 16 * 1024  # bytes that are compressed in the event loop


class RedisNotes:
    """`HostNotes` for all workers of a spider. Beyond MAX_BYTES or MAX_COUNT what was used least recently is lost."""

    def __init__(self, limits: RedisLimits) -> None:
        self._limits = limits
        self.key = f"{limits.key}:notes"

    async def recall(self, name: str) -> dict[str, Any] | None:
        return (await self.recall_all([name]))[0]

    async def recall_all(self, names: Sequence[str]) -> list[dict[str, Any] | None]:
        """As `recall`, in one round trip."""
        with contextlib.suppress(*OUTAGES):
            await self._limits.open()
            return [await _unpacked(value) for value in await self._run("recall", *names)]
        return [None for _ in names]

    async def remember(self, name: str, note: dict[str, Any], seconds: float) -> None:
        text = json.dumps(note, ensure_ascii=False).encode("utf-8", "replace")
        packed = zlib.compress(text) if len(text) <= _IN_LOOP else await asyncio.to_thread(zlib.compress, text)
        if len(text) <= MAX_NOTE:
            with contextlib.suppress(*OUTAGES):
                await self._run("remember", name, seconds, MAX_BYTES, MAX_COUNT, packed)

    async def claim(self, name: str, seconds: float, *, anew: bool = False) -> bool:
        with contextlib.suppress(*OUTAGES):
            arguments = (name, seconds, MAX_BYTES, MAX_COUNT, self._limits.worker, int(anew))
            return bool(await self._run("claim", *arguments))
        return True

    async def spend(self, run: str, amounts: Mapping[str, int]) -> dict[str, int] | None:
        key = f"{self._limits.key}:spent:{run}"
        with contextlib.suppress(*OUTAGES):
            await self._limits.open()
            async with self._limits.store.client.pipeline(transaction=True) as pipe:  # all or nothing: not twice
                for name, amount in amounts.items():
                    pipe.hincrby(key, name, amount)
                pipe.expire(key, 30 * 86400 if run else 86400)
                *sums, _ = await pipe.execute()
            return {name: max(0, total) for name, total in zip(amounts, sums, strict=True)}
        return None

    async def _run(self, operation: str, *arguments: Any) -> Any:
        keys = (self.key, self._limits.key)
        return await SCRIPT.run(self._limits.store.client, keys, (operation, *arguments))


async def _unpacked(value: bytes) -> dict[str, Any] | None:
    """The note, if it is one: in Redis anybody may have written it."""
    if not value:
        return None
    with contextlib.suppress(zlib.error, ValueError, TypeError, RecursionError):
        text = zlib.decompressobj().decompress(value, MAX_NOTE)
        note = json.loads(text) if len(text) <= _IN_LOOP else await asyncio.to_thread(json.loads, text)
        return note if isinstance(note, dict) else None
    return None
