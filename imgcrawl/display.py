"""What a terminal shows of a crawl that runs: how much there is, how fast it grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from imgcrawl.items import STORED

RECENT = 10.0  # seconds that "images a second" looks back


def clock(seconds: float) -> str:
    """A duration as people read it: `0:01:23`."""
    return str(timedelta(seconds=int(seconds)))


def stored_images(stats: Mapping[str, Any]) -> int:
    """How many images the store has of those that a crawl with these *stats* has found."""
    return sum(int(stats.get(f"image/{status}", 0)) for status in STORED)


class Status:
    """The lines of a crawl of *spider*, which starts now."""

    def __init__(self, spider: str) -> None:
        self.spider = spider
        self.started = monotonic()
        self._samples: deque[tuple[float, int]] = deque([(self.started, 0)])

    @property
    def seconds(self) -> float:
        return monotonic() - self.started

    def speed(self, images: int) -> float:
        """Images a second over the last RECENT seconds, or since the last call where that is longer ago."""
        now = monotonic()
        self._samples.append((now, images))
        while len(self._samples) > 2 and now - self._samples[0][0] > RECENT:
            self._samples.popleft()
        then, before = self._samples[0]
        return (images - before) / (now - then) if now > then else 0.0

    def pace(self, stats: Mapping[str, Any]) -> str:
        """How fast images come, and what did not: one line."""
        failed = sum(int(stats.get(f"{what}/failed", 0)) for what in ("image", "gallery", "list"))
        speed = self.speed(stored_images(stats))
        return f"{speed:,.1f} images/s, {failed:,} failed, {int(stats.get('image/refused', 0)):,} refused"

    def timed(self, lines: Sequence[str]) -> list[str]:
        """*lines*, the time that has passed before the first."""
        return [f"{clock(self.seconds)}  {lines[0]}", *lines[1:]]
