"""What the page is answered when it asks an `Index`: some rows, in the form that a file has all of them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from imgcrawl.report.columns import Columns
from imgcrawl.report.index import Index
from imgcrawl.report.records import ImageRecord
from imgcrawl.report.search import Filter

SHOWN: Final = 12  # images of a gallery in a list of galleries
MOST: Final = 200  # rows of one answer


class Answers:
    """*has_file* says of a stored path whether it can be shown."""

    def __init__(self, index: Index, has_file: Callable[[str], bool]) -> None:
        self._index = index
        self._has_file = has_file

    def images(self, asked: Filter, start: int, count: int) -> dict[str, Any]:
        """Up to *count* images, from the *start*th on, and how many there are in all (`found`)."""
        numbers = self._index.find(asked)
        some = numbers[start : start + min(count, MOST)]
        columns = Columns()
        place = 0
        galleries = [self._index.gallery_of(number) for number in some]
        while place < len(some):  # those of one gallery that follow one another
            end = place + 1
            while end < len(some) and galleries[end] == galleries[place]:
                end += 1
            self._add(columns, galleries[place], some[place:end])
            place = end
        return {"found": len(numbers), **columns.as_json()}

    def galleries(self, asked: Filter, start: int, count: int) -> dict[str, Any]:
        """Up to *count* galleries, each with its first images that are asked for; `matching`: how many these are."""
        groups = self._index.find_galleries(asked)
        numbers = self._index.find(replace(asked, sort=""))
        columns, matching = Columns(), []
        for place in range(3 * start, min(3 * (start + min(count, MOST // 4)), len(groups)), 3):
            gallery, first, size = groups[place : place + 3]
            self._add(columns, gallery, numbers[first : first + min(size, SHOWN)])
            matching.append(size)
        return {"found": len(groups) // 3, "matching": matching, **columns.as_json()}

    def failed_pages(self, asked: Filter, start: int, count: int) -> dict[str, Any]:
        """Up to *count* galleries whose page could not be had."""
        numbers = self._index.find_failed_pages(asked)
        columns = Columns()
        for number in numbers[start : start + min(count, MOST)]:
            self._add(columns, number, [])
        return {"found": len(numbers), **columns.as_json()}

    def groups(self, groups: Sequence[Sequence[int]]) -> dict[str, Any]:
        """*groups* of images, each with the largest first, and what there is to tell of them."""
        shown, columns = [], Columns()
        for group in groups[:MOST]:
            records = self._index.records(group)
            ordered = largest_first(records)[:MOST]
            shown.append(ordered)
            for number in ordered:
                self._add(columns, self._index.gallery_of(number), [number])
        return {"groups": shown, "rows": columns.as_json()}

    def _add(self, columns: Columns, gallery: int, numbers: Sequence[int]) -> None:
        known = self._index.gallery_records([gallery])[gallery]
        images = self._index.records(numbers)
        columns.add_gallery(gallery, known, total=self._index.total_of(gallery), shown=len(numbers))
        for number in numbers:
            image = images[number]
            columns.add_image(number, image, has_file=bool(image.path) and self._has_file(image.path))


def largest_first(images: Mapping[int, ImageRecord]) -> list[int]:
    """The numbers of *images*, that with the most pixels first."""
    return sorted(images, key=lambda number: (-images[number].width * images[number].height, -images[number].bytes))
