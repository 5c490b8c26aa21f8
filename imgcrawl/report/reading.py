"""Reads feeds and logs, several at a time, each, or each part of a large one, in a process of its own."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from imgcrawl.catalogue import Catalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.exceptions import InputError, describe
from imgcrawl.report.logs import LogTally, is_log, read_log
from imgcrawl.report.parts import Part, PartFile, parts_of
from imgcrawl.report.records import LABELS, GalleryRecord, from_json, gallery_record
from imgcrawl.report.tally import Tally
from imgcrawl.upkeep.feeditems import FeedItems, galleries, is_item

MOST_TOLD: Final = 20  # problems of one feed
_SMALL: Final = 8_000_000  # bytes in all files together, for which no process is worth its start
_BATCH: Final = 100  # rows of a Parquet file that are held


@dataclass
class FeedPart:
    """What one feed has: its galleries stand in *file*, a line each; *known* are their keys and qualities."""

    file: Path
    known: list[tuple[str, Sequence[float]]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    problems: list[str] = field(default_factory=list)


class Collection:
    """The galleries of several feeds, each once: of two visits the better one, as `scrapy merge` chooses. Iterates over
    them as often as it is asked to.

    *tally* counts every visit, *logs* what logs say, *problems* tells what could not be read.
    """

    def __init__(self) -> None:
        self.tally = Tally()
        self.logs = LogTally()
        self.problems: list[str] = []
        self._parts: list[Path] = []
        self._best: dict[str, tuple[Sequence[float], int, int]] = {}

    @property
    def count(self) -> int:
        return len(self._best)

    def add(self, part: FeedPart) -> None:
        number = len(self._parts)
        self._parts.append(part.file)
        for place, (key, quality) in enumerate(part.known):
            before = self._best.get(key)
            if before is None or tuple(quality) >= tuple(before[0]):
                self._best[key] = (quality, number, place)
        self.tally.merge(part.tally)
        self.problems += part.problems

    def __iter__(self) -> Iterator[GalleryRecord]:
        for number, path in enumerate(self._parts):
            with path.open("rb") as file:
                for place, line in enumerate(file):
                    gallery = from_json(json.loads(line))
                    if self._best[gallery.key][1:] == (number, place):
                        yield gallery


class CatalogueCollection:
    """The galleries of *catalogue*, which are counted as they are first iterated over."""

    def __init__(self, catalogue: Catalogue, labels: Sequence[str] = LABELS) -> None:
        self._catalogue = catalogue
        self._labels = labels
        self.tally = Tally(by_visit=False)
        self.logs = LogTally()
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[GalleryRecord]:
        tally = Tally(by_visit=False)
        for item in items(self._catalogue):
            gallery = gallery_record(item, self._labels)
            tally.add(gallery)
            yield gallery
        self.tally = tally


def collect(paths: Sequence[Path], folder: Path, labels: Sequence[str] = LABELS) -> Collection:
    """Read the feeds and logs at *paths*; *folder*, a private one, holds what they say until it is done with.

    Raises `InputError` for what is not there or cannot be read at all.
    """
    found = Collection()
    feeds: list[Path] = []
    logs: list[Path] = []
    for path in paths:
        try:
            (logs if is_log(path) else feeds).append(path)
        except OSError as error:
            raise InputError(f"{path}: {describe(error)}; expected a feed or a log of a crawl") from error
    size = sum(path.stat().st_size for path in paths)
    processes = (os.cpu_count() or 1) if size >= _SMALL else 1
    parts = [(path, part) for path in feeds for part in parts_of(path, min(processes, _most_parts(path)))]
    tasks: list[Callable[..., FeedPart | LogTally]] = [
        partial(read_feed, path, folder / f"{number}.jsonl", labels, part=part)
        for number, (path, part) in enumerate(parts)
    ]
    tasks += [partial(read_log, path) for path in logs]
    for part in _results(tasks, processes):
        if isinstance(part, FeedPart):
            found.add(part)
        else:
            found.logs.merge(part)
    return found


def _most_parts(path: Path) -> int:
    return path.stat().st_size // max(1, _SMALL) + 1


def read_feed(path: Path, target: Path, labels: Sequence[str] = LABELS, *, part: Part | None = None) -> FeedPart:
    """Write the galleries of the feed at *path* (.json, .jsonl, .csv, .parquet), or of a *part* of it, to *target*.
    Raises `InputError`."""
    found = FeedPart(target)
    feed: FeedItems | _ParquetItems
    if part:
        feed = FeedItems(path, lambda: io.BufferedReader(PartFile(path, part)))
    else:
        feed = _ParquetItems(path) if path.suffix.lower() == ".parquet" else FeedItems(path)
    with target.open("w", encoding="ascii") as file:
        for item in feed:
            gallery = gallery_record(item, labels)
            found.tally.add(gallery)
            found.known.append((gallery.key, gallery.quality))
            file.write(json.dumps(gallery) + "\n")
    found.problems = feed.problems[:MOST_TOLD]
    if (more := len(feed.problems) - MOST_TOLD) > 0:
        found.problems.append(f"{path}: {more:,} more like these")
    if part and part[0]:  # lines are counted from there
        found.problems = [f"{problem} (from byte {part[0]:,} on)" for problem in found.problems]
    elif not found.known and feed.problems:
        raise InputError(f"{feed.problems[0]}; expected a feed or a log of a crawl")
    return found


class _ParquetItems:
    """The items of a feed in Parquet: galleries, or a row for each image. As `FeedItems`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for item in galleries(self._rows()):
            if is_item(item):
                yield item
            else:
                self.problems.append(f"{self.path}: no item of a crawl: {str(item)[:60]}")

    def _rows(self) -> Iterator[dict[str, Any]]:
        try:
            arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError as error:
            raise InputError(f"{self.path} needs a library ({error}); install it with imgcrawl[parquet]") from error
        try:
            with parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=_BATCH):
                    yield from map(_without_nothing, batch.to_pylist())
        except (arrow.ArrowException, OSError) as error:
            raise InputError(f"{self.path} cannot be read: {error}; expected a feed of a crawl") from error


def _without_nothing(value: Any) -> Any:
    """*value* without fields that an item has not: a table has all columns in all rows."""
    if isinstance(value, dict):
        return {name: _without_nothing(each) for name, each in value.items() if each is not None}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


def _results(tasks: Sequence[Callable[..., FeedPart | LogTally]], processes: int) -> Iterator[FeedPart | LogTally]:
    """What *tasks* return, in their order: by so many *processes*, or, of one, by this."""
    processes = min(len(tasks), processes)
    if processes < 2:
        for task in tasks:
            yield task()
        return
    # Spawned, as on Windows: nothing of this process is taken along.
    with ProcessPoolExecutor(processes, get_context("spawn"), ignore_interrupts) as pool:
        futures: list[Future[FeedPart | LogTally]] = [pool.submit(task) for task in tasks]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ignore_interrupts() -> None:
    """For processes that work for this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends these
