"""How much may be in decoding at the same time, by all threads of this process."""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image, ImageFile

DEFAULT_PIXEL_LIMIT: Final = 100_000_000
# Pixels of four bytes that threads decode at a time; what takes more is decoded in a process of its own.
IN_THREADS: Final = 24_000_000
ANIMATION_FACTOR: Final = 10  # all frames together: 600 frames of 1280 x 960 still pass the default limit


class CostlyError(Exception):
    """There is room for an image, but not in this process: it is for one that can be ended (`images.process`)."""


class Room:
    """What may be in decoding at the same time in this process, in pixels of four bytes."""

    def __init__(self) -> None:
        self.limit = 0  # for one image; until `set_pixel_limit`
        self.most = 0  # bytes that decoding one may take
        self.size = 0  # for all; what needs more raises `CostlyError`
        self.is_shared = False  # whether there is another process for what is costly
        self.on_cost: Callable[[int], None] | None = None  # called with what each frame costs, before it is decoded
        self._taken = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    def refuse_costly(self, pixels: float = math.inf) -> None:
        """Raise `CostlyError` for what has no room here."""
        if self.is_shared and pixels > self.size:
            raise CostlyError

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        # Who waits keeps the turn: small images that come later cannot starve a large one.
        with self._turn, self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= self.size)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


ROOM = Room()


def set_pixel_limit(pixels: int, here: int | None = None) -> None:
    """Set how many pixels an image may have, and how many of four bytes may be decoded *here*, in the threads of this
    process, at once, while another process has what is costly (None: as many as one image may have, and all is here).

    An animation may have `ANIMATION_FACTOR` times as many in all its frames together. Call it once, before threads
    decode. Raises `ValueError` for less than one pixel.
    """
    if pixels < 1:
        raise ValueError(f"a limit of {pixels!r} pixels; expected at least 1")
    ROOM.limit = pixels
    ROOM.most = 4 * pixels
    ROOM.size = pixels if here is None else min(pixels, here)
    ROOM.is_shared = here is not None
    # Sizes met while decoding (GIF frames, PNG in ICO) are checked by Pillow, at twice this number.
    Image.MAX_IMAGE_PIXELS = (pixels + 1) // 2
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # grey areas in place of an error would be stored as intact
    # Pillow warns at half of what we allow, and of oddities in files that are not ours to mend. The outcome
    # says what is wrong with an image; a warning for each would be noise, and kept for ever by `warnings`.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
