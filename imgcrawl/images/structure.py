"""Whether the container of an image is whole, and what its headers say; no pixel is decoded.

What is odd in any way is not judged here: decoding it decides.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from imgcrawl.images import jpeg
from imgcrawl.images.boxes import still_of_boxes
from imgcrawl.images.costs import MAX_CHUNKS, MAX_ENTRIES, MAX_FRAMES, MAX_SCANS

_PARTS: Final = 10_000  # segments, chunks, directories: beyond, it is odd
_SUB_BLOCKS: Final = 100_000  # of a GIF, of up to 255 bytes
_JPEG_END: Final = b"\xff\xd9"
_BETWEEN_SCANS: Final = {0xC4, 0xDA, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # segments
_ANIMATION = 0x02  # a flag of VP8X
_WEBP_DATA: Final = {b"VP8 ", b"VP8L"}
_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}  # of a PNG's colour types
_DIB: Final = {40, 52, 56, 64, 108, 124}  # lengths of the second header of a BMP
_UNCOMPRESSED: Final = {0, 3}
_BMP_BITS: Final = {8, 16, 24, 32}  # of a pixel
_TIFF_TYPES: Final = {3: "H", 4: "I"}
_TIFF_TAGS: Final = {256, 257, 259, 273, 279, 324, 325}
_TIFF_COMPRESSIONS: Final = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}


class Outline(NamedTuple):
    """What the headers of an image say; *format* is Pillow's name of it. Its last byte is before *end*."""

    format: str
    width: int
    height: int
    frames: int
    end: int


def outline(source: bytes, *, thorough: bool) -> Outline | None:
    """What the headers of *source* say, if its container is whole, as far as its parts tell their lengths; if
    *thorough*, the markers in a JPEG's data and the checksums of a PNG are looked at, too. None for anything odd, and
    for a format that is not known here."""
    for signature, walk in _WALKS:
        if source.startswith(signature):
            with suppress(_OddError, IndexError, struct.error):  # the last two: it ends in the middle of a part
                return walk(source, thorough)
    return None


class _OddError(Exception):
    """Something is not as most files have it."""


def _expect(is_so: object) -> None:
    if not is_so:
        raise _OddError


def _jpeg(source: bytes, thorough: bool) -> Outline:
    """ITU-T T.81, Annex B."""
    found = jpeg.headers(source)
    if found is None:
        raise _OddError
    if not thorough:
        last = source.rfind(_JPEG_END, found.data)
        _expect(last >= 0)
        return Outline("JPEG", found.width, found.height, 1, last + 2)
    at, scans, within = found.data, 1, True
    for _ in range(_PARTS):
        part = jpeg.segment(source, at, within=within)
        if part is None:
            break
        code, _, at = part
        if code == 0xD9:
            return Outline("JPEG", found.width, found.height, 1, at)
        within = code == 0xDA
        scans += within
        _expect(code in _BETWEEN_SCANS and scans <= MAX_SCANS)
    raise _OddError


def _png(source: bytes, thorough: bool) -> Outline:
    """PNG (third edition), 5."""
    view, at, size = memoryview(source), 8, (0, 0)
    colour, names = -1, dict.fromkeys((b"PLTE", b"IDAT", b"acTL", b"fcTL"), 0)  # how often they are there
    declared = before_data = sequence = 0
    for _ in range(MAX_CHUNKS):
        length, name = struct.unpack_from(">I4s", source, at)
        data, end = at + 8, at + 12 + length
        _expect(end <= len(source) and (at == 8) == (name == b"IHDR"))
        if thorough:
            _expect(zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(source[end - 4 : end], "big"))
        if name == b"IHDR":
            width, height, bits, colour, *methods, interlaced = struct.unpack_from(">IIBBBBB", source, data)
            size = width, height
            _expect(length == 13 and all(size) and bits in _DEPTHS.get(colour, ()))
            _expect(not any(methods) and interlaced <= 1)
        elif name == b"IEND":
            _expect(names[b"IDAT"] and (colour != 3 or names[b"PLTE"]) and names[b"fcTL"] == declared)
            # A picture that is shown only where animations are not is counted, too.
            return Outline("PNG", *size, declared + (not before_data) if declared else 1, end)
        elif name == b"acTL":
            declared = int.from_bytes(source[data : data + 4], "big")
            _expect(not names[b"acTL"] and not names[b"IDAT"] and 0 < declared <= MAX_FRAMES)
        elif name == b"IDAT" and not names[b"IDAT"]:
            before_data = names[b"fcTL"]
        if name in {b"fcTL", b"fdAT"}:  # each has its number
            _expect(length >= 4 and int.from_bytes(source[data : data + 4], "big") == sequence)
            sequence += 1
        if name in names and (length or name != b"IDAT"):
            names[name] += 1
        at = end
    raise _OddError


def _gif(source: bytes, _: bool) -> Outline:
    """GIF89a, sections 17 to 27."""
    width, height, flags = struct.unpack_from("<HHB", source, 6)
    at, frames, left = 13 + _table(flags), 0, _SUB_BLOCKS
    while (kind := source[at]) != 0x3B:
        if kind == 0x2C:
            x, y, wide, high, flags = struct.unpack_from("<HHHHB", source, at + 1)
            _expect(wide and high and x + wide <= width and y + high <= height)
            at += 10 + _table(flags)
            frames += 1
            _expect(
                2 <= source[at] <= 8 and source[at + 1] and frames <= MAX_FRAMES
            )  # the bits of a code; there is data
            at += 1
        else:
            _expect(kind == 0x21)
            at += 2
        while size := source[at]:
            at += size + 1
            left -= 1
            if left < 0:
                raise _OddError
        at += 1
    _expect(frames and width and height)
    return Outline("GIF", width, height, frames, at + 1)


def _table(flags: int) -> int:
    """The bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(source: bytes, _: bool) -> Outline:
    """RFC 9649, 2."""
    end = int.from_bytes(source[4:8], "little") + 8
    _expect(end <= len(source) and source[8:12] == b"WEBP")
    canvas, animated, frames, data = (0, 0), False, 0, []
    for number, (name, at, length) in enumerate(_chunks(source, 12, end)):
        _expect(at + length + length % 2 <= end and number < _PARTS)
        if name == b"VP8X" and not number:
            animated = bool(source[at] & _ANIMATION)
            canvas = _three(source, at + 4) + 1, _three(source, at + 7) + 1
        elif name == b"ANMF":
            # What is transparent may stand before what is shown.
            parts = islice(_chunks(source, at + 16, at + length), 2)
            shown = next((part for part in parts if part[0] in _WEBP_DATA), (b"", 0, 0))
            frame = _three(source, at + 6) + 1, _three(source, at + 9) + 1
            _expect(_size_of_webp(source, *shown, at + length) == frame)
            frames += 1
        elif name in _WEBP_DATA:
            data.append(_size_of_webp(source, name, at, length, end))
    if animated:
        _expect(frames and not data)
        return Outline("WEBP", *canvas, frames, end)
    _expect(len(data) == 1 and not frames and canvas in {(0, 0), data[0]})
    return Outline("WEBP", *data[0], 1, end)


def _chunks(source: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk, where its data begins, and how long it says that they are."""
    while at + 8 <= end:
        length = int.from_bytes(source[at + 4 : at + 8], "little")
        yield source[at : at + 4], at + 8, length
        at += 8 + length + length % 2


def _three(source: bytes, at: int) -> int:
    return int.from_bytes(source[at : at + 3], "little")


def _size_of_webp(source: bytes, name: bytes, at: int, length: int, end: int) -> tuple[int, int]:
    """Width and height of what is coded at *at* (RFC 6386, 9.1; RFC 9649, 3.4)."""
    _expect(at + length <= end and length >= 10)
    if name == b"VP8L":
        signature, bits = struct.unpack_from("<BI", source, at)
        _expect(signature == 0x2F and not bits >> 29)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    tag = _three(source, at)
    _expect(not tag & 1 and source[at + 3 : at + 6] == b"\x9d\x01\x2a" and 10 + (tag >> 5) <= length)
    width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", source, at + 6))
    _expect(width and height)
    return width, height


def _bmp(source: bytes, _: bool) -> Outline:
    start, header, width, height, planes, bits, compression = struct.unpack_from("<IIiiHHI", source, 10)
    end, colours = start + (width * bits + 31) // 32 * 4 * abs(height), int.from_bytes(source[46:50], "little")
    _expect(header in _DIB and planes == 1 and compression in _UNCOMPRESSED and bits in _BMP_BITS)
    _expect(width > 0 and height and start >= 14 + header and end <= len(source) and colours <= 256)
    return Outline("BMP", width, abs(height), 1, end)


def _tiff(source: bytes, _: bool) -> Outline:
    """TIFF 6.0, 2: all strips or tiles of each directory are in the file."""
    order = "<" if source.startswith(b"II") else ">"
    (at,), size, seen, left = struct.unpack_from(f"{order}I", source, 4), (0, 0), set[int](), MAX_ENTRIES
    while at:
        (count,) = struct.unpack_from(f"{order}H", source, at)
        tags = _tags(source, order, at + 2, count, left)
        left -= count + sum(map(len, tags.values()))
        _expect(at not in seen and left >= 0)
        seen.add(at)
        width, height = _first(tags, 256), _first(tags, 257)
        _expect(width and height and size in {(0, 0), (width, height)})
        size = width, height
        places, lengths = (tags.get(strips) or tags.get(tiles) or () for strips, tiles in ((273, 324), (279, 325)))
        _expect(places and len(places) == len(lengths) and _first(tags, 259, 1) in _TIFF_COMPRESSIONS)
        _expect(all(lengths) and max(map(int.__add__, places, lengths)) <= len(source))
        (at,) = struct.unpack_from(f"{order}I", source, at + 2 + 12 * count)
    _expect(seen)
    return Outline("TIFF", *size, len(seen), len(source))


def _tags(source: bytes, order: str, start: int, count: int, left: int) -> dict[int, tuple[int, ...]]:
    """The values of those entries of a directory that are looked at, *left* at the most."""
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(start, start + 12 * min(count, left), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", source, entry)
        if tag in _TIFF_TAGS and tag not in tags and kind in _TIFF_TYPES and number <= left:
            values = f"{order}{number}{_TIFF_TYPES[kind]}"
            is_here = struct.calcsize(values) <= 4
            tags[tag] = struct.unpack_from(
                values, source, entry + 8 if is_here else struct.unpack_from(f"{order}I", source, entry + 8)[0]
            )
    return tags


def _first(tags: dict[int, tuple[int, ...]], tag: int, otherwise: int = 0) -> int:
    values = tags.get(tag)
    return values[0] if values else otherwise


def _boxes(source: bytes, _: bool) -> Outline:
    found = still_of_boxes(source)
    if found is None:
        raise _OddError
    return Outline(*found, 1, len(source))


_WALKS: Final[tuple[tuple[bytes, Callable[[bytes, bool], Outline]], ...]] = (
    (jpeg.SIGNATURE, _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"RIFF", _webp),
    (b"BM", _bmp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"\0\0\0", _boxes),
)
