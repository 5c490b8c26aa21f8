"""What all overviews have in common, wherever what they are made of was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from imgcrawl.display import remaining
from imgcrawl.live import border

SILENT = 5.0  # seconds after which a worker that says nothing is shown as silent
SHOWN_AFTER = 60.0  # seconds for which a worker is shown that has left a crawl which goes on
ALIVE = ("running", "paused", "stopping", "silent")
ROW = ("name", "host", "pid", "state", "age", "rate", "images", "galleries", "bytes", "leases", "memory")


def nothing(spider: str) -> dict[str, Any]:
    """The overview of a spider of which no crawl is known."""
    found = {"spider": spider, "state": "none", "workers": [], "hosts": [], "rate": 0.0, "curve": [], "remaining": None}
    return border.snapshot({}) | found


def state_of(state: str, age: float, *, alive: bool) -> str:
    """The state of a worker that said *state* so many seconds ago, and whose process may be gone."""
    if state == "ended":
        return state
    if not alive:
        return "killed"
    return "silent" if age > SILENT else state


def whole_state(rows: Sequence[Mapping[str, Any]], *, alive: bool, ended: bool, stopping: bool) -> str:
    """The state of a crawl with these workers: *alive* and *ended* is what is known of it besides."""
    if not alive:  # the last word is that of the crawl: workers may have been killed long before
        last = min(rows, key=lambda row: float(row["age"]), default=None)
        return "ended" if ended or (last and last["state"] == "ended") else "killed"
    living = [row["state"] for row in rows if row["state"] in ALIVE]
    if living and (stopping or all(state == "stopping" for state in living)):
        return "stopping"
    return "paused" if living and all(state in ("paused", "stopping") for state in living) else "running"


def latest(lists: Iterable[Sequence[dict[str, Any]]], most: int) -> list[dict[str, Any]]:
    return sorted((each for found in lists for each in found), key=lambda each: -each["at"])[:most]


def shown(view: dict[str, Any]) -> dict[str, Any]:
    """*view*, with what follows from its workers, and without what is for those only who make it."""
    runs = view["state"] in ALIVE
    rows = [row for row in view["workers"] if not runs or row["state"] in ALIVE or row["age"] < SHOWN_AFTER]
    living = [row for row in rows if row["state"] in ALIVE]
    curves = [row["curve"][::-1] for row in living]
    view["rate"] = round(sum(row["rate"] for row in living), 2)
    view["curve"] = [round(sum(each), 1) for each in zip_longest(*curves, fillvalue=0.0)][::-1]
    view["hosts"] = _hosts_of_all([row["hosts"] for row in living]) if runs else []
    rate = sum(row["gallery_rate"] for row in living)
    view["remaining"] = remaining(view, view.get("pages"), rate) if runs else None
    view["workers"] = [{name: row[name] for name in ROW} for row in sorted(rows, key=lambda row: str(row["name"]))]
    for name in ("group", "kind", "at", "worker", "redis", "pages"):
        view.pop(name, None)
    return view


def _hosts_of_all(lists: Iterable[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The busiest hosts of all workers: what they have under way is added up, the longest delay is that of all."""
    found: dict[str, dict[str, Any]] = {}
    for host in (host for hosts in lists for host in hosts):
        one = found.get(host["host"])
        if one is None:
            found[host["host"]] = dict(host)
            continue
        for name in ("active", "waiting", "rate"):
            one[name] += host[name]
        one["limit"] = max(one["limit"], host["limit"])
        if (host["until"] or 0, host["delay"]) > (one["until"] or 0, one["delay"]):
            one |= {name: host[name] for name in ("until", "delay", "reason")}
    busiest = sorted(found.values(), key=lambda host: (-host["active"], -host["waiting"], host["host"]))
    return [host | {"rate": round(host["rate"], 2)} for host in busiest[: border.HOSTS]]
