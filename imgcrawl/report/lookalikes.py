"""Stored images that look the same, of those that a report tells of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

from imgcrawl.images.lookalikes import Hasher, groups_of, load_library
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.report.pictures import LARGEST
from imgcrawl.report.reading import ignore_interrupts

_FEW = 200  # images for which no process is worth its start
_AT_ONCE = 50  # that a process is given


def find(
    root: Path, images: Sequence[tuple[int, str]], on_step: Callable[[int], None] = lambda _: None,
    bounds: tuple[int, ...] = (),
) -> list[list[int]]:  # fmt: skip
    """Groups of numbers of *images*, each a number and a path below *root*, that look the same; *on_step* is told how
    many were looked at. A file that several have counts once. *bounds* are those of a `Hasher`. Raises `InputError`
    without the library."""
    load_library("a search for look-alikes")
    by_path: dict[str, int] = {}
    for number, path in images:
        by_path.setdefault(path, number)
    numbers, hashes = [], []
    hashed = zip(by_path.values(), _hashes(root, [*by_path], bounds), strict=True)
    for count, (number, known) in enumerate(hashed, 1):
        if known:
            numbers.append(number)
            hashes.append(known)
        on_step(count)
    return [[numbers[place] for place in group] for group in groups_of(hashes)] if hashes else []


def _hashes(root: Path, paths: Sequence[str], bounds: tuple[int, ...]) -> Iterator[bytes | None]:
    processes = os.cpu_count() or 1
    if len(paths) < _FEW or processes < 2:
        with closing(Hasher(*bounds)) as hasher:
            yield from (_hash(hasher, root, path) for path in paths)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), ignore_interrupts) as pool:
        try:
            yield from pool.map(partial(_hash_in_pool, bounds, root), paths, chunksize=_AT_ONCE)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_hasher_of_process = cache(Hasher)  # its own process ends with that of the pool


def _hash_in_pool(bounds: tuple[int, ...], root: Path, path: str) -> bytes | None:
    return _hash(_hasher_of_process(*bounds), root, path)


def _hash(hasher: Hasher, root: Path, path: str) -> bytes | None:
    try:
        return hasher.of(FileStore(root).body(path, LARGEST))
    except (OSError, ValueError):
        return None
