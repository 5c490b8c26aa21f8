"""How a run ended, as one structure: the table, `--json`, the file, notifications and commands are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from imgcrawl.exceptions import GalleryUnfinished
from imgcrawl.exitcodes import ExitCode
from imgcrawl.extensions.verdict import GALLERIES, STOPPED, by_reason, gallery_counts, known_already
from imgcrawl.items import REASONS, STATUSES
from imgcrawl.lines import printable
from imgcrawl.samples import Samples

FORMAT = 1  # of `run_summary`: what has this number has its fields, with their meaning; others may be added


def exit_code_of(findings: Sequence[str]) -> ExitCode:
    """The exit code of a crawl of which *findings* say what was not as it should be."""
    if not findings:
        return ExitCode.DONE
    return ExitCode.STOPPED if findings[0] == STOPPED else ExitCode.FAILED


def findings_of(stats: Mapping[str, Any]) -> list[str]:
    """What the *stats* of a crawl say was not as it should be: the verdict, then all else."""
    verdict = stats.get("verdict")
    return [str(verdict), *stats.get("verdict/findings", [])[1:]] if verdict else []


def run_summary(
    spider: str,
    stats: Mapping[str, Any],
    findings: Sequence[str],
    samples: Samples | None = None,
    *,
    has_ended: bool = True,
) -> dict[str, Any]:
    """What became of everything in a run of *spider*, by its *stats*; docs/operate.md says what each field is."""
    outcomes = {status: stats.get(f"image/{status}", 0) for status in STATUSES}
    found, examples = stats.get("image/found", 0), samples.of_reason if samples else {}
    ended = stats.get("finish_time") or datetime.now(UTC)
    seconds = stats.get("elapsed_time_seconds")
    if seconds is None:  # it goes on, or was ended at once
        seconds = (ended - stats["start_time"]).total_seconds() if "start_time" in stats else 0.0
    galleries = gallery_counts(stats)
    under_way = _galleries_under_way(stats) if has_ended else 0
    of_all = {name: stats[f"run/galleries/{name}"] for name in GALLERIES if f"run/galleries/{name}" in stats}
    return {
        "format": FORMAT,
        "spider": spider,
        "state": "ended" if has_ended else "running",
        "how": str(stats.get("finish_reason") or ("killed" if has_ended else "")),
        "exit_code": int(exit_code_of(findings)) if has_ended else None,
        "verdict": findings[0] if findings else "",
        "findings": list(findings),
        "started": _time(stats.get("start_time") or ended - timedelta(seconds=seconds)),
        "ended": _time(ended) if has_ended else None,
        "seconds": round(seconds, 3),
        "bytes": stats.get("image/bytes", 0),
        "bytes_before": stats.get("start/earlier_bytes", 0),
        "images_downloaded_now": stats.get("start/downloaded", outcomes["downloaded"]),
        "images": {
            "found": found,
            **outcomes,
            "under_way": max(0, found - sum(outcomes.values())),
            "reasons": {status: dict(by_reason(stats, f"image/{status}")) for status in REASONS},
        },
        "galleries": {
            **galleries,
            "scraped": galleries["scraped"] - under_way,
            "under_way": under_way,
            **{name: stats.get(f"gallery/{name}", 0) for name in ("empty", "undated")},
            "reasons": dict(by_reason(stats, "gallery/failed")),
        },
        **({"galleries_of_all_workers": of_all} if of_all else {}),
        "list_pages_failed": stats.get("list/failed", 0),
        "subpages_failed": stats.get("subpage/failed", 0),
        "rows_bad": {"count": stats.get("row/bad", 0), "reasons": dict(by_reason(stats, "row/bad"))},
        "pages_known": known_already(stats),
        "pages_left": stats.get("frontier/left", 0),
        "commands": {
            "run": stats.get("command/run", 0),
            "failed": stats.get("command/failed", 0),
            "reasons": dict(by_reason(stats, "command/failed")),
        },
        "examples": {
            stat: {"url": printable(url), "page": printable(page)} for stat, (url, page) in sorted(examples.items())
        },
    }


def _galleries_under_way(stats: Mapping[str, Any]) -> int:
    """How many galleries were read, and have no item in the feed, because the crawl was ended at once."""
    if stats.get("finish_reason"):
        return 0
    count, failed, *items = (
        int(stats.get(name, 0))
        for name in ("gallery/count", "gallery/failed", "item_scraped_count", "item_dropped_count", "item/error")
    )
    back = int(stats.get(f"item_dropped_reasons_count/{GalleryUnfinished.__name__}", 0))  # verdict.py: not in the count
    return min(count, max(0, count + failed - sum(items) + back))


def _time(at: datetime) -> str:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat(timespec="seconds")
