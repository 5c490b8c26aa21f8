"""Whether bytes are an image, which one, and whether all of it is there: bytes in, facts out.

Every frame is decoded: what Pillow decodes completely is an image, what it does not is an `ImageError`. Safe
to call from any number of threads: together they hold no more pixels than the limit at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any, Final, NoReturn

from PIL import Image, ImageFile

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.costs import MAX_FRAMES, cost_of, refuse_too_many_parts, refuse_unusual
from imgcrawl.images.damage import Mended, ends_early, mended, overlooked
from imgcrawl.images.formats import FOREIGN_EXTENSIONS, extension_of, foreign_format, kept_format
from imgcrawl.images.frugal import still
from imgcrawl.images.room import ANIMATION_FACTOR, DEFAULT_PIXEL_LIMIT, ROOM, CostlyError, set_pixel_limit

# Their plugins decode pictures within, of sizes that the header does not tell, some of them while they open.
_DECODED_ON_OPEN: Final = frozenset({"BLP", "ICNS", "ICO"})

_BAND: Final = 64  # rows
_NO_DECODER: Final = re.compile(
    r"unsupported|not (?:yet )?supported|cannot handle|unknown (?:pixel mode|compression)|unimplemented",
    re.IGNORECASE,
)
_Factory = Callable[[io.BytesIO, str], ImageFile.ImageFile]
# What Image.open takes for "try the next plugin" too.
_NOT_THIS_FORMAT: Final = (SyntaxError, IndexError, TypeError, struct.error)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of an intact image say.

    *format* is Pillow's name of it, *width* and *height* are the header's, in pixels, before any rotation
    that metadata asks for, *extension* (".jpg") follows from the bytes. *warnings* says what is wrong with bytes that
    common viewers show all the same: `WARNINGS`.
    """

    format: str
    width: int
    height: int
    frames: int
    extension: str
    warnings: tuple[str, ...] = ()


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


def examine(
    source: bytes, *, min_width: int = 0, min_height: int = 0, strict: bool = False, keep: Collection[str] = ()
) -> Facts:
    """Decode *source* completely and return the facts about it.

    What common viewers show is an image, with what is wrong with it in `warnings`; not if *strict*. Formats that *keep*
    names (of `FOREIGN_EXTENSIONS`) and that cannot be decoded are recognised by their first bytes: their sizes are 0.

    Raises `CostlyError` for an image that there is no room for in the threads of this process but may be elsewhere
    (`set_pixel_limit`), and `ImageError`, and nothing else, with the reason "empty", "html", "not_an_image",
    "unsupported_format", "truncated", "corrupt", "too_many_pixels" or "too_small" (less than *min_width* x
    *min_height* pixels). Sizes are judged by the header, before anything is decoded.
    """
    try:
        facts = _decoded(source, min_width, min_height)
    except ImageError as error:
        if error.reason in ("unsupported_format", "corrupt") and (name := kept_format(source, keep)):
            return Facts(name, 0, 0, 0, FOREIGN_EXTENSIONS[name], ("unverified",))
        mend = None if strict else mended(source, error)
        if mend is None or not _shows_all(mend):
            raise
        try:
            return replace(_decoded(mend.source, min_width, min_height), warnings=mend.warnings)
        except ImageError as still:
            raise (still if still.reason == "too_small" else error) from None
    wrong = overlooked(source, facts.format)
    return replace(facts, warnings=wrong) if wrong else facts


def _decoded(source: bytes, min_width: int, min_height: int) -> Facts:
    if not ROOM.limit:
        formats(Image.preinit)  # sets it
    if not ROOM.is_shared and (found := still(source)):
        _refuse_small(found.width, found.height, min_width, min_height)
        return Facts(*found, 1, extension_of(source, found.format))
    try:
        return _examined(source, min_width, min_height, room=0)
    except _LargerFrameError:
        return _examined(source, min_width, min_height, room=max(ROOM.size, ROOM.most // 4))


def _refuse_small(width: int, height: int, min_width: int, min_height: int) -> None:
    if width < min_width or height < min_height:
        raise ImageError("too_small", f"{width} x {height}, wanted {min_width} x {min_height}")


def _shows_all(mend: Mended) -> bool:
    """Whether nothing of the picture comes from what was put in the place of what is missing."""
    if not mend.proofs:
        return True
    try:
        shown = _picture(mend.source)
        return all(_picture(mend.rows + proof) == shown for proof in mend.proofs)  # in memory one by one
    except ImageError:
        return False


def _picture(source: bytes) -> bytes:
    with opened(source, whole=True) as image:
        if image.format != "JPEG":
            raise ImageError("truncated", "of several pictures the last is cut")
        digest = hashlib.sha256()
        for top in range(0, image.height, _BAND):  # not all of it is copied at once
            digest.update(image.crop((0, top, image.width, min(top + _BAND, image.height))).tobytes())
        return digest.digest()


class _LargerFrameError(Exception):
    """A later frame is larger than the first, for which room was taken.

    To wait for more room while holding some is how two threads wait for each other for ever.
    """


def _examined(source: bytes, min_width: int, min_height: int, *, room: int) -> Facts:
    with opened(source, room=room) as image:
        width, height = image.size
        _refuse_small(width, height, min_width, min_height)
        total = 0
        for frames in count(1):
            cost = cost_of(image, source, whole=False)
            if frames == 1:
                room = max(room, cost)
            if cost > room:
                raise _LargerFrameError
            total += image.width * image.height
            if total > ROOM.limit * ANIMATION_FACTOR or frames > MAX_FRAMES:
                raise ImageError("too_many_pixels", f"an animation of more than {frames - 1} frames")
            ROOM.refuse_costly(total // ANIMATION_FACTOR)
            if ROOM.on_cost:
                ROOM.on_cost(max(cost, image.width * image.height))
            if image.format == "JPEG":
                # Every bit is still read; what is saved is 63 of 64 pixels of arithmetic and memory.
                image.draft("L", (max(width // 8, 1), max(height // 8, 1)))
            _load(image)
            try:
                image.seek(image.tell() + 1)
            except EOFError:
                break
        declared = getattr(image, "n_frames", 1)
        if frames < declared:
            raise ImageError("truncated", f"{frames} of {declared} frames")
        return Facts(image.format or "", width, height, frames, extension_of(source, image.format or ""))


class _FrameDecodedError(Exception):
    """The decoder has given all pixels of a frame; Pillow would copy them into an image of its own now."""


def _load(image: ImageFile.ImageFile) -> None:
    """Decode the current frame of *image*, of which nobody will see the pixels."""

    def stop() -> NoReturn:
        raise _FrameDecodedError

    if image.format in {"AVIF", "WEBP"}:
        image.load_prepare = stop  # type: ignore[method-assign] # at 24 megapixels that copy has 100 MB
    with contextlib.suppress(_FrameDecodedError):
        image.load()


@contextlib.contextmanager
def opened(source: bytes, *, room: int = 0, whole: bool = False) -> Iterator[ImageFile.ImageFile]:
    """Yield the image in *source*, its header read and nothing decoded yet.

    In the `with` block there is room for its pixels, or for *room* pixels if that is more. A JPEG has room for what
    `draft` leaves of it only, unless it is to be had as a *whole*. Whatever Pillow raises there leaves as
    `ImageError`, with Pillow's error as its cause. Raises `CostlyError` for what is not for threads.
    """
    if not source:
        raise ImageError("empty")
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
    except (ImageError, CostlyError, _LargerFrameError):
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
