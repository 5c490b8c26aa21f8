"""What a terminal shows of a crawl that runs: the words for how much there is, how fast it grows, who slows it down.

`view` is the structure that `imgcrawl.live.overview` gives, or the part of it that a process knows of itself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from imgcrawl.items import STATUSES, STORED
from imgcrawl.lines import printable

RECENT = 10.0  # seconds that "images a second" looks back
BARS = "▁▂▃▄▅▆▇█"
# Who slows a host down, in the words that people see.
SLOWED_BY = {
    "": "",
    "retry_after": "the site (Retry-After)",
    "robots": "robots.txt (Crawl-delay)",
    "autothrottle": "its own pace (AUTOTHROTTLE)",
    "errors": "its 429s and 503s",
    "hours": "CRAWL_HOURS",
}


def clock(seconds: float) -> str:
    """A duration as people read it: `0:01:23`."""
    return str(timedelta(seconds=int(seconds)))


def when(seconds: float) -> str:
    """A Unix time as people read it, in UTC; `?` for what is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
    except (ValueError, OverflowError, OSError):
        return "?"


def stored_images(stats: Mapping[str, Any]) -> int:
    """How many images the store has of those that a crawl with these *stats* has found."""
    return sum(int(stats.get(f"image/{status}", 0)) for status in STORED)


def amount(view: Mapping[str, Any]) -> str:
    """How much there is: galleries, images, bytes."""
    images = view["images"]
    stored = sum(images[status] for status in STORED)
    return (
        f"{view['galleries']['scraped']:,} galleries, {stored:,} of {images['found']:,} images,"
        f" {view['bytes'] / 1e6:,.1f} MB"
    )


def pace(view: Mapping[str, Any]) -> str:
    """How fast images come, what did not, and how long it takes where that is known."""
    images, galleries = view["images"], view["galleries"]
    failed = images["failed"] + galleries["failed"] + view.get("lists_failed", 0)
    told = f"{view['rate']:,.1f} images/s, {failed:,} failed, {images['refused']:,} refused"
    if view.get("remaining") is not None:
        told += f", about {clock(view['remaining'])} to go"
    if waiting := view.get("waiting"):  # hosts, for their CRAWL_HOURS
        told += f", waiting for {printable(str(waiting))}"
    return told


def remaining(view: Mapping[str, Any], pages: int | None, galleries_a_second: float) -> float | None:
    """Seconds to go for the crawl of *view* with so many *pages* to read, or a shared queue, where only galleries are
    left, or only images of them: a page of a list may lead to any number of others."""
    left, a_second = view["galleries"]["not_reached"], galleries_a_second
    if queue := view.get("queue"):  # what is leased may have been read, and have images under way
        if queue.get("lists"):
            return None
        pages = queue["queued"] + (queue["leased"] if left else 0)
    if pages is None or pages > left:
        return None
    if not left:
        images = view["images"]
        left, a_second = images["found"] - sum(images[status] for status in STATUSES), view["rate"]
    return float(round(left / a_second, 1)) if left > 0 and a_second > 0 else None


def queue_line(view: Mapping[str, Any]) -> str:
    """What the shared queue holds."""
    queue = view["queue"]
    told = f"{queue['queued']:,} page{'s' * (queue['queued'] != 1)} queued, {queue['leased']:,} under way"
    return told + (f", {queue['dead']:,} given up" if queue["dead"] else "")


def again(pages: int) -> str:
    """That so many *pages*, which had been given up, were put back."""
    return "1 page is in the queue again" if pages == 1 else f"{pages:,} pages are in the queue again"


def host_line(host: Mapping[str, Any], now: float | None = None) -> str:
    """How a host is being asked, and who slowed it until when."""
    told = f"{printable(host['host'])}: {host['active']}/{host['limit']}, delay {host['delay']:.2f} s"
    return told + (f", {slowed}" if (slowed := slowed_by(host, now)) else "")


def slowed_by(host: Mapping[str, Any], now: float | None = None) -> str:
    """Who slowed the host down, and for how long."""
    who = SLOWED_BY.get(host["reason"], "")
    if who and host["until"]:
        who += f", for {max(0.0, host['until'] - (time.time() if now is None else now)):,.0f} s"
    return who


def curve(values: Sequence[float]) -> str:
    """*values* as a line of bars, the highest as high as a line is."""
    most = max(values, default=0)
    return "".join(BARS[min(7, int(value * 7 / most + 0.5))] for value in values) if most > 0 else ""


def told_state(view: Mapping[str, Any]) -> str:
    """Whether the crawl runs, or when and how it ended, in a few words."""
    state, seconds = view["state"], view["seconds"]
    if state in ("running", "paused", "stopping"):
        return f"{state}, {clock(seconds)}, since {when(view['started'])}"
    if state == "none":
        return "no crawl is known here"
    how = {"finished": "finished", "shutdown": "stopped"}.get(view["how"], view["how"])
    if state == "killed":
        how = "killed: its process is gone without a word"
    ended = f" {when(view['ended'])}" if view["ended"] else ""
    return f"ended{ended}, {how}, after {clock(seconds)}"


def told_control(control: Mapping[str, Any]) -> str:
    """What a person asks of the crawl."""
    told = ["stop"] if control["stop"] else ["pause"] if control["paused"] else ["go on"]
    if control["delay_factor"] > 1:
        told.append(f"delays {control['delay_factor']:g} times as long")
    return ", ".join(told)


class Speed:
    """Images a second, from how many there are now and then: `recent` over RECENT seconds, `curve` each second."""

    def __init__(self) -> None:
        self.started = monotonic()
        self._samples: deque[tuple[float, int]] = deque([(self.started, 0)])
        self._seconds: deque[tuple[float, int]] = deque([(self.started, 0)], 61)

    @property
    def seconds(self) -> float:
        return monotonic() - self.started

    def recent(self, images: int) -> float:
        """Images a second over the last RECENT seconds, or since the last call where that is longer ago."""
        now = monotonic()
        self._samples.append((now, images))
        while len(self._samples) > 2 and now - self._samples[0][0] > RECENT:
            self._samples.popleft()
        then, before = self._samples[0]
        return max(0.0, (images - before) / (now - then)) if now > then else 0.0

    def each_second(self, images: int) -> list[float]:
        """To be called once a second: images a second in each of the last sixty."""
        self._seconds.append((monotonic(), images))
        pairs = zip(self._seconds, list(self._seconds)[1:], strict=False)
        return [round(max(0.0, (b - a) / max(0.001, until - since)), 1) for (since, a), (until, b) in pairs]


def lines_of(view: Mapping[str, Any], hosts: int) -> Iterator[str]:
    """What stands below each other while a crawl runs, the busiest *hosts* last."""
    yield amount(view)
    yield pace(view)
    if view.get("queue"):
        yield queue_line(view)
    yield from (host_line(host) for host in view["hosts"][:hosts])
