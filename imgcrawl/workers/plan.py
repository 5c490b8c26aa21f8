"""What a crawl with several workers is to do, and the folder that it keeps between two starts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.kept import KeptParts
from imgcrawl.feeds.segments import file_name
from imgcrawl.filelocks import lock
from imgcrawl.ownfiles import whose_folder

if TYPE_CHECKING:
    from imgcrawl.feeds.output import OutputWriter


FORMAT = 1  # of a crawl's folder: what its files are called, and what stands in them


@dataclass(frozen=True)
class Plan:
    """What was asked for: *command* starts a crawl of *spider*, with what each worker is given on its command line."""

    spider: str
    workers: int
    command: Sequence[str]
    feeds: OutputWriter
    folder: CrawlFolder


class CrawlFolder:
    """What a crawl keeps until it has come to its end: the workers' `segments` of the feed, and its own Redis.

    `fed` is a file that is there once the feed has all that the segments have; `format` says which FORMAT all of it has
    (without it: 1).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments = path / "segments"
        self.fed = path / "fed"
        self.redis = path / "redis"
        self.kept = KeptParts(path / "kept.json")
        self.format = path / "format"

    def check_format(self) -> None:
        """Note the format of this folder. Raises InputError if it is one of a newer release, OSError."""
        found = self.format.read_text("ascii", "replace").strip() if self.format.exists() else ""
        if found and not (found.isdecimal() and int(found) <= FORMAT):
            raise InputError(
                f"{self.path} is of format {found!r:.20}, expected {FORMAT}: a newer release of imgcrawl has begun this"
                " crawl; go on with that one, or remove the folder, and begin anew"
            )
        self.format.write_text(f"{FORMAT}\n", "ascii")

    def all_segments(self) -> list[Path]:
        return sorted(self.segments.glob("*.jsonl"), key=lambda path: (path.stat().st_ctime_ns, path.name))

    def segments_of(self, run: str) -> set[Path]:
        return set(self.segments.glob(f"{file_name(run)},*.jsonl"))

    def mark_fed(self) -> None:
        """The feed has all that the segments have."""
        self.fed.write_text("\n".join(sorted({_run_of(path) for path in self.all_segments()})), "utf-8")

    def go_on_with(self, run: str) -> None:
        """Forget what the feed has of other runs: it was kept to go on with those."""
        if self.fed.exists():
            fed = set(self.fed.read_text("utf-8").split("\n"))
            if file_name(run) not in fed:
                for path in self.all_segments():
                    if _run_of(path) in fed:
                        path.unlink()
                self.kept.file.unlink(missing_ok=True)
            self.fed.unlink()

    @property
    def is_unused(self) -> bool:
        """Whether no worker has begun a segment."""
        return not any(self.segments.glob("*"))

    def remove(self) -> None:
        """Remove all but the Redis, and the folder itself if that leaves nothing in it."""
        shutil.rmtree(self.segments, ignore_errors=True)
        self.fed.unlink(missing_ok=True)
        self.kept.file.unlink(missing_ok=True)
        self.format.unlink(missing_ok=True)
        with suppress(OSError):  # another crawl's is beside it
            (self.path / "lock").unlink(missing_ok=True)
            self.path.rmdir()
            self.path.parent.rmdir()


def _run_of(segment: Path) -> str:
    return segment.name.partition(",")[0]


def folder_for(spider: str, arguments: dict[str, str], feeds: OutputWriter) -> CrawlFolder:
    """Where the crawl of *spider* with *arguments* keeps what the next start of it needs."""
    beside = next((output.path.parent for output in feeds.outputs if output.path), Path.cwd())
    mark = blake2b(json.dumps([spider, arguments], sort_keys=True).encode(), digest_size=4).hexdigest()
    return CrawlFolder(beside / ".imgcrawl" / f"{spider}-{mark}")


def worker_command(plan: Plan, run: str) -> list[str]:
    """The command line of a worker of the run of this name: a crawl of its own, with a segment in place of feeds."""
    command = [*plan.command]
    for name, value in {
        "FEEDS": "{}",
        "FRONTIER_PARENT": os.getpid(),
        "FRONTIER_RUN": run,
        "FRONTIER_SEGMENTS": plan.folder.segments,
        "PROGRESS_ENABLED": 0,
        "PROGRESS_INTERVAL": 0,
    }.items():
        command += ["-s", f"{name}={value}"]
    return command


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds the lock of a crawl's folder. Raises InputError if another process has it, if it is of a newer release, or
    if it is not ours: what stands in it is trusted, down to the socket of its Redis."""
    places = folder.parent, folder
    _refuse_others(places)
    try:
        for place in places:  # whatever the umask is: else the next start would refuse it
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
        _refuse_others(places)  # who may have been faster
        file = (folder / "lock").open("a")
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    with file:
        try:
            lock(file)
            CrawlFolder(folder).check_format()
        except BlockingIOError:
            raise InputError(
                f"This crawl runs already, in another process that has {folder}: wait for its end, or stop it."
            ) from None
        except OSError as error:
            raise InputError(f"The folder {folder} cannot be written to: {error.strerror}.") from error
        yield


def _refuse_others(places: Iterable[Path]) -> None:
    for place in places:
        if why := whose_folder(place):
            remedy = "take that right away (chmod o-w)" if "may write" in why else "remove it"
            raise InputError(f"{place} is {why}, and a folder of ours is to be there: {remedy}, or crawl elsewhere.")
