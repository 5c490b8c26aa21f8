"""Pictures that look the same though their bytes differ: re-encoded, scaled, cut a little."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from imgcrawl.exceptions import InputError
from imgcrawl.imageerrors import ImageError
from imgcrawl.images.process import MEMORY, DecoderProcess
from imgcrawl.images.room import DEFAULT_PIXEL_LIMIT, IN_THREADS, CostlyError, set_pixel_limit

# Two hashes, as each takes some pictures for the same that the other tells apart: a difference hash (dHash) of 16 x 16
# and a perceptual one (pHash) of 8 x 8. Measured with 60 pictures of the demo's sites, 240 pixels wide, and 6 copies of
# each: of 63,720 pairs of copies of different pictures none is within both distances. Found of 60: JPEG of quality 60:
# 59, WebP: 58, half the size: 60, a third: 55; a hundredth cut off at each side: 58, 2.5 hundredths: 16.
DISTANCE = 32  # of 256 bits
_PERCEPTUAL = 14  # of 64 bits
_WORDS = 5
_SMALL = (256, 256)  # pixels of the copy that is hashed: hashes look at 17 and at 32
_PAIRS = 8_000_000  # that are compared at a time: 64 MB


def load_library(needed_by: str = "scrapy duplicates") -> Any:
    """The library of hashes. Raises `InputError` if it is not there."""
    try:
        return import_module("imagehash")
    except ImportError as error:
        raise InputError(f"{needed_by} needs the library imagehash; install it with imgcrawl[duplicates]") from error


def hash_of(body: bytes) -> bytes | None:
    """The hashes of an image, upright; None of what is damaged. Raises `CostlyError` for what is not for threads."""
    from imgcrawl.images.thumbnails import small_copy  # noqa: PLC0415 -- few crawls compare

    try:
        small, _ = small_copy(body, _SMALL)
    except ImageError:
        return None
    return _hashed(small)


def hash_in(process: DecoderProcess, source: bytes | Path) -> bytes | None:
    """As `hash_of`, decoded in a *process* that can be ended. None of what takes too much there, too."""
    try:
        small, _ = process.thumbnail(source, _SMALL)
    except ImageError:
        return None
    return hash_of(small)


def _hashed(small: Image.Image) -> bytes:
    library, numpy = load_library(), import_module("numpy")
    hashes = [library.dhash(small, hash_size=16).hash, library.phash(small).hash]
    return b"".join(numpy.packbits(bits).tobytes() for bits in hashes)


class Hasher:
    """Hashes images in the thread that asks, or, what may take long or much memory, in a process that can be ended.

    An image may have *max_pixels* and take *memory*, in bytes. Sets the limit of this process.
    """

    def __init__(self, max_pixels: int = DEFAULT_PIXEL_LIMIT, memory: int = MEMORY) -> None:
        set_pixel_limit(max_pixels, IN_THREADS)
        self._process = DecoderProcess(max_pixels, memory)

    def of(self, body: bytes) -> bytes | None:
        """As `hash_of`, of any image."""
        try:
            return hash_of(body)
        except CostlyError:
            return hash_in(self._process, body)

    def close(self) -> None:
        """End the process."""
        self._process.close()


class Looks:
    """The hashes of many images, in order, which one is compared with."""

    def __init__(self) -> None:
        numpy = import_module("numpy")
        self._table = numpy.empty((1024, _WORDS), numpy.uint64)
        self._count = 0

    def add(self, look: bytes) -> None:
        """Add one of `hash_of`."""
        numpy = import_module("numpy")
        if self._count == len(self._table):
            self._table = numpy.concatenate((self._table, numpy.empty_like(self._table)))
        self._table[self._count] = numpy.frombuffer(look, numpy.uint64)
        self._count += 1

    def like(self, look: bytes, distance: int = DISTANCE) -> list[int]:
        """The places of those that look like *look*."""
        numpy = import_module("numpy")
        own, table = numpy.frombuffer(look, numpy.uint64), self._table[: self._count]
        close = numpy.flatnonzero(numpy.bitwise_count(table[:, -1] ^ own[-1]) <= _PERCEPTUAL)
        differing = numpy.bitwise_count(table[close, :-1] ^ own[:-1]).sum(axis=1, dtype=numpy.uint16)
        places: list[int] = close[differing <= distance].tolist()
        return places


def groups_of(hashes: Sequence[bytes], distance: int = DISTANCE) -> list[list[int]]:
    """The places in *hashes* of those that look the same, in groups of two or more: each differs from another of its
    group in at most *distance* bits. Compares all with all: 100,000 take a minute and a half."""
    numpy = import_module("numpy")
    parents = list(range(len(hashes)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    table = numpy.frombuffer(b"".join(hashes), numpy.uint64).reshape(len(hashes), _WORDS)
    rows = max(1, _PAIRS // max(1, len(hashes)))
    for start in range(0, len(hashes), rows):
        rest = table[start:]
        differing = numpy.zeros((min(rows, len(rest)), len(rest)), numpy.uint16)
        for word in range(_WORDS - 1):
            differing += numpy.bitwise_count(rest[:rows, None, word] ^ rest[None, :, word])
        perceived = numpy.bitwise_count(rest[:rows, None, -1] ^ rest[None, :, -1])
        for one, other in numpy.argwhere((differing <= distance) & (perceived <= _PERCEPTUAL)):
            if one < other:
                parents[root(start + int(other))] = root(start + int(one))
    found: dict[int, list[int]] = {}
    for place in range(len(hashes)):
        found.setdefault(root(place), []).append(place)
    return [group for group in found.values() if len(group) > 1]
