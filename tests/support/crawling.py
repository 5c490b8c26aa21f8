"""Real crawls as subprocesses: the project's own settings, in a folder of the test's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    command = [sys.executable, "-m", "scrapy", "crawl", spider]
    options = settings.pop("options", ["-O", "items.json"])
    for name, value in {**FAST, **settings}.items():
        command += ["-s", f"{name}={value}"]
    for name, value in (arguments or {}).items():
        command += ["-a", f"{name}={value}"]
    environment = os.environ | {"SCRAPY_SETTINGS_MODULE": "tests.spiders", "PYTHONPATH": str(ROOT)}
    environment.pop("REDIS_URL", None)
    return Process(
        [*command, *options], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


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


def until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Wait for *condition* to be true; an AssertionError tells that it was not within *timeout* (see `patience`)."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + patience(timeout), "never happened"
        time.sleep(0.01)
