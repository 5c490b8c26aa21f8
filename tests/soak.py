"""Faults of every kind at once, and the promises looked at when they are over.

`python -m tests.soak --minutes 60` crawls a site of its own again and again, with another seed each time, and prints a
line for each crawl. Three workers that share a Redis are killed, frozen and started again, so is Redis, the disk is
full for some seconds (where this process may mount one), and the site hangs, answers 503, cuts and resets. Then the
faults end, and the same command brings home what is missing.
"""

# ruff: noqa: T201 -- it is a script, too
from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

from tests.support.crawling import crawl, until
from tests.support.disk import small_disk
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Exchange, Server, endless, jpeg, never, reset
from tests.support.sharing import Sharing

WORKERS, IMAGES, AT_ONCE = 3, 6, 8
DISK = "24m"
MEMORY = 400 << 20  # bytes of a worker
ODDS = 0.2  # that an answer is none
ENDED = {"downloaded", "uptodate", "duplicate", "failed", "refused"}  # refused: one whose body never ended
SETTINGS = {
    "WORKER": "w", "FRONTIER_LEASE_TIMEOUT": 6, "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE, "DOWNLOAD_TIMEOUT": 6,
    "DOWNLOAD_MAXSIZE": 1 << 20, "RETRY_TIMES": 20, "VERDICT_MAX_FAILED": 1, "IMAGES_MAX_PIXELS": 1_000_000,
    "FRONTIER_MAX_DELIVERIES": 1000,
}  # fmt: skip


@dataclass
class Outcome:
    """One crawl. What must be 0 comes last."""

    seed: int
    seconds: float = 0
    pages: int = 0
    kills: int = 0
    frozen: int = 0
    redis: int = 0  # kills and stops of it
    full: int = 0  # times that the disk was
    site: int = 0  # answers that were none
    left: int = 0  # workers that ended because of it, and were replaced
    failed: int = 0  # images, when the faults were over; the same command had them then
    memory: int = 0  # MB that the largest worker had
    in_flight: int = 0  # at the site, at most; a worker that is frozen for longer than its lease leaves its own open
    lost: int = 0  # pages without an item, which tells what they have or why they could not be had; images that the
    # same command did not bring
    twice: int = 0  # pages more than once in the feed
    wrong: int = 0  # files that are not what the site sent, or that nobody owns
    untold: int = 0  # addresses without exactly one outcome
    notes: list[str] = field(default_factory=list)

    def is_good(self) -> bool:
        return self.lost + self.twice + self.wrong + self.untold == 0 and self.memory << 20 < MEMORY and not self.notes


class Site:
    """Pages with images, each of which has bytes of its own; while `quiet` is not set, some answers are none."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        self.server, self.dice = server, dice
        self.quiet = threading.Event()
        self.hangs = self.refuses = False
        self.faults = 0
        server.add("*", self.answer)

    @staticmethod
    def image(path: str) -> bytes:
        return jpeg(comment=path)

    async def answer(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if not self.quiet.is_set() and (self.hangs or self.refuses or self.dice.random() < ODDS):
            self.faults += 1
            await self.fail(exchange)
            return
        if path.endswith(".jpg"):
            await exchange.answer(Answer(self.image(path)))
        else:
            await exchange.answer(Answer(b"<html></html>", headers={"Content-Type": "text/html"}))

    async def fail(self, exchange: Exchange) -> None:
        body = self.image(exchange.request.path)

        async def cut(exchange: Exchange) -> None:
            await exchange.head(content_length=str(len(body)), content_type="image/jpeg")
            await exchange.write(body[: len(body) // 2])
            exchange.close()

        async def busy(exchange: Exchange) -> None:
            await exchange.answer(Answer(b"", 503, {"Retry-After": "1"} if self.dice.random() < 0.3 else {}))

        kind = (
            never if self.hangs else busy if self.refuses else self.dice.choice((cut, cut, busy, reset, never, endless))
        )
        await kind(exchange)


class Workers(Sharing):
    """Workers whose folder is a small disk, with logs elsewhere."""

    logs: Path

    def _log(self, number: int) -> Path:
        return self.logs / f"worker-{number}.log"

    def memory(self) -> int:
        """Bytes that the largest of those that live has had at most."""
        most = 0
        for worker in self.living:
            with suppress(OSError, IndexError):
                status = Path(f"/proc/{worker.pid}/status").read_text()
                most = max(most, int(status.partition("VmHWM:")[2].split()[0]) << 10)
        return most


def fill(disk: Path, seconds: float) -> None:
    """Leave no byte free on *disk* for so long."""
    filler = disk / ".filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    time.sleep(seconds)
    filler.unlink()


def soak(seed: int, folder: Path, pages: int, seconds: float) -> Outcome:
    """One crawl with faults for so long; *seed* says which, when."""
    dice = random.Random(seed)
    outcome = Outcome(seed, pages=pages)
    began = time.monotonic()
    for name in ("redis", "logs"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        has_disk = stack.enter_context(small_disk(disk := folder / "disk", DISK))
        site = Site(stack.enter_context(Server()), random.Random(seed + 1))
        redis = stack.enter_context(RedisServer(folder / "redis"))
        arguments = {"bases": site.server.url(""), "pages": str(pages), "images": str(IMAGES)}
        workers = stack.enter_context(Workers(disk, redis.url, "telling", arguments, **SETTINGS))
        workers.logs = folder / "logs"
        for _ in range(WORKERS):
            workers.start()
        faults = _faults(outcome, dice, site, redis, workers, disk if has_disk else None)
        until(lambda: site.server.requests)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.2, 1.5))
            dice.choice(faults)()
            outcome.memory = max(outcome.memory, workers.memory() >> 20)
            outcome.left += _replaced(workers)
        site.quiet.set()
        try:
            until(lambda: not _replaced(workers) and not workers.living, max(90.0, 2 * seconds))
        except AssertionError:
            outcome.notes.append(f"not at its end: {[workers.log(worker)[-300:] for worker in workers.living]}")
        outcome.site, outcome.in_flight = site.faults, site.server.max_in_flight
        _judge(outcome, site, workers, arguments)
    outcome.seconds = time.monotonic() - began
    return outcome


def _faults(
    outcome: Outcome, dice: random.Random, site: Site, redis: RedisServer, workers: Workers, disk: Path | None
) -> list[Callable[[], None]]:
    def kill() -> None:
        if living := workers.living:
            dice.choice(living).kill()
            outcome.kills += 1
            workers.start()

    def freeze() -> None:  # for longer than its lease
        if living := workers.living:
            worker = dice.choice(living)
            outcome.frozen += 1
            worker.send_signal(signal.SIGSTOP)
            timer = threading.Timer(dice.uniform(1, 9), worker.send_signal, (signal.SIGCONT,))
            timer.daemon = True
            timer.start()

    def kill_redis() -> None:
        redis.kill()
        time.sleep(dice.uniform(0, 2))
        redis.start()
        outcome.redis += 1

    def stop_redis() -> None:
        redis.send(signal.SIGSTOP)
        time.sleep(dice.uniform(0.5, 3))
        redis.send(signal.SIGCONT)
        outcome.redis += 1

    def fill_disk() -> None:
        if disk:
            fill(disk, dice.uniform(0.5, 2))
            outcome.full += 1

    def hang() -> None:
        site.hangs = True
        time.sleep(dice.uniform(0.5, 3))
        site.hangs = False

    def refuse() -> None:
        site.refuses = True
        time.sleep(dice.uniform(0.5, 2))
        site.refuses = False

    return [kill, kill, freeze, kill_redis, stop_redis, fill_disk, hang, refuse]


def _replaced(workers: Workers) -> int:
    """Start a worker for each that ended with something other than the end of the crawl; return how many."""
    gone = [worker for worker in workers.workers if worker.poll() not in (None, 0, -signal.SIGKILL)]
    for worker in gone:
        workers.workers[workers.workers.index(worker)].returncode = -signal.SIGKILL  # told once
        workers.start()
    return len(gone)


def _judge(outcome: Outcome, site: Site, workers: Workers, arguments: dict[str, str]) -> None:
    merged = workers.merge()
    _count(outcome, site, merged.items, merged.files)
    outcome.failed = sum(image["status"] in ("failed", "refused") for image in merged.images)
    again = crawl(workers.folder, "telling", arguments, **SETTINGS)
    (workers.folder / "items.json").rename(workers.folder / "again.json")
    items = json.loads((workers.folder / "again.json").read_text("utf-8"))
    _count(outcome, site, items, again.files)
    kept = {image["url"] for item in items for image in item["images"] if "path" in image}
    outcome.lost += outcome.pages * IMAGES - len(kept)
    if again.code != 0:
        outcome.notes.append(f"the same command ended with {again.code}: {again.log[-500:]}")


def _count(outcome: Outcome, site: Site, items: list[dict[str, object]], files: dict[str, bytes]) -> None:
    pages = Counter(str(item["url"]) for item in items)
    outcome.lost += outcome.pages - len(pages)
    outcome.twice += sum(count - 1 for count in pages.values())
    owned = set()
    for item in items:
        images: list[dict[str, str]] = item["images"]  # type: ignore[assignment] -- as the feed has it
        if [image["url"] for image in images] != item["image_urls"]:
            outcome.untold += 1
            outcome.notes.append(f"{item['url']}: {item['image_urls']} became {images}"[:1000])
        for image in (image for image in images if image["status"] not in ENDED):
            outcome.untold += 1
            outcome.notes.append(f"{image}"[:300])
        for image in images:
            if "path" in image:
                owned.add(image["path"])
                body = site.image(image["url"].removeprefix(site.server.url("")))
                right = image["checksum"] == hashlib.sha256(body).hexdigest()
                outcome.wrong += not right or files.get(image["path"]) != body
    strange = {name for name in set(files) - owned if not name.startswith(".")}
    bodies = {site.image(path) for path in site.server.paths() if path.endswith(".jpg")}
    outcome.wrong += sum(files[name] not in bodies for name in strange)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first crawl")
    parser.add_argument("--pages", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=60, help="that each crawl has faults")
    options = parser.parse_args()
    names = [each.name for each in fields(Outcome)]
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names), flush=True)
    end, seed, good = time.monotonic() + options.minutes * 60, options.seed, True
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            outcome = soak(seed, Path(folder), options.pages, options.seconds)
        cells = (f"{value:.0f}" if isinstance(value, float) else str(value) for value in astuple(outcome))
        print("| " + " | ".join(cells) + " |" + ("" if outcome.is_good() else " FAILED"), flush=True)
        good = good and outcome.is_good()
        seed += 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
