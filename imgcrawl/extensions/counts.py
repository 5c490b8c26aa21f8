"""What the stats of a crawl count, as those see it who look at the crawl while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from imgcrawl.extensions.verdict import by_reason, gallery_counts
from imgcrawl.items import STATUSES, outcomes_of


def counts_of(stats: Mapping[str, Any]) -> dict[str, Any]:
    """`galleries`, `images`, `reasons`, `lists_failed` and `bytes`, as `imgcrawl.live.overview` has them."""
    return {
        "galleries": gallery_counts(stats),
        "images": {name: int(stats.get(f"image/{name}", 0)) for name in ("found", *STATUSES)},
        "reasons": {
            "refused": dict(by_reason(stats, "image/refused")),
            "failed": dict(by_reason(stats, "image/failed")),
            "galleries": dict(by_reason(stats, "gallery/failed")),
        },
        "lists_failed": int(stats.get("list/failed", 0)),
        "bytes": int(stats.get("image/bytes", 0)),
    }


def count_item(stats: Counter[str], item: Mapping[str, Any]) -> None:
    """Count *item* and its outcomes in *stats* as the crawl that yielded it has done."""
    outcomes = outcomes_of(item)
    if not all(item.get(name) for name in ("spider", "url", "scraped_at")):
        pass  # of a spider that is none of ours: it is no `Gallery`
    elif item.get("error"):
        stats["gallery/failed"] += 1
        stats[f"gallery/failed/{item['error']}"] += 1
    else:
        stats["gallery/count"] += 1
        if not outcomes and not (item.get("image_urls") or item.get("video_urls")):
            stats["gallery/empty"] += 1
        if isinstance(left_out := item.get("left_out"), list) and left_out:
            stats.update(("gallery/left_out", *(f"gallery/left_out/{reason}" for reason in left_out)))
    count_outcomes(stats, outcomes)


def count_outcomes(stats: Counter[str], outcomes: Iterable[Mapping[str, Any]]) -> None:
    """Count each of *outcomes*, of images or videos, in *stats*."""
    for outcome in outcomes:
        status = outcome.get("status")
        stats["image/found"] += 1
        stats[f"image/{status}"] += 1
        if "reason" in outcome:
            stats[f"image/{status}/{outcome['reason']}"] += 1
        elif status == "downloaded" and isinstance(size := outcome.get("bytes"), int):
            stats["image/bytes"] += size
