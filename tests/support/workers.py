"""Several workers, each a real `scrapy crawl polite`, that share nothing but a Redis."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.crawling import Fleet, crawl_command, environment

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


class Workers(Fleet):
    """*count* workers in folders of their own; *arguments* are the spider's, the rest are settings.

    What tells workers apart is a setting: with other arguments they would not be of one crawl.
    """

    def __init__(
        self, folder: Path, redis_url: str, count: int, arguments: dict[str, Any], **settings: Any
    ) -> None:  # fmt: skip
        super().__init__(folder)
        self.redis_url = redis_url
        self.arguments = arguments
        self.settings = {**QUICK, **settings}
        for _ in range(count):
            self.start()

    def start(self) -> subprocess.Popen[bytes]:
        number = len(self.workers)
        folder = self.folder / f"{number}"
        folder.mkdir()
        # A setting, not in the environment: it holds without the addon of the frontier, too.
        redis = {"REDIS_URL": self.redis_url} if self.redis_url else {}
        settings = {**self.settings, **redis, "WORKER": number}
        command = crawl_command("polite", "-O", "items.json", arguments=self.arguments, settings=settings)
        return self.launch(command, environment(), folder)

    def items(self, number: int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads((self.folder / f"{number}" / "items.json").read_text())
        return items
