"""What is wrong with bytes that viewers show all the same, and what they lack that no viewer can show."""

from __future__ import annotations

import re
import zlib
from mmap import mmap
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.boxes import has_whole_boxes
from imgcrawl.images.structure import outline

if TYPE_CHECKING:
    from PIL import ImageFile, TiffImagePlugin

# What an outcome's `warnings` may say. The image is whole in spite of it.
WARNINGS: Final = {
    "no_end": "the mark that ends the file is missing; all rows are there",
    "no_detail": "parts of a progressive JPEG that tell its last details are missing; all rows are there",
    "trailing_bytes": "there are bytes behind the end of the image",
    "cut_off": "the answer broke off before the end that it had announced; the image is whole",
    "thumbnail": "what the page shows of an image, and links to what has turned out to be none",
    "bad_crc": "a checksum of a part that is not the picture (a comment, say) is wrong",
    "unverified": "kept by its first bytes, not decoded (IMAGES_KEEP)",
}
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_MOST_SEGMENTS: Final = 10_000  # that are looked at: scans of pictures are some ten
# Behind 0xFF is no stuffed byte of the picture's data, no fill, no restart and no start.
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
# What stands in the place of rows that are missing shows in the picture, and differs between these.
_TAILS: Final = tuple(
    bytes(n * step % 251 for n in range(1, size)) + _JPEG_END for size, step in ((1, 1), (999, 90), (999, 214))
)


class Mended(NamedTuple):
    """*source* as decoders want it; *warnings* say what was done. *proofs*: what must give the same picture, behind
    *rows*."""

    source: bytes
    warnings: tuple[str, ...]
    rows: bytes = b""
    proofs: tuple[bytes, ...] = ()


def mended(source: bytes, error: ImageError) -> Mended | None:
    """*source*, which a decoder refused with *error*, without what viewers overlook; None if there is nothing."""
    if source.startswith(_JPEG) and error.reason == "truncated" and not source.endswith(_JPEG_END):
        rows = source.rstrip(b"\xff")  # half of the mark
        return Mended(rows + _JPEG_END, ("no_end",), rows, _TAILS) if _has_all_scans(source) else None
    if source.startswith(_PNG) and error.reason == "corrupt":
        without = _without_bad_ancillary(source)
        return Mended(without, ("bad_crc",)) if without != source else None
    return None


def overlooked(source: bytes, format_: str) -> tuple[str, ...]:
    """What is wrong with the end of *source*, which was decoded completely."""
    if format_ == "JPEG":
        detail = () if _has_all_scans(source) else ("no_detail",)
        return detail if source.endswith(_JPEG_END) else (*detail, "trailing_bytes")
    if format_ == "PNG" and not source.endswith(_PNG_END):
        return ("trailing_bytes",) if _PNG_END in source else ("no_end",)
    if format_ == "GIF" and not source.endswith(b";"):
        return ("trailing_bytes",) if outline(source, thorough=False) else ("no_end",)
    return ()


def _has_all_scans(source: bytes) -> bool:
    """Whether the scans of a progressive JPEG tell every coefficient to its last bit (ITU-T T.81, G.1.1.1.1)."""
    lacking: dict[int, dict[int, int]] = {}
    start, progressive = 2, False
    for _ in range(_MOST_SEGMENTS):
        if not 0 <= start < len(source) - 4:
            break
        marker, length = source[start + 1], int.from_bytes(source[start + 2 : start + 4], "big")
        body = source[start + 4 : start + 2 + length]
        if marker == 0xC2 and len(body) > 5:
            progressive = True
            lacking = {component: dict.fromkeys(range(64), 1) for component in body[6::3]}
        elif marker == 0xDA and not progressive:
            return True
        elif marker == 0xDA and body and len(body) >= 4 + 2 * body[0]:
            first, last, bits = body[-3:]
            for component in body[1 : 1 + 2 * body[0] : 2]:
                lacking.get(component, {}).update(dict.fromkeys(range(first, min(last, 63) + 1), bits & 15))
        start = _next_marker(source, start + 2 + length)
    return not any(any(bits.values()) for bits in lacking.values())


def _next_marker(source: bytes, start: int) -> int:
    """Where, from *start* on, a marker begins that has a segment; -1 where the image ends before there is one."""
    found = _MARKER.search(source, start)
    return found.start() if found and found[0] != _JPEG_END else -1


def _without_bad_ancillary(source: bytes) -> bytes:
    """PNG (third edition), 5.4: a chunk whose name begins with a small letter is not needed to show the picture."""
    kept, start = [source[:8]], 8
    while start + 12 <= len(source):
        end = start + 12 + int.from_bytes(source[start : start + 4], "big")
        name, crc = source[start + 4 : start + 8], source[end - 4 : end]
        if not name[0] & 0x20 or int.from_bytes(crc, "big") == zlib.crc32(source[start + 4 : end - 4]):
            kept.append(source[start:end])
        start = end
    return b"".join(kept)


# ---- whether bytes end where they should

_ISO_IMAGES: Final = {b"ftyp" + brand for brand in (b"avif", b"avis", b"mif1", b"heic", b"heix")}


def ends_where_it_should(source: bytes | mmap) -> bool:
    """Whether *source* ends as a whole file of its format does; takes no time. Not whether it is one."""
    end = source[-len(_PNG_END) :]
    if source[:3] == _JPEG:
        return end.endswith(_JPEG_END)
    if source[:8] == _PNG:
        return end == _PNG_END
    if source[:4] == b"GIF8":
        return end.endswith(b"\0;")
    if source[:4] == b"RIFF":
        return len(source) >= int.from_bytes(source[4:8], "little") + 8
    if source[:2] == b"BM":
        return len(source) >= int.from_bytes(source[2:6], "little") > 0
    # A video may end with each of its parts, and go on.
    return source[4:12] in _ISO_IMAGES and has_whole_boxes(source)


# ---- whether bytes end early ---------------------------------------------------------------------------------


def ends_early(source: bytes, image: ImageFile.ImageFile | None, *, overrun: bool) -> bool:
    """Say whether *source*, which could not be decoded, is shorter than itself says or its decoder
    wanted (*overrun*).
    """
    # Decoders that take the file as a whole do not say what they missed: the containers' lengths do.
    if source.startswith(b"RIFF"):
        return len(source) < int.from_bytes(source[4:8], "little") + 8
    if source[4:8] in {b"ftyp", b"jP  "}:
        return _boxes_end_early(source)
    if source.startswith(b"\xff\x4f\xff\x51"):
        return not source.endswith(b"\xff\xd9")
    if image and image.format in {"TIFF", "MIC"} and not overrun:
        tags = cast("TiffImagePlugin.TiffImageFile", image).tag_v2
        offsets, lengths = (tags.get(strip) or tags.get(tile) or () for strip, tile in ((273, 324), (279, 325)))
        return any(offset + length > len(source) for offset, length in zip(offsets, lengths, strict=False))
    return overrun


def _boxes_end_early(source: bytes) -> bool:
    """Walk the boxes of an ISO base media file (ISO/IEC 14496-12, 4.2); JPEG 2000 has the same."""
    start = 0
    while start < len(source):
        size = int.from_bytes(source[start : start + 4], "big")
        if size == 1:
            size = int.from_bytes(source[start + 8 : start + 16], "big")
        if size == 0:  # until the end, wherever that is
            return source[start + 4 : start + 8] == b"jp2c" and not source.endswith(b"\xff\xd9")
        if size < 8:
            return False
        start += size
    return start > len(source)
