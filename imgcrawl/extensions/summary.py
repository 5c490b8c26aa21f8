"""The table at the end of a crawl. What draws it is loaded where it is shown only."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from imgcrawl.display import clock, meaning
from imgcrawl.extensions.verdict import by_reason, gallery_counts, known_already
from imgcrawl.items import STATUSES
from imgcrawl.lines import printable
from imgcrawl.samples import Samples

WIDTH = 120  # columns where there is no terminal to ask
EXAMPLES, LONGEST = 40, 500  # lines, and the characters of one
NAMES = {"list": "list page", "subpage": "sub-page"}


def print_summary(stats: Mapping[str, Any], samples: Samples | None = None) -> None:
    """Print `summary` of *stats* to stderr, and one of each reason, as *samples* has them."""
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDTH)
    _print(console, stats, samples)


def summary_text(stats: Mapping[str, Any], samples: Samples | None = None) -> str:
    """`summary` of *stats* as lines of text."""
    with (console := Console(width=WIDTH)).capture() as captured:
        _print(console, stats, samples)
    return captured.get()


def _print(console: Console, stats: Mapping[str, Any], samples: Samples | None) -> None:
    """The summary, and one of each reason, each address in one piece."""
    console.print(summary(stats))
    for line in _examples(samples):
        console.print(line, soft_wrap=True)


def summary(stats: Mapping[str, Any]) -> RenderableType:
    """What became of every image and gallery, as a table: found = downloaded + uptodate + duplicate +
    refused + failed, the last two by reason; then the amount, the time and the speed."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")

    def row(name: str, count: int, meaning: str = "") -> None:
        table.add_row(Text(name), f"{count:,}", Text(meaning))

    def reasons(prefix: str) -> None:
        for reason, count in by_reason(stats, prefix):
            row(f"    {printable(reason)}", count, meaning(reason))

    row("images found", found := stats.get("image/found", 0))
    for status in STATUSES:
        row(f"  {status}", stats.get(f"image/{status}", 0))
        reasons(f"image/{status}")
    if under_way := found - sum(stats.get(f"image/{status}", 0) for status in STATUSES):
        row("  under way", under_way, "when the crawl was stopped at once")
    galleries = gallery_counts(stats)
    row("galleries found", galleries["found"])
    row("  scraped", galleries["scraped"])
    if empty := stats.get("gallery/empty", 0):
        row("    empty", empty, "no image was found on the page")
    row("  failed", galleries["failed"])
    reasons("gallery/failed")
    if left := galleries["not_reached"]:
        row("  not reached", left, "the crawl ended before")
    if "run/galleries/found" in stats:
        row("galleries of all workers", stats["run/galleries/found"])
        row("  scraped", stats["run/galleries/scraped"])
        row("  failed", stats["run/galleries/failed"])
        row("  not reached", stats["run/galleries/not_reached"], "they are still queued, or other workers have them")
    if left := stats.get("frontier/left", 0):
        row("pages not reached", left, "they are still queued: the same command goes on with them")
    if known := known_already(stats):
        row("pages known", known, "from an earlier crawl: nothing is new")
    if failed := stats.get("list/failed", 0):
        row("list pages failed", failed)
    if failed := stats.get("subpage/failed", 0):
        row("sub-pages failed", failed, "galleries that lack them tell which: failed_pages")
    if bad := stats.get("row/bad", 0):
        row("rows bad", bad, "they name no address")
        reasons("row/bad")

    seconds = stats.get("elapsed_time_seconds", 0.0)
    downloaded = stats.get("start/downloaded", stats.get("image/downloaded", 0))  # by this start of the crawl
    speed = f", {downloaded / seconds:,.1f} images/s" if seconds else ""
    line = f"{stats.get('image/bytes', 0) / 1e6:,.1f} MB in {clock(seconds)}{speed}"
    if earlier := stats.get("start/earlier_bytes", 0):
        line += f"; {earlier / 1e6:,.1f} MB before this crawl went on"
    return Group(table, Text(line))


def _examples(samples: Samples | None) -> list[Text]:
    """One address of each reason, a line each."""
    found = sorted(samples.of_reason.items())[:EXAMPLES] if samples else []
    lines = [Text("one of each:")] if found else []
    for stat, (url, page) in found:
        what, _, why = stat.partition("/")
        on = f" on {page}" if page and page != url else ""
        shown = f"  {NAMES.get(what, what)} {why.replace('/', ' (', 1) + ')' if '/' in why else why}: {url}{on}"
        lines.append(Text(printable(shown)[:LONGEST]))
    return lines
