"""Outcomes of images, counted in the stats of a crawl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scrapy.statscollectors import StatsCollector

# How stats begin that say how much of others is of galleries that are done again: this crawl is stopped.
GIVEN_BACK = "given_back/"


def count_image(stats: StatsCollector, image: Mapping[str, Any], by: int = 1, kind: str = "") -> None:
    """Add *by* to what is counted of outcomes as *image* is; *kind* is how the names of the stats begin."""
    stats.inc_value(f"{kind}image/{image['status']}", by)
    if "reason" in image:
        stats.inc_value(f"{kind}image/{image['status']}/{image['reason']}", by)


def count_given_back(stats: StatsCollector, images: Iterable[Mapping[str, Any]]) -> None:
    """Count the outcomes *images* as those of a gallery that is done again."""
    for image in images:
        stats.inc_value(f"{GIVEN_BACK}image/found")
        count_image(stats, image, kind=GIVEN_BACK)
