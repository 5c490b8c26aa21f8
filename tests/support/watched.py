"""A crawl that is not there, as `imgcrawl.live` would tell of it, and the page that shows it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from imgcrawl.watch.access import Access
from imgcrawl.watch.server import WatchServer
from imgcrawl.watch.thumbnails import Thumbnails

TOKEN = "a-token-of-the-tests"  # noqa: S105 -- of no server but theirs
# What sites may call things: markup, a script's end, another direction, templates, and what has no end.
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\u202egnp.exe\u202c ${alert(3)} {{alert(4)}}",
    "'\"><svg/onload=alert(5)>" + "W" * 3000,
)
SCRIPT = "javascript:alert(6)"
DATA = "data:text/html,<script>alert(7)</script>"
_HOST = ("host", "active", "limit", "delay", "reason", "until", "waiting", "rate")
_IMAGE = ("path", "url", "page", "title", "at")
_FAILURE = ("url", "reason", "page", "at")


def overview(store: Path, *, images: int = 24, workers: int = 4) -> dict[str, Any]:
    """As of a crawl in full swing, with hostile words in every place that strangers fill."""
    now = time.time()
    newest = [
        (f"pximg/{n}.jpg", f"https://img.example.org/{n}.jpg", f"https://example.org/g/{n}?<b>", f"Plate {n}", now - n)
        for n in range(images)
    ]
    pages = (SCRIPT, DATA, "https://example.org/g", "https://example.org/g")
    newest[:4] = [(*newest[n][:2], pages[n], HOSTILE[n], now) for n in range(min(4, images))]
    failures = [
        (SCRIPT, "http_404", SCRIPT, now - 3),
        ("https://img.example.org/" + "x" * 500, HOSTILE[0], DATA, now - 5),
        *(
            (f"https://img.example.org/b/{n}.jpg", reason, f"https://example.org/g/{n}", now - 10 * n)
            for n, reason in enumerate(["truncated", "timeout", "html"] * 4)
        ),
    ]
    hosts = [
        ("img.example.org", 8, 8, 0.12, "", None, 412, 21.4),
        ("example.org", 1, 8, 0.5, "robots", None, 40, 1.9),
        ("slow.example.net", 0, 2, 4, "retry_after", now + 90, 12, 0.2),
        (HOSTILE[1], 1, 4, 1.5, "errors", None, 3, 0.4),
    ]
    named = [
        {"name": f"desk:{pid}", "host": "desk", "pid": pid, "state": "running", "age": 0.4, "rate": 7.1, "leases": 4}
        | {"images": pid - 600, "galleries": 602, "bytes": 231_000_000, "memory": 142_000_000}
        for pid in range(4711, 4711 + workers)
    ]
    return {
        "spider": "pximg",
        "state": "running",
        "run": "r1",
        "started": now - 754,
        "ended": None,
        "how": "",
        "verdict": "",
        "workers": named,
        "queue": {"queued": 1204, "leased": 16, "done": 2371, "dead": 3, "seen": 3594, "rejected": 0},
        "hosts": [dict(zip(_HOST, host, strict=True)) for host in hosts],
        "galleries": {"found": 3594, "scraped": 2352, "failed": 19, "not_reached": 0},
        "images": {"found": 16_540, "downloaded": 15_120, "uptodate": 801, "duplicate": 204}
        | {"refused": 127, "failed": 288},
        "reasons": {
            "refused": {"robots": 96, "too_small": 31},
            "failed": {"http_404": 151, "truncated": 72, "html": 41, "timeout": 21, HOSTILE[0]: 3},
            "galleries": {"timeout": 12, "login": 7},
        },
        "bytes": 921_000_000,
        "seconds": 754.0,
        "rate": 22.3,
        "remaining": 660.0,
        "curve": [18 + 6 * ((n * 7919) % 13) / 13 for n in range(60)],
        "control": {"paused": False, "delay_factor": 1.0, "stop": False},
        "store": str(store),
        "newest": [dict(zip(_IMAGE, image, strict=True)) for image in newest],
        "failures": [dict(zip(_FAILURE, failure, strict=True)) for failure in failures],
    }


def fill_store(store: Path, images: int = 24) -> None:
    """The files that `overview` names."""
    (store / "pximg").mkdir(parents=True)
    for n in range(images):
        picture = Image.linear_gradient("L").resize((360 + n, 240)).rotate(n * 15, fillcolor=(n * 31) % 256)
        Image.merge("RGB", (picture, picture.rotate(90), picture.rotate(180))).save(store / f"pximg/{n}.jpg")


class FakeCrawl:
    """Obeys at once, and grows with each look."""

    def __init__(self, store: Path, **numbers: int) -> None:
        self.now = overview(store, **numbers)
        self.asked: list[dict[str, Any]] = []
        self.problem: Exception | None = None

    async def look(self) -> dict[str, Any]:
        if self.problem:
            raise self.problem
        if self.now["state"] == "running":
            self.now["images"]["downloaded"] += 22
            self.now["images"]["found"] += 22
            self.now["bytes"] += 1_300_000
            self.now["seconds"] += 1
        return self.now

    async def ask(self, **wanted: Any) -> None:
        self.asked.append(wanted)
        if "paused" in wanted:
            self.now["control"]["paused"] = wanted["paused"]
            self.now["state"] = "paused" if wanted["paused"] else "running"
        if "delay_factor" in wanted:
            self.now["control"]["delay_factor"] = wanted["delay_factor"]
        if "stop" in wanted:
            self.now |= {"state": "stopping"}

    async def requeue(self) -> int:
        self.asked.append({"requeue": True})
        back, self.now["queue"]["dead"] = self.now["queue"]["dead"], 0
        return int(back)


@contextmanager
def watched(crawl: FakeCrawl, store: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of the page that shows *crawl*."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    ports: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    def on_ready(port: int) -> None:
        ports.append(port)
        ready.set()

    async def serve() -> None:
        watch = WatchServer(
            crawl.look, crawl.ask, crawl.requeue, Thumbnails(store, 10**8, 160_000_000), Access(TOKEN, host)
        )
        tasks.append(asyncio.create_task(watch.serve(host, [0], on_ready)))
        with suppress(asyncio.CancelledError):
            await tasks[0]

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://{host}:{ports[0]}/"
    finally:
        loop.call_soon_threadsafe(tasks[0].cancel)
        thread.join(30)
        loop.close()
