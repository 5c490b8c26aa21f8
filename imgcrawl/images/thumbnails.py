"""A small copy of an image, made from the original's bytes: bytes in, bytes out."""

from __future__ import annotations

import io
import math
from typing import Any, Final

from PIL import ExifTags, Image, ImageCms, ImageFile, ImageMath, ImageOps

from imgcrawl.images.opening import opened
from imgcrawl.images.room import ROOM

QUALITY: Final = 90  # of JPEG; with full colour resolution, which small images need
_COPIES: Final = 3  # of an image that there are while its thumbnail is made
_TURNED: Final = range(5, 9)  # EXIF orientations that exchange width and height
_SPACES: Final = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}  # ICC.1:2022, 7.2.8


def thumbnail(source: bytes, size: tuple[int, int]) -> tuple[bytes, str]:
    """Return the first frame of the image in *source*, within *size* pixels (width, height), and its extension.

    Upright, in its own proportions, never larger than the original; a PNG (".png") where something of it is
    transparent, a JPEG (".jpg") otherwise. Raises `ImageError` with the reasons of `verify.examine`, and
    `CostlyError`.
    """
    small, profile = small_copy(source, size)
    result = io.BytesIO()
    if small.mode in {"RGBA", "LA"}:
        small.save(result, "PNG", icc_profile=profile, optimize=True)
        return result.getvalue(), ".png"
    small.save(result, "JPEG", icc_profile=profile, quality=QUALITY, subsampling=0, optimize=True)
    return result.getvalue(), ".jpg"


def small_copy(source: bytes, size: tuple[int, int]) -> tuple[Image.Image, bytes | None]:
    """As `thumbnail`, before it is a file: L, LA, RGB or RGBA, and its colour profile. Raises the same."""
    with opened(source) as image:
        box = max(size) * 2  # of a JPEG, enough to make the small one from
        ROOM.refuse_costly(
            _COPIES * (image.width * image.height if image.format != "JPEG" else min(box * 2, 65535) ** 2)
        )
        image.draft(None, (box, box))
        image.load()
        profile = image.info.get("icc_profile")
        turn = _orientation(image)
        small = _displayable(_less(image, box), profile)
        small.info.clear()
        small.thumbnail(size[::-1] if turn in _TURNED else size, Image.Resampling.LANCZOS)
        small.getexif()[ExifTags.Base.Orientation] = turn
        small = ImageOps.exif_transpose(small)
        if small.mode in {"RGBA", "LA"} and small.getchannel("A").getextrema() == (255, 255):
            small = small.convert(small.mode.removesuffix("A"))
        if not profile or profile[16:20] != _SPACES[small.mode]:
            profile = None
        return small, profile


def _less(image: Image.Image, box: int) -> Image.Image:
    """*image*, or, where there is no room for its copies, a smaller one from which the small one can be made."""
    no_room = _COPIES * 4 * image.width * image.height > ROOM.most
    factor = min(image.size) // box
    if no_room and factor > 1 and image.mode in {"L", "RGB", "CMYK"} and "transparency" not in image.info:
        return image.reduce(factor)
    return image


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata raises anything, and takes nothing from the picture
        return 1
    return value if value in range(1, 9) else 1


def _displayable(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a copy of *image* in 8 bits: L, LA, RGB or RGBA."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _in_8_bits(image)
    if image.mode == "CMYK" and profile:
        return _from_cmyk(image, profile)
    mode = "RGB"
    if image.mode in {"LA", "La"}:
        mode = "LA"
    elif image.has_transparency_data:
        mode = "RGBA"
    elif image.mode in {"1", "L"}:
        mode = "L"
    return image.convert(mode)


def _from_cmyk(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        colours = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, colours, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # not a profile, or not one of CMYK
        return image.convert("RGB")
    return converted or image.convert("RGB")


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Return *image*, of mode I, I;16 or F, as L, or as LA if a value is transparent.

    16 bits become 8; where the range is not known it is that of the image.
    """
    high_bits = image.mode.startswith("I;16")
    if image.mode != "F":
        image = image.convert("I")
    extrema: Any = image.getextrema()
    low, high = extrema
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0, 1
    elif image.mode == "I" and low >= 0 and high <= 65535:
        low, high = 0, 65535 if high_bits or high > 255 else 255
    scale = 255 / ((high - low) or 1)
    offset = -low * scale
    grey = image.point(lambda value: value * scale + offset).convert("L")
    transparent = image.info.get("transparency")
    if image.mode == "F" or not isinstance(transparent, int):
        return grey
    opaque = ImageMath.lambda_eval(
        lambda bands: bands["convert"]((bands["image"] != transparent) * 255, "L"), image=image
    )
    return Image.merge("LA", (grey, opaque))
