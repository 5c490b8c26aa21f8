"""What the logs of crawls say: how fast images came, what was asked for on each day, how each crawl ended."""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from imgcrawl.items import STATUSES, seconds_of
from imgcrawl.report.records import host
from imgcrawl.report.tally import DAY, Timeline

MAX_LINE: Final = 20_000  # characters; of a longer line the rest is passed over
_MOST_RUNS: Final = 2_000
# As Scrapy writes a line: time (of this machine), logger, level, text.
_LINE: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:[.,]\d+)? \[[^\]]*\] [A-Z]+: (.*)", re.DOTALL)
_PROGRESS: Final = re.compile(
    r"(?:\S+ )?([\d,]+) galleries, ([\d,]+) of ([\d,]+) images, ([\d,.]+) MB, [\d,.]+ images/s, ([\d,]+) failed,"
    r" ([\d,]+) refused"
)
_CRAWLED: Final = re.compile(r"Crawled \(\d+\) <\w+ (\S+)>")
_OPENED: Final = "Spider opened"
_CLOSED: Final = re.compile(r"Spider closed \((.*)\)")
_SUMMARY: Final = "What became of it:"
_ROW: Final = re.compile(rf"(images found|{'|'.join(STATUSES)})\s+([\d,]+)")
_AMOUNT: Final = re.compile(r"([\d,.]+) MB in (?:(\d+) days?, )?(\d+:\d\d:\d\d)")


class LogTally:
    """What logs say. `timeline`: images as they came; `requests`: by day, how many answers, and to which addresses;
    `runs`: one for each summary of a crawl."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.requests: dict[tuple[int, str], int] = {}
        self.addresses: dict[tuple[int, str], array[int]] = {}
        self.runs: list[dict[str, Any]] = []
        self.lines = 0

    def merge(self, other: LogTally) -> None:
        self.timeline.merge(other.timeline)
        for key, count in other.requests.items():
            self.requests[key] = self.requests.get(key, 0) + count
            self.addresses.setdefault(key, array("Q")).extend(other.addresses[key])
        self.runs = (self.runs + other.runs)[:_MOST_RUNS]
        self.lines += other.lines

    def charts(self) -> dict[str, Any]:
        """As JSON: `rate`, `runs`, and `days` with how many answers there were, and to how many addresses."""
        by_day: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        for key in self.requests:
            by_day[key[0]].append(key)
        days = [
            [day, sum(self.requests[key] for key in keys), len(set().union(*(self.addresses[key] for key in keys)))]
            for day, keys in sorted(by_day.items())
        ]
        return {"rate": self.timeline.curve(), "days": days, "runs": sorted(self.runs, key=lambda run: run["from"])}

    def read(self, lines: Iterable[str], name: str) -> None:
        """Count the *lines* of the log *name*."""
        run = _Run(name[-80:])
        for at, text, told in records(lines):
            self.lines += 1
            if told:
                run.add_summary(at or 0, told)
            elif run.is_open and (at is None or "\n" in text):
                run.add_text(text)
            elif at is not None:
                self._count(at, text, run)
            if run.is_whole and len(self.runs) < _MOST_RUNS:
                self.runs.append(run.told())

    def _count(self, at: int, text: str, run: _Run) -> None:
        if found := _CRAWLED.match(text):
            self._count_request(at, found[1])
        elif found := _PROGRESS.match(text):
            _, images, _, megabytes, failed, refused = found.groups()
            now = (_whole(images), int(float(megabytes.replace(",", "")) * 1e6), _whole(failed) + _whole(refused))
            # Another crawl counts from nothing.
            before = run.counted if all(a >= b for a, b in zip(now, run.counted, strict=True)) else (0, 0, 0)
            self.timeline.add(at, *(a - b for a, b in zip(now, before, strict=True)))
            run.counted = now
        elif text.startswith(_OPENED):
            run.counted = (0, 0, 0)
        elif found := _CLOSED.match(text):
            run.reason = found[1][:80]
        elif text.startswith(_SUMMARY):
            run.open(at)
            run.add_text(text)

    def _count_request(self, at: int, url: str) -> None:
        key = (at // DAY, host(url))
        self.requests[key] = self.requests.get(key, 0) + 1
        digest = hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=8).digest()
        self.addresses.setdefault(key, array("Q")).append(int.from_bytes(digest))


class _Run:
    """The crawl that a log is about, line by line. *counted*: images, bytes and failures, as they were last told."""

    def __init__(self, log: str) -> None:
        self._log = log
        self._at = 0
        self._counts: dict[str, int] = {}
        self.counted = (0, 0, 0)
        self.reason = ""
        self.is_open = self.is_whole = False

    def open(self, at: int) -> None:
        """The summary of the crawl, which ended at *at*, follows."""
        self._at, self._counts, self.is_open, self.is_whole = at, {}, True, False

    def add_text(self, text: str) -> None:
        """*text*: some lines of the summary, as people read it."""
        for line in map(str.strip, text.split("\n")):
            if found := _ROW.match(line):
                self._counts.setdefault(found[1].removeprefix("images "), _whole(found[2]))
            elif found := _AMOUNT.match(line):
                self._counts["bytes"] = int(float(found[1].replace(",", "")) * 1e6)
                hours, minutes, seconds = map(int, found[3].split(":"))
                self._counts["seconds"] = _whole(found[2] or "0") * DAY + hours * 3600 + minutes * 60 + seconds
                self.is_open, self.is_whole = False, "found" in self._counts

    def add_summary(self, at: int, told: Mapping[str, Any]) -> None:
        """*told*: the summary, as programs read it."""
        self.open(at)
        images = told.get("images")
        counts = {
            **(images if isinstance(images, dict) else {}),
            **{name: told.get(name) for name in ("bytes", "seconds")},
        }
        self._counts = {name: int(value) for name, value in counts.items() if isinstance(value, int | float)}
        self.is_open, self.is_whole = False, "found" in self._counts

    def told(self) -> dict[str, Any]:
        """All of it. The next crawl may begin."""
        counts = {name: self._counts.get(name, 0) for name in ("found", *STATUSES, "bytes")}
        start = self._at - self._counts.get("seconds", 0)
        told = {"log": self._log, "from": start, "to": self._at, "reason": self.reason, **counts}
        self.is_whole, self.counted, self.reason = False, (0, 0, 0), ""
        return told


def records(lines: Iterable[str]) -> Iterator[tuple[int | None, str, dict[str, Any] | None]]:
    """The Unix time and the text of each of *lines*, Scrapy's or JSON, and the summary of a crawl that JSON has; the
    time is None where a line goes on."""
    for line in lines:
        if line.startswith("{") and (entry := _object(line)) is not None:
            text, summary = entry.get("message"), entry.get("summary")
            at = int(seconds_of(entry.get("time")))
            yield at or None, text if isinstance(text, str) else "", summary if isinstance(summary, dict) else None
        elif found := _LINE.match(line):
            yield _local(found[1]), found[2].rstrip("\n"), None
        else:
            yield None, line.strip(), None


def is_log(path: Path) -> bool:
    """Whether the file at *path* is a log, by its first lines. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(1 << 14).decode("utf-8", "replace")
    for line in head.splitlines()[:20]:
        if _LINE.match(line):
            return True
        if line.startswith("{") and (entry := _object(line)) is not None:
            return {"time", "level", "message"} <= entry.keys()
    return False


def read_log(path: Path) -> LogTally:
    """Raises OSError."""
    tally = LogTally()
    with path.open(encoding="utf-8", errors="replace") as file:
        tally.read(iter(lambda: file.readline(MAX_LINE), ""), path.name)
    for key, addresses in tally.addresses.items():
        tally.addresses[key] = array("Q", set(addresses))
    return tally


def _object(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


@lru_cache(10_000)
def _local(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError):
        return None


def _whole(text: str) -> int:
    digits = text.replace(",", "")
    return int(digits) if digits.isdecimal() and len(digits) < 16 else 0
