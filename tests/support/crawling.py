"""Real crawls as subprocesses: the project's own settings, in a folder of the test's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scrapy.settings import Settings

from tests.support.processes import Process, patience

ROOT = Path(__file__).parents[2]


def project_settings() -> Settings:
    """The project's settings. Scrapy's own `get_project_settings` would name them in the environment, too, and
    with that to every crawl of another project that a test starts."""
    settings = Settings()
    settings.setmodule("imgcrawl.settings", priority="project")
    return settings


# Tests are in a hurry; what is under test sets its own.
FAST = {
    "AUTOTHROTTLE_ENABLED": "False",
    "RETRY_DELAY": "0.05",
    "RETRY_MAX_DELAY": "0.2",
    "DOWNLOAD_TIMEOUT": "20",
    "LOG_LEVEL": "INFO",
}


def environment(redis_url: str | None = None, settings: str | None = "tests.spiders") -> dict[str, str]:
    """That of a command of Scrapy: with the *settings* module of the project, and with the Redis that is named only."""
    known = os.environ | {"PYTHONPATH": str(ROOT)}
    known.pop("REDIS_URL", None)
    known.pop("SCRAPY_SETTINGS_MODULE", None)
    known |= {"SCRAPY_SETTINGS_MODULE": settings} if settings else {}
    return known | ({"REDIS_URL": redis_url} if redis_url else {})


def crawl_command(
    spider: str, *options: str, arguments: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> list[str]:
    """`scrapy crawl` of *spider* with these."""
    command = [sys.executable, "-m", "scrapy", "crawl", spider, *options]
    for option, values in (("-a", arguments), ("-s", settings)):
        for name, value in (values or {}).items():
            command += [option, f"{name}={value}"]
    return command


@dataclass
class Crawl:
    """What a finished crawl left behind."""

    folder: Path
    code: int
    log: str

    @property
    def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads((self.folder / "items.json").read_text("utf-8"))
        return items

    @property
    def images(self) -> list[dict[str, Any]]:
        return [image for item in self.items for image in item["images"]]

    @property
    def files(self) -> dict[str, bytes]:
        """Every file a person sees in the store."""
        store = self.folder / "images"
        return {
            str(path.relative_to(store)): path.read_bytes()
            for path in store.rglob("*")
            if path.is_file() and not path.name.startswith(".catalogue")
        }


def start(folder: Path, spider: str, arguments: dict[str, str] | None = None, **settings: Any) -> subprocess.Popen[str]:
    """Start `scrapy crawl spider` in *folder*: images to `images`, the feed to `items.json`."""
    options = settings.pop("options", ["-O", "items.json"])
    command = crawl_command(spider, *options, arguments=arguments, settings={**FAST, **settings})
    return Process(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def crawl(folder: Path, spider: str, arguments: dict[str, str] | None = None, **settings: Any) -> Crawl:
    """Run `scrapy crawl spider` in *folder* to its end."""
    process = start(folder, spider, arguments, **settings)
    try:
        log, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        log, _ = process.communicate()
        raise AssertionError(f"the crawl did not end:\n{log[-5000:]}") from None
    return Crawl(folder, process.returncode, log)


class Fleet:
    """Crawls that run side by side, each with its log in *folder*. Those that live are killed as the block ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []

    def launch(self, command: list[str], env: dict[str, str], folder: Path | None = None) -> subprocess.Popen[bytes]:
        """Start *command* in *folder*, or in that of all."""
        with self._log(len(self.workers)).open("wb") as log:
            worker = Process(command, cwd=folder or self.folder, env=env, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    @property
    def living(self) -> list[subprocess.Popen[bytes]]:
        return [worker for worker in self.workers if worker.poll() is None]

    def log(self, worker: subprocess.Popen[bytes]) -> str:
        return self._log(self.workers.index(worker)).read_text("utf-8", "replace")

    def wait(self, timeout: float = 60) -> None:
        """Wait until all workers have ended by themselves."""
        deadline = time.monotonic() + timeout
        for worker in self.workers:
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"still running:\n{self.log(worker)[-3000:]}") from None

    def _log(self, number: int) -> Path:
        return self.folder / f"worker-{number}.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.living:
            worker.send_signal(signal.SIGKILL)
            worker.wait()


def until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Wait for *condition* to be true; an AssertionError tells that it was not within *timeout* (see `patience`)."""
    start = time.monotonic()
    while True:
        before = time.thread_time()
        if condition():
            return
        took = time.thread_time() - before
        assert time.monotonic() < start + patience(timeout), "never happened"
        time.sleep(max(0.01, 4 * took))  # what is waited for needs the processor more than the look at it
