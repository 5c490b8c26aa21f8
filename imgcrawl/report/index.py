"""A report that is too large for one file: a temporary database, made for its questions."""

from __future__ import annotations

import json
import sqlite3
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, compress, pairwise
from typing import Any, Final

from cachetools import LRUCache

from imgcrawl.report.indexing import IndexWriter
from imgcrawl.report.records import GalleryRecord, ImageRecord
from imgcrawl.report.search import SORTS, Filter
from imgcrawl.report.tally import DAY

_CACHE: Final = 256 * 1024  # KiB of the database that are held in memory
_KEPT: Final = 6  # answers whose rows are known, for other pages of them
_AT_ONCE: Final = 500  # rows that are asked for by their numbers


class Index:
    """Galleries and images, numbered in the order in which they come. Its methods are for any thread."""

    def __init__(self, galleries: Iterable[GalleryRecord]) -> None:
        self._lock = threading.RLock()
        self._answers: LRUCache[tuple[str, Filter], Sequence[int]] = LRUCache(_KEPT)
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # SQLite removes it
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE}"):
            self._db.execute(f"PRAGMA {pragma}")
        writer = IndexWriter(self._db)
        writer.write(galleries)
        self.survey, self.images, self.galleries = writer.survey, writer.images, writer.galleries
        self._firsts, self._texts, self._words = writer.firsts, writer.texts, writer.words
        orders = {sort: self._numbers(f"SELECT n FROM images ORDER BY {order}", ()) for sort, order in SORTS.items()}  # noqa: S608 -- our own words
        self._orders: dict[str, Sequence[int]] = {"": range(self.images), **orders}

    def find(self, asked: Filter) -> Sequence[int]:
        """The numbers of the images that meet *asked*, in its order."""
        return self._answer("images", asked, lambda: self._find(asked))

    def find_galleries(self, asked: Filter) -> Sequence[int]:
        """The galleries with such images: of each its number, where its images begin in `find`, and how many they are,
        one behind the other."""
        return self._answer("galleries", asked, lambda: self._grouped(self.find(replace(asked, sort=""))))

    def find_failed_pages(self, asked: Filter) -> Sequence[int]:
        """The numbers of the galleries whose page could not be had, of *asked* as far as it is about galleries."""
        sql, values = self._pages_sql(asked, "n")
        return self._answer("pages", asked, lambda: self._numbers(f"{sql} ORDER BY n", values))

    def reasons(self, asked: Filter) -> list[tuple[str, str, int]]:
        """How many images were refused or failed, by status and reason, and how many pages failed, the most first."""
        asked = replace(asked, status="", reason="", sort="")
        where, values = self._conditions(asked)
        where.append("status IN (?, ?)")
        values += [self._words.get(("status", status), -1) for status in ("refused", "failed")]
        conditions = " AND ".join(where)
        if asked.text.strip():
            shown = self._flags(self._texts.find(asked.text.lower().split()))
            all_lost = self._rows(f"SELECT n, status, reason FROM images WHERE {conditions}", values)  # noqa: S608 -- our own words
            counts = Counter((status, reason) for number, status, reason in all_lost if shown[number])
            rows = [(*key, count) for key, count in counts.items()]
        else:
            sql = f"SELECT status, reason, count(*) FROM images WHERE {conditions} GROUP BY 1, 2"  # noqa: S608 -- our own words
            rows = self._rows(sql, values)
        names = {number: text for (_, text), number in self._words.items()}
        found = [(names[status], names[reason], count) for status, reason, count in rows]
        sql, values = self._pages_sql(asked, "error, count(*)")
        found += [("page", names[error], count) for error, count in self._rows(f"{sql} GROUP BY 1", values)]
        return sorted(found, key=lambda each: (-each[2], each[1]))

    def records(self, numbers: Sequence[int]) -> dict[int, ImageRecord]:
        """The images with these *numbers*."""
        rows = self._rows_of("records", numbers)
        return {number: ImageRecord(*json.loads(record)) for number, record in rows}

    def gallery_records(self, numbers: Sequence[int]) -> dict[int, GalleryRecord]:
        """The galleries with these *numbers*, without their images."""
        return {number: GalleryRecord(*json.loads(record)) for number, record in self._rows_of("galleries", numbers)}

    def gallery_of(self, number: int) -> int:
        """The gallery of the image with this *number*."""
        return bisect_right(self._firsts, number, hi=self.galleries) - 1

    def total_of(self, gallery: int) -> int:
        """How many images a gallery has."""
        return self._firsts[gallery + 1] - self._firsts[gallery]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _find(self, asked: Filter) -> Sequence[int]:
        where, values = self._conditions(asked)
        parts: list[Sequence[int]] = []
        if where:
            sql = f"SELECT n FROM images WHERE {' AND '.join(where)} ORDER BY n"  # noqa: S608 -- our own words
            parts.append(self._numbers(sql, values))
        if words := asked.text.lower().split():
            parts.append(self._texts.find(words))
        if not parts:
            return self._orders[asked.sort]
        found = self._orders[asked.sort] if asked.sort else parts.pop(0)
        for part in parts:
            found = _picked(found, self._flags(part))
        return found

    def _flags(self, numbers: Sequence[int]) -> bytearray:
        flags = bytearray(self.images)
        for number in numbers:
            flags[number] = 1
        return flags

    def _conditions(self, asked: Filter) -> tuple[list[str], list[Any]]:
        """What SQL can say of *asked*: all but its text."""
        where: list[str] = []
        values: list[Any] = []
        for kind in ("spider", "host", "format", "status", "reason"):
            if text := getattr(asked, kind):
                where.append(f"{kind} = ?")
                values.append(self._words.get((kind, text), -1))
        if asked.label:
            where.append("gallery IN (SELECT gallery FROM labels WHERE label = ?)")
            values.append(self._words.get(("label", asked.label), -1))
        first, behind = self._firsts[asked.gallery - 1 : asked.gallery + 1] if asked.gallery else (0, 0)
        bounds = (
            ("n >= ?", first),
            ("n < ?", behind),
            ("side >= ?", asked.side),
            ("bytes >= ?", asked.bytes),
            ("at >= ?", asked.since * DAY),
            ("at < ?", (asked.until + 1) * DAY if asked.until else 0),
        )
        for condition, value in bounds:
            if value:
                where.append(condition)
                values.append(value)
        return where, values

    def _pages_sql(self, asked: Filter, columns: str) -> tuple[str, list[Any]]:
        where = ["error > 0"]
        values: list[Any] = asked.text.lower().split()
        where += ["instr(text, ?)"] * len(values)
        for column, kind, text in (("spider", "spider", asked.spider), ("error", "error", asked.reason)):
            if text:
                where.append(f"{column} = ?")
                values.append(self._words.get((kind, text), -1))
        return f"SELECT {columns} FROM galleries WHERE {' AND '.join(where)}", values  # noqa: S608 -- our own names

    def _grouped(self, numbers: Sequence[int]) -> array[int]:
        found, place = array("I"), 0
        if len(numbers) == self.images:  # all of them, in their order
            for gallery, (first, behind) in enumerate(pairwise(self._firsts)):
                if behind > first:
                    found.extend((gallery, first, behind - first))
            return found
        while place < len(numbers):
            gallery = self.gallery_of(numbers[place])
            end = bisect_left(numbers, self._firsts[gallery + 1], place)
            found.extend((gallery, place, end - place))
            place = end
        return found

    def _answer(self, kind: str, asked: Filter, ask: Callable[[], Sequence[int]]) -> Sequence[int]:
        with self._lock:
            if (known := self._answers.get((kind, asked))) is None:
                known = self._answers[kind, asked] = ask()
        return known

    def _numbers(self, sql: str, values: Sequence[Any]) -> array[int]:
        with self._lock:
            return array("I", chain.from_iterable(self._db.execute(sql, values)))

    def _rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _rows_of(self, table: str, numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
        for start in range(0, len(numbers), _AT_ONCE):
            some = numbers[start : start + _AT_ONCE]
            places = ", ".join("?" * len(some))
            yield from self._rows(f"SELECT n, record FROM {table} WHERE n IN ({places})", list(some))  # noqa: S608 -- our own names


def _picked(numbers: Sequence[int], flags: bytearray) -> array[int]:
    return array("I", compress(numbers, map(flags.__getitem__, numbers)))
