"""What came of a crawl with several workers: their counts as one, their segments as one feed, and the verdict."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from imgcrawl.extensions.verdict import findings
from imgcrawl.feeds.local import exporter_for
from imgcrawl.feeds.merge import Segments, count_item, write_feed

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.workers.plan import CrawlFolder, Feed

logger = logging.getLogger(__name__)

# The counts that are made from the merged feed, and of those the ones that are not in it.
_IN_FEED = ("image/", "gallery/")
_NOT_IN_FEED = ("image/bytes",)


@dataclass
class Outcome:
    """The stats of all workers, the findings (the first is the verdict), and whether it was bad input."""

    stats: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    refused: bool = False


def merge_segments(folder: CrawlFolder, feeds: Sequence[Feed], settings: BaseSettings) -> Counter[str]:
    """Write *feeds* from all segments in *folder*, those of a run that is no more included; count their items."""
    counted: Counter[str] = Counter()
    paths = sorted(folder.segments.glob("*.jsonl"), key=lambda path: (path.stat().st_ctime_ns, path.name))
    with Segments(paths) as segments:
        for line in segments:
            count_item(counted, json.loads(line))
        for sentence in segments.report.broken:
            logger.error(sentence)
        for feed in feeds:
            exporter, options = exporter_for(settings, feed.format)
            if feed.keep and feed.path.exists():
                with Segments([feed.path, *paths]) as all_of_it:
                    write_feed(all_of_it, feed.path, feed.format, exporter, **options)
            else:
                write_feed(segments, feed.path, feed.format, exporter, **options)
    folder.fed.touch()
    return counted


def stats_of_all(sums: Mapping[str, Any], counted: Mapping[str, int]) -> dict[str, Any]:
    """The stats of all workers as one.

    *counted* is what the merged feed holds: what workers that crashed had counted was done again and counted again;
    the feed has it once.
    """
    kept = {name: value for name, value in sums.items() if not name.startswith(_IN_FEED) or name in _NOT_IN_FEED}
    return {**kept, **counted}


def judge(stats: Mapping[str, Any], reason: str, settings: BaseSettings) -> list[str]:
    """What did not go as it should in a crawl that ended with *reason*."""
    return list(
        findings(
            stats,
            reason,
            max_failed=settings.getfloat("VERDICT_MAX_FAILED", 0.2),
            images_expected=settings.getbool("VERDICT_IMAGES_EXPECTED", True),
        )
    )
