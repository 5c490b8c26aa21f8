"""Bytes opened as an image, with Pillow: its header is read, and nothing is decoded yet."""

from __future__ import annotations

import contextlib
import io
import re
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NoReturn

from PIL import Image, ImageFile

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.costs import cost_of, refuse_too_many_parts, refuse_unusual
from imgcrawl.images.damage import ends_early
from imgcrawl.images.formats import foreign_format
from imgcrawl.images.jpeg import without_fill
from imgcrawl.images.room import DEFAULT_PIXEL_LIMIT, ROOM, CostlyError, set_pixel_limit
from imgcrawl.possessive import compile_late

# Their plugins decode pictures within, of sizes that the header does not tell, some of them while they open.
_DECODED_ON_OPEN: Final = frozenset({"BLP", "ICNS", "ICO"})
_NO_DECODER: Final = compile_late(
    r"unsupported|not (?:yet )?supported|cannot handle|unknown (?:pixel mode|compression)|unimplemented",
    re.IGNORECASE,
)
_Factory = Callable[[io.BytesIO, str], ImageFile.ImageFile]
# What Image.open takes for "try the next plugin" too.
_NOT_THIS_FORMAT: Final = (SyntaxError, IndexError, TypeError, struct.error)


@cache
def formats(
    load: Callable[[], object] = Image.init,
) -> dict[str, tuple[_Factory, Callable[[bytes], Any] | None]]:
    """The formats that Pillow can open here; with `Image.preinit` to *load* them the commonest only.

    The first call sets the limit unless it is set.
    """
    load()
    if not ROOM.limit:
        set_pixel_limit(DEFAULT_PIXEL_LIMIT)
    # EPS would start Ghostscript, and IPTC opens whatever it contains, EPS too. A copy, as other threads add to it.
    return {name: entry for name, entry in Image.OPEN.copy().items() if name not in {"EPS", "IPTC"}}


class LargerFrameError(Exception):
    """A later frame is larger than the first, for which room was taken.

    To wait for more room while holding some is how two threads wait for each other for ever.
    """


@contextlib.contextmanager
def opened(source: bytes, *, room: int = 0, whole: bool = False) -> Iterator[ImageFile.ImageFile]:
    """Yield the image in *source*, its header read and nothing decoded yet.

    In the `with` block there is room for its pixels, or for *room* pixels if that is more. A JPEG has room for what
    `draft` leaves of it only, unless it is to be had as a *whole*. Whatever Pillow raises there leaves as
    `ImageError`, with Pillow's error as its cause. Raises `CostlyError` for what is not for threads.
    """
    if not source:
        raise ImageError("empty")
    source = without_fill(source)
    formats(Image.preinit)
    refuse_too_many_parts(source)
    stream = _Stream(source)
    image: ImageFile.ImageFile | None = None
    try:
        with contextlib.ExitStack() as stack:
            for name, factory, is_signed in _candidates(source):
                refuse_unusual(name, source, is_open=name in _DECODED_ON_OPEN)
                if name in _DECODED_ON_OPEN:
                    stack.enter_context(ROOM.taken(ROOM.size))
                image = _open(factory, source, stream, is_signed=is_signed)
                if image:
                    break
                stack.close()
            if image is None:
                _refuse_unrecognised(source, stream)
            refuse_unusual(name, source, is_open=True)
            cost = cost_of(image, source, whole=whole)
            if name not in _DECODED_ON_OPEN:
                stack.enter_context(ROOM.taken(max(room, cost)))
            stack.callback(image.close)
            yield image
    except (ImageError, CostlyError, LargerFrameError):
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


def _candidates(source: bytes) -> Iterator[tuple[str, _Factory, bool]]:
    """Yield the formats to try: those whose signature *source* has, then those that have no signature.

    Each with its name, what opens it, and whether it has a signature.
    """
    prefix = source[:16].ljust(16, b"\0")  # plugins index into it
    signed = set()
    for load in (Image.preinit, Image.init):  # what few images are of is loaded when one comes
        for name, (factory, accept) in formats(load).items():
            if accept and name not in signed and accept(prefix) is True:
                signed.add(name)
                yield name, factory, True
    if not signed:
        _refuse_foreign(source)
    yield from ((name, factory, False) for name, (factory, accept) in formats().items() if not accept)


def _open(factory: _Factory, source: bytes, stream: _Stream, *, is_signed: bool) -> ImageFile.ImageFile | None:
    stream.seek(0)
    try:
        return factory(stream, "")
    except _NOT_THIS_FORMAT as error:
        # What the first plugin that knew the signature says is the evidence.
        if is_signed and not stream.refusal:
            stream.refusal = _judged(error, source, stream, None)
            stream.refusal.__cause__ = error.with_traceback(None)
        return None


def _judged(error: Exception, source: bytes, stream: _Stream, image: ImageFile.ImageFile | None) -> ImageError:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, Image.DecompressionBombError | MemoryError):
        return ImageError("too_many_pixels", said)
    if ends_early(source, image, overrun=stream.overrun):
        return ImageError("truncated", said)
    if isinstance(error, NotImplementedError) or _NO_DECODER.search(said):
        return ImageError("unsupported_format", said)
    return ImageError("corrupt", said)


def _refuse_foreign(source: bytes) -> None:
    if name := foreign_format(source):
        raise ImageError("unsupported_format", name)


def _refuse_unrecognised(source: bytes, stream: _Stream) -> NoReturn:
    _refuse_foreign(source)  # HEIF has one of AVIF's signatures
    raise stream.refusal or ImageError("not_an_image", f"starts with {source[:16]!r}")
