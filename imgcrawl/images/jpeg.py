"""JPEG (ITU-T T.81): what the headers of one say, and whether all bits of one like most can be decoded."""

from __future__ import annotations

import contextlib
import re
import struct
from typing import Final, NamedTuple

from PIL import Image

from imgcrawl.images.room import ROOM

SIGNATURE: Final = b"\xff\xd8\xff"
_PARTS: Final = 10_000  # segments: beyond, it is odd
_MARKER: Final = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # none is a stuffed byte, a restart or fill (B.1.1)
_SEQUENTIAL: Final = {0xC0, 0xC1}
_FRAMES: Final = {*_SEQUENTIAL, 0xC2}  # Huffman-coded
_COMPONENTS: Final = {1, 3, 4}
_OTHERS: Final = {0xC4, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # segments that say nothing of the picture's size
_EIGHTH: Final = 8  # Pillow's decoder makes pictures of sides that are as many times smaller
_DRAFT: Final = 16  # of its pixels, as it is decoded, take the room of one
_NOTHING: Final = 128  # what a decoder paints, in gray, where a scan has no data
# Fill bytes (B.1.1.2): Pillow looks at each before the picture, and libjpeg at all of a run with each 64 KB of it.
_FILL: Final = 1 << 19
_LONG_FILL: Final = re.compile(rb"(?<!\xff)(\xff{65536})\xff{%d,}" % _FILL)  # more than a segment may have within
_SOME_FILL: Final = b"\xff" * 64
_MORE: Final = bytes(n * 90 % 251 for n in range(1, 999))  # data of a scan, or nothing where it has all


class Headers(NamedTuple):
    """What stands before the data of a JPEG's first scan, which begins at *data*. *is_plain*: that scan has all of it,
    and libjpeg takes a second one for an error."""

    width: int
    height: int
    components: int
    is_plain: bool
    data: int


def headers(source: bytes) -> Headers | None:
    """None for anything odd, and where other pictures are behind the first. Raises struct.error for what ends in the
    middle of them."""
    at, size, components, is_sequential, has_tables = 2, (0, 0), 0, False, False
    for _ in range(_PARTS):
        if not (part := segment(source, at, within=False)):
            return None
        code, start, end = part
        if code in _FRAMES:
            precision, height, width, components = struct.unpack_from(">BHHB", source, start)
            if precision != 8 or not width or not height or components not in _COMPONENTS or any(size):
                return None
            size, is_sequential = (width, height), code in _SEQUENTIAL
        elif code == 0xDB:
            has_tables = True
        elif code == 0xDA:
            if not has_tables or not any(size):
                return None
            has_all = source[start] == components and end == start + 4 + 2 * components
            return Headers(*size, components, is_sequential and has_all, end)
        elif code not in _OTHERS or (code == 0xE2 and source.startswith(b"MPF\0", start)):
            return None
        at = end
    return None


def without_fill(source: bytes) -> bytes:
    """*source* for a decoder, which would be at work for as long as the square of its longest runs of fill bytes: these
    are shorter, and the picture is the same."""
    if not source.startswith(SIGNATURE) or not any(
        source.startswith(_SOME_FILL, at) for at in range(_FILL, len(source), _FILL)
    ):
        return source
    return _LONG_FILL.sub(rb"\1", source)


def segment(source: bytes, at: int, *, within: bool) -> tuple[int, int, int] | None:
    """The code of the marker at *at*, or, *within* a scan, of the next one, where the content of its segment begins and
    where that ends; the end of the image (0xD9) has none. None where there is no whole one."""
    marker = _MARKER.search(source, at) if within else _MARKER.match(source, at)
    if marker is None:
        return None
    code, at = marker[1][0], marker.end()
    if code == 0xD9:
        return code, at, at
    length = int.from_bytes(source[at : at + 2], "big")
    if length < 3 or at + length > len(source):
        return None
    return code, at + 2, at + length


def decodes(source: bytes, found: Headers) -> bool:
    """Whether all bits of *source*, whose headers were *found*, are decoded without an error, and it is as small as may
    be; False says nothing, as of all that are not plain. Of the picture 63 of 64 pixels are not computed. Raises
    `CostlyError` for what has no room here."""
    if not found.is_plain or found.components == 4 or min(found.width, found.height) < _EIGHTH:
        return False
    small = -(-found.width // _EIGHTH), -(-found.height // _EIGHTH)
    pixels = found.width * found.height
    cost = max(1, -(-pixels // _DRAFT))
    if pixels > ROOM.limit or 4 * cost > ROOM.most:
        return False
    ROOM.refuse_costly(cost)
    if ROOM.on_cost:
        ROOM.on_cost(pixels)
    with ROOM.taken(cost):
        try:
            return not may_lack_data(Image.frombytes("L", small, source, "jpeg", "L", "", _EIGHTH, 0))
        except Exception:  # whatever it is, it is looked at again by whoever can tell it
            return False


def may_lack_data(picture: Image.Image) -> bool:
    """Whether *picture*, a JPEG's in gray, may end with what its file says nothing of: a decoder is content with a file
    that was cut and given an end, and paints the rest."""
    return picture.mode == "L" and picture.getpixel((picture.width - 1, picture.height - 1)) == _NOTHING


def with_more(source: bytes) -> bytes:
    """*source* with more data in its last scan, which shows in its picture only if there was too little."""
    found = None
    with contextlib.suppress(struct.error):
        found = headers(source)
    marker = _MARKER.search(source, found.data) if found and found.is_plain else None
    end = marker.start() if marker else source.rfind(b"\xff\xd9")
    return source[:end] + _MORE + source[end:]
