"""Waiting for the first of several moments, which may be named while one waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic


class Alarm:
    """Rings once, at the earliest moment of those that were named since it rang last."""

    def __init__(self) -> None:
        self._at = inf
        self._is_earlier = asyncio.Event()

    def within(self, seconds: float) -> None:
        """Ring when so many *seconds* have passed, at the latest."""
        at = monotonic() + seconds
        if at < self._at:
            self._at = at
            self._is_earlier.set()

    async def rings(self, timeout: float) -> None:
        """Wait until it rings, *timeout* seconds at the most."""
        end = monotonic() + timeout
        while (left := min(self._at, end) - monotonic()) > 0:
            self._is_earlier.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._is_earlier.wait()
        self._at = inf
