"""What it costs to decode an image, known before it is decoded, and which files cost more than their size says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from PIL import ExifTags, Image, ImageFile

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.room import ROOM

if TYPE_CHECKING:
    from PIL import TiffImagePlugin

MAX_FRAMES: Final = 10_000  # frames of one pixel cost time too, and TIFF's more than linearly
PYTHON_FACTOR: Final = 16  # what Pillow decodes in Python takes 1 to 2 us a pixel
MAX_CHUNKS: Final = 50_000  # of a PNG, each of which is read by Python; at 8 KiB a chunk these are 400 MB
MAX_SCANS: Final = 100  # of a JPEG; encoders write about ten
MAX_SCANNED: Final = 25  # times the limit of pixels that all scans of a JPEG go over
MAX_ENTRIES: Final = 100_000  # strips or tiles of a TIFF

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Bytes that a pixel takes while it is decoded, at the most, where it is not the four of Pillow's own (measured).
_BYTES: Final[Mapping[str, int]] = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
_DECODED: Final[Mapping[str, Callable[[ImageFile.ImageFile], int]]] = {
    "AVIF": lambda _: 16,  # planes, their copy in RGBA, and Pillow's own
    "DDS": lambda _: 8,
    "JPEG2000": lambda image: 4 + 6 * len(image.getbands()),  # four bytes of each band, and what a tile is made from
    "SGI": lambda _: 8,
    "TIFF": lambda image: 8 if ExifTags.Base.Orientation in cast("Any", image).tag_v2 else 4,  # it is turned
    "WEBP": lambda _: 16,  # two canvases, a copy, and Pillow's own
}
_COMPOSED: Final = frozenset({"AVIF", "GIF", "PNG", "WEBP"})
_CANVASES: Final = 16  # bytes of a pixel of an animation: it is composed from so many copies of its canvas
_REDUCED: Final = 2  # times that the sides of a large JPEG 2000 are halved
_DRAFT: Final = 16  # of a JPEG that is read in eighths of its sides, so many pixels take the room of one

# What is decoded in threads, up to this many bytes of file: what its decoders do is linear in its pixels and bytes.
# AVIF's looks for each part of a file among all others.
LARGEST_IN_THREADS: Final[Mapping[str, int]] = {
    "AVIF": 1 << 18, "BMP": 1 << 24, "GIF": 1 << 20, "JPEG": 1 << 24, "PNG": 1 << 24, "WEBP": 1 << 20,
}  # fmt: skip
_SCAN: Final = re.compile(rb"\xff\xda")  # of a JPEG: where one starts
_OTHERS: Final = 1 << 16  # of any other format, of which just the header is read
_PARTS: Final = 4096  # of a file that is decoded in threads: segments, chunks
_TEXTS: Final = 8  # compressed ones, of up to 1 MB
_EXIF: Final = 1 << 20  # bytes that the entries of its metadata point to, all together


def cost_of(image: ImageFile.ImageFile, source: bytes, *, whole: bool = True) -> int:
    """What decoding the current frame of *image*, in *source*, takes, in pixels of four bytes. A JPEG may be read in
    eighths of its sides if it is not to be had as a *whole*.

    Raises `ImageError` ("too_many_pixels") if it is more than the limit, and `CostlyError` if it is too much for the
    threads of this process.
    """
    width, height = image.size
    pixels = width * height
    is_python = any(tile[0] in Image.DECODERS for tile in image.tile)
    if image.format == "JPEG" and not whole:
        nbytes = 4 * pixels // _DRAFT
    else:
        known = _DECODED.get(image.format or "")
        each = known(image) if known else _BYTES.get(image.mode, 4)
        if image.format == "JPEG2000" and not whole and pixels * each > ROOM.most:
            each = _reduced(cast("Any", image), source, each)
        if image.format in _COMPOSED and getattr(image, "is_animated", False):
            each = _CANVASES
        nbytes = pixels * max(each, 4 * PYTHON_FACTOR if is_python else 1)
    if image.format in {"JPEG", "MPO"}:
        nbytes += _of_scans(image, source, pixels)
    elif image.format in {"TIFF", "MIC"}:
        nbytes += _of_tile(cast("TiffImagePlugin.TiffImageFile", image))
    if pixels > ROOM.limit:
        raise ImageError("too_many_pixels", f"{width} x {height}, limit {ROOM.limit} pixels")
    cost = max(1, -(-nbytes // 4))
    ROOM.refuse_costly(math.inf if is_python else cost)
    if nbytes > ROOM.most:
        raise ImageError("too_many_pixels", f"{width} x {height}, of {nbytes / 1e6:.0f} MB in decoding")
    return cost


def _reduced(image: Any, source: bytes, each: int) -> int:
    """Have a JPEG 2000 decoded in quarters of its sides: all packets of it are gone through (T.800, A.6.1)."""
    coding = source.find(b"\xff\x52")
    if ROOM.is_shared or coding < 0 or source[coding + 9 : coding + 10] < bytes([_REDUCED]):
        return each
    image.reduce = _REDUCED
    return 2 + -(-each // 4**_REDUCED)


def _of_scans(image: ImageFile.ImageFile, source: bytes, pixels: int) -> int:
    """The bytes of the coefficients of a JPEG of several scans, which are kept until the last one."""
    scans = image.info.get(_SCANS)
    if scans is None:
        scans = image.info[_SCANS] = 1 if _has_one_scan(image, source) else _count_scans(source)
    if scans < 2 and not image.info.get("progressive"):
        return 0
    if scans > MAX_SCANS or scans * pixels > ROOM.limit * MAX_SCANNED:
        raise ImageError("too_many_pixels", f"{scans} scans of {pixels} pixels")
    ROOM.refuse_costly(scans * pixels // MAX_SCANNED)
    layers = cast("Any", image).layer
    samples = [(layer[1] or 1) * (layer[2] or 1) for layer in layers] or [1]
    return 2 * pixels * sum(samples) // max(samples)


def _has_one_scan(image: ImageFile.ImageFile, source: bytes) -> bool:
    """Whether decoding a JPEG, whose headers were just read up to its first scan, ends with that: a sequential one that
    has all components (T.81, B.2.3). libjpeg takes a second one for an error."""
    components = len(cast("Any", image).layer)
    header = bytes([0xFF, 0xDA, 0, 6 + 2 * components, components])
    start = image.fp.tell() - (8 + 2 * components) if image.fp else 0
    return image.format == "JPEG" and "progressive" not in image.info and source.startswith(header, max(start, 0))


def _count_scans(source: bytes) -> int:
    """As many as matter; a pattern finds them four times as fast as count()."""
    return sum(1 for _ in islice(_SCAN.finditer(source), MAX_SCANS + 1))


def _of_tile(image: TiffImagePlugin.TiffImageFile) -> int:
    """The bytes of one tile of a TIFF, which may be larger than its picture."""
    sides = [side for tag in (322, 323) if isinstance(side := image.tag_v2.get(tag), int)]
    return math.prod(sides) * 8 if len(sides) == 2 else 0


def refuse_too_many_parts(source: bytes) -> None:
    """Raise `ImageError` ("corrupt") for a file made of more parts than any image needs: each costs time of its own.
    Raise `CostlyError` for one of more than most have, if there is another process for it."""
    if source.startswith(_PNG):
        _count_chunks(source)
    elif source.startswith((b"II*\0", b"MM\0*")):
        _refuse_long_tags(source, "little" if source[:1] == b"I" else "big")
    elif source.startswith(_JPEG) and ROOM.is_shared:
        _count_segments(source)


def refuse_unusual(name: str, source: bytes, *, is_open: bool = False) -> None:
    """Raise `CostlyError` for *source* of Pillow's format *name* if threads are not for it. Until it *is_open*, it is
    not certain that it is of that format."""
    if ROOM.is_shared and (
        len(source) > LARGEST_IN_THREADS.get(name, _OTHERS) or (is_open and name not in LARGEST_IN_THREADS)
    ):
        ROOM.refuse_costly()


def _count_chunks(source: bytes) -> None:
    start, chunks, texts = 8, 0, 0
    while start + 12 <= len(source):
        texts += source[start + 4 : start + 8] in {b"zTXt", b"iTXt", b"iCCP"}
        start += 12 + int.from_bytes(source[start : start + 4], "big")
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise ImageError("corrupt", f"a PNG of more than {MAX_CHUNKS} chunks")
    if chunks > _PARTS or texts > _TEXTS:
        ROOM.refuse_costly()


def _count_segments(source: bytes) -> None:
    """Those before the picture of a JPEG, and the bytes between them, which Pillow reads one by one (T.81, B.1.1)."""
    start, parts, exif = 2, 0, False
    while parts < _PARTS:
        found = source.find(b"\xff", start)
        code = source[found + 1] if 0 <= found < len(source) - 3 else 0xDA
        parts += 1 + (found if found >= 0 else len(source)) - start
        if code == 0xDA:
            break
        start = found + 1 if code == 0xFF else found + 2
        if code not in _NO_SEGMENT:
            length = int.from_bytes(source[start : start + 2], "big")
            if code in {0xDB, 0xED}:  # tables and resources, one behind the other
                parts += length // 64
            elif code == 0xE1 and source[start + 2 : start + 8] == b"Exif\0\0":
                parts += _PARTS * (exif or _is_long_exif(source[start + 8 : start + length]))
                exif = True  # further ones are joined to it
            start += max(length, 2)
    if parts >= _PARTS:
        ROOM.refuse_costly()


def _is_long_exif(exif: bytes) -> bool:
    """Whether the entries of the first directory point to more than there should be: Pillow copies it all."""
    order: Literal["little", "big"] = "little" if exif[:1] == b"I" else "big"
    at = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[at : at + 2], order)
    counts = (int.from_bytes(exif[start + 4 : start + 8], order) for start in range(at + 2, at + 2 + 12 * count, 12))
    return sum(min(8 * count, len(exif)) for count in counts) > _EXIF


def _refuse_long_tags(source: bytes, order: Literal["little", "big"]) -> None:
    """TIFF 6.0, section 2: the entries of the first directory, 12 bytes each: tag, type, count, value."""

    def number(start: int, size: int) -> int:
        return int.from_bytes(source[start : start + size], order)

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if number(entry, 2) in _PIECES and MAX_ENTRIES < number(entry + 4, 4) <= len(source):
            raise ImageError("corrupt", f"a TIFF of more than {MAX_ENTRIES} strips or tiles")


_SCANS: Final = "imgcrawl.scans"  # of a JPEG, among what Pillow tells of it
_NO_SEGMENT: Final = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xDA)})
_PIECES: Final = {273, 279, 324, 325}  # StripOffsets, StripByteCounts, TileOffsets, TileByteCounts
