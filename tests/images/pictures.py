"""Files of many formats, made by Pillow, and hostile ones, made by hand."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from PIL import Image, ImageChops


def picture(width: int = 160, height: int = 120, mode: str = "RGB", seed: int = 1) -> Image.Image:
    """Return something like a photo: soft colours and some noise, the same for the same *seed*."""
    colours = random.Random(seed)
    base = Image.frombytes("RGB", (20, 15), colours.randbytes(900)).resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.frombytes("L", (width, height), colours.randbytes(width * height)).point(lambda value: value // 16)
    return ImageChops.add(base, grain.convert("RGB")).convert(mode)


def translucent(width: int = 160, height: int = 120) -> Image.Image:
    image = picture(width, height, "RGBA")
    image.putalpha(picture(width, height, "L", seed=9))
    return image


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    result = io.BytesIO()
    # A copy: encoders leave their settings behind in what they encode.
    image.copy().save(result, format_, **options)
    return result.getvalue()


Sample = tuple[bytes, str, str, int]  # bytes, format, extension, frames


class Samples(Mapping[str, Sample]):
    """By their names; each is made when it is asked for, and once: every process of pytest knows the names."""

    def __init__(self, makers: Mapping[str, Callable[[], Sample]]) -> None:
        self._makers = makers
        self._made: dict[str, Sample] = {}

    def __getitem__(self, name: str) -> Sample:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@functools.cache
def samples(width: int = 160, height: int = 120) -> Samples:
    """Return name → (bytes, format, extension, frames)."""
    image = picture(width, height)
    grey, bilevel, alpha = image.convert("L"), image.convert("1"), translucent(width, height)
    deep = Image.frombytes("I;16", (width, height), random.Random(3).randbytes(2 * width * height))

    def animation() -> dict[str, Any]:
        return {"save_all": True, "append_images": [picture(width, height, seed=seed) for seed in (2, 3, 4)]}

    makers: dict[str, Callable[[], Sample]] = {
        "jpeg": lambda: (encoded(image, "JPEG", quality=85), "JPEG", ".jpg", 1),
        "jpeg progressive": lambda: (encoded(image, "JPEG", progressive=True), "JPEG", ".jpg", 1),
        "jpeg cmyk": lambda: (encoded(image.convert("CMYK"), "JPEG"), "JPEG", ".jpg", 1),
        "jpeg grey": lambda: (encoded(grey, "JPEG"), "JPEG", ".jpg", 1),
        "jpeg rgb": lambda: (encoded(image, "JPEG", keep_rgb=True), "JPEG", ".jpg", 1),
        # Pillow writes wrong offsets for more than two.
        "mpo": lambda: (encoded(image, "MPO", save_all=True, append_images=[picture(width, height)]), "MPO", ".jpg", 2),
        "png": lambda: (encoded(image, "PNG"), "PNG", ".png", 1),
        "png alpha": lambda: (encoded(alpha, "PNG"), "PNG", ".png", 1),
        "png palette": lambda: (encoded(image.convert("P"), "PNG"), "PNG", ".png", 1),
        "png 16 bits": lambda: (encoded(deep, "PNG"), "PNG", ".png", 1),
        "png interlaced": lambda: (interlaced_png(width, height), "PNG", ".png", 1),
        "apng": lambda: (encoded(image, "PNG", **animation()), "PNG", ".png", 4),
        "gif": lambda: (encoded(image, "GIF"), "GIF", ".gif", 1),
        "gif animated": lambda: (encoded(image, "GIF", **animation()), "GIF", ".gif", 4),
        "webp": lambda: (encoded(image, "WEBP"), "WEBP", ".webp", 1),
        "webp lossless": lambda: (encoded(alpha, "WEBP", lossless=True), "WEBP", ".webp", 1),
        "webp animated": lambda: (encoded(image, "WEBP", **animation()), "WEBP", ".webp", 4),
        "avif": lambda: (encoded(image, "AVIF"), "AVIF", ".avif", 1),
        "avif animated": lambda: (encoded(image, "AVIF", **animation()), "AVIF", ".avif", 4),
        "tiff": lambda: (encoded(image, "TIFF"), "TIFF", ".tif", 1),
        "tiff lzw": lambda: (encoded(image, "TIFF", compression="tiff_lzw"), "TIFF", ".tif", 1),
        "tiff pages": lambda: (encoded(image, "TIFF", **animation()), "TIFF", ".tif", 4),
        "tiff header first": lambda: (deflated_tiff(width, height), "TIFF", ".tif", 1),
        "jpeg 2000": lambda: (encoded(image, "JPEG2000"), "JPEG2000", ".jp2", 1),
        "jpeg 2000 codestream": lambda: (encoded(image, "JPEG2000", no_jp2=True), "JPEG2000", ".j2k", 1),
        "bmp": lambda: (encoded(image, "BMP"), "BMP", ".bmp", 1),
        "ppm": lambda: (encoded(image, "PPM"), "PPM", ".ppm", 1),
        "pgm": lambda: (encoded(grey, "PPM"), "PPM", ".pgm", 1),
        "pbm": lambda: (encoded(bilevel, "PPM"), "PPM", ".pbm", 1),
        "tga": lambda: (encoded(image, "TGA"), "TGA", ".tga", 1),
        "qoi": lambda: (encoded(image, "QOI"), "QOI", ".qoi", 1),
    }
    return Samples(makers)


def icon(*contents: bytes) -> bytes:
    """Return an ICO whose entries hold *contents*."""
    start = 6 + 16 * len(contents)
    entries = b""
    for content in contents:
        entries += struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(content), start)
        start += len(content)
    return struct.pack("<HHH", 0, 1, len(contents)) + entries + b"".join(contents)


def black_png(width: int, height: int) -> bytes:
    """Return a grey PNG of zeros, without ever holding its pixels."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    return _png(width, height, 0, data)


def interlaced_png(width: int, height: int) -> bytes:
    """Return an Adam7 PNG (PNG, 8.2), which Pillow reads and does not write."""
    pixels = picture(width, height, "L").tobytes()
    rows = b""
    for x, y, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        if x < width:
            rows += b"".join(
                b"\0" + pixels[row * width + x : (row + 1) * width : across] for row in range(y, height, down)
            )
    return _png(width, height, 1, zlib.compress(rows))


def _png(width: int, height: int, interlace: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def deflated_tiff(width: int, height: int) -> bytes:
    """Return a grey TIFF with its directory before its data, as scanners and COG writers have it."""
    data = zlib.compress(picture(width, height, "L").tobytes())
    return _tiff([[width, height, 8, data]])


def bare_tiff(sizes: Iterable[tuple[int, int]]) -> bytes:
    """Return a black TIFF with pages of *sizes*."""
    return _tiff([[width, height, 1, bytes(width * height)] for width, height in sizes])


def _tiff(pages: list[list[Any]]) -> bytes:
    result = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number, (width, height, compression, data) in enumerate(pages):
        start = len(result) + 2 + 8 * 12 + 4
        end = start + len(data)
        tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: start, 278: height, 279: len(data)}
        result += struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()
        )
        result += struct.pack("<I", end if number < len(pages) - 1 else 0) + data
    return bytes(result)


def bare_gif(width: int, height: int, frames: int) -> bytes:
    """Return a GIF whose frames paint one pixel each: nearly no bytes, all the work."""
    frame = b"!\xf9\x04\x09\0\0\1\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\xff\0\0\0\xff\0" + frame * frames + b";"


def bare_fli(frames: int, announced: int) -> bytes:
    """Return a FLI animation of black *frames* whose header announces another number of them."""
    frame = struct.pack("<IHH8xIH4x", 26, 0xF1FA, 1, 10, 13)
    header = struct.pack("<IHHHHHHI", 128 + len(frame) * frames, 0xAF11, announced, 8, 8, 8, 3, 70)
    return header.ljust(128, b"\0") + frame * frames
