"""What a crawl with several workers is to do, and the folder that it keeps between two starts."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.merge import Segments, file_name

if sys.platform != "win32":
    import fcntl


class Feed(NamedTuple):
    """A file that the items of all workers go to. *keep*: it keeps what it has (`-o`)."""

    path: Path
    format: str
    keep: bool


@dataclass(frozen=True)
class Plan:
    """What was asked for: *arguments* are what each worker is given behind `scrapy crawl SPIDER`."""

    spider: str
    workers: int
    arguments: Sequence[str]
    feeds: Sequence[Feed]
    folder: CrawlFolder


class CrawlFolder:
    """What a crawl keeps until it has come to its end: the workers' `segments` of the feed, and its own Redis.

    `fed` is a file that is there once the feed has all that the segments have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments = path / "segments"
        self.fed = path / "fed"
        self.redis = path / "redis"

    def segments_of(self, run: str) -> set[Path]:
        return set(self.segments.glob(f"{file_name(run)},*.jsonl"))

    def keep_only(self, run: str) -> None:
        """Remove what is of other runs, if the feed has it: it was kept to go on with those."""
        if self.fed.exists():
            for path in set(self.segments.glob("*.jsonl")) - self.segments_of(run):
                path.unlink()
            self.fed.unlink()

    @property
    def is_unused(self) -> bool:
        """Whether no worker has begun a segment."""
        return not any(self.segments.glob("*"))

    def remove(self) -> None:
        """Remove all but the Redis, and the folder itself if that leaves nothing in it."""
        shutil.rmtree(self.segments, ignore_errors=True)
        self.fed.unlink(missing_ok=True)
        with suppress(OSError):  # another crawl's is beside it
            (self.path / "lock").unlink(missing_ok=True)
            self.path.rmdir()
            self.path.parent.rmdir()


def folder_for(spider: str, arguments: dict[str, str], feeds: Sequence[Feed]) -> CrawlFolder:
    """Where the crawl of *spider* with *arguments* keeps what the next start of it needs."""
    beside = feeds[0].path.absolute().parent if feeds else Path.cwd()
    mark = blake2b(json.dumps([spider, arguments], sort_keys=True).encode(), digest_size=4).hexdigest()
    return CrawlFolder(beside / ".imgcrawl" / f"{spider}-{mark}")


def plain_feeds(feeds: dict[Path, dict[str, Any]]) -> list[Feed]:
    """The feeds that can be made from segments. Raises InputError for others."""
    for path, options in feeds.items():
        for name in ("item_classes", "item_filter", "batch_item_count", "postprocessing"):
            if options.get(name):
                raise InputError(f"Feed {path}: --workers writes feeds without {name}; expected a plain one")
        if "%(" in str(path):
            raise InputError(f"Feed {path}: --workers writes one feed; expected a name without %(...)s")
        place = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
        if not os.access(place, os.W_OK) or not (place == path.absolute() or place.is_dir()):
            raise InputError(f"Feed {path} cannot be written: {place} is not a place to write to.")
        if path.exists() and not options.get("overwrite"):
            if options["format"] not in ("json", "jsonl", "jl", "jsonlines"):
                raise InputError(f"Feed {path}: --workers cannot add to {options['format']}; -O replaces it")
            with Segments([path]):  # raises InputError for what is no feed
                pass
    return [Feed(path, str(options["format"]), not options.get("overwrite")) for path, options in feeds.items()]


def worker_command(plan: Plan, run: str) -> list[str]:
    """The command line of a worker of the run of this name: a crawl of its own, with a segment of the feed."""
    command = [sys.executable, "-m", "scrapy", "crawl", plan.spider, *plan.arguments]
    command += ["-o", f"{plan.folder.segments}/%(run)s,%(worker)s.jsonl:jsonl"]
    for name, value in {
        "FEEDS": "{}",
        "FEED_URI_PARAMS": "imgcrawl.feeds.merge.uri_params",
        "FRONTIER_PARENT": os.getpid(),
        "FRONTIER_RUN": run,
        "PROGRESS_ENABLED": 0,
        "PROGRESS_INTERVAL": 0,
    }.items():
        command += ["-s", f"{name}={value}"]
    return command


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds the lock of a crawl's folder. Raises InputError if another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    with file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"This crawl runs already, in another process that has {folder}: wait for its end, or stop it."
                ) from None
        yield
