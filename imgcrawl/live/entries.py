"""How a crawl is, by what its processes have in LIVE_FOLDER."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcrawl.exceptions import InputError
from imgcrawl.live.folder import LiveEntry, LiveFolder
from imgcrawl.live.process import working_folder
from imgcrawl.live.view import ALIVE, SHOWN_AFTER, latest, nothing, shown, state_of, whole_state
from imgcrawl.samples import FAILURES, NEWEST

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

Found = tuple[LiveEntry, dict[str, Any], bool]  # an entry, what it says, whether its process lives


def of_folder(settings: BaseSettings, spider: str) -> dict[str, Any]:
    """What the folder of this user knows of the crawl of *spider*."""
    try:
        entries = list(LiveFolder.from_settings(settings).entries(spider))
    except InputError:
        return shown(nothing(spider))
    if any(entry.is_alive() for entry in entries):  # what ended before it need not be read
        young = time.time() - SHOWN_AFTER
        entries = [entry for entry in entries if entry.is_alive() or entry.changed_at > young]
    crawl = newest_crawl([each for each in map(look_at, entries) if each[1]["spider"] == spider])
    return shown(_of_entries(spider, crawl)) if crawl else shown(nothing(spider))


def look_at(entry: LiveEntry) -> Found:
    """What *entry* says, and whether its crawl goes on as far as that process knows."""
    alive = entry.is_alive()  # first: the last word is written before the lock is let go
    said = entry.read()
    return entry, said, alive and said["ended"] is None


def newest_crawl(found: Sequence[Found]) -> list[Found]:
    """The entries of the crawl that runs, or of the one that ended last: the one that leads it first."""
    groups: dict[str, list[Found]] = {}
    for each in found:
        groups.setdefault(each[1]["group"], []).append(each)
    if not groups:
        return []

    here = working_folder()

    def youth(group: list[Found]) -> tuple[bool, bool, float]:
        if any(alive for _, _, alive in group):  # of several the same at each look: the one of this folder, or the last
            return (
                True,
                any(said["folder"] == here for _, said, _ in group),
                min(said["started"] for _, said, _ in group),
            )
        return False, False, max(said["at"] for _, said, _ in group)

    crawl = max(groups.values(), key=youth)
    crawl.sort(key=lambda each: (each[1]["kind"] != "workers", -each[1]["started"]))
    # A process may have the number that one of an earlier crawl had.
    began = crawl[0][1]["started"] if crawl[0][1]["kind"] == "workers" else 0.0
    return [crawl[0], *(each for each in crawl[1:] if each[1]["started"] >= began and each[1]["kind"] != "workers")]


def _of_entries(spider: str, crawl: Sequence[Found]) -> dict[str, Any]:
    said = [each for _, each, _ in crawl]
    head = said[0]
    now = time.time()
    rows = []
    for _, each, alive in crawl:
        if row := each["worker"]:
            age = max(0.0, now - each["at"])
            row |= {"age": age, "state": state_of(row["state"], age, alive=alive)}
            rows.append(row)
    whole = head if head["kind"] == "workers" else _added_up(said)
    leads = head["kind"] == "workers"
    alive = crawl[0][2] if leads else any(alive for _, _, alive in crawl)
    is_over = head["ended"] is not None and (leads or len(said) == 1)
    state = whole_state(rows, alive=alive, ended=is_over, stopping=head["control"]["stop"])
    last = max(each["at"] for each in said)
    hows = [each["how"] for each in said if each["how"]]
    return {
        **nothing(spider),
        **whole,
        "spider": spider,
        "state": state,
        "run": head["run"],
        "list": next((each["list"] for each in said if each["list"]), ""),
        "started": min(each["started"] for each in said),
        "ended": None if state in ALIVE else (head["ended"] or last),
        "how": "" if state in ALIVE else "killed" if state == "killed" else ([*hows, ""])[0],
        "seconds": max(each["seconds"] for each in said) + (0 if state not in ALIVE else max(0.0, now - last)),
        "workers": rows,
        "newest": latest((each["newest"] for each in said), NEWEST),
        "failures": latest((each["failures"] for each in said), FAILURES),
        "control": next((each["control"] for each in said if each["kind"] != "workers"), head["control"]),
    }


def _added_up(said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of several processes as one."""
    if len(said) == 1:
        return dict(said[0])

    def summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for part in parts:
            total.update(part)
        return dict(total)

    return {
        **said[0],
        **{name: summed(each[name] for each in said) for name in ("galleries", "images")},
        "reasons": {name: summed(each["reasons"][name] for each in said) for name in said[0]["reasons"]},
        **{name: sum(each[name] for each in said) for name in ("bytes", "lists_failed")},
    }
