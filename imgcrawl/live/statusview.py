"""What `scrapy status` shows of a crawl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imgcrawl.display import amount, clock, curve, pace, queue_line, slowed_by, told_state
from imgcrawl.items import STATUSES, meaning
from imgcrawl.lines import printable

MOST_WORKERS, MOST_FAILURES = 50, 5


def picture(view: Mapping[str, Any]) -> RenderableType:
    """The crawl that *view*, an overview, tells of."""
    parts: list[RenderableType] = [headline(view)]
    if view["state"] == "none":
        return Group(*parts)
    if view["verdict"]:
        parts.append(_line(f"  {view['verdict']}"))
    parts += [_line(f"  {line}") for line in _lines(view)]
    if view["workers"] and view["state"] not in ("ended", "killed"):
        parts += ["", _workers(view)]
        if (more := len(view["workers"]) - MOST_WORKERS) > 0:
            parts.append(_line(f"and {more:,} more workers"))
    if view["hosts"]:
        parts += ["", hosts_table(view)]
    if any(view["reasons"].values()):
        parts += ["", _reasons(view)]
    if view["failures"]:
        parts += ["", _line("the last failures:")]
        parts += [_line(f"  {each['reason']}: {each['url']}{_on(each)}") for each in view["failures"][:MOST_FAILURES]]
    return Group(*parts)


def headline(view: Mapping[str, Any]) -> Text:
    """One line of the crawl."""
    return Text.assemble((printable(view["spider"]), "bold"), f": {printable(told_state(view))}")


def _lines(view: Mapping[str, Any]) -> Iterator[str]:
    yield amount(view)
    runs = view["state"] not in ("ended", "killed")
    if runs:
        yield f"{pace(view)}  {curve(view['curve'])}"
    else:
        images = view["images"]
        yield ", ".join(f"{images[status]:,} {status}" for status in STATUSES)
    if view["queue"]:
        yield queue_line(view)
    control = view["control"]
    if runs and control["delay_factor"] > 1:
        yield f"slowed down: delays are {control['delay_factor']:g} times as long"


def _workers(view: Mapping[str, Any]) -> Table:
    table = _table("worker", "state", "said", "images/s", "images", "galleries", "MB", "pages", "memory")
    for row in view["workers"][:MOST_WORKERS]:
        table.add_row(
            *(
                Text(printable(cell), style="red" if row["state"] in ("killed", "silent") else "")
                for cell in (
                    row["name"],
                    row["state"],
                    _ago(row["age"]),
                    f"{row['rate']:,.1f}",
                    f"{row['images']:,}",
                    f"{row['galleries']:,}",
                    f"{row['bytes'] / 1e6:,.1f}",
                    f"{row['leases']:,}",
                    f"{row['memory'] / 1e6:,.0f} MB",
                )
            )
        )
    return table


def hosts_table(view: Mapping[str, Any]) -> Table:
    """The busiest hosts of the crawl that *view* tells of."""
    table = _table("host", "active", "delay", "waiting", "a second", "slowed by", last_is_text=True)
    for host in view["hosts"]:
        active = f"{host['active']}/{host['limit']}" if host["limit"] else ""
        cells = (
            host["host"],
            active,
            f"{host['delay']:.2f} s",
            f"{host['waiting']:,}",
            f"{host['rate']:,.1f}",
            slowed_by(host),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _reasons(view: Mapping[str, Any]) -> Table:
    table = _table("outcome", "", "", last_is_text=True)
    for name, shown in (("failed", "image failed"), ("refused", "image refused"), ("galleries", "gallery failed")):
        for reason, count in view["reasons"][name].items():
            cells = (f"{shown} ({reason})", f"{count:,}", meaning(reason))
            table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _table(*columns: str, last_is_text: bool = False) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        is_text = number == 0 or (last_is_text and number == len(columns) - 1) or name == "state"
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True, overflow="ellipsis")
    return table


def _ago(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def _on(failure: Mapping[str, Any]) -> str:
    return f" on {failure['page']}" if failure["page"] and failure["page"] != failure["url"] else ""


def _line(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")
