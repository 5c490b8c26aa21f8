"""Files that others have fetched, taken into the store and the catalogue, so that no crawl fetches them again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import cast

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.images.names import file_names, safe_path, strip_extension
from imgcrawl.images.process import DecoderProcess
from imgcrawl.images.verify import Facts
from imgcrawl.pipelines.stores import FileStore, is_plain
from imgcrawl.regularfiles import descriptor_of
from imgcrawl.upkeep.addresses import AddressKeys
from imgcrawl.upkeep.sources import FoundFile

FOLDER = "imported"  # of the store, for what was outside of it
BATCH = 100  # files of one transaction


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read: its key in the catalogue, its sha256, and what its header says."""

    file: Path
    found: FoundFile
    key: bytes
    checksum: str
    facts: Facts


class Importing:
    """Takes files into *store*, where they are not in it already, and notes them in *catalogue*; *threads* read them,
    and *decoder* their headers.

    Files outside the store get a hard link in it, or are copied where that cannot be, below `imported/`; bytes that are
    there already are not stored again. An address that is in the catalogue, with its file, stays as it is. What others
    had, and have no more, is noted as deleted on purpose.
    """

    def __init__(
        self, catalogue: Catalogue, store: FileStore, keys: AddressKeys, decoder: DecoderProcess, threads: int, *,
        with_checksum: bool,
    ) -> None:  # fmt: skip
        self.catalogue = catalogue
        self.store = store
        self.keys = keys
        self.decoder = decoder
        self.threads = threads
        self.with_checksum = with_checksum
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._root = store.root.resolve()

    def add(self, found: Iterable[FoundFile | str], base: Path) -> Iterator[None]:
        """Take in what was *found* in, or below, the folder *base*; gives a turn to whoever shows progress."""
        rest = iter(found)
        with ThreadPoolExecutor(self.threads) as pool:
            while batch := list(islice(rest, BATCH)):
                self.problems += [each for each in batch if isinstance(each, str)]
                files = list(pool.map(self._read, self._new([each for each in batch if isinstance(each, FoundFile)])))
                self.problems += [each for each in files if isinstance(each, str)]
                with self.catalogue.transaction():
                    for file in files:
                        if isinstance(file, _Read):
                            self._put(file, base)
                yield

    def _new(self, files: list[FoundFile]) -> list[tuple[bytes, FoundFile]]:
        """Those of *files* that the catalogue does not know, each with its key."""
        keyed = []
        for file in files:
            try:
                keyed.append((self.keys.of(file.url), file))
            except InputError as error:
                self.problems.append(str(error))
        new = []
        there = {key for key, file in keyed if file.file}
        for (key, file), record in zip(keyed, self.catalogue.find_all(key for key, _ in keyed), strict=True):
            if record and not record.path:
                self.counts["deleted on purpose"] += 1
            elif record and self.store.stat(record.path):
                self.counts["known"] += 1
            elif file.file is None:
                if key not in there:
                    self._forget(key, file.url)
                    there.add(key)
            else:
                new.append((key, file))
        return new

    def _forget(self, key: bytes, url: str) -> None:
        """Note that a person has had what is at *url*, and wants it no more."""
        gone = Record(key, "", "", "", 0, "", 0, 0, 0, url, "", "", "", 0.0)
        with self.catalogue.transaction():
            self.catalogue.put(gone)
        self.counts["deleted on purpose"] += 1

    def _read(self, keyed: tuple[bytes, FoundFile]) -> _Read | str:
        key, found = keyed
        path = cast("Path", found.file)
        try:
            with os.fdopen(descriptor_of(path), "rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
                if found.digest:
                    file.seek(0)
                    if hashlib.file_digest(file, found.digest[0]).hexdigest() != found.digest[1]:
                        named = found.name or path
                        return f"{named} has not the bytes that {found.url} had ({found.digest[0]}): made anew?"
            return _Read(path, found, key, checksum, self.decoder.facts_of_header(path))
        except OSError as error:
            return f"{found.name or path} cannot be read: {error.strerror or error}"
        except ImageError as error:
            return f"{found.name or path} is no image: {error}"

    def _put(self, file: _Read, base: Path) -> None:
        path = self._path_in_store(file.file) or self._taken_in(file, base)
        stat = self.store.stat(path)
        if stat is None:
            self.problems.append(f"{file.file} has gone")
            return
        at = stat[1] / 1e9
        self.catalogue.put(
            Record(
                key=file.key,
                wanted=strip_extension(path),
                path=path,
                checksum=file.checksum,
                bytes=stat[0],
                format=file.facts.format,
                width=file.facts.width,
                height=file.facts.height,
                frames=file.facts.frames,
                final_url=file.found.url,
                etag="",
                last_modified="",
                fetched_at=datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
                checked_at=at,
                warnings=" ".join(file.facts.warnings),
                verified=file.facts.verified,
                mtime_ns=stat[1],
                inode=stat[2],
            )
        )
        self.counts["imported"] += 1

    def _path_in_store(self, file: Path) -> str:
        """The name of *file* in the store, or "" if it is not in it."""
        with suppress(ValueError):
            name = file.resolve().relative_to(self._root).as_posix()
            if is_plain(name) and not name.startswith((".", "thumbs/")):
                return name
        return ""

    def _taken_in(self, file: _Read, base: Path) -> str:
        for path in self.catalogue.files_of(file.checksum):
            if self.store.checksum(path) == file.checksum:
                return path
        source = file.file.resolve()
        try:
            name = file.found.name or source.relative_to(base.resolve()).as_posix()
        except ValueError:
            name = source.name
        wanted = strip_extension(safe_path(f"{FOLDER}/{strip_extension(name)}"))
        names = file_names(wanted, file.facts.extension, file.checksum, with_checksum=self.with_checksum)
        with self.store.staging.unused() as staged:
            try:
                os.link(source, staged)
            except OSError:  # on another file system, or of another user
                shutil.copyfile(source, staged)
                shutil.copystat(source, staged)
            return self.store.publish(staged, names, file.checksum, lambda name: False)
