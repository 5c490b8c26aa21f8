"""What crawls did, counted: for each day and host, over time. What several processes have counted can be added."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from imgcrawl.items import STATUSES
from imgcrawl.report.records import GalleryRecord

DAY: Final = 86_400  # seconds
MOST_HOSTS: Final = 200  # that are told one by one
_FINE: Final = 4_000  # points of a curve that are kept
_SHOWN: Final = 240  # that are shown
_STEPS: Final = (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, DAY, 7 * DAY, 28 * DAY)
_FAILED: Final = ("refused", "failed")
_BYTES: Final = len(STATUSES)  # the place of the bytes behind the counts of statuses


class Timeline:
    """Images, bytes and failures over time, in steps that grow with the time told of."""

    def __init__(self) -> None:
        self.step = 1
        self.points: dict[int, list[int]] = {}

    def add(self, at: int, images: int, nbytes: int, failed: int) -> None:
        point = self.points.get(at // self.step)
        if point is None:
            point = self.points[at // self.step] = [0, 0, 0]
            if len(self.points) > _FINE:
                self._widen(self.step * 2)
                point = self.points[at // self.step]
        point[0] += images
        point[1] += nbytes
        point[2] += failed

    def merge(self, other: Timeline) -> None:
        if other.step > self.step:
            self._widen(other.step)
        for place, point in other.points.items():
            self.add(place * other.step, *point)

    def curve(self) -> dict[str, Any]:
        """At most some hundred points, also those at which nothing came; `step` in seconds."""
        if not self.points:
            return {}
        first, last = min(self.points) * self.step, (max(self.points) + 1) * self.step
        step = next((step for step in _STEPS if step >= self.step and (last - first) / step <= _SHOWN), _STEPS[-1])
        start = first // step
        shown = [[0, 0, 0] for _ in range(min((last - 1) // step - start + 1, 100 * _SHOWN))]
        for place, point in self.points.items():
            target = shown[min(place * self.step // step - start, len(shown) - 1)]
            for kind, number in enumerate(point):
                target[kind] += number
        images, nbytes, failed = (list(column) for column in zip(*shown, strict=True))
        return {"from": start * step, "step": step, "images": images, "bytes": nbytes, "failed": failed}

    def _widen(self, step: int) -> None:
        points: dict[int, list[int]] = {}
        for place, point in self.points.items():
            target = points.setdefault(place * self.step // step, [0, 0, 0])
            for kind, number in enumerate(point):
                target[kind] += number
        self.step, self.points = step, points


class Tally:
    """Counts what feeds, or the catalogue, say: images, and how many of them are different ones, by day (UTC) and host.

    An image counts at each visit, at the day of the visit, as far as *by_visit*; else once, at the day on which it
    came. *bytes* are those that came.
    """

    def __init__(self, *, by_visit: bool = True) -> None:
        self.by_visit = by_visit
        self.counts: dict[tuple[int, str], list[int]] = {}
        self.seen: defaultdict[tuple[int, str], array[int]] = defaultdict(lambda: array("Q"))
        self.timeline = Timeline()
        self.pages_failed: defaultdict[int, int] = defaultdict(int)

    def add(self, gallery: GalleryRecord) -> None:
        if gallery.error:
            self.pages_failed[gallery.at // DAY] += 1
        for image in gallery.images:
            at = gallery.at if self.by_visit and gallery.at else image.at
            key = (at // DAY, image.host or gallery.host)
            counts = self.counts.get(key)
            if counts is None:
                counts = self.counts[key] = [0] * (_BYTES + 1)
            counts[STATUSES.index(image.status)] += 1
            self.seen[key].append(image.identity)
            came = image.status == "downloaded" or (not self.by_visit and image.status == "uptodate")
            if came:
                counts[_BYTES] += image.bytes
                self.timeline.add(image.at, 1, image.bytes, 0)
            elif image.status in _FAILED:
                self.timeline.add(at, 0, 0, 1)

    def merge(self, other: Tally) -> None:
        for key, counts in other.counts.items():
            mine = self.counts.get(key)
            self.counts[key] = [a + b for a, b in zip(mine, counts, strict=True)] if mine else list(counts)
        for key, identities in other.seen.items():
            self.seen[key].extend(identities)
        self.timeline.merge(other.timeline)
        for day, count in other.pages_failed.items():
            self.pages_failed[day] += count

    def __getstate__(self) -> dict[str, Any]:
        for key, identities in self.seen.items():  # each once is enough
            self.seen[key] = array("Q", set(identities))
        return {**self.__dict__, "seen": dict(self.seen), "pages_failed": dict(self.pages_failed)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self.seen = defaultdict(lambda: array("Q"), state["seen"])
        self.pages_failed = defaultdict(int, state["pages_failed"])

    def charts(self) -> dict[str, Any]:
        """As JSON: `days` (numbers since 1970), `total`, `hosts` (the busiest, each with its days), `rate`."""
        by_day: defaultdict[int, list[str]] = defaultdict(list)
        by_host: defaultdict[str, list[int]] = defaultdict(list)
        for day, name in sorted(self.counts):
            by_day[day].append(name)
            by_host[name].append(day)
        days = sorted({*by_day, *self.pages_failed})
        images = {name: sum(sum(self.counts[day, name][:_BYTES]) for day in on) for name, on in by_host.items()}
        busiest = sorted(images, key=lambda name: (-images[name], name))[:MOST_HOSTS]
        return {
            "days": days,
            "total": [self._row([(day, name) for name in by_day.get(day, ())]) for day in days],
            "pages_failed": [self.pages_failed.get(day, 0) for day in days],
            "distinct": _distinct(self.seen.values()),
            "hosts": [
                {
                    "host": name,
                    "distinct": _distinct(self.seen[day, name] for day in by_host[name]),
                    "days": by_host[name],
                    "rows": [self._row([(day, name)]) for day in by_host[name]],
                }
                for name in busiest
            ],
            "other_hosts": len(by_host) - len(busiest),
            "rate": self.timeline.curve(),
        }

    def _row(self, keys: Sequence[tuple[int, str]]) -> list[int]:
        """How many images became what (`STATUSES`), bytes, how many different ones."""
        row = [0] * (_BYTES + 1)
        for key in keys:
            row = [a + b for a, b in zip(row, self.counts[key], strict=True)]
        return [*row, _distinct(self.seen[key] for key in keys)]


def _distinct(parts: Iterable[array[int]]) -> int:
    found: set[int] = set()
    for part in parts:
        found.update(part)
    return len(found)
