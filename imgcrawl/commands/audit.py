"""`scrapy audit`: is every stored file what the catalogue says?"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from imgcrawl.catalogue import Catalogue, Record, open_catalogue
from imgcrawl.catalogue.opening import catalogue_file, local_store
from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.images.process import NotStartedError
from imgcrawl.ownfiles import check_database
from imgcrawl.pipelines.loststores import LostStoreError
from imgcrawl.pipelines.objects import StoredObjects
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.upkeep.decoding import StoredImages

NOTES = ".audit.sqlite3"  # how far it is, beside the images: what was read is not read again by the next start
MAX_AGE = 24 * 3600  # seconds since the last note: what was read before says little of today
BATCH = 200  # files between two notes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS judged (path TEXT PRIMARY KEY, found TEXT, decoded INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (after BLOB, decoding INTEGER);
"""
# Of two addresses with one file, the one that says more of it counts.
_NOTE = (
    "INSERT INTO judged VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE SET found = excluded.found,"
    " decoded = max(decoded, excluded.decoded)"
)


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: every file is what the catalogue says, and there are no others; 1: some are not, each told; 2: bad
    input."""

    def syntax(self) -> str:
        return "[--retry] [--verify decode] [--json]"

    def short_desc(self) -> str:
        return "Read every stored file, and compare it with the catalogue"

    def long_desc(self) -> str:
        return (
            "Reads all files of IMAGES_STORE, a folder or s3://, in IMAGES_THREADS threads, and tells what is "
            "missing, damaged (shorter or longer than it was), changed (other bytes) and unknown (in no record). "
            "One that was ended goes on where it was, within a day. It says how many images were never decoded "
            "(IMAGES_VERIFY); --verify decode decodes these, notes what that tells, and tells which cannot be "
            "(undecodable). With --retry, `scrapy failures` lists what is missing, damaged or changed (lost), and "
            "`scrapy retry` fetches it again. Example: scrapy audit --retry"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--retry", action="store_true", help="have what is not as it was fetched by `scrapy retry`")
        parser.add_argument("--verify", choices=["decode"], help="decode what a crawl has not decoded (IMAGES_VERIFY)")
        parser.add_argument("--json", action="store_true", help="a JSON object a line")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        settings = self.project_settings
        if args:
            raise InputError(f"scrapy audit {' '.join(args)}: expected no arguments")
        store = _store(settings)
        if opts.verify and not isinstance(store, FileStore):
            raise InputError(f"IMAGES_STORE={settings['IMAGES_STORE']}: --verify decode reads folders only")
        root = store.root if isinstance(store, FileStore) else catalogue_file(settings).parent
        catalogue = open_catalogue(settings, must_exist=True)
        try:
            check_database(root / NOTES, "the notes of an audit; remove it")
            if (root / NOTES).exists() and time.time() - (root / NOTES).stat().st_mtime > MAX_AGE:
                _remove_notes(root)
            with closing(sqlite3.connect(root / NOTES, isolation_level=None)) as notes:
                images = StoredImages(store, settings) if isinstance(store, FileStore) and opts.verify else None
                with closing(images) if images else nullcontext():
                    audit = Audit(catalogue, store, notes, settings.getint("IMAGES_THREADS", 4), images)
                    counts = self._tell(audit, opts)
            _remove_notes(root)
        except (BrokenPipeError, LostStoreError):  # of stdout; of what is read
            raise
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"{root / NOTES}: {error}; expected a folder that can be written to") from error
        finally:
            catalogue.close()
        intact = counts.pop("intact", 0)
        told = ", ".join(f"{kind}: {count:,}" for kind, count in sorted(counts.items()))
        complain(f"{intact:,} files are as they were" + (f"; {told}" if told else ""))
        return ExitCode.FAILED if counts else ExitCode.DONE

    def _tell(self, audit: Audit, opts: argparse.Namespace) -> Counter[str]:
        with CommandProgress(lambda: f"{audit.done:,} files read"):
            for _ in audit.read():
                pass
        if audit.never_decoded:
            complain(
                f"{audit.never_decoded:,} images were never decoded"
                + (", for they cannot be decoded here" if opts.verify else ": scrapy audit --verify decode does it")
            )
        counts: Counter[str] = Counter()
        for path, found in audit.results():
            counts[found] += 1
            if found != "intact":
                say(json.dumps({"found": found, "path": path}) if opts.json else f"{found}  {path}")
        with CommandProgress(lambda: "addresses of what is not as it was are noted"):
            unknown = audit.send_to_retry() if opts.retry else 0
        if unknown:
            complain(
                f"{unknown:,} addresses of these files are in no gallery that the catalogue knows: scrapy retry does"
                " not fetch them, a crawl of their pages does"
            )
        return counts


def _store(settings: Settings) -> FileStore | StoredObjects:
    root = local_store(settings)
    if root is not None:
        return FileStore(str(root))
    uri = str(settings["IMAGES_STORE"])
    if not uri.startswith("s3://"):
        raise InputError(f"IMAGES_STORE={uri}: scrapy audit reads folders and s3://")
    return StoredObjects(uri, settings)


def _remove_notes(root: Path) -> None:
    for suffix in ("", "-journal"):
        (root / f"{NOTES}{suffix}").unlink(missing_ok=True)


class Audit:
    """Compares the files of *store* with the *catalogue*, in *threads*, and keeps in *notes* how far it is. With
    *images*, those that were never decoded are decoded."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: FileStore | StoredObjects,
        notes: sqlite3.Connection,
        threads: int,
        images: StoredImages | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.store = store
        self.notes = notes
        self.threads = threads
        self.images = images
        notes.executescript(_SCHEMA)
        if notes.execute("SELECT 1 FROM reached WHERE decoding <> ?", (images is not None,)).fetchone():
            notes.executescript("DELETE FROM judged; DELETE FROM reached")
        self.done = self._count("judged")

    @property
    def never_decoded(self) -> int:
        """How many files were, as far as has been read."""
        return self._count("judged WHERE NOT decoded AND found = 'intact'")

    def _count(self, of: str) -> int:
        return int(self.notes.execute(f"SELECT count(*) FROM {of}").fetchone()[0])  # noqa: S608 -- our own names

    def read(self) -> Iterator[None]:
        """Read all files that are recorded, then look for others; gives a turn to whoever wants to end it."""
        reached = self.notes.execute("SELECT after FROM reached").fetchone()
        records = self.catalogue.records(reached[0] if reached else b"")
        with ThreadPoolExecutor(self.threads) as pool:
            while batch := list(islice(records, BATCH)):
                judged = list(pool.map(self._judge, [record for record in batch if record.path]))
                self._note(judged, batch[-1].key)
                yield
        for path in self.store.files():
            if not self.notes.execute("SELECT 1 FROM judged WHERE path = ?", (path,)).fetchone():
                # One that another crawl has stored meanwhile may be recorded before the place where this has gone on.
                checksum = self.store.checksum(path)
                found = "intact" if checksum and self.catalogue.has_file(path, checksum) else "unknown"
                self.notes.execute(_NOTE, (path, found, True))
                self.done += 1
            yield

    def _judge(self, record: Record) -> tuple[str, Record, Record]:
        """What the file of *record* is, that, and what is known of it now."""
        found = self.store.stat(record.path)
        if found is None:
            return "missing", record, record
        if found[0] != record.bytes:
            return "damaged", record, record
        if self.store.checksum(record.path) != record.checksum:
            return "changed", record, record
        try:
            return "intact", record, self.images.decoded(record) if self.images and record.verified else record
        except NotStartedError as error:  # of the file nothing is known
            raise OSError(f"{record.path}: {error.detail}") from error
        except (ImageError, OSError):
            return "undecodable", record, record

    def _note(self, judged: list[tuple[str, Record, Record]], after: bytes) -> None:
        self.catalogue.note_decoded(now for _, before, now in judged if now != before)
        self.notes.execute("BEGIN")
        self.notes.executemany(_NOTE, [(now.path, found, not now.verified) for found, _, now in judged])
        self.notes.execute("DELETE FROM reached")
        self.notes.execute("INSERT INTO reached VALUES (?, ?)", (after, self.images is not None))
        self.notes.execute("COMMIT")
        self.done += len(judged)

    def results(self) -> Iterator[tuple[str, str]]:
        """Each file, and what it was found to be."""
        yield from self.notes.execute("SELECT path, found FROM judged ORDER BY path")

    def send_to_retry(self) -> int:
        """Have the addresses of files that are not as they were among the failures. How many cannot be."""
        lost = "SELECT 1 FROM judged WHERE path = ? AND found IN ('missing', 'damaged', 'changed')"
        records = self.catalogue.records()
        keys = (record.key for record in records if self.notes.execute(lost, (record.path,)).fetchone())
        unknown = 0
        while batch := list(islice(keys, BATCH)):
            unknown += len(batch) - self.catalogue.mark_lost(batch)
        return unknown
