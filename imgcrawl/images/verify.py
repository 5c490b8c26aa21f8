"""Whether bytes are an image, which one, and whether all of it is there: bytes in, facts out.

Every frame is decoded: what Pillow decodes completely is an image, what it does not is an `ImageError`. Safe
to call from any number of threads: together they hold no more pixels than the limit at any moment.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Final, NoReturn

from PIL import Image, ImageFile, TiffImagePlugin

from imgcrawl.exceptions import ImageError, InputError

DEFAULT_PIXEL_LIMIT: Final = 100_000_000
ANIMATION_FACTOR: Final = 10  # all frames together: 600 frames of 1280 x 960 still pass the default limit
MAX_FRAMES: Final = 10_000  # frames of one pixel cost time too, and TIFF's more than linearly
PYTHON_FACTOR: Final = 16  # what Pillow decodes in Python takes 1 to 2 us a pixel and most of the GIL
CANVAS_FACTOR: Final = 4  # an animation is composed in memory from about so many copies of its canvas

# Their plugins decode while they open, before they tell a size.
_DECODED_ON_OPEN: Final = frozenset({"ICO"})
_COMPOSED: Final = frozenset({"AVIF", "GIF", "PNG", "WEBP"})

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

_FOREIGN: Final = {
    "EPS": re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
    "HEIF": re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|m[is]f1(?!.{0,64}avi[fs]))", re.DOTALL),
    "JPEG XL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG XR": re.compile(rb"II\xbc"),
    "BPG": re.compile(rb"BPG\xfb"),
    "FLIF": re.compile(rb"FLIF"),
    "DjVu": re.compile(rb"AT&TFORM"),
    "XCF": re.compile(rb"gimp xcf "),
    "OpenEXR": re.compile(rb"\x76\x2f\x31\x01"),
    "Radiance HDR": re.compile(rb"#\?RADIANCE"),
    "MNG": re.compile(rb"\x8a[MJ]NG"),
    "WMF": re.compile(rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", re.DOTALL),
}
_PROLOGUE: Final = re.compile(
    r"(?:\s+|<\?[^>]*+>|<!--.*?-->|<!doctype[^>\[]*+(?:\[.*?\]\s*+)?>)*+", re.DOTALL | re.IGNORECASE
)
_ROOT: Final = re.compile(r"<(?:[\w-]+:)?(!?[a-z][\w-]*)", re.IGNORECASE)
_HEAD: Final = 4096  # bytes in which a page or an SVG shows itself

_NO_DECODER: Final = re.compile(
    r"unsupported|not (?:yet )?supported|cannot handle|unknown (?:pixel mode|compression)|unimplemented",
    re.IGNORECASE,
)
# What Image.open takes for "try the next plugin" too.
_NOT_THIS_FORMAT: Final = (SyntaxError, IndexError, TypeError, struct.error)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of an intact image say.

    *format* is Pillow's name of it, *width* and *height* are the header's, in pixels, before any rotation
    that metadata asks for, *extension* (".jpg") follows from the bytes.
    """

    format: str
    width: int
    height: int
    frames: int
    extension: str


class _Room:
    """The pixels that may be in decoding at the same time in this process."""

    def __init__(self) -> None:
        self.limit = 0  # until `set_pixel_limit`
        self._taken = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        # Who waits keeps the turn: small images that come later cannot starve a large one.
        with self._turn, self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= self.limit)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


_room = _Room()


def set_pixel_limit(pixels: int) -> None:
    """Set how many pixels an image may have, and how many all threads of this process may decode at once.

    An animation may have `ANIMATION_FACTOR` times as many in all its frames together, each of them
    1/`CANVAS_FACTOR` of it. Call it once, before threads decode. Raises `InputError` for less than one pixel.
    """
    if pixels < 1:
        raise InputError(f"IMAGES_MAX_PIXELS is {pixels!r}: expected a number of pixels, at least 1.")
    _room.limit = pixels
    # Sizes met while decoding (GIF frames, PNG in ICO) are checked by Pillow, at twice this number.
    Image.MAX_IMAGE_PIXELS = (pixels + 1) // 2
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # grey areas in place of an error would be stored as intact
    # Pillow warns at half of what we allow, and of oddities in files that are not ours to mend. The outcome
    # says what is wrong with an image; a warning for each would be noise, and kept for ever by `warnings`.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@cache
def _formats() -> dict[str, tuple[Callable[[io.BytesIO, str], ImageFile.ImageFile], Callable[[bytes], Any] | None]]:
    """The formats that Pillow can open here. The first call loads them all, and sets the limit unless it is set."""
    Image.init()
    if not _room.limit:
        set_pixel_limit(DEFAULT_PIXEL_LIMIT)
    # EPS would start Ghostscript, and IPTC opens whatever it contains, EPS too.
    return {name: entry for name, entry in Image.OPEN.items() if name not in {"EPS", "IPTC"}}


def examine(source: bytes, *, min_width: int = 0, min_height: int = 0) -> Facts:
    """Decode *source* completely and return the facts about it.

    Raises `ImageError`, and nothing else, with the reason "empty", "html", "not_an_image",
    "unsupported_format", "truncated", "corrupt", "too_many_pixels" or "too_small" (less than *min_width* x
    *min_height* pixels). Sizes are judged by the header, before anything is decoded.
    """
    try:
        return _examined(source, min_width, min_height, room=0)
    except _LargerFrameError:
        return _examined(source, min_width, min_height, room=_room.limit)


class _LargerFrameError(Exception):
    """A later frame is larger than the first, for which room was taken.

    To wait for more room while holding some is how two threads wait for each other for ever.
    """


def _examined(source: bytes, min_width: int, min_height: int, *, room: int) -> Facts:
    with opened(source, room=room) as image:
        width, height = image.size
        if width < min_width or height < min_height:
            raise ImageError("too_small", f"{width} x {height}, wanted {min_width} x {min_height}")
        room = max(room, _cost(image))
        total = 0
        for frames in count(1):
            if _cost(image) > room:
                raise _LargerFrameError
            total += image.width * image.height
            if total > _room.limit * ANIMATION_FACTOR or frames > MAX_FRAMES:
                raise ImageError("too_many_pixels", f"an animation of more than {frames - 1} frames")
            if image.format == "JPEG":
                # Every bit is still read; what is saved is 63 of 64 pixels of arithmetic and memory.
                image.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            image.load()
            try:
                image.seek(image.tell() + 1)
            except EOFError:
                break
        declared = getattr(image, "n_frames", 1)
        if frames < declared:
            raise ImageError("truncated", f"{frames} of {declared} frames")
        return Facts(image.format or "", width, height, frames, _extension(source, image.format or ""))


@contextlib.contextmanager
def opened(source: bytes, *, room: int = 0) -> Iterator[ImageFile.ImageFile]:
    """Yield the image in *source*, its header read and nothing decoded yet.

    In the `with` block there is room for its pixels, or for *room* pixels if that is more. Whatever Pillow
    raises there leaves as `ImageError`, with Pillow's error as its cause.
    """
    if not source:
        raise ImageError("empty")
    _formats()
    stream = _Stream(source)
    image: ImageFile.ImageFile | None = None
    try:
        with contextlib.ExitStack() as stack:
            for name in _candidates(source):
                if name in _DECODED_ON_OPEN:
                    stack.enter_context(_room.taken(_room.limit))
                image = _open(name, source, stream)
                if image:
                    break
                stack.close()
            if image is None:
                _refuse_unrecognised(source, stream)
            cost = _cost(image)
            if name not in _DECODED_ON_OPEN:
                stack.enter_context(_room.taken(max(room, cost)))
            stack.callback(image.close)
            yield image
    except (ImageError, _LargerFrameError):
        raise
    except Exception as error:  # Pillow's plugins raise anything for hostile bytes; each becomes an outcome
        # The cause stays as evidence; the frames of its traceback would keep the pixels alive.
        raise _judged(error, source, stream, image) from error.with_traceback(None)


class _Stream(io.BytesIO):
    """The source, whether a reader wanted bytes beyond its end, and why no plugin took it."""

    overrun = False
    refusal: ImageError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        # Blocks of MAXBLOCK are read as far as they go: there, short is normal.
        if size and size > 0 and len(data) < size and (size != ImageFile.MAXBLOCK or not data):
            self.overrun = True
        return data


def _candidates(source: bytes) -> Iterator[str]:
    """Yield the formats to try: those whose signature *source* has, then those that have no signature."""
    prefix = source[:16].ljust(16, b"\0")  # plugins index into it
    signed = False
    for name, (_, accept) in _formats().items():
        if accept and accept(prefix) is True:
            signed = True
            yield name
    if not signed:
        _refuse_page(source)
        _refuse_foreign(source)
    yield from (name for name, (_, accept) in _formats().items() if not accept)


def _open(name: str, source: bytes, stream: _Stream) -> ImageFile.ImageFile | None:
    factory, accept = _formats()[name]
    stream.seek(0)
    try:
        return factory(stream, "")
    except _NOT_THIS_FORMAT as error:
        # What the first plugin that knew the signature says is the evidence.
        if accept and not stream.refusal:
            stream.refusal = _judged(error, source, stream, None)
            stream.refusal.__cause__ = error.with_traceback(None)
        return None


def _cost(image: ImageFile.ImageFile) -> int:
    """Return the pixels that the current frame counts for, or raise `ImageError` if they exceed the limit."""
    factor = PYTHON_FACTOR if any(tile[0] in Image.DECODERS for tile in image.tile) else 1
    if image.format in _COMPOSED and getattr(image, "is_animated", False):
        factor = CANVAS_FACTOR
    width, height = image.size
    if width * height * factor > _room.limit:
        raise ImageError("too_many_pixels", f"{width} x {height}, limit {_room.limit // factor} pixels")
    return width * height * factor


def _judged(error: Exception, source: bytes, stream: _Stream, image: ImageFile.ImageFile | None) -> ImageError:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, Image.DecompressionBombError):
        return ImageError("too_many_pixels", said)
    if _ends_early(source, stream, image):
        return ImageError("truncated", said)
    if isinstance(error, NotImplementedError) or _NO_DECODER.search(said):
        return ImageError("unsupported_format", said)
    return ImageError("corrupt", said)


def _refuse_unrecognised(source: bytes, stream: _Stream) -> NoReturn:
    _refuse_foreign(source)  # HEIF has one of AVIF's signatures
    raise stream.refusal or ImageError("not_an_image", f"starts with {source[:16]!r}")


def _ends_early(source: bytes, stream: _Stream, image: ImageFile.ImageFile | None) -> bool:
    """Say whether *source*, which could not be decoded, is shorter than itself says or its decoder wanted."""
    # Decoders that take the file as a whole do not say what they missed: the containers' lengths do.
    if source.startswith(b"RIFF"):
        return len(source) < int.from_bytes(source[4:8], "little") + 8
    if source[4:8] in {b"ftyp", b"jP  "}:
        return _boxes_end_early(source)
    if source.startswith(b"\xff\x4f\xff\x51"):
        return not source.endswith(b"\xff\xd9")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and not stream.overrun:
        tags = image.tag_v2
        offsets, lengths = (tags.get(strip) or tags.get(tile) or () for strip, tile in ((273, 324), (279, 325)))
        return any(offset + length > len(source) for offset, length in zip(offsets, lengths, strict=False))
    return stream.overrun


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


def _refuse_page(source: bytes) -> None:
    head = source[:_HEAD]
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1"
    text = head.removeprefix(b"\xef\xbb\xbf").decode(encoding, "ignore").lstrip("\ufeff\0 \t\r\n")
    if not text.startswith("<"):
        return
    prologue = _PROLOGUE.match(text)
    rest = text[prologue.end() if prologue else 0 :]
    root = _ROOT.match(rest)
    # Where the prologue is longer than the head, what it says must do.
    name = root[1].lower() if root else ""
    if name == "svg" or (name in {"", "!doctype"} and re.search(r"<svg|<!doctype\s+svg", text, re.IGNORECASE)):
        raise ImageError("unsupported_format", "SVG")
    if name or text.startswith(("<?", "<!")):
        raise ImageError("html", f"starts with {text[:60]!r}")


def _refuse_foreign(source: bytes) -> None:
    for name, signature in _FOREIGN.items():
        if signature.match(source):
            raise ImageError("unsupported_format", name)


def _extension(source: bytes, name: str) -> str:
    for signature, extension in _VARIANTS:
        if signature.match(source):
            return extension
    registered = (extension for extension, format_ in Image.EXTENSION.items() if format_ == name)
    return _EXTENSIONS.get(name) or next(registered, f".{name.lower()}")
