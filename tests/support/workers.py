"""Several workers, each a real `scrapy crawl polite`, that share nothing but a Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from tests.support.processes import Process

ROOT = Path(__file__).parents[2]

QUICK = {
    "AUTOTHROTTLE_ENABLED": False,
    "DOWNLOAD_DELAY": 0,
    "RETRY_DELAY": 0.2,
    "RETRY_MAX_DELAY": 2,
    "FRONTIER_LEASE_TIMEOUT": 6,
    "SUMMARY_ENABLED": False,
    "VERDICT_IMAGES_EXPECTED": False,
    "STATS_DUMP": True,
}


class Workers:
    """*count* workers in folders of their own; *arguments* are the spider's, the rest are settings.

    What tells workers apart is a setting: with other arguments they would not be of one crawl.
    """

    def __init__(
        self, folder: Path, redis_url: str, count: int, arguments: dict[str, Any], **settings: Any
    ) -> None:  # fmt: skip
        self.folder = folder
        self.redis_url = redis_url
        self.arguments = arguments
        self.settings = {**QUICK, **settings}
        self.processes: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            self.start()

    def start(self) -> subprocess.Popen[bytes]:
        number = len(self.processes)
        folder = self.folder / f"{number}"
        folder.mkdir()
        command = [sys.executable, "-m", "scrapy", "crawl", "polite", "-O", "items.json"]
        for name, value in self.arguments.items():
            command += ["-a", f"{name}={value}"]
        for name, value in {**self.settings, "WORKER": number}.items():
            command += ["-s", f"{name}={value}"]
        if self.redis_url:
            command += ["-s", f"REDIS_URL={self.redis_url}"]
        environment = os.environ | {"SCRAPY_SETTINGS_MODULE": "tests.spiders", "PYTHONPATH": str(ROOT)}
        environment.pop("REDIS_URL", None)
        with (folder / "log").open("wb") as log:
            process = Process(command, cwd=folder, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def log(self, number: int) -> str:
        return (self.folder / f"{number}" / "log").read_text()

    def items(self, number: int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads((self.folder / f"{number}" / "items.json").read_text())
        return items

    def wait(self, timeout: float = 60) -> None:
        """Wait until all that live have ended by themselves."""
        deadline = time.monotonic() + timeout
        for number, process in enumerate(self.processes):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"worker {number} still runs:\n{self.log(number)[-3000:]}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
