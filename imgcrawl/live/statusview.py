"""What `scrapy status` shows of a crawl."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgcrawl.display import amount, clock, curve, pace, queue_line, slowed_by, told_state
from imgcrawl.items import STATUSES, meaning
from imgcrawl.lines import printable

MOST_WORKERS, MOST_FAILURES = 50, 5
_TEXT, _UNBOUNDED = 12, 10_000  # characters of a text at the end of a row; of a terminal


def picture(view: Mapping[str, Any]) -> RenderableType:
    """The crawl that *view*, an overview, tells of."""
    parts: list[RenderableType] = [headline(view)]
    if view["state"] == "none":
        return Group(*parts)
    if view["verdict"]:
        parts.append(_line(f"  {view['verdict']}"))
    parts += [Padding(Text(printable(line)), (0, 0, 0, 2), expand=False) for line in _lines(view)]
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
    """One line of the crawl: a spider for any site may run in several folders at once."""
    told = [told_state(view)]
    told += [f"{word} {view[name]}" for word, name in (("in", "folder"), ("of", "list")) if view[name]]
    return Text.assemble((printable(view["spider"]), "bold"), f": {', '.join(map(printable, told))}")


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


def _workers(view: Mapping[str, Any]) -> RenderableType:
    table = _Fitting("worker", "state", "said", "images/s", "images", "galleries", "MB", "pages", "memory")
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


def hosts_table(view: Mapping[str, Any]) -> RenderableType:
    """The busiest hosts of the crawl that *view* tells of."""
    table = _Fitting("host", "active", "delay", "waiting", "a second", "slowed by", last_is_text=True)
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


def _reasons(view: Mapping[str, Any]) -> RenderableType:
    table = _Fitting("outcome", "", "", last_is_text=True)
    for name, shown in (("failed", "image failed"), ("refused", "image refused"), ("galleries", "gallery failed")):
        for reason, count in view["reasons"][name].items():
            cells = (f"{shown} ({reason})", f"{count:,}", meaning(reason))
            table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


class _Fitting:
    """A table of *columns*. Where it is wider than the terminal those in the middle and at the end are left out; two
    stay, and a text that is the last one, on several lines."""

    def __init__(self, *columns: str, last_is_text: bool = False) -> None:
        self._columns, self._texts = columns, int(last_is_text)
        self._rows: list[Sequence[Text]] = []

    def add_row(self, *cells: Text) -> None:
        self._rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room, wide = options.max_width - self._texts * _TEXT, options.update_width(_UNBOUNDED)
        kept = len(self._columns) - self._texts
        while kept > 2 and Measurement.get(console, wide, self._table(range(kept))).maximum > room:
            kept -= 1
        yield self._table([*range(kept), *range(len(self._columns) - self._texts, len(self._columns))])

    def _table(self, numbers: Iterable[int]) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        numbers = list(numbers)
        for number in numbers:
            name = self._columns[number]
            is_last = bool(self._texts) and number == len(self._columns) - 1
            least = 0 if is_last else min(_TEXT * 2, max([len(name), *(len(row[number]) for row in self._rows)]))
            table.add_column(
                name,
                justify="left" if number == 0 or is_last or name == "state" else "right",
                no_wrap=not is_last,
                overflow="fold" if is_last else "ellipsis",
                min_width=least,
            )
        for row in self._rows:
            table.add_row(*(row[number] for number in numbers))
        return table


def _ago(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def _on(failure: Mapping[str, Any]) -> str:
    return f" on {failure['page']}" if failure["page"] and failure["page"] != failure["url"] else ""


def _line(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")
