"""What an AVIF or HEIF file says of the picture that it shows first, and whether all of that is there."""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from typing import Final, NamedTuple

from imgcrawl.images.formats import HEIF

_PARTS: Final = 10_000  # boxes and entries: beyond, it is odd
_MOST_BOXES: Final = 1000
_NOT_STILL: Final = {b"avis", b"msf1"}  # brands of sequences


def has_whole_boxes(source: bytes | mmap) -> bool:
    """Whether the last box of an ISO base media file ends where *source* does."""
    start, names = 0, set()
    for _ in range(_MOST_BOXES):
        size = int.from_bytes(source[start : start + 4], "big")
        names.add(source[start + 4 : start + 8])
        if size == 1:
            size = int.from_bytes(source[start + 8 : start + 16], "big")
        start += size
        if size < 8 or start >= len(source):
            return size >= 8 and start == len(source) and names >= {b"meta", b"mdat"}
    return False


class StillOfBoxes(NamedTuple):
    """*format* is "AVIF" or "HEIF"; sizes in pixels."""

    format: str
    width: int
    height: int


def still_of_boxes(source: bytes) -> StillOfBoxes | None:
    """The one picture of *source*, if its boxes are whole, and where it says that the data of its pictures are is in
    the file (ISO/IEC 23008-12 and 14496-12, 8.11). None for anything odd. Raises IndexError for what ends within a
    box."""
    brands = source[8 : int.from_bytes(source[:4], "big")]
    names = {brands[:4], *(brands[at : at + 4] for at in range(8, min(len(brands), 256), 4))}
    is_avif = b"avif" in names
    if source[4:8] != b"ftyp" or names & _NOT_STILL or not (is_avif or HEIF.match(source)):
        return None
    if not has_whole_boxes(source):
        return None
    top = _boxes(source, 0, len(source))
    meta = top.get(b"meta")
    if meta is None or b"moov" in top:
        return None
    within = _boxes(source, meta[0] + 4, meta[1])
    properties = _boxes(source, *within.get(b"iprp", (0, 0)))
    if not {b"pitm", b"iloc"} <= within.keys() or not {b"ipco", b"ipma"} <= properties.keys():
        return None
    at = within[b"pitm"][0]
    primary = _number(source, at + 4, 4 if source[at] else 2)
    size = _size(source, primary, properties[b"ipco"], properties[b"ipma"])
    if size is None or not all(size) or not _is_there(source, primary, *within[b"iloc"]):
        return None
    return StillOfBoxes("AVIF" if is_avif else "HEIF", *size)


def _boxes(source: bytes, at: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Where the first box of each name between *at* and *end* has its content."""
    return {name: place for name, *place in reversed([*_each_box(source, at, end)])}  # type: ignore[misc] # two numbers


def _each_box(source: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_PARTS):
        if at + 8 > end:
            return
        size, start = _number(source, at, 4), at + 8
        if size == 1:
            size, start = _number(source, at + 8, 8), at + 16
        elif size == 0:
            size = end - at
        if size < start - at or at + size > end:
            raise IndexError(at)
        yield source[at + 4 : at + 8], start, at + size
        at += size
    raise IndexError(at)


def _number(source: bytes, at: int, size: int) -> int:
    if at + size > len(source):
        raise IndexError(at)
    return int.from_bytes(source[at : at + size], "big")


def _size(
    source: bytes, item: int, properties: tuple[int, int], associations: tuple[int, int]
) -> tuple[int, int] | None:
    """Width and height of *item* (ISO/IEC 23008-12, 6.5.3; 14496-12, 8.11.14)."""
    sizes = {
        number: (_number(source, start + 4, 4), _number(source, start + 8, 4))
        for number, (name, start, _) in enumerate(_each_box(source, *properties), 1)
        if name == b"ispe"
    }
    at = associations[0]
    wide_item, wide_index = 4 if source[at] else 2, 1 + (source[at + 3] & 1)
    count = _number(source, at + 4, 4)
    at += 8
    left = _PARTS
    for _ in range(min(count, _PARTS)):
        known, number = _number(source, at, wide_item), source[at + wide_item]
        at += wide_item + 1
        left -= number
        if left < 0:
            return None
        for _ in range(number):
            index = _number(source, at, wide_index) & (0x7FFF if wide_index == 2 else 0x7F)
            if known == item and index in sizes:
                return sizes[index]
            at += wide_index
    return None


def _is_there(source: bytes, item: int, at: int, end: int) -> bool:
    """Whether *item* has data, and all that the items of the file have, beyond the box of metadata, are in the file
    (ISO/IEC 14496-12, 8.11.3)."""
    version, widths = source[at], _number(source, at + 4, 2)
    offset_size, length_size, base_size, index_size = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    count, at, found = _number(source, at + 6, wide), at + 6 + wide, False
    left = _PARTS
    for _ in range(min(count, _PARTS)):
        known = _number(source, at, wide)
        at += wide
        method = 0
        if version:
            method = _number(source, at, 2) & 15
            at += 2
        base = _number(source, at + 2, base_size)
        at += 2 + base_size
        extents = _number(source, at, 2)
        at += 2
        left -= extents
        if left < 0:
            return False
        for _ in range(extents):
            at += index_size if version else 0
            start, length = base + _number(source, at, offset_size), _number(source, at + offset_size, length_size)
            at += offset_size + length_size
            if at > end or (not method and start + length > len(source)):
                return False
            found |= known == item
    return found
