"""Workers of the project itself, that share a real Redis: started by hand, killed, frozen, and what they leave."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.crawling import FAST, Crawl, Fleet, crawl_command, environment

# A segment for each worker.
SEGMENTS = ["-o", "part-%(worker)s.jsonl"]


def scrapy(folder: Path, *arguments: str, redis_url: str | None = None, given: str = "") -> tuple[int, str, str]:
    """Run `scrapy ...` in *folder*: exit code, stdout, stderr."""
    command = [sys.executable, "-m", "scrapy", *arguments]
    done = processes.run(
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


class Sharing(Fleet):
    """Workers of one crawl in *folder*, each a `scrapy crawl` with a segment and a log of its own."""

    def __init__(self, folder: Path, redis_url: str, spider: str, arguments: dict[str, str], **settings: Any) -> None:
        super().__init__(folder)
        self.redis_url = redis_url
        self.command = crawl_command(spider, *SEGMENTS, arguments=arguments, settings={**FAST, **settings})

    def start(self) -> subprocess.Popen[bytes]:
        return self.launch(self.command, environment(self.redis_url))

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

    def merge(self) -> Crawl:
        """What the workers have done, with their segments merged by `scrapy merge`."""
        segments = sorted(path.name for path in self.folder.glob("part-*.jsonl"))
        code, out, err = scrapy(self.folder, "merge", *segments, "-O", "items.json")
        assert code == 0, err
        return Crawl(self.folder, code, out + err)


def counts_of_galleries(log: str, first: str = "galleries found") -> dict[str, int]:
    """The counts of the summary in *log* below the line *first*, which is `found` among them."""
    after = log[log.rindex(f"{first} ") :].replace(first, "  found", 1)
    rows = re.findall(r"^  ([a-z ]+?) +([0-9,]+)(?=  |$)", after, re.MULTILINE)
    return {"not reached": 0} | {name: int(count.replace(",", "")) for name, count in reversed(rows)}


def refetched(asked: dict[str, int], images: set[str]) -> int:
    """How many more times than once each the *images* were asked for."""
    return sum((Counter({url: n for url, n in asked.items() if url in images}) - Counter(images)).values())
