"""How a crawl went since somebody began to watch it: as many points as a page can draw, however long it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

MOST: Final = 960  # points; beyond, two neighbours become one
RECENT: Final = 10.0  # seconds over which bytes and failures are counted, as `rate` is

_OVER: Final = {"ended", "killed", "none"}  # nothing is to be seen any more

# When (seconds since 1970), images a second, bytes a second, images not kept a minute, pages queued.
Point = list[float | None]


class History:
    """The points of one run, oldest first."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.step = 1  # looks that a point stands for
        self.looks = 1  # the same, of the last one so far
        self.now: Point = []  # what was added last
        self._run: Any = None
        self._sums: deque[tuple[float, float, float]] = deque()

    def add(self, now: float, overview: Mapping[str, Any]) -> bool:
        """Add what *overview* says of *now*. Returns whether it is of another run than the last, whose points are
        gone."""
        is_new = not self.points or overview.get("run") != self._run
        if not is_new and overview.get("state") in _OVER:
            return False
        if is_new:
            self._run = overview.get("run")
            self._sums.clear()
            curve = [value if isinstance(value, int | float) else None for value in overview.get("curve") or ()]
            self.step = self.looks = 1
            self.points = [[now - len(curve) + n, value, None, None, None] for n, value in enumerate(curve[:-1])]
        images, queue = overview.get("images") or {}, overview.get("queue") or {}
        lost = float(images.get("failed") or 0) + float(images.get("refused") or 0)
        self._sums.append((now, float(overview.get("bytes") or 0), lost))
        while len(self._sums) > 2 and now - self._sums[0][0] > RECENT:
            self._sums.popleft()
        then, nbytes, before = self._sums[0]
        seconds = now - then
        speed = max(self._sums[-1][1] - nbytes, 0) / seconds if seconds else None
        losing = max(lost - before, 0) / seconds * 60 if seconds else None
        self.now = [round(now, 1), overview.get("rate"), speed, losing, queue.get("queued")]
        self._append(self.now)
        return is_new

    def _append(self, point: Point) -> None:
        if self.points and self.looks < self.step:
            self.points[-1] = _mean(self.points[-1], self.looks, point, 1)
            self.looks += 1
            return
        self.points.append(point)
        self.looks = 1
        if len(self.points) > MOST:
            self.points = [
                _mean(one, 1, other, 1) for one, other in zip(self.points[::2], self.points[1::2], strict=False)
            ]
            self.looks = self.step = 2 * self.step


def _mean(one: Point, weight: int, other: Point, more: int) -> Point:
    """That of points which stand for so many looks, at the time of the *other*, which is later."""
    pairs = zip(one[1:], other[1:], strict=True)
    means = [a if b is None else b if a is None else (a * weight + b * more) / (weight + more) for a, b in pairs]
    return [other[0], *means]
