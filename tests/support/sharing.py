"""Workers of the project itself, that share a real Redis: started by hand, killed, frozen, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.support.crawling import FAST, ROOT, Crawl
from tests.support.processes import Process

# A segment for each worker.
SEGMENTS = ["-o", "part-%(worker)s.jsonl"]


def environment(redis_url: str | None = None) -> dict[str, str]:
    known = os.environ | {"SCRAPY_SETTINGS_MODULE": "tests.spiders", "PYTHONPATH": str(ROOT)}
    known.pop("REDIS_URL", None)
    return known | ({"REDIS_URL": redis_url} if redis_url else {})


def scrapy(folder: Path, *arguments: str, redis_url: str | None = None, given: str = "") -> tuple[int, str, str]:
    """Run `scrapy ...` in *folder*: exit code, stdout, stderr."""
    command = [sys.executable, "-m", "scrapy", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(redis_url),
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


class Sharing:
    """Workers of one crawl in *folder*, each a `scrapy crawl` with a segment and a log of its own."""

    def __init__(self, folder: Path, redis_url: str, spider: str, arguments: dict[str, str], **settings: Any) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.workers: list[subprocess.Popen[bytes]] = []
        self.command = [sys.executable, "-m", "scrapy", "crawl", spider, *SEGMENTS]
        for name, value in arguments.items():
            self.command += ["-a", f"{name}={value}"]
        for name, value in {**FAST, "FEED_URI_PARAMS": "imgcrawl.feeds.segments.uri_params", **settings}.items():
            self.command += ["-s", f"{name}={value}"]

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = Process(self.command, cwd=self.folder, env=environment(self.redis_url), stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    @property
    def living(self) -> list[subprocess.Popen[bytes]]:
        return [worker for worker in self.workers if worker.poll() is None]

    def log(self, worker: subprocess.Popen[bytes]) -> str:
        return (self.folder / f"worker-{self.workers.index(worker)}.log").read_text("utf-8", "replace")

    def lines(self) -> list[dict[str, Any]]:
        """The whole items in all segments, as they are now."""
        items = []
        for path in sorted(self.folder.glob("part-*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                with suppress(ValueError):
                    items.append(json.loads(line))
        return items

    def shares(self) -> list[int]:
        """How many items each worker has fed."""
        return [path.read_bytes().count(b"\n") for path in sorted(self.folder.glob("part-*.jsonl"))]

    def wait(self, timeout: float = 60) -> None:
        """Wait until all workers have ended by themselves."""
        deadline = time.monotonic() + timeout
        for worker in self.workers:
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"still running:\n{self.log(worker)[-3000:]}") from None

    def merge(self) -> Crawl:
        """What the workers have done, with their segments merged by `scrapy merge`."""
        segments = sorted(path.name for path in self.folder.glob("part-*.jsonl"))
        code, out, err = scrapy(self.folder, "merge", *segments, "-O", "items.json")
        assert code == 0, err
        return Crawl(self.folder, code, out + err)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.living:
            worker.send_signal(signal.SIGKILL)
            worker.wait()


def refetched(asked: dict[str, int], images: set[str]) -> int:
    """How many more times than once each the *images* were asked for."""
    return sum((Counter({url: n for url, n in asked.items() if url in images}) - Counter(images)).values())
