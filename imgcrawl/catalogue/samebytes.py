"""What a catalogue knows of addresses that lead to the same bytes: an image that stands for others is among many."""

from __future__ import annotations

from collections.abc import Sequence

from imgcrawl.catalogue.contract import KEY_SIZE, SameBytes
from imgcrawl.catalogue.database import SqlRecords
from imgcrawl.items import STORED

_STORED = ", ".join(f"'{status}'" for status in STORED)
_TOLD = "outcomes.spider = ? AND outcomes.last_seen >= ?"
_FIRST = 10  # addresses of a gallery
_LATEST = (  # of an empty text SQLite has no part
    f"SELECT substr(images, 1, {_FIRST * KEY_SIZE}) FROM galleries WHERE spider = ? AND length(images) > 0"  # noqa: S608 -- a number
    " ORDER BY number DESC LIMIT ?"
)
_SAME_BYTES = (
    f"SELECT outcomes.url, images.final_url, outcomes.gallery, coalesce(length(galleries.images), 0) / {KEY_SIZE}"  # noqa: S608 -- our own names
    " FROM images JOIN outcomes ON outcomes.key = images.key LEFT JOIN galleries ON galleries.key = outcomes.gallery"
    f" WHERE images.checksum = ? AND {_TOLD}"
    f" AND (outcomes.status IN ({_STORED}) OR outcomes.reason = 'placeholder') LIMIT ?"
)
_LED_THERE = (
    f"{_TOLD} AND status IN ({_STORED}) AND key IN"  # noqa: S608 -- our own names
    " (SELECT key FROM images WHERE checksum = ? AND (final_url = ? OR ? = ''))"
)
_COUNT = f"SELECT status, count(*) FROM outcomes WHERE {_LED_THERE} GROUP BY status"  # noqa: S608 -- our own names
_GALLERIES = f"UPDATE galleries SET complete_at = 0 WHERE key IN (SELECT gallery FROM outcomes WHERE {_LED_THERE})"  # noqa: S608 -- our own names
_PLACEHOLDER = f"UPDATE outcomes SET status = 'failed', reason = 'placeholder' WHERE {_LED_THERE}"  # noqa: S608 -- our own names


class SqlSameBytes(SqlRecords):
    """What is stored, in a database, and what became of addresses with the same bytes."""

    def latest(self, spider: str, galleries: int) -> list[bytes]:
        rows = self._rows(_LATEST, (spider, galleries))
        return [bytes(keys[at : at + KEY_SIZE]) for (keys,) in rows for at in range(0, len(keys), KEY_SIZE)]

    def often(self, checksums: Sequence[str], enough: int) -> list[str]:
        places = ", ".join("?" * len(checksums))
        sql = f"SELECT checksum FROM images WHERE checksum IN ({places}) GROUP BY checksum HAVING count(*) >= ?"  # noqa: S608 -- our own names
        return [checksum for (checksum,) in self._rows(sql, (*checksums, enough))] if checksums else []

    def same_bytes(self, checksum: str, spider: str, since: float, most: int) -> list[SameBytes]:
        rows = self._rows(_SAME_BYTES, (checksum, spider, since, most))
        return [SameBytes(url, led_to, bytes(gallery), images) for url, led_to, gallery, images in rows]

    def note_placeholders(self, checksum: str, spider: str, since: float, led_to: str = "") -> dict[str, int]:
        values = (spider, since, checksum, led_to, led_to)
        with self.transaction():
            found = {status: int(count) for status, count in self._rows(_COUNT, values)}
            if found:
                self._write(_GALLERIES, [values])
                self._write(_PLACEHOLDER, [values])
        return found
