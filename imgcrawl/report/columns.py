"""The one form in which a page gets galleries and images: columns, as JSON.

`words` has each text of few values once; columns hold their places. Addresses and paths are in two lists: how many
characters of the one before they begin with, and the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from imgcrawl.report.records import GalleryRecord, ImageRecord

_WORDS: Final = ("spider", "error", "status", "reason", "format", "label")
_OF_GALLERIES: Final = ("n", "spider", "error", "at", "total", "shown", "title", "labels")
_OF_IMAGES: Final = ("n", "status", "reason", "format", "width", "height", "bytes", "at", "name", "page", "file")


class Columns:
    """Collects galleries, each with some of its images. *thumbs* are names of their small copies in the store."""

    def __init__(self) -> None:
        self._words: dict[str, dict[str, int]] = {name: {} for name in _WORDS}
        self._galleries: dict[str, list[Any]] = {name: [] for name in _OF_GALLERIES}
        self._images: dict[str, list[Any]] = {name: [] for name in _OF_IMAGES}
        self._long = {name: _Prefixed() for name in ("gallery_url", "url", "path", "thumb")}
        self.count = 0

    def add_gallery(self, number: int, gallery: GalleryRecord, *, total: int, shown: int) -> None:
        """A gallery of *total* images, the next *shown* of which are added."""
        values = {
            "n": number,
            "spider": self._word("spider", gallery.spider),
            "error": self._word("error", gallery.error),
            "at": gallery.at,
            "total": total,
            "shown": shown,
            "title": gallery.title,
            "labels": [self._word("label", label) for label in gallery.labels],
        }
        for name, value in values.items():
            self._galleries[name].append(value)
        self._long["gallery_url"].add(gallery.url)

    def add_image(self, number: int, image: ImageRecord, *, has_file: bool, thumb: str = "") -> None:
        """*has_file*: it can be opened where the page says that files are; *thumb*: a small copy, too."""
        values = {
            "n": number,
            "status": self._word("status", image.status),
            "reason": self._word("reason", image.reason),
            "format": self._word("format", image.format),
            "width": image.width,
            "height": image.height,
            "bytes": image.bytes,
            "at": image.at,
            "name": image.name,
            "page": image.page,
            "file": int(has_file),
        }
        for name, value in values.items():
            self._images[name].append(value)
        for name, text in (("url", image.url), ("path", image.path), ("thumb", thumb)):
            self._long[name].add(text)
        self.count += 1

    def as_json(self) -> dict[str, Any]:
        long = {name: column.as_json() for name, column in self._long.items()}
        return {
            "words": {name: list(words) for name, words in self._words.items()},
            "galleries": {**self._galleries, "url": long.pop("gallery_url")},
            "images": {**{name: _sparse(column) for name, column in self._images.items()}, **long},
            "count": self.count,
        }

    def _word(self, kind: str, text: str) -> int:
        words = self._words[kind]
        return words.setdefault(text, len(words))


class _Prefixed:
    """Texts, of which neighbours begin alike."""

    def __init__(self) -> None:
        self._before = ""
        self._same: list[int] = []
        self._rests: list[str] = []

    def add(self, text: str) -> None:
        # JavaScript counts in units of UTF-16: only what is ASCII is counted alike.
        same = _alike(self._before, text) if text.isascii() and self._before.isascii() else 0
        self._same.append(same)
        self._rests.append(text[same:])
        self._before = text

    def as_json(self) -> list[list[Any]]:
        return [self._same, self._rests] if any(self._rests) else []


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _sparse(column: list[Any]) -> list[Any]:
    """*column*, or nothing where nothing is in it."""
    return column if any(column) else []


def as_script(value: Any) -> str:
    """*value* as JSON that may stand within a <script> of any type: nothing in it ends the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def facets(counts: dict[str, dict[str, int]], most: int = 500) -> dict[str, Sequence[tuple[str, int]]]:
    """For each kind the most frequent values, with their numbers."""

    def best(found: dict[str, int]) -> Iterable[tuple[str, int]]:
        return sorted(((name, count) for name, count in found.items() if name), key=lambda each: (-each[1], each[0]))

    return {kind: list(best(found))[:most] for kind, found in counts.items()}
