"""How many pixels may be in decoding at the same time, by all threads of this process."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageFile

from imgcrawl.exceptions import InputError

DEFAULT_PIXEL_LIMIT: Final = 100_000_000
ANIMATION_FACTOR: Final = 10  # all frames together: 600 frames of 1280 x 960 still pass the default limit
CANVAS_FACTOR: Final = 4  # an animation is composed in memory from about so many copies of its canvas


class Room:
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


ROOM = Room()


def set_pixel_limit(pixels: int) -> None:
    """Set how many pixels an image may have, and how many all threads of this process may decode at once.

    An animation may have `ANIMATION_FACTOR` times as many in all its frames together, each of them
    1/`CANVAS_FACTOR` of it. Call it once, before threads decode. Raises `InputError` for less than one pixel.
    """
    if pixels < 1:
        raise InputError(f"IMAGES_MAX_PIXELS is {pixels!r}: expected a number of pixels, at least 1.")
    ROOM.limit = pixels
    # Sizes met while decoding (GIF frames, PNG in ICO) are checked by Pillow, at twice this number.
    Image.MAX_IMAGE_PIXELS = (pixels + 1) // 2
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # grey areas in place of an error would be stored as intact
    # Pillow warns at half of what we allow, and of oddities in files that are not ours to mend. The outcome
    # says what is wrong with an image; a warning for each would be noise, and kept for ever by `warnings`.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
