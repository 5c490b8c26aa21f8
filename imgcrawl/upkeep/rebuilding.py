"""A catalogue made again from the stored files, and from what feeds say of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from itemadapter import ItemAdapter
from scrapy.utils.request import RequestFingerprinterProtocol

from imgcrawl.catalogue import Catalogue, GalleryVisit, Record
from imgcrawl.exceptions import ImageError
from imgcrawl.images.names import file_names, strip_extension
from imgcrawl.images.process import DecoderProcess
from imgcrawl.items import STORED, seconds_of
from imgcrawl.pipelines.media_requests import MediaRequests
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.pipelines.visits import known_requests, visit_of
from imgcrawl.upkeep.naming import Naming

BATCH = 100  # files that are read between two notes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, inode INTEGER, checksum TEXT)
WITHOUT ROWID;
CREATE TEMPORARY TABLE there (path TEXT PRIMARY KEY, named INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TEMPORARY TABLE lost (key BLOB PRIMARY KEY, told TEXT) WITHOUT ROWID;
"""


class StoredFile(NamedTuple):
    """A file of the store, as it was read."""

    path: str
    bytes: int
    mtime_ns: int
    inode: int
    checksum: str


class StoredFiles:
    """All files of *store*, read in *threads*, and kept in *notes*: what has not changed since is not read again."""

    def __init__(self, store: FileStore, notes: sqlite3.Connection, threads: int) -> None:
        self.store = store
        self.notes = notes
        self.threads = threads
        self.count = 0
        notes.executescript(_SCHEMA)

    def read(self) -> Iterator[None]:
        """Read them; gives a turn to whoever shows progress."""
        names = self.store.files()
        with ThreadPoolExecutor(self.threads) as pool:
            while batch := list(islice(names, BATCH)):
                found = [file for file in pool.map(self._read, [(name, self._noted(name)) for name in batch]) if file]
                self.notes.execute("BEGIN")
                self.notes.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", found)
                self.notes.executemany("INSERT INTO there (path) VALUES (?)", [(file.path,) for file in found])
                self.notes.execute("COMMIT")
                self.count += len(found)
                yield

    def _read(self, file: tuple[str, StoredFile | None]) -> StoredFile | None:
        name, noted = file
        found = self.store.stat(name)
        if noted and found == noted[1:4]:
            return noted
        checksum = self.store.checksum(name)
        return StoredFile(name, *found, checksum) if found and checksum else None

    def _noted(self, path: str) -> StoredFile | None:
        row = self.notes.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        return StoredFile(*row) if row else None

    def find(self, path: str) -> StoredFile | None:
        """The file *path*, if it was there; it is named then."""
        found = self.notes.execute("UPDATE there SET named = 1 WHERE path = ? RETURNING path", (path,)).fetchall()
        return self._noted(path) if found else None

    def unnamed(self) -> Iterator[str]:
        """The files that nobody has looked for."""
        for (path,) in self.notes.execute("SELECT path FROM there WHERE NOT named ORDER BY path"):
            yield path


class Rebuild:
    """Notes in *catalogue*, which is empty at first, what the items of feeds say, the oldest first, as far as the files
    are what these say. *naming_of* gives what a spider calls its files, whose items have some fields; *decoder* reads
    the headers of files about which feeds say nothing.

    What a feed says is stored, and is not there, or has other bytes, is a failure: `lost`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        files: StoredFiles,
        naming_of: Callable[[str, Collection[str]], Naming],
        fingerprinter: RequestFingerprinterProtocol,
        decoder: DecoderProcess,
    ) -> None:
        self.catalogue = catalogue
        self.files = files
        self.naming_of = naming_of
        self._namings: dict[str, Naming] = {}
        self.fingerprinter = fingerprinter
        self.decoder = decoder

    def add(self, item: Mapping[str, Any]) -> None:
        """Note *item*, of a feed."""
        spider = str(item.get("spider") or "")
        naming = self._namings.get(spider)
        if naming is None:
            naming = self._namings[spider] = self.naming_of(spider, item.keys())
        for media in naming.media:
            urls, images = media.split()
            if (requests := naming.requests_for(media)) and images in item:
                self._add(dict(item), naming, requests, (urls, images))

    def _add(self, item: dict[str, Any], naming: Naming, requests: MediaRequests, fields: tuple[str, str]) -> None:
        adapter = ItemAdapter(item)
        urls, images = item.get(fields[0]) or [], [dict(image) for image in item.get(fields[1]) or ()]
        prepared = requests.prepared(adapter, urls, naming.spider)
        asked: list[tuple[bytes, str]] = []
        for _ in known_requests(requests.of(adapter, urls, prepared, naming.spider), asked, self.fingerprinter):
            pass
        with self.catalogue.transaction():
            for (key, _), wanted, image in zip(asked, prepared.paths, images, strict=True):
                self._add_image(key, strip_extension(wanted), image)
        visit = visit_of(adapter, asked, images, fields, naming.spider)  # type: ignore[arg-type] # as they were read
        self.catalogue.note([_at(visit, seconds_of(item.get("scraped_at")))])

    def _add_image(self, key: bytes, wanted: str, image: dict[str, Any]) -> None:
        """Note the file of *image*; one that is not as it should be is a failure."""
        path, lost, before = image.get("path"), self.files.notes, self.catalogue.find(key)
        if image.get("reason") == "deleted":
            lost.execute("DELETE FROM lost WHERE key = ?", (key,))
            known = before or _record(key, "", image, None)
            self.catalogue.put(replace(known, wanted=known.path or wanted, path="", mtime_ns=0, inode=0))
        if not path:
            return
        file = self.files.find(path)
        if file is None or file.checksum != image.get("checksum", file.checksum):
            if image["status"] in STORED:
                image |= {"status": "failed", "reason": "lost", "requested_path": wanted}
            told = f"{'differs' if file else 'missing'}  {path}  {image['url']}"
            lost.execute("INSERT OR REPLACE INTO lost VALUES (?, ?)", (key, told))
            return
        lost.execute("DELETE FROM lost WHERE key = ?", (key,))
        if not image.get("format"):
            with suppress(ImageError, OSError):
                facts = self.decoder.facts_of_header(self.files.store.root / file.path)
                image |= {name: getattr(facts, name) for name in ("format", "width", "height", "frames", "verified")}
        record = _record(key, wanted, image, file)
        if before and (before.path, before.checksum) == (record.path, record.checksum) and not _names_its_file(record):
            record = replace(record, wanted=before.wanted)  # another gallery's name for it
        self.catalogue.put(record)

    def lost(self) -> Iterator[str]:
        """What feeds say is stored last, and is not there or not the same: a line each."""
        for (told,) in self.files.notes.execute("SELECT told FROM lost ORDER BY told"):
            yield told


def _names_its_file(record: Record) -> bool:
    extension = PurePosixPath(record.path).suffix
    names = (file_names(record.wanted, extension, record.checksum, with_checksum=each) for each in (False, True))
    return any(record.path in each for each in names)


def _record(key: bytes, wanted: str, image: Mapping[str, Any], file: StoredFile | None) -> Record:
    fetched_at = image.get("fetched_at") or ""
    checked_at = seconds_of(fetched_at) or (file.mtime_ns / 1e9 if file else 0.0)
    return Record(
        key=key,
        wanted=wanted,
        path=file.path if file else "",
        checksum=file.checksum if file else image.get("checksum", ""),
        bytes=file.bytes if file else 0,
        format=image.get("format", ""),
        width=image.get("width", 0),
        height=image.get("height", 0),
        frames=image.get("frames", 0),
        final_url=image.get("final_url", ""),
        etag=image.get("etag", ""),
        last_modified=image.get("last_modified", ""),
        fetched_at=fetched_at,
        checked_at=checked_at,
        warnings=" ".join(image.get("warnings", ())),
        verified=image.get("verified", ""),
        mtime_ns=file.mtime_ns if file else 0,
        inode=file.inode if file else 0,
    )


def _at(visit: GalleryVisit, at: float) -> GalleryVisit:
    """*visit*, noted at the Unix time *at*."""
    outcomes: Sequence[Any] = [replace(outcome, first_seen=at, last_seen=at) for outcome in visit.outcomes]
    return replace(visit, outcomes=outcomes, seen_at=at)
