"""What the stats of a crawl count, as those see it who look at the crawl while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgcrawl.extensions.verdict import by_reason, gallery_counts
from imgcrawl.items import STATUSES


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
