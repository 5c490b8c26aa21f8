"""What can be asked for, and the search for words."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
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
    """What words are sought in: a line for each gallery and one for each of its images, in lower case, all in memory: a
    database takes several times as long."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._texts: list[bytes] = []

    def add(self, gallery: GalleryRecord, first: int) -> str:
        """Add *gallery*, whose first image has the number *first*. Its own line is returned."""
        own = _line(gallery.title, gallery.url, gallery.spider, *gallery.labels)
        lines = [own, *(_line(image.url, image.path, image.name, image.page) for image in gallery.images)]
        self._firsts.append(first)
        self._texts.append("\n".join(lines).encode())
        return own

    def find(self, words: Sequence[str]) -> array[int]:
        """The numbers of the images in whose line, or in whose gallery's, each of *words* stands."""
        sought = [word.encode() for word in words]
        found = array("I")
        for first, text in zip(self._firsts, self._texts, strict=True):
            for word in sought:
                if word not in text:
                    break
            else:
                own, *lines = text.split(b"\n")
                rest = [word for word in sought if word not in own]
                places = range(first, first + len(lines))
                if not rest:
                    found.extend(places)
                elif len(rest) == 1:
                    (word,) = rest
                    found.extend([place for place, line in zip(places, lines, strict=True) if word in line])
                else:
                    matching = (all(word in line for word in rest) for line in lines)
                    found.extend([place for place, matches in zip(places, matching, strict=True) if matches])
        return found


def _line(*texts: str) -> str:
    """*texts* as one line."""
    return "\t".join(texts).replace("\n", " ").lower()
