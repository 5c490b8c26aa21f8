"""What the catalogue knows of images that are published together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imgcrawl.catalogue import Catalogue, Record


class Together:
    """What the *catalogue* has of the addresses and the bytes of *records*, asked for at once, and what it is to have
    of them when they are stored, told it at once: a database takes about as long for all of them as for one. For use
    inside one transaction."""

    def __init__(self, catalogue: Catalogue, records: Sequence[Record]) -> None:
        self._catalogue = catalogue
        keys = [record.key for record in records]
        self._before = dict(zip(keys, catalogue.find_all(keys), strict=True))
        self._files = catalogue.first_files({record.checksum for record in records})
        self._new: dict[bytes, Record] = {}

    def find(self, key: bytes) -> Record | None:
        """What is known of the address with fingerprint *key*, which is one of these."""
        return self._new.get(key) or self._before[key]

    def files_of(self, checksum: str) -> Iterator[str]:
        """The files that have these bytes, which are those of one of these."""
        yield from {record.path: None for record in self._new.values() if record.checksum == checksum}
        if first := self._files.get(checksum):
            yield first
            yield from self._catalogue.files_of(checksum, first)

    def has_file(self, path: str, checksum: str) -> bool:
        """Whether these bytes are recorded for the file *path*."""
        new = any(record.path == path and record.checksum == checksum for record in self._new.values())
        return new or self._catalogue.has_file(path, checksum)

    def put(self, record: Record) -> None:
        """Note *record*, to be written by `write`."""
        self._new[record.key] = record

    def write(self) -> None:
        """Tell the catalogue what was put."""
        if self._new:
            self._catalogue.put(*self._new.values())
