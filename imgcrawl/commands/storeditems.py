"""What commands that read the store begin with: the items of feeds, or of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from scrapy.settings import Settings

from imgcrawl.catalogue import open_catalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.commands.failed import is_readable
from imgcrawl.exceptions import InputError
from imgcrawl.items import is_row, outcomes_of

if TYPE_CHECKING:
    from imgcrawl.feeds.merge import Segments


class StoredItems:
    """The items of *feeds*, each gallery once, or, where there are none, those of the catalogue of *settings*. Iterates
    over them as often as it is asked to.

    *columns* are their fields, *count* how many there are, *told* what could not be read. Raises `InputError`.
    """

    def __init__(self, feeds: Sequence[str], settings: Settings) -> None:
        self._stack = ExitStack()
        self.columns: dict[str, None] = {}
        self.count = 0
        self.told: list[str] = []
        self.is_broken = False
        self._segments: Segments | None = None
        if feeds:
            from imgcrawl.feeds.merge import Segments  # noqa: PLC0415 -- Scrapy loads all that is beside commands
            from imgcrawl.feeds.output import local_path  # noqa: PLC0415 -- the same

            self._segments = self._stack.enter_context(Segments([local_path(feed) for feed in feeds]))
            report = self._segments.report
            self.columns, self.count = self._segments.columns, report.galleries
            self.told, self.is_broken = [*report.torn, *report.broken], bool(report.broken)
            return
        self._catalogue = open_catalogue(settings, must_exist=True)
        self._stack.callback(self._catalogue.close)
        for item in self:
            self.columns.update(dict.fromkeys(item))
            self.count += 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._segments is None:
            yield from items(self._catalogue)
        else:
            for item in map(json.loads, self._segments):
                if is_row(item) or not is_readable(item) or not all(map(_is_exportable, outcomes_of(item))):
                    raise InputError(
                        f"an item of the feeds is none that a crawl writes: {json.dumps(item)[:60]}; expected "
                        "feeds of galleries with their images"
                    )
                yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _is_exportable(outcome: dict[str, Any]) -> bool:
    """Whether what is read of an image, besides what every command reads, is of the kinds that a crawl writes."""
    numbers = (outcome.get(name) for name in ("bytes", "width", "height"))
    return (
        all(number is None or isinstance(number, int) for number in numbers)
        and isinstance(outcome.get("facts") or {}, dict)
        and isinstance(outcome.get("path") or "", str)
    )
