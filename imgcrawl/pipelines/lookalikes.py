"""IMAGES_SIMILAR: images that look like one that is stored already."""

from __future__ import annotations

import threading

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.images.lookalikes import Looks, load_library


class Lookalikes:
    """Knows what images look like that were stored, with IMAGES_SIMILAR=refuse, by this crawl and others with the same
    *catalogue*. For worker threads. An image takes some 250 bytes of memory.

    Raises `InputError` where the library is missing.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        load_library("IMAGES_SIMILAR=refuse")
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._last = 0
        self._looks = Looks()
        self._known: dict[str, int] = {}  # checksum → pixels
        self._checksums: list[str] = []  # in the order of the looks

    def catch_up(self) -> None:
        """Read what others have stored. Not in a transaction, of which nothing may be left."""
        with self._lock:
            for number, checksum, look, pixels in self._catalogue.looks(self._last):
                self._add(checksum, look, pixels)
                self._last = number

    def like(self, look: bytes, record: Record) -> str:
        """The file of an image that looks like *look*, has other bytes than *record*, and at least as many pixels;
        empty if there is none."""
        with self._lock:
            found = [self._checksums[place] for place in self._looks.like(look)]
        for checksum in found:
            if checksum != record.checksum and self._known[checksum] >= record.width * record.height:
                for path in self._catalogue.files_of(checksum):  # none where a person has deleted it
                    return path
        return ""

    def note(self, look: bytes, record: Record) -> None:
        """Note that the image of *record*, which is stored, looks like *look*. Call inside a transaction."""
        pixels = record.width * record.height
        self._catalogue.note_look(record.checksum, look, pixels)
        with self._lock:
            self._add(record.checksum, look, pixels)

    def _add(self, checksum: str, look: bytes, pixels: int) -> None:
        if checksum not in self._known:
            self._known[checksum] = pixels
            self._checksums.append(checksum)
            self._looks.add(look)
