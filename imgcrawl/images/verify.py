"""Whether bytes are an image, which one, and whether all of it is there: bytes in, facts out.

Every frame is decoded: what Pillow decodes completely is an image, what it does not is an `ImageError`. Safe
to call from any number of threads: together they hold no more pixels than the limit at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, NoReturn

from PIL import Image, ImageFile

from imgcrawl.imageerrors import ImageError
from imgcrawl.images import jpeg
from imgcrawl.images.costs import LARGEST_IN_THREADS, MAX_FRAMES, cost_of
from imgcrawl.images.damage import WARNINGS, Mended, mended, overlooked
from imgcrawl.images.formats import FOREIGN_EXTENSIONS, extension_of, kept_format
from imgcrawl.images.frugal import refuse_missing_rows, still
from imgcrawl.images.opening import LargerFrameError, formats, opened
from imgcrawl.images.room import ANIMATION_FACTOR, ROOM
from imgcrawl.images.structure import outline

# How deep a look is, from the deepest (IMAGES_VERIFY); what is odd in the eyes of a less deep one is decoded.
DEPTHS: Final = {
    "decode": "every bit is decoded",
    "structure": "the parts of the file are whole, as far as their lengths, marks and checksums tell",
    "bytes": "it begins and ends as a file of its format does, and its headers can be read",
}
_BAND: Final = 64  # rows


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of an intact image say.

    *format* is Pillow's name of it, *width* and *height* are the header's, in pixels, before any rotation
    that metadata asks for, *extension* (".jpg") follows from the bytes. *warnings* says what is wrong with bytes that
    common viewers show all the same: `WARNINGS`. *verified* is which of `DEPTHS` was enough; empty: they were decoded.
    """

    format: str
    width: int
    height: int
    frames: int
    extension: str
    warnings: tuple[str, ...] = ()
    verified: str = ""


def examine(
    source: bytes,
    *,
    min_width: int = 0,
    min_height: int = 0,
    strict: bool = False,
    keep: Collection[str] = (),
    depth: str = "decode",
) -> Facts:
    """Decode *source* completely and return the facts about it.

    With another *depth* of `DEPTHS` it is decoded only if something about it is odd, or its format is one whose parts
    are not known here: what `decode` refuses for more than its pixels is refused in the same words.

    What common viewers show is an image, with what is wrong with it in `warnings`; not if *strict*. Formats that *keep*
    names (of `FOREIGN_EXTENSIONS`) and that cannot be decoded are recognised by their first bytes: their sizes are 0.

    Raises `CostlyError` for an image that there is no room for in the threads of this process but may be elsewhere
    (`set_pixel_limit`), and `ImageError`, and nothing else, with the reason "empty", "html", "not_an_image",
    "unsupported_format", "truncated", "corrupt", "too_many_pixels" or "too_small" (less than *min_width* x
    *min_height* pixels). Sizes are judged by the header, before anything is decoded.
    """
    found = _outlined(source, keep, depth) if depth != "decode" else None
    if found and not (strict and found.warnings):
        _refuse_small(found.width, found.height, min_width, min_height)
        return found
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
    if wrong and strict:
        reason = "corrupt" if wrong == ("trailing_bytes",) else "truncated"
        raise ImageError(reason, WARNINGS[wrong[0]])
    return replace(facts, warnings=wrong) if wrong else facts


def _outlined(source: bytes, keep: Collection[str], depth: str) -> Facts | None:
    """The facts about *source*, if nothing about it is odd. Raises `ImageError` for too many pixels."""
    if not ROOM.limit:
        formats(Image.preinit)  # sets it
    found = outline(source, thorough=depth == "structure")
    if found is None or (found.format in FOREIGN_EXTENSIONS and found.format not in keep):
        return None
    pixels = found.width * found.height
    if pixels > ROOM.limit:
        raise ImageError("too_many_pixels", f"{found.width} x {found.height}, limit {ROOM.limit} pixels")
    if found.frames > (most := min(MAX_FRAMES, ROOM.limit * ANIMATION_FACTOR // pixels)):
        raise ImageError("too_many_pixels", f"an animation of more than {most} frames")
    warnings = overlooked(source, found.format) if found.end < len(source) else ()
    extension = FOREIGN_EXTENSIONS.get(found.format) or extension_of(source, found.format)
    return Facts(found.format, found.width, found.height, found.frames, extension, warnings, depth)


def _decoded(source: bytes, min_width: int, min_height: int) -> Facts:
    if not ROOM.limit:
        formats(Image.preinit)  # sets it
    if source.startswith(jpeg.SIGNATURE) and (facts := _plain_jpeg(source, min_width, min_height)):
        return facts
    if not ROOM.is_shared and (found := still(source)):
        _refuse_small(found.width, found.height, min_width, min_height)
        return Facts(*found, 1, extension_of(source, found.format))
    try:
        return _examined(source, min_width, min_height, room=0)
    except LargerFrameError:
        return _examined(source, min_width, min_height, room=max(ROOM.size, ROOM.most // 4))


def _plain_jpeg(source: bytes, min_width: int, min_height: int) -> Facts | None:
    """The facts of a JPEG like most, decoded without Pillow's reading of its metadata: a sixth of the time of all."""
    if ROOM.is_shared and len(source) > LARGEST_IN_THREADS["JPEG"]:
        return None
    with contextlib.suppress(struct.error):  # it ends within its headers
        if found := jpeg.headers(source):
            _refuse_small(found.width, found.height, min_width, min_height)
            if jpeg.decodes(source, found):
                return Facts("JPEG", found.width, found.height, 1, extension_of(source, "JPEG"))
    return None


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


def _examined(source: bytes, min_width: int, min_height: int, *, room: int) -> Facts:
    shown = b""
    with opened(source, room=room) as image:
        width, height = image.size
        _refuse_small(width, height, min_width, min_height)
        total = 0
        for frames in count(1):
            cost = cost_of(image, source, whole=False)
            if frames == 1:
                room = max(room, cost)
            if cost > room:
                raise LargerFrameError
            total += image.width * image.height
            if total > ROOM.limit * ANIMATION_FACTOR or frames > MAX_FRAMES:
                raise ImageError("too_many_pixels", f"an animation of more than {frames - 1} frames")
            ROOM.refuse_costly(total // ANIMATION_FACTOR)
            if ROOM.on_cost:
                ROOM.on_cost(max(cost, image.width * image.height))
            if image.format == "JPEG":
                # Every bit is still read; what is saved is 63 of 64 pixels of arithmetic and memory.
                image.draft("L", _eighth(width, height))
            _load(image)
            if frames == 1 and image.format == "PNG" and not any(_last_row(image)):
                refuse_missing_rows(source)
            if frames == 1 and image.format == "JPEG" and jpeg.may_lack_data(image):
                shown = image.tobytes()
            try:
                image.seek(image.tell() + 1)
            except EOFError:
                break
        declared = getattr(image, "n_frames", 1)
        if frames < declared:
            raise ImageError("truncated", f"{frames} of {declared} frames")
        facts = Facts(image.format or "", width, height, frames, extension_of(source, image.format or ""))
    # Not within: who has room and waits for more of it may wait for ever.
    if shown and _gray(jpeg.with_more(source), width, height) != shown:
        raise ImageError("truncated", "its data ends before its last rows")
    return facts


def _eighth(width: int, height: int) -> tuple[int, int]:
    return max(width // 8, 1), max(height // 8, 1)


def _last_row(image: Image.Image) -> bytes:
    return image.crop((0, image.height - 1, image.width, image.height)).tobytes()


def _gray(source: bytes, width: int, height: int) -> bytes:
    """The picture of *source*, a JPEG, as it is examined."""
    with opened(source) as image:
        if ROOM.on_cost:
            ROOM.on_cost(width * height)
        image.draft("L", _eighth(width, height))
        return image.tobytes()


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
