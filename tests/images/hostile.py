"""Files that cost more than their size says: made by hand, each by one trick."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from tests.images.pictures import encoded


def _jpeg_with(segments: bytes) -> bytes:
    plain = encoded(Image.new("RGB", (8, 8)), "JPEG")
    start = plain.index(b"\xff\xdb")
    return b"\xff\xd8" + segments + plain[start:]


def jpeg_of_junk(size: int) -> bytes:
    """Pillow reads what stands between two segments byte by byte."""
    return _jpeg_with(b"\xff\xfe\0\2" + bytes(size))


def jpeg_of_comments(count: int) -> bytes:
    return _jpeg_with(b"\xff\xfe\0\3 " * count)


def jpeg_of_fill(size: int, marker: bytes) -> bytes:
    """So many fill bytes before the last *marker* of a progressive one: its decoder looks at all of them, and has no
    more to do, with each 64 KB that it gets; behind them is another comment of the same bytes."""
    source = encoded(Image.linear_gradient("L"), "JPEG", progressive=True)
    at = source.rindex(marker)
    comment = b"\xff\xfe\xff\xff" + b"\xff" * 65533 if marker != b"\xff\xd9" else b""
    return source[:at] + b"\xff" * size + comment + b"\xff" * size + source[at:]


def progressive_jpeg(width: int, height: int) -> bytes:
    """All coefficients are kept until the last scan."""
    return encoded(Image.new("RGB", (width, height)), "JPEG", progressive=True, subsampling=0)


def gif_of_comments(size: int) -> bytes:
    """A comment in pieces of 255 bytes, which Pillow joins one by one."""
    comment = b"!\xfe" + (b"\xff" + bytes(255)) * (size // 256) + b"\0"
    return b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff" + comment + b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"


def tiff_of_a_large_tile(side: int) -> bytes:
    """A picture of 16 x 16 in a tile that is very much larger."""
    data = zlib.compress(bytes(side * side), 1)
    start = 8 + 2 + 12 * 9 + 4
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 322: side, 323: side, 324: start, 325: len(data)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + directory + bytes(4) + data


def loud_tiff(entries: int = 500) -> bytes:
    """libtiff tells the standard error stream of each entry that it does not know."""
    data = zlib.compress(bytes(256))
    known = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 273: 8 + 2 + 12 * (8 + entries) + 4, 278: 16, 279: len(data)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in known.items())
    directory += b"".join(struct.pack("<HHII", 40_000 + n, 99, 9, 1) for n in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(known) + entries) + directory + bytes(4) + data


def icns_of(content: bytes) -> bytes:
    block = b"ic10" + struct.pack(">I", len(content) + 8) + content
    return b"icns" + struct.pack(">I", len(block) + 8) + block


def im_of_lines(size: int) -> bytes:
    """A header of very many lines."""
    return b"Image type: L image\r\n" + b"A: b\r\n" * (size // 6)


def plain_webp(width: int, height: int) -> bytes:
    return encoded(Image.new("RGB", (width, height)), "WEBP", method=0, lossless=True)


def plain_jpeg2000(width: int, height: int, mode: str = "RGB", **options: int) -> bytes:
    return encoded(Image.new(mode, (width, height)), "JPEG2000", **options)


def plain_dds(side: int) -> bytes:
    """Decoded by Python, pixel by pixel."""
    return encoded(Image.new("RGBA", (side, side)), "DDS")


def mp4_of_boxes(count: int) -> bytes:
    """Boxes without content, each of another type."""
    return b"\0\0\0\x08ftyp" + b"".join(struct.pack(">II", 8, 0x61000000 + n) for n in range(count))


def _box(kind: bytes, *parts: bytes, full: int | None = None) -> bytes:
    """ISO/IEC 14496-12, 4.2; with *full* a version, whose flags are 0."""
    content = (b"" if full is None else struct.pack(">I", full << 24)) + b"".join(parts)
    return struct.pack(">I", len(content) + 8) + kind + content


def _within(source: bytes, *path: bytes) -> bytes:
    """The box at *path* of types, whole."""
    for kind in path:
        start = source.index(kind) - 4
        source = source[start : start + int.from_bytes(source[start : start + 4], "big")]
    return source


def avif_grid(columns: int, rows: int, side: int = 64) -> bytes:
    """One picture of very many tiles (ISO/IEC 23008-12, 6.6.2.3.2), which all are the same bytes."""
    plain = encoded(Image.new("RGB", (side, side), (200, 30, 90)), "AVIF", speed=10)
    tile = _within(plain, b"mdat")[8:]
    count = columns * rows
    names = [
        _box(b"infe", struct.pack(">HH4s", n + 1, 0, b"av01"), b"\0", full=2) for n in range(count)
    ] + [_box(b"infe", struct.pack(">HH4s", count + 1, 0, b"grid"), b"\0", full=2)]  # fmt: skip
    sizes = [(side, side), (columns * side, rows * side)]
    properties = [_box(b"ispe", struct.pack(">II", *size), full=0) for size in sizes]
    properties += [_within(plain, b"ipco", kind) for kind in (b"pixi", b"av1C")]
    uses = b"".join(struct.pack(">HB3B", n + 1, 3, 1, 3, 4 | 0x80) for n in range(count))
    uses += struct.pack(">HB2B", count + 1, 2, 2, 3)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *sizes[1])

    def meta(data: int) -> bytes:
        places = b"".join(struct.pack(">HHHHII", n + 1, 0, 0, 1, data, len(tile)) for n in range(count))
        places += struct.pack(">HHHHII", count + 1, 1, 0, 1, 0, len(grid))
        return _box(
            b"meta",
            _box(b"hdlr", bytes(4), b"pict", bytes(13), full=0),
            _box(b"pitm", struct.pack(">H", count + 1), full=0),
            _box(b"iloc", b"\x44\0", struct.pack(">H", count + 1), places, full=1),
            _box(b"iinf", struct.pack(">H", count + 1), *names, full=0),
            _box(b"iref", _box(b"dimg", struct.pack(f">HH{count}H", count + 1, count, *range(1, count + 1))), full=0),
            _box(
                b"iprp", _box(b"ipco", *properties), _box(b"ipma", struct.pack(">I", count + 1), uses, full=0)
            ),
            _box(b"idat", grid),
            full=0,
        )  # fmt: skip

    kind = _box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")
    start = len(kind) + len(meta(0)) + 8
    return kind + meta(start) + _box(b"mdat", tile)
