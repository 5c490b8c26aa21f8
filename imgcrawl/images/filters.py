"""Which images are wanted, by facts that their first bytes tell."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from importlib import import_module
from math import inf
from typing import Final

from imgcrawl.exceptions import ImageError

_SIGNATURES: Final = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("WEBP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
)
FORMATS: Final = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "JPEG2000")  # that sites show
_SAME_SIGNATURE: Final = {"MPO": "JPEG"}  # a JPEG with more JPEGs behind it
_MOST: Final = 16_383  # what a WebP can have; larger numbers have other bits in them


@dataclass(frozen=True, slots=True)
class ImageFilters:
    """The images that are wanted. 0 and empty: any. *aspect* is width by height; sizes are those of the header, before
    any rotation. Every `check_…` raises `ImageError` ("too_small", "too_large",
    "too_many_pixels", "aspect", "format")."""

    min_width: int = 0
    min_height: int = 0
    max_width: int = 0
    max_height: int = 0
    min_pixels: int = 0
    max_pixels: int = 0
    min_bytes: int = 0
    min_aspect: float = 0.0
    max_aspect: float = 0.0
    formats: frozenset[str] = frozenset()

    @property
    def look_within(self) -> bool:
        """Whether anything but the number of bytes is judged."""
        return self != ImageFilters(min_bytes=self.min_bytes)

    def check_bytes(self, count: int) -> None:
        """Judge the *count* of bytes of a whole body."""
        if count < self.min_bytes:
            raise ImageError("too_small", f"{count} bytes, wanted {self.min_bytes}")

    def check(self, format_: str, width: int, height: int) -> None:
        """Judge the facts of an image; a width of 0 is not known."""
        if self.formats and not {format_, _SAME_SIGNATURE.get(format_, format_)} & self.formats:
            raise ImageError("format", f"{format_}, wanted {', '.join(sorted(self.formats))}")
        if width:
            self._check_size(width, height)

    def check_start(self, start: bytes) -> bool:
        """Judge the *start* of a body, whose rest is still to come. Whether no more of it need be
        looked at."""
        found = next((name for name, signature in _SIGNATURES if signature.match(start)), "")
        if not found:  # any other is judged when all of it is there
            return True
        if self.formats and not any(_SAME_SIGNATURE.get(name, name) == found for name in self.formats):
            raise ImageError("format", f"{found}, wanted {', '.join(sorted(self.formats))}")
        width, height = import_module("imagesize").get(io.BytesIO(start), exif_rotation=False)
        if width < 1 or height < 1 or (found == "WEBP" and max(width, height) > _MOST):
            return False
        self._check_size(width, height)
        return True

    def _check_size(self, width: int, height: int) -> None:
        size = f"{width} x {height}"
        if width < self.min_width or height < self.min_height:
            raise ImageError("too_small", f"{size}, wanted {self.min_width} x {self.min_height}")
        if width * height < self.min_pixels:
            raise ImageError("too_small", f"{size}, wanted {self.min_pixels} pixels")
        if width > (self.max_width or inf) or height > (self.max_height or inf):
            raise ImageError(
                "too_large", f"{size}, wanted at most {self.max_width or 'any'} x {self.max_height or 'any'}"
            )
        if width * height > (self.max_pixels or inf):
            raise ImageError("too_many_pixels", f"{size}, wanted at most {self.max_pixels} pixels")
        if not self.min_aspect <= width / height <= (self.max_aspect or inf):
            raise ImageError("aspect", f"{size} is {width / height:.3f}")
