"""What can be asked for, and the search for words."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

from imgcrawl.report.records import GalleryRecord

# What an order is in SQL.
SORTS: Final = {
    "newest": "at DESC, n",
    "oldest": "at, n",
    "bytes": "bytes DESC, n",
    "pixels": "pixels DESC, n",
}


@dataclass(frozen=True)
class Filter:
    """Which images are asked for; what is empty is any.

    *text*: words, all of which stand in the image's address, path or name, or in its gallery's title, address or
    labels. *since* and *until* are days since 1970, both included; *gallery* is its number and one.
    """

    text: str = ""
    spider: str = ""
    host: str = ""
    label: str = ""
    format: str = ""
    status: str = ""
    reason: str = ""
    side: int = 0
    bytes: int = 0
    since: int = 0
    until: int = 0
    gallery: int = 0
    sort: str = ""

    @classmethod
    def of(cls, given: Any) -> Filter:
        """From a mapping of texts. Raises ValueError."""
        values: dict[str, Any] = {
            each.name: (int if each.type == "int" else str)(given[each.name])
            for each in fields(cls)
            if given.get(each.name)
        }
        found = cls(**values)
        numbers = (found.side, found.bytes, found.since, found.until, found.gallery)
        if found.sort not in {"", *SORTS} or not all(0 <= number < 1 << 50 for number in numbers):
            raise ValueError("no such filter")
        return found


class Texts:
    """What words are sought in: a line for each gallery and one for each image, in lower case, all in memory: a
    database takes several times as long."""

    def __init__(self) -> None:
        self._firsts: list[int] = []  # of each gallery the number of its first image
        self._galleries: list[bytes] = []
        self._images: list[bytes] = []

    def add(self, gallery: GalleryRecord) -> str:
        """Add *gallery* and its images. Its own line is returned."""
        own = _line(gallery.title, gallery.url, gallery.spider, *gallery.labels)
        self._firsts.append(len(self._images))
        self._galleries.append(own.encode())
        self._images += [_line(image.url, image.path, image.name, image.page).encode() for image in gallery.images]
        return own

    def find(self, words: Iterable[str]) -> array[int]:
        """The numbers of the images in whose line, or in whose gallery's, each of *words* stands."""
        lines = self._images
        numbers: Iterable[int] = range(len(lines))
        for word in sorted((word.encode() for word in words), key=len, reverse=True):  # which leaves least comes first
            of_gallery = self._of_galleries(word)
            numbers = [number for number in numbers if of_gallery[number] or word in lines[number]]
        return array("I", numbers)

    def _of_galleries(self, word: bytes) -> bytearray:
        """For each image whether *word* stands in the line of its gallery."""
        found = bytearray(len(self._images))
        for number, line in enumerate(self._galleries):
            if word in line:
                first, *behind = self._firsts[number : number + 2]
                end = behind[0] if behind else len(found)
                found[first:end] = b"\1" * (end - first)
        return found


def _line(*texts: str) -> str:
    """*texts* as one line."""
    return "\t".join(texts).replace("\n", " ").lower()
