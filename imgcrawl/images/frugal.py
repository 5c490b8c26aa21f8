"""Images that Pillow would take too much memory for: all bits of them are decoded, and no picture is made.

The libraries are those that Pillow has loaded. Where they are not as expected here, nothing is decoded.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.room import ROOM

_OF_PILLOW: Final = {"AVIF": 16, "PNG": 4, "WEBP": 16}  # bytes of a pixel that it takes, at the most
_SCALE: Final = 8  # WebP is decoded into a picture of so many times smaller sides
_ABI: Final = 0x0209  # of WebP's decoder, which refuses one that it does not know
_FILTERS: Final = bytes(range(5))  # of the rows of a PNG
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel of a PNG, by its colour type
_PIECE: Final = 1 << 20  # bytes of a PNG that are decompressed at a time
_INPUT: Final = 1 << 16  # and of its file that are given for that
_AVIF_REASONS: Final = {20: "truncated", 26: "too_many_pixels"}  # AVIF_RESULT_TRUNCATED_DATA, AVIF_RESULT_OUT_OF_MEMORY
_AVIF_DEFAULTS: Final = (0, 1, 0, 0, 0, 0, 0, 1 << 28, 1 << 15, 12 * 3600 * 60)
_NO_PIXI_NO_CLAP: Final = 4  # as lenient as Pillow is
_BRANDS: Final = frozenset({b"ftypavif", b"ftypmif1"})  # of one picture
_PLANES: Final = {1: 3.0, 2: 2.0, 3: 1.5, 4: 1.0}  # samples of a pixel of AVIF, by its format


class Still(NamedTuple):
    """A picture of *width* x *height*, of Pillow's *format*."""

    format: str
    width: int
    height: int


def still(source: bytes) -> Still | None:
    """Decode *source*, one picture in AVIF, PNG or WebP; None if it is no such file, or small enough for Pillow.

    Raises `ImageError`: "too_many_pixels" where that takes more than `ROOM` has, too; "corrupt" or "truncated".
    """
    for is_of, decode in _KINDS:
        if is_of(source):
            return decode(source)
    return None


def is_known(source: bytes) -> bool:
    """Whether *source* may be of such a kind, by its first bytes."""
    return any(is_of(source) for is_of, _ in _KINDS)


def _take(format_: str, width: int, height: int, each: float) -> Still | None:
    """None for what Pillow has room for. Raise `ImageError` where there is none even for *each* bytes a pixel."""
    pixels, megabytes = width * height, width * height * each / 1e6
    if pixels * _OF_PILLOW[format_] <= ROOM.most:
        return None
    if pixels > ROOM.limit or pixels * each > ROOM.most:
        raise ImageError("too_many_pixels", f"{width} x {height}, of {megabytes:.0f} MB in decoding")
    if ROOM.on_cost:
        ROOM.on_cost(pixels)
    return Still(format_, width, height)


# ---- WebP (webp/decode.h) ----------------------------------------------------------------------------------------


class _Features(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("width", "height", "has_alpha", "has_animation", "format")),
        ("pad", ctypes.c_uint32 * 5),
    ]


class _Buffer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("colorspace", "width", "height", "is_external")),
        ("planes", ctypes.c_void_p * 4), ("strides", ctypes.c_int * 4), ("sizes", ctypes.c_size_t * 4),
        ("pad", ctypes.c_uint32 * 4), ("memory", ctypes.c_void_p),
    ]  # fmt: skip


class _WebP(ctypes.Structure):
    _fields_ = [
        ("features", _Features),
        ("output", _Buffer),
        *((name, ctypes.c_int) for name in ("bypass_filtering", "no_fancy_upsampling", "use_cropping")),
        *((name, ctypes.c_int) for name in ("left", "top", "crop_width", "crop_height")),
        *((name, ctypes.c_int) for name in ("use_scaling", "scaled_width", "scaled_height", "use_threads")),
        ("rest", ctypes.c_uint32 * 16),
    ]


def _webp(source: bytes) -> Still | None:
    try:
        from PIL import _webp as pillows  # noqa: PLC0415 -- not in every build of Pillow

        library = ctypes.CDLL(pillows.__file__)
        config = _WebP()
        if not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI):
            return None
        features = library.WebPGetFeaturesInternal
    except (ImportError, OSError, AttributeError):
        return None
    end = int.from_bytes(source[4:8], "little") + 8
    if end < len(source):  # what follows is no part of it
        source = source[:end]
    if features(source, ctypes.c_size_t(len(source)), ctypes.byref(config.features), _ABI):
        return None
    known = config.features
    if known.has_animation or known.format not in {1, 2}:  # lossy, lossless
        return None
    found = _take("WEBP", known.width, known.height, 5 if known.format == 2 else 0.5 + 5 * known.has_alpha)
    if found is None:
        return None
    config.bypass_filtering = config.no_fancy_upsampling = config.use_scaling = 1
    config.scaled_width, config.scaled_height = max(1, known.width // _SCALE), max(1, known.height // _SCALE)
    config.output.colorspace = 1  # RGBA: the transparency is decoded, too
    status = library.WebPDecode(source, ctypes.c_size_t(len(source)), ctypes.byref(config))
    library.WebPFreeDecBuffer(ctypes.byref(config.output))
    if status == 1:
        raise ImageError("too_many_pixels", "decoding it takes too much memory")
    if status:
        raise ImageError("truncated" if status == 7 else "corrupt", f"status {status} of its decoder")
    return found


# ---- AVIF (avif/avif.h) ------------------------------------------------------------------------------------------


class _Image(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("width", "height", "depth", "yuv_format")]


class _Avif(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("codec", "threads", "source", "progressive", "incremental", "exif", "xmp")),
        *((name, ctypes.c_uint32) for name in ("size_limit", "dimension_limit", "count_limit", "strict")),
        ("image", ctypes.POINTER(_Image)),
        ("index", ctypes.c_int),
        ("count", ctypes.c_int),
    ]


def _avif(source: bytes) -> Still | None:
    try:
        from PIL import _avif as pillows  # noqa: PLC0415 -- not in every build of Pillow

        library = ctypes.CDLL(pillows.__file__)
        library.avifDecoderCreate.restype = ctypes.POINTER(_Avif)
        decoder = library.avifDecoderCreate()
    except (ImportError, OSError, AttributeError):
        return None
    try:
        known = decoder.contents
        values = tuple(getattr(known, field[0]) for field in known._fields_[:10])
        if values != _AVIF_DEFAULTS:  # another layout than that of libavif 1
            return None
        known.size_limit, known.strict = min(ROOM.limit, 1 << 28), _NO_PIXI_NO_CLAP
        if library.avifDecoderSetIOMemory(decoder, source, ctypes.c_size_t(len(source))):
            return None
        if library.avifDecoderParse(decoder) or known.count != 1:
            return None
        image = known.image.contents
        each = (2 if image.depth > 8 else 1) * (_PLANES.get(image.yuv_format, 3.0) + 1.5)
        found = _take("AVIF", image.width, image.height, each)
        if found is None:
            return None
        if status := library.avifDecoderNextImage(decoder):
            raise ImageError(_AVIF_REASONS.get(status, "corrupt"), f"status {status} of its decoder")
        return found
    finally:
        library.avifDecoderDestroy(decoder)


# ---- PNG (third edition) -----------------------------------------------------------------------------------------


def _png(source: bytes) -> Still | None:
    """As RFC 2083 and its successors have it: all rows are there, each with a filter that there is."""
    size = _png_size(source)
    found = _take("PNG", *size[:2], 0) if size else None
    if size and found:
        _read_rows(source, *size[1:])
    return found


def refuse_missing_rows(source: bytes) -> None:
    """Raise `ImageError` for a PNG that Pillow decodes, but whose data ends in order before its last row: Pillow leaves
    the rest black. Those that are interlaced, or animations, are not looked at."""
    if size := _png_size(source):
        _read_rows(source, *size[1:])


def _png_size(source: bytes) -> tuple[int, int, int] | None:
    """Width, height, and the bytes of a row with its filter."""
    head = source[8:33]
    if len(head) < 25 or head[4:8] != b"IHDR" or head[20] or b"acTL" in source[33 : 1 << 16]:
        return None  # cut; interlaced; an animation
    width, height = int.from_bytes(head[8:12], "big"), int.from_bytes(head[12:16], "big")
    return width, height, -(-width * head[16] * _SAMPLES.get(head[17], 1) // 8) + 1


def _read_rows(source: bytes, height: int, row: int) -> None:
    left = row * height
    for decompressed in _decompressed(source):
        piece = decompressed[:left]  # what follows the last row is nobody's
        begin = (left - row * height) % row  # of the next row, in this piece
        if piece[begin::row].translate(None, _FILTERS):
            raise ImageError("corrupt", "a row with a filter that there is not")
        left -= len(piece)
        if left <= 0:
            return
    raise ImageError("truncated", f"{left} bytes of its rows are missing")


def _decompressed(source: bytes) -> Iterator[bytes]:
    stream, start, view = zlib.decompressobj(), 8, memoryview(source)
    while start + 12 <= len(source):
        end = start + 12 + int.from_bytes(source[start : start + 4], "big")
        name = source[start + 4 : start + 8]
        # That of the rows is not looked at, as by Pillow: they have one of their own.
        if name != b"IDAT" and source[end - 4 : end] != zlib.crc32(view[start + 4 : end - 4]).to_bytes(4, "big"):
            raise ImageError("truncated" if end > len(source) else "corrupt", f"the checksum of {name!r} is wrong")
        last = min(end - 4, len(source))
        try:
            # What a piece leaves over is copied, so that a chunk of any size comes in small ones.
            for at in range(start + 8, last, _INPUT) if name == b"IDAT" else ():
                data: Any = view[at : min(at + _INPUT, last)]
                while data and (piece := stream.decompress(data, _PIECE)):
                    yield piece
                    data = stream.unconsumed_tail
        except zlib.error as error:
            raise ImageError("corrupt", str(error)) from None
        start = end


_KINDS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Still | None]], ...]] = (
    (lambda source: source.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda source: source.startswith(b"RIFF") and source[8:12] == b"WEBP", _webp),
    (lambda source: source[4:12] in _BRANDS, _avif),
)
