"""What can be asked for, and the search for words."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from os.path import commonprefix
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
    """What words are sought in: a line for each gallery and one for each of its images, in lower case, all in memory: a
    database takes several times as long."""

    def __init__(self) -> None:
        self._places: list[range] = []  # of each gallery the numbers of its images
        self._galleries: list[bytes] = []  # its own line, and what all its images' lines have
        self._images: list[bytes] = []  # the lines of the images of a gallery, as one text

    def add(self, gallery: GalleryRecord, first: int) -> str:
        """Add *gallery*, whose first image has the number *first*. Its own line is returned."""
        own = _line(gallery.title, gallery.url, gallery.spider, *gallery.labels)
        lines = [_line(image.url, image.path, image.name, image.page) for image in gallery.images]
        self._places.append(range(first, first + len(lines)))
        self._galleries.append("\n".join([own, *_alike(lines)]).encode())
        self._images.append("\n".join(lines).encode())
        return own

    def find(self, words: Sequence[str]) -> array[int]:
        """The numbers of the images in whose line, or in whose gallery's, each of *words* stands."""
        sought = [word.encode() for word in words]
        found = array("I")
        for places, own, text in zip(self._places, self._galleries, self._images, strict=True):
            rest = [word for word in sought if word not in own]
            if not rest:
                found.extend(places)
                continue
            for word in rest:
                if word not in text:
                    break
            else:
                lines: Iterable[tuple[int, bytes]] = enumerate(text.split(b"\n"), places.start)
                for word in rest[1:]:
                    lines = [(place, line) for place, line in lines if word in line]
                word = rest[0]
                found.extend([place for place, line in lines if word in line])
        return found


def _alike(lines: Sequence[str]) -> tuple[str, str]:
    """How all *lines* begin, and how the addresses at their starts end: where a word stands in these, it is in each."""
    ends = [line.partition("\t")[0][::-1] for line in lines]
    return commonprefix(lines), commonprefix(ends)[::-1]  # noqa: RUF071 -- characters are meant


def _line(*texts: str) -> str:
    """*texts* as one line."""
    return "\t".join(texts).replace("\n", " ").lower()
