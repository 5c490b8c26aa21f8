"""The table at the end of a crawl. What draws it is loaded where it is shown only."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from imgcrawl.display import clock
from imgcrawl.items import STATUSES, meaning
from imgcrawl.lines import printable

WIDTH = 120  # columns where there is no terminal to ask
EXAMPLES, LONGEST = 40, 500  # lines, and the characters of one
NAMES = {"list": "list page", "subpage": "sub-page"}


def print_summary(told: Mapping[str, Any]) -> None:
    """Print `summary` of *told* to stderr."""
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDTH)
    _print(console, told)


def summary_text(told: Mapping[str, Any]) -> str:
    """`summary` of *told* as lines of text."""
    with (console := Console(width=WIDTH)).capture() as captured:
        _print(console, told)
    return captured.get()


def _print(console: Console, told: Mapping[str, Any]) -> None:
    console.print(summary(told))
    for line in _examples(told["examples"]):
        console.print(line, soft_wrap=True)  # an address in one piece


def summary(told: Mapping[str, Any]) -> RenderableType:
    """What became of every image and gallery by *told*, a `run_summary`, as a table: found = downloaded + uptodate +
    duplicate + refused + failed, the last two by reason; then the amount, the time and the speed."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")

    def row(name: str, count: int, meaning: str = "") -> None:
        table.add_row(Text(name), f"{count:,}", Text(meaning))

    def some(name: str, count: int, meaning: str = "") -> None:
        if count:
            row(name, count, meaning)

    def reasons(counts: Mapping[str, int], status: str) -> None:
        for reason, count in counts.items():
            row(f"    {printable(reason)}", count, meaning(reason, status))

    images, galleries, commands = told["images"], told["galleries"], told["commands"]
    row("images found", images["found"])
    for status in STATUSES:
        row(f"  {status}", images[status])
        reasons(images["reasons"].get(status, {}), status)
    some("  under way", images["under_way"], "when the crawl was stopped at once")
    row("galleries found", galleries["found"])
    row("  scraped", galleries["scraped"])
    some("    empty", galleries["empty"], "no image was found on the page")
    some(
        "    undated",
        galleries["undated"],
        "no date was found: taken, whatever GALLERIES_SINCE and _UNTIL say",
    )
    some("  under way", galleries["under_way"], "read when the crawl was stopped at once, and in no feed")
    row("  failed", galleries["failed"])
    reasons(galleries["reasons"], "failed")
    some("  not reached", galleries["not_reached"], "the crawl ended before")
    if of_all := told.get("galleries_of_all_workers"):
        row("galleries of all workers", of_all["found"])
        row("  scraped", of_all["scraped"])
        row("  failed", of_all["failed"])
        row("  not reached", of_all["not_reached"], "they are still queued, or other workers have them")
    some("pages not reached", told["pages_left"], "they are still queued: the same command goes on with them")
    some("pages known", told["pages_known"], "from an earlier crawl: nothing is new")
    some("list pages failed", told["list_pages_failed"])
    some("sub-pages failed", told["subpages_failed"], "galleries that lack them tell which: failed_pages")
    some("rows bad", told["rows_bad"]["count"], "they name no address")
    reasons(told["rows_bad"]["reasons"], "bad")
    if commands["run"]:
        row("commands run", commands["run"])
        row("  failed", commands["failed"])
        reasons(commands["reasons"], "")

    seconds, downloaded = told["seconds"], told["images_downloaded_now"]
    speed = f", {downloaded / seconds:,.1f} images/s" if seconds else ""
    line = f"{told['bytes'] / 1e6:,.1f} MB in {clock(seconds)}{speed}"
    if earlier := told["bytes_before"]:
        line += f"; {earlier / 1e6:,.1f} MB before this crawl went on"
    return Group(table, Text(line))


def _examples(examples: Mapping[str, Mapping[str, str]]) -> list[Text]:
    """One address of each reason, a line each."""
    found = sorted(examples.items())[:EXAMPLES]
    lines = [Text("one of each:")] if found else []
    for stat, example in found:
        what, _, why = stat.partition("/")
        url, page = example["url"], example["page"]
        on = f" on {page}" if page and page != url else ""
        shown = f"  {NAMES.get(what, what)} {why.replace('/', ' (', 1) + ')' if '/' in why else why}: {url}{on}"
        lines.append(Text(printable(shown)[:LONGEST]))
    return lines
