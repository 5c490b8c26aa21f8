"""Addresses that several galleries name: each is asked for once at a time, and what failed not by each of them anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import cast

from cachetools import TLRUCache

from imgcrawl.failures import is_passing
from imgcrawl.items import STORED, Image

_MAX = 10_000
# What may be over by and by is not tried anew for this many seconds; it has had its retries.
_TRANSIENT = 3600.0
# What was said about the address, and not about the moment or about us. Other reasons depend on the page that named it
# (Referer, whether it may name private addresses), on a rule, or are faults of ours, and cost one request at the most.
_FINAL = {
    *("http_404", "http_410", "empty", "not_an_image", "not_a_video", "unsupported_format", "truncated", "corrupt"),
    *("too_large", "too_many_pixels", "too_small", "aspect", "format", "similar", "too_many_redirects", "placeholder"),
}


class SharedAddresses:
    """Gives all items that name an address its one outcome.

    Those that come while it is under way wait. The last 10,000 addresses that failed in a way that others would meet,
    too, are remembered.
    """

    def __init__(self) -> None:
        self._underway: dict[bytes, asyncio.Future[Image | None]] = {}  # None: it was given up
        self._has_failed = False  # as long as nothing has, there is nothing to look up
        self._failed: TLRUCache[bytes, Image] = TLRUCache(_MAX, _forgotten_at, monotonic)

    async def outcome(self, key: bytes, ask: Callable[[], Awaitable[Image]]) -> Image:
        """The outcome of the address with the fingerprint *key*; *ask* has it if nobody else has."""
        while (underway := self._underway.get(key)) is not None:
            other = await asyncio.shield(underway)
            if other and other["status"] in STORED:
                return cast("Image", {**other, "status": "duplicate"})
        if self._has_failed and (failed := self._failed.get(key)) is not None:
            return failed
        future = self._underway[key] = asyncio.get_running_loop().create_future()
        image: Image | None = None
        try:
            image = await ask()
        finally:
            del self._underway[key]
            future.set_result(image)
        reason = image.get("reason", "")
        if reason in _FINAL or is_passing(reason):
            self._failed[key] = image
            self._has_failed = True
        return image


def _forgotten_at(key: bytes, outcome: Image, now: float) -> float:
    return now + _TRANSIENT if is_passing(outcome["reason"]) else float("inf")
