"""What a catalogue asks its database about outcomes and galleries, in the SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from hashlib import sha1
from operator import attrgetter, itemgetter
from typing import Any

from imgcrawl.catalogue.contract import (
    KEY_SIZE,
    LOST,
    SCHEMA_VERSION,
    Catalogue,
    CatalogueCounts,
    GalleryVisit,
    LastOutcome,
    StoredGallery,
    failed_subpage,
)
from imgcrawl.catalogue.database import INCOMPLETE, RECORD, in_order, insert, select
from imgcrawl.catalogue.samebytes import SqlSameBytes
from imgcrawl.failures import NOT_OF_THE_SITE
from imgcrawl.items import STORED

NOT_HAD = ("failed", "refused")
NOT_HAD_ONLY = "status IN ('failed', 'refused')"
IMAGES = "image_urls images"  # the fields of an item with images
_REFUSED_TODAY = ("budget", "simulated")
_NOT_THERE = {  # what a site says of an image, and neither of the moment nor of who asks
    *("http_404", "http_410", "empty", "html", "not_an_image", "not_a_video", "unsupported_format", "truncated"),
    *("corrupt", "placeholder"),
}

OUTCOME = [field.name for field in fields(LastOutcome)]
GALLERY = [
    *("number", "key", "spider", "url", "title", "fields", "media", "images"),
    *("first_seen", "last_seen", "complete_at", "error"),
]
_outcome_values = attrgetter(*OUTCOME)

_OUTCOMES = select("outcomes", OUTCOME)
_TOLD = ("status", "reason", "requested_path", "opt_outs")
_STAYS = "outcomes.status = 'failed' AND excluded.status = 'refused' AND excluded.tried = 0"  # it was not asked for
# Of a setting that was forgotten, or a limit of the day. Any other refusal is there each night: it was not had then.
_BY_A_SLIP = "('budget', 'private_address', 'scheme', 'date', 'range')"
_NOTE = (
    insert("outcomes", OUTCOME, ("first_seen", "tried", *_TOLD))
    + f", tried = outcomes.tried + CASE WHEN {_STAYS} AND excluded.reason NOT IN {_BY_A_SLIP} THEN 1"
    " ELSE excluded.tried END"
    + "".join(f", {name} = CASE WHEN {_STAYS} THEN outcomes.{name} ELSE excluded.{name} END" for name in _TOLD)
)
_GALLERY = GALLERY[1:]
_VISIT = (
    insert("galleries", _GALLERY, ("first_seen", "complete_at"))
    + ", complete_at = CASE WHEN excluded.complete_at > 0 THEN excluded.complete_at ELSE galleries.complete_at END"
    " WHERE length(excluded.images) > 0 OR length(galleries.images) = 0"
)
# A page that could not be had, or has no images, says nothing about those it showed before.
_VISIT_IN_VAIN = insert("galleries", _GALLERY, _GALLERY) + "last_seen = excluded.last_seen, error = excluded.error"


def gallery_key(spider: str, url: str, media: str = IMAGES, title: str = "") -> bytes:
    """What a gallery is known by: its spider and its address, or its title where it has none."""
    known = "\0".join((spider, url or f"\0{title}", media))
    return sha1(known.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()


class SqlCatalogue(SqlSameBytes):
    """A catalogue in a database."""

    def note(self, visits: Sequence[GalleryVisit]) -> None:
        with self.transaction():
            visits = [self._of_its_gallery(visit) if visit.partial else visit for visit in visits]
            if outcomes := [_outcome_values(outcome) for visit in visits for outcome in visit.outcomes]:
                self._write(_NOTE, outcomes)
            whole = [_as_noted(self, visit) for visit in visits if not (visit.partial and self._complete(visit))]
            had = [visit for visit in whole if not visit.error]
            in_vain = [visit for visit in whole if visit.error or not visit.outcomes]
            self._let_go(visit for visit in had if visit.outcomes and not failed_subpage(visit.fields))
            for sql, noted in ((_VISIT, had), (_VISIT_IN_VAIN, in_vain)):
                if noted:
                    self._write(sql, [_visit_values(visit) for visit in noted])

    def _of_its_gallery(self, visit: GalleryVisit) -> GalleryVisit:
        """A partial *visit* with the key of the gallery that named its images last: its first image may be another."""
        known = next(filter(None, self.outcomes(outcome.key for outcome in visit.outcomes)), None)
        if known is None or known.spider != visit.spider:
            return visit
        outcomes = [replace(outcome, gallery=known.gallery) for outcome in visit.outcomes]
        return replace(visit, key=known.gallery, outcomes=outcomes)

    def _let_go(self, visits: Iterable[GalleryVisit]) -> None:
        """Remove the failures of what galleries showed and, seen whole in *visits*, show no more."""
        shown = {_key_of(visit): {outcome.key for outcome in visit.outcomes} for visit in visits}
        before = self._rows_of_keys(select("galleries", ("key", "images")), list(shown))
        gone = [(key, gallery) for gallery, keys in before for key in _parted(keys) if key not in shown[bytes(gallery)]]
        if gone:
            self._write("DELETE FROM outcomes WHERE key = ? AND gallery = ? AND status = 'failed'", gone)

    def _complete(self, visit: GalleryVisit) -> bool:
        """Note that the gallery of a partial *visit* is complete, if it is now. Whether there is such a gallery."""
        gallery = self.gallery(_key_of(visit))
        if gallery is None:
            return False
        whole = is_complete(self.outcomes(gallery.keys)) and not gallery.fields.get("failed_pages")
        before = gallery.complete_at if gallery.complete_at < visit.seen_at else 0.0  # what was told then is told anew
        # That its page could not be had stays: images that are had say nothing of it.
        values = (max(visit.seen_at, gallery.last_seen), visit.seen_at if whole else before, gallery.key)
        self._write("UPDATE galleries SET last_seen = ?, complete_at = ? WHERE key = ?", [values])
        return True

    def outcomes(self, keys: Iterable[bytes]) -> list[LastOutcome | None]:
        keys = list(keys)
        return in_order(self._rows_of_keys(_OUTCOMES, keys), LastOutcome, keys)

    def mark_lost(self, keys: Iterable[bytes]) -> int:
        wanted = "(SELECT wanted FROM images WHERE images.key = outcomes.key)"
        sql = f"UPDATE outcomes SET status = 'failed', reason = 'lost', requested_path = {wanted} WHERE key = ?"  # noqa: S608 -- our own names
        keys = list(keys)
        with self.transaction():
            known = [(outcome.key,) for outcome in self.outcomes(keys) if outcome]
            for each in (sql, INCOMPLETE):
                self._write(each, known)
            self._write(f"UPDATE images SET mtime_ns = {LOST} WHERE key = ?", [(key,) for key in keys])  # noqa: S608 -- a number
        return len(known)

    def not_had(
        self, spider: str | None, statuses: Sequence[str] = ("failed",), reason: str = ""
    ) -> Iterator[LastOutcome]:
        # What is given, from the left, is no part of the order: an index has the rest in it, however many they are.
        given = {"spider": spider, **({"reason": reason} if reason else {})} if spider else {}
        order = [name for name in ("spider", "reason", "key") if name not in given]
        places = ", ".join("?" * len(order))
        last = _places(order)
        for status in statuses:
            # The index of what is not had is used where its own condition is asked for, word for word.
            sql = f"{_OUTCOMES} WHERE {NOT_HAD_ONLY} AND status = '{NOT_HAD[NOT_HAD.index(status)]}'"
            sql += "".join(f" AND {column} = ?" for column in given)
            sql += f" AND ({', '.join(order)}) > ({places}) ORDER BY {', '.join(order)}"
            for row in self._all(sql, list(given.values()), *([""] * (len(order) - 1)), b"", last=last):
                outcome = LastOutcome(*row)
                if reason in {"", outcome.reason}:
                    yield outcome

    def gallery(self, key: bytes) -> StoredGallery | None:
        rows = self._rows(f"{select('galleries', GALLERY)} WHERE key = ?", (key,))
        return _gallery(rows[0]) if rows else None

    def complete_at(self, keys: Sequence[bytes], tries: int = 0) -> list[float]:
        columns = ("key", "complete_at", "last_seen", "error")
        rows = list(self._rows_of_keys(select("galleries", columns), keys))
        known = {bytes(key): at for key, at, seen, error in rows if at == seen and not error}
        if tries:
            lacking = ((bytes(key), seen) for key, _, seen, error in rows if not error and bytes(key) not in known)
            known |= {key: seen for key, seen in lacking if self._is_settled(key, tries)}
        return [known.get(key, 0.0) for key in keys]

    def _is_settled(self, key: bytes, tries: int) -> bool:
        """Whether what the gallery lacks was tried *tries* times, and is not to be had from its site."""
        gallery = self.gallery(key)
        had = self.outcomes(gallery.keys) if gallery else []
        # Where a site gives nothing at all it may be about who asks; where it gives others, it is about these.
        gives = any(outcome and outcome.status in STORED for outcome in had)
        return bool(had) and all(is_complete([each]) or _was_tried(each, tries, gives=gives) for each in had)

    def galleries(self, spider: str | None) -> Iterator[StoredGallery]:
        mine, values = ("spider = ? AND ", [spider]) if spider else ("", [])
        for row in self._all(f"{select('galleries', GALLERY)} WHERE {mine}number > ? ORDER BY number", values, 0):
            yield _gallery(row)

    def note_walk(self, key: bytes, *, whole: bool) -> bool:
        with self.transaction():
            before = self._rows("SELECT whole FROM walks WHERE key = ?", (key,))
            self._write(insert("walks", ("key", "whole")), [(key, int(whole))])
        return before != [] and bool(before[0][0])

    def note_look(self, checksum: str, look: bytes, pixels: int) -> None:
        sql = "INSERT INTO looks (checksum, look, pixels) VALUES (?, ?, ?) ON CONFLICT (checksum) DO NOTHING"
        self._write(sql, [(checksum, look, pixels)])

    def looks(self, after: int = 0) -> Iterator[tuple[int, str, bytes, int]]:
        sql = "SELECT number, checksum, look, pixels FROM looks WHERE number > ? ORDER BY number"
        for number, checksum, look, pixels in self._all(sql, (), after):
            yield number, checksum, bytes(look), pixels

    def lost_galleries(self, spider: str | None) -> Iterator[StoredGallery]:
        # An index has these only, in this order.
        sql = f"{select('galleries', GALLERY)} WHERE error <> '' AND (error, number) > (?, ?) ORDER BY error, number"
        last = itemgetter(GALLERY.index("error"), GALLERY.index("number"))
        for gallery in map(_gallery, self._all(sql, (), "", 0, last=last)):
            if spider in {None, gallery.spider}:
                yield gallery

    def counts(self) -> CatalogueCounts:
        files = "SELECT max(bytes) AS bytes, count(*) AS addresses FROM images WHERE path <> '' GROUP BY path"
        of_files = f"SELECT coalesce(sum(addresses), 0), count(*), coalesce(sum(bytes), 0) FROM ({files}) AS files"  # noqa: S608 -- our own names
        questions = (
            of_files,
            "SELECT count(*) FROM images WHERE path = ''",
            *(f"SELECT count(*) FROM outcomes WHERE {NOT_HAD_ONLY} AND status = '{each}'" for each in NOT_HAD),  # noqa: S608 -- our own names
            "SELECT count(*), coalesce(sum(CASE WHEN complete_at = last_seen AND error = '' THEN 1 ELSE 0 END), 0),"
            " coalesce(sum(CASE WHEN error <> '' THEN 1 ELSE 0 END), 0) FROM galleries",
        )
        found = [int(number) for sql in questions for number in self._rows(sql)[0]]
        return CatalogueCounts(SCHEMA_VERSION, self._size(), *found)

    @abstractmethod
    def _size(self) -> int:
        """The bytes that all of it takes."""

    def take_over(self, other: Catalogue) -> None:
        if not isinstance(other, SqlCatalogue):
            raise TypeError(type(other).__name__)
        with self.transaction():
            for table, columns in (("images", RECORD), ("outcomes", OUTCOME), ("galleries", GALLERY)):
                by = columns[0]
                sql = f"{select(table, columns)} WHERE {by} > ? ORDER BY {by}"
                after: object = 0 if by == "number" else b""
                own = slice(int(by == "number"), None)  # each catalogue numbers its galleries itself
                places = ", ".join("?" * len(columns[own]))
                names = ", ".join(columns[own])
                self._write(
                    f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT (key) DO NOTHING",  # noqa: S608 -- our own names
                    (row[own] for row in other._all(sql, (), after)),
                )

    def sharing(self, checksum: str, path: str) -> Iterator[tuple[bytes, str]]:
        sql = "SELECT key, wanted FROM images WHERE checksum = ? AND path = ? AND key > ? ORDER BY key"
        for key, wanted in self._all(sql, (checksum, path), b""):
            yield bytes(key), wanted

    def rename(self, files: Iterable[tuple[str, str, str]], names: Iterable[tuple[bytes, str]] = ()) -> None:
        moved = [(new, checksum, path) for checksum, path, new in files]
        asked = [(wanted, key) for key, wanted in names]
        with self.transaction():
            for sql, rows in (
                ("UPDATE images SET path = ? WHERE checksum = ? AND path = ?", moved),
                ("UPDATE images SET wanted = ? WHERE key = ? AND path <> ''", asked),
                ("UPDATE outcomes SET requested_path = ? WHERE key = ? AND requested_path <> ''", asked),
            ):
                if rows:
                    self._write(sql, rows)


def is_complete(outcomes: Iterable[LastOutcome | None]) -> bool:
    """Whether all of these are stored, or refused for a reason that will be the same tomorrow."""
    return all(outcome and outcome.status != "failed" and outcome.reason not in _REFUSED_TODAY for outcome in outcomes)


def _as_noted(catalogue: SqlCatalogue, visit: GalleryVisit) -> GalleryVisit:
    """*visit*, not complete where a failure stays."""
    stays = [each.key for each in visit.outcomes if each.status == "refused" and not each.tried]
    return replace(visit, complete=visit.complete and is_complete(catalogue.outcomes(stays))) if stays else visit


def _was_tried(outcome: LastOutcome | None, tries: int, *, gives: bool) -> bool:
    """Whether it failed, and by no fault of ours, and was tried as often; once is enough for what a site that *gives*
    others does not have."""
    if outcome is None or outcome.status != "failed" or outcome.reason in NOT_OF_THE_SITE:
        return False
    return outcome.tried >= tries or (gives and outcome.reason in _NOT_THERE)


def _places(columns: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """What takes from a row of `_OUTCOMES` its values of *columns*."""
    numbers = [OUTCOME.index(name) for name in columns]
    return lambda row: [row[number] for number in numbers]


def _key_of(visit: GalleryVisit) -> bytes:
    return visit.key or gallery_key(visit.spider, visit.url, visit.media, visit.title)


def _visit_values(visit: GalleryVisit) -> tuple[Any, ...]:
    return (
        _key_of(visit),
        visit.spider,
        visit.url,
        visit.title,
        json.dumps(visit.fields, ensure_ascii=True, default=str),  # PostgreSQL's text has no NUL and no surrogates
        visit.media,
        b"".join(outcome.key for outcome in visit.outcomes),
        visit.seen_at,
        visit.seen_at,
        visit.seen_at if visit.complete else 0.0,
        visit.error or failed_subpage(visit.fields),
    )


def _gallery(row: Any) -> StoredGallery:
    number, key, spider, url, title, held, media, keys, *rest = row
    return StoredGallery(number, bytes(key), spider, url, title, json.loads(held), media, _parted(keys), *rest)


def _parted(keys: bytes) -> list[bytes]:
    return [bytes(keys[start : start + KEY_SIZE]) for start in range(0, len(keys), KEY_SIZE)]
