"""Writes the database of an `Index`."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final

from imgcrawl.report.records import GalleryRecord
from imgcrawl.report.search import Texts
from imgcrawl.report.survey import Survey

_BATCH: Final = 2_000  # rows that are written together
_SCHEMA: Final = (
    "CREATE TABLE galleries (n INTEGER PRIMARY KEY, spider INTEGER, error INTEGER, at INTEGER, text TEXT, record TEXT)",
    "CREATE TABLE labels (label INTEGER, gallery INTEGER, PRIMARY KEY (label, gallery)) WITHOUT ROWID",
    "CREATE TABLE images (n INTEGER PRIMARY KEY, gallery INTEGER, spider INTEGER, host INTEGER, status INTEGER,"
    " reason INTEGER, format INTEGER, side INTEGER, pixels INTEGER, bytes INTEGER, at INTEGER)",
    "CREATE TABLE records (n INTEGER PRIMARY KEY, record TEXT)",
)
_TABLES: Final = (("galleries", 6), ("labels", 2), ("images", 11), ("records", 2))
_INDEX_OF_PAGES: Final = "CREATE INDEX failed_pages ON galleries (n) WHERE error > 0"


class IndexWriter:
    """Numbers galleries and images as they come, and writes them to *db*, an empty database. *firsts*: of each gallery
    the number of its first image, and at its end how many there are; *words*: the numbers of kinds and texts."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._rows: dict[str, list[Sequence[Any]]] = {name: [] for name, _ in _TABLES}
        self.survey = Survey()
        self.texts = Texts()
        self.firsts = array("I")
        self.words: dict[tuple[str, str], int] = {("error", ""): 0}
        self.images = self.galleries = 0

    def write(self, galleries: Iterable[GalleryRecord]) -> None:
        for statement in _SCHEMA:
            self._db.execute(statement)
        self._db.execute("BEGIN")
        for gallery in galleries:
            self._add(gallery)
            if len(self._rows["images"]) >= _BATCH or len(self._rows["galleries"]) >= _BATCH:
                self._flush()
        self._flush()
        self._db.execute(_INDEX_OF_PAGES)
        self._db.execute("COMMIT")
        self.firsts.append(self.images)

    def _flush(self) -> None:
        for name, columns in _TABLES:
            places = ", ".join("?" * columns)
            self._db.executemany(f"INSERT OR IGNORE INTO {name} VALUES ({places})", self._rows[name])  # noqa: S608 -- our own names
            self._rows[name].clear()

    def _add(self, gallery: GalleryRecord) -> None:
        rows = self._rows
        number, spider = self.galleries, self._word("spider", gallery.spider)
        text = self.texts.add(gallery, self.images)
        record = json.dumps([*gallery[:-1], []])
        self.survey.add(gallery)
        self.galleries += 1
        self.firsts.append(self.images)
        rows["galleries"].append((number, spider, self._word("error", gallery.error), gallery.at, text, record))
        rows["labels"] += [(self._word("label", label), number) for label in gallery.labels]
        for image in gallery.images:
            words = [self._word(kind, getattr(image, kind)) for kind in ("host", "status", "reason", "format")]
            sizes = (min(image.width, image.height), image.width * image.height, image.bytes, image.at)
            rows["images"].append((self.images, number, spider, *words, *sizes))
            rows["records"].append((self.images, json.dumps(image)))
            self.images += 1

    def _word(self, kind: str, text: str) -> int:
        return self.words.setdefault((kind, text), len(self.words))
