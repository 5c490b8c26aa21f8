"""What came of a crawl with several workers: their counts as one, their segments as one feed, and the verdict."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from imgcrawl.extensions.counts import count_item
from imgcrawl.extensions.verdict import findings
from imgcrawl.feeds.merge import Segments
from imgcrawl.frontier.verdict import last_reason
from imgcrawl.items import STORED, outcomes_of
from imgcrawl.samples import Samples

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.feeds.output import OutputWriter
    from imgcrawl.items import Image
    from imgcrawl.pipelines.placeholders import Placeholders
    from imgcrawl.workers.plan import CrawlFolder

logger = logging.getLogger(__name__)

# The counts that are made from the merged feed, and of those the ones that are not in it.
_IN_FEED = ("image/", "gallery/")
_NOT_IN_FEED = ("gallery/known", "gallery/session_ended", "gallery/led_to/")


@dataclass
class Outcome:
    """The stats of all workers, the findings (the first is the verdict), whether it was bad input, some samples."""

    stats: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    refused: bool = False
    samples: Samples = field(default_factory=Samples)


async def write_feeds(
    folder: CrawlFolder,
    before: Collection[Path],
    feeds: OutputWriter,
    samples: Samples,
    sums: Mapping[str, Any],
) -> Counter[str]:
    """Write *feeds* from all segments in *folder*, those of a run that is no more included; count their items, and have
    one of each reason in *samples*. What is told as done by this start is what stands in others than those *before*
    it: bytes, and images downloaded. What workers learned to be placeholders, as *sums* say, counts as such, whatever
    they told of it before."""
    counted = await asyncio.to_thread(_write_files, folder, before, feeds, samples, _placeholders_of(sums))
    if feeds.has_others:
        with Segments(folder.all_segments()) as segments:
            await feeds.write_others(segments)
    folder.mark_fed()
    return counted


def _placeholders_of(sums: Mapping[str, Any]) -> Placeholders | None:
    if not any(name.startswith("placeholder/") for name in sums):
        return None
    from imgcrawl.pipelines.placeholders import Learned, Placeholders  # noqa: PLC0415 -- with what stores images

    (placeholders := Placeholders([], 0)).remember(Learned.of_stats(sums))
    return placeholders


def _write_files(
    folder: CrawlFolder,
    before: Collection[Path],
    feeds: OutputWriter,
    samples: Samples,
    placeholders: Placeholders | None,
) -> Counter[str]:
    now: Counter[str] = Counter()
    earlier: Counter[str] = Counter()
    with Segments(folder.all_segments()) as segments:
        for segment, line in segments.with_places():
            counts = earlier if segment in before else now
            count_item(counts, item := json.loads(line))
            if placeholders:
                counts.update(_tell_anew(item, placeholders))
            take_samples(samples, item)
        for sentence in segments.report.broken:
            logger.error(sentence)
        feeds.write_files(segments, folder.kept)
    counted = now + earlier
    counted["image/bytes"], counted["start/earlier_bytes"] = now["image/bytes"], earlier["image/bytes"]
    counted["start/downloaded"] = now["image/downloaded"]
    return counted


def _tell_anew(item: dict[str, Any], placeholders: Placeholders) -> Counter[str]:
    """What is to be added to the counts of *item*, where outcomes are of *placeholders*; they say so then."""
    late: Counter[str] = Counter()
    for outcome in outcomes_of(item):
        if outcome.get("status") in STORED and outcome.get("checksum") and placeholders.is_one(cast("Image", outcome)):
            late[f"image/{outcome['status']}"] -= 1
            outcome.update(status="failed", reason="placeholder")
            late.update(("image/failed", "image/failed/placeholder"))
    return late


def take_samples(samples: Samples, item: dict[str, Any]) -> None:
    """Note what *item*, and each of its outcomes, is an example of."""
    page = str(item.get("url") or "")
    if error := item.get("error"):
        samples.add(f"gallery/failed/{error}", page)
    for reason in item["left_out"] if isinstance(item.get("left_out"), list) else ():
        samples.add(f"gallery/left_out/{reason}", page)
    for outcome in outcomes_of(item):
        if "reason" in outcome and "url" in outcome and "status" in outcome:
            samples.add_image(outcome, page)


def stats_of_all(sums: Mapping[str, Any], counted: Mapping[str, int]) -> dict[str, Any]:
    """The stats of all workers as one.

    *counted* is what the merged feed holds: what workers that crashed had counted was done again and counted again;
    the feed has it once.
    """
    kept = {
        name: value for name, value in sums.items() if not name.startswith(_IN_FEED) or name.startswith(_NOT_IN_FEED)
    }
    return {**counted, **kept}


def end_reason(sums: Mapping[str, Any], *, is_over: bool, was_told: bool) -> str:
    """Why a run ended whose workers have counted *sums*: whether it *is_over*, and whether it *was_told* to stop."""
    reason = "shutdown" if was_told and not is_over else last_reason(sums)
    return "finished" if is_over and reason == "shutdown" else reason  # a worker was told so as it was at its end


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
