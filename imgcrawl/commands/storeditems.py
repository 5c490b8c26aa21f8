"""What commands that read the store begin with: the items of feeds, or of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Self

from scrapy.settings import Settings

from imgcrawl.catalogue import open_catalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.feeds.merge import Segments
from imgcrawl.feeds.output import local_path


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
            yield from map(json.loads, self._segments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
