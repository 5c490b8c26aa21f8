"""What the items of a worker's pages have counted, apart from what they will."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from imgcrawl.digits import whole
from imgcrawl.items import STATUSES

# The stats that items add to, as `count_item` does, but for the reasons below them.
_OF_ITEMS = ("image/", "gallery/count", "gallery/empty", "gallery/failed", "item_scraped_count")

# The stats that count items which have left the pipelines.
_LEFT = ("item_scraped_count", "item_dropped_count", "item/error")


def is_of_items(name: str) -> bool:
    """Whether items add to the stat *name*."""
    return name.startswith(_OF_ITEMS)


LONGEST = 65_536  # bytes of counts as they travel


class Counted:
    """Counts of pages that this worker is done with, by what became of the pages.

    `settled`, by shard: they are done, which the shard is told with the counts. `void`: others do them again, and count
    them again. `apart`: of items that belong to no page of the queue.
    """

    def __init__(self) -> None:
        self.settled: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.void: Counter[str] = Counter()
        self.apart: Counter[str] = Counter()

    def lose(self, shard: int) -> None:
        """That *shard* has forgotten what it was told, or given our pages to others."""
        self.void.update(self.settled.pop(shard, {}))

    def so_far(self, stats: Mapping[str, Any]) -> dict[str, int]:
        """What of *stats* is of pages that are done, or under way here: of images those with an outcome."""
        counts = {
            name: value - self.void[name] - self.apart[name]
            for name, value in stats.items()
            if is_of_items(name) and isinstance(value, int)
        }
        counts["image/found"] = sum(counts.get(f"image/{status}", 0) for status in STATUSES)
        # A gallery whose images are under way is not scraped yet.
        scraped, failed = counts.get("gallery/count", 0), counts.get("gallery/failed", 0)
        left = scraped + failed - sum(stats.get(name, 0) for name in _LEFT)
        counts["gallery/count"] = scraped - min(max(left, 0), scraped)
        return {name: value for name, value in counts.items() if value > 0}


def as_text(counts: Mapping[str, int]) -> str:
    """*counts* as they travel: lua/verdict.lua says how."""
    return "".join(f"{name}\n{number}\n" for name, number in counts.items() if number > 0)


def from_text(value: bytes) -> Counter[str]:
    """The counts that `as_text` wrote; of what it did not write nothing."""
    counts: Counter[str] = Counter()
    parts = value[:LONGEST].decode("utf-8", "replace").split("\n")
    for name, text in zip(parts[::2], parts[1::2], strict=False):
        if is_of_items(name) and (number := whole(text)) is not None:
            counts[name] += number
    return counts
