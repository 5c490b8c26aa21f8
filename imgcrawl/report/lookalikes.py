"""Stored images that look the same, of those that a report tells of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from imgcrawl.images.lookalikes import groups_of, hash_of, load_library
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.report.pictures import LARGEST
from imgcrawl.report.reading import ignore_interrupts

_FEW = 200  # images for which no process is worth its start
_AT_ONCE = 50  # that a process is given


def find(
    root: Path, images: Sequence[tuple[int, str]], on_step: Callable[[int], None] = lambda _: None
) -> list[list[int]]:
    """Groups of numbers of *images*, each a number and a path below *root*, that look the same; *on_step* is told how
    many were looked at. A file that several have counts once. Raises `InputError` without the library."""
    load_library("a search for look-alikes")
    by_path: dict[str, int] = {}
    for number, path in images:
        by_path.setdefault(path, number)
    numbers, hashes = [], []
    for count, ((_, number), known) in enumerate(zip(by_path.items(), _hashes(root, [*by_path]), strict=True), 1):
        if known:
            numbers.append(number)
            hashes.append(known)
        on_step(count)
    return [[numbers[place] for place in group] for group in groups_of(hashes)] if hashes else []


def _hashes(root: Path, paths: Sequence[str]) -> Iterator[bytes | None]:
    processes = os.cpu_count() or 1
    if len(paths) < _FEW or processes < 2:
        yield from (_hash(root, path) for path in paths)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), ignore_interrupts) as pool:
        try:
            yield from pool.map(_hash, [root] * len(paths), paths, chunksize=_AT_ONCE)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _hash(root: Path, path: str) -> bytes | None:
    try:
        return hash_of(FileStore(root).body(path, LARGEST))
    except (OSError, ValueError):
        return None
