"""What "on disk" means: the setting DURABILITY, for images and feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

CHOICES = ("write", "fsync")


def wants_fsync(settings: BaseSettings) -> bool:
    """Whether what is acknowledged is to survive a power cut. DURABILITY is "write" (default: the system has it, so
    that it survives the end of the process) or "fsync" (the disk has it). Raises InputError."""
    value = settings.get("DURABILITY", "write")
    if value not in CHOICES:
        raise InputError(f"DURABILITY is {value!r}: expected write or fsync")
    return bool(value == "fsync")


class GroupSync:
    """One *sync* (a blocking function) at a time, for all who wait: those that come while one runs share the next."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when a sync that began after this call has ended. Raises OSError."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
        await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        await asyncio.to_thread(self._sync)

    async def wait_for(self, crawler: Crawler, response: Any) -> None:
        """`wait`, for what came of *response*: where it fails, its page goes back to other workers, if there are any,
        and this one leaves."""
        try:
            await self.wait()
        except OSError:
            if results := getattr(crawler.engine.scheduler, "results", None):  # of `imgcrawl.frontier`
                results.give_back(response)
