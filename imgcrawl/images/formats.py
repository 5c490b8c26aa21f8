"""Which format bytes are of, by their first bytes, whether or not it can be decoded; and what its files are called."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from PIL import Image

from imgcrawl.imageerrors import ImageError
from imgcrawl.possessive import compile_late, compile_possessive

_EXTENSIONS: Final = {
    "AVIF": ".avif",
    "DIB": ".dib",
    "ICNS": ".icns",
    "JPEG": ".jpg",
    "JPEG2000": ".jp2",
    "MPO": ".jpg",  # a JPEG with more JPEGs behind it: every viewer shows the first
    "PNG": ".png",
    "PPM": ".ppm",
    "SGI": ".sgi",
    "TGA": ".tga",
    "TIFF": ".tif",
}
# One Pillow format, several names for its files.
_VARIANTS: Final = (
    (re.compile(rb"\xff\x4f\xff\x51"), ".j2k"),
    (re.compile(rb"P[14]\s"), ".pbm"),
    (re.compile(rb"P[25]\s"), ".pgm"),
    (re.compile(rb"P[fF]\s"), ".pfm"),
)

HEIF: Final = re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|m[is]f1(?!.{0,64}avi[fs]))", re.DOTALL)
_FOREIGN: Final = {
    "EPS": re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
    "HEIF": HEIF,
    "JPEG XL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG XR": re.compile(rb"II\xbc"),
    "BPG": re.compile(rb"BPG\xfb"),
    "FLIF": re.compile(rb"FLIF"),
    "DjVu": re.compile(rb"AT&TFORM"),
    "PSD": re.compile(rb"8BPS"),  # of some kinds that Pillow does not decode
    "XCF": re.compile(rb"gimp xcf "),
    "OpenEXR": re.compile(rb"\x76\x2f\x31\x01"),
    "Radiance HDR": re.compile(rb"#\?RADIANCE"),
    "MNG": re.compile(rb"\x8a[MJ]NG"),
    "MP4": re.compile(rb"....ftyp(?:mp4|iso|M4[VA]|qt  |avc1|3gp|dash)", re.DOTALL),
    "WebM": re.compile(rb"\x1a\x45\xdf\xa3"),
    "WMF": re.compile(rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", re.DOTALL),
}
_PROLOGUE: Final = compile_possessive(
    r"(?:\s+|<\?[^>]*+>|<!--.*?-->|<!doctype[^>\[]*+(?:\[.*?\]\s*+)?>)*+", re.DOTALL | re.IGNORECASE
)
_ROOT: Final = compile_late(r"<(?:[\w-]+:)?(!?[a-z][\w-]*)", re.IGNORECASE)
_HEAD: Final = 4096  # bytes in which a page or an SVG shows itself


# What files of formats that are kept without being decoded are called.
FOREIGN_EXTENSIONS: Final = {
    "EPS": ".eps",
    "HEIF": ".heic",
    "JPEG XL": ".jxl",
    "JPEG XR": ".jxr",
    "BPG": ".bpg",
    "FLIF": ".flif",
    "DjVu": ".djvu",
    "PSD": ".psd",
    "XCF": ".xcf",
    "OpenEXR": ".exr",
    "Radiance HDR": ".hdr",
    "MNG": ".mng",
    "WMF": ".wmf",
    "MP4": ".mp4",
    "WebM": ".webm",
    "SVG": ".svg",
}


# What people call them besides.
_ALIASES: Final = {
    "heic": "HEIF", "heics": "HEIF", "heifs": "HEIF", "mov": "MP4", "qt": "MP4", "quicktime": "MP4", "m4v": "MP4",
    "3gp": "MP4", "mkv": "WebM", "matroska": "WebM", "psb": "PSD", "photoshop": "PSD", "emf": "WMF", "svgz": "SVG",
    "jpg": "JPEG", "jpe": "JPEG", "tif": "TIFF", "jp2": "JPEG2000", "jpeg2k": "JPEG2000", "apng": "PNG",
}  # fmt: skip


def format_called(name: str, known: Iterable[str]) -> str:
    """Which of the formats *known* is called *name*: by its own name, its extension or another one, in capitals or not;
    *name* itself where none is."""
    told = _folded(name)
    for format_ in known:
        if told in (_folded(format_), FOREIGN_EXTENSIONS.get(format_, "")[1:]) or _ALIASES.get(told) == format_:
            return format_
    return name.strip()


def _folded(name: str) -> str:
    return re.sub(r"[\s._-]", "", name).lower()


def foreign_format(source: bytes) -> str:
    """The name, in `FOREIGN_EXTENSIONS`, of a format that is recognised and not decoded; empty for any other bytes.

    Raises `ImageError` ("html") for a page.
    """
    return _markup(source) or next((name for name, signature in _FOREIGN.items() if signature.match(source)), "")


def is_page(source: bytes) -> bool:
    """Whether the bytes are of a page, and so no image."""
    try:
        _markup(source)
    except ImageError:
        return True
    return False


def kept_format(source: bytes, keep: Collection[str]) -> str:
    """Which of the formats *keep* the bytes are of; empty if of none."""
    with suppress(ImageError):
        name = foreign_format(source) if keep else ""
        return name if name in keep else ""
    return ""


def _markup(source: bytes) -> str:
    head = source[:_HEAD].removeprefix(b"\xef\xbb\xbf")
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1"
    if encoding == "latin-1" and not head.lstrip(b"\0 \t\r\n").startswith(b"<"):  # as of nearly all images
        return ""
    text = head.decode(encoding, "ignore").lstrip("\ufeff\0 \t\r\n")
    if not text.startswith("<"):
        return ""
    prologue = _PROLOGUE.match(text)
    rest = text[prologue.end() if prologue else 0 :]
    root = _ROOT.match(rest)
    # Where the prologue is longer than the head, what it says must do.
    name = root[1].lower() if root else ""
    if name == "svg" or (name in {"", "!doctype"} and re.search(r"<svg|<!doctype\s+svg", text, re.IGNORECASE)):
        return "SVG"
    if name or text.startswith(("<?", "<!")):
        raise ImageError("html", f"starts with {text[:60]!r}")
    return ""


def extension_of(source: bytes, name: str) -> str:
    """What a file of Pillow's format *name* is called: ".jpg"."""
    for signature, extension in _VARIANTS:
        if signature.match(source):
            return extension
    registered = (extension for extension, format_ in Image.EXTENSION.items() if format_ == name)
    return _EXTENSIONS.get(name) or next(registered, f".{name.lower()}")
