"""What a catalogue holds and can be asked, whichever database it is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from imgcrawl.exceptions import ImgcrawlError

KEY_SIZE = 20  # bytes of a fingerprint
LOST = -1  # `Record.mtime_ns` of a file that an audit has found not to have these bytes
SCHEMA_VERSION = 4  # 1 had no warnings; 2 neither outcomes nor galleries, nor the facts of files; 3 no `verified`


class CatalogueError(ImgcrawlError):
    """The catalogue's server, or its file, cannot be used any more. What was not acknowledged may not be in it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One address that was stored. *key* is the request's fingerprint, *wanted* the name its item asked for,
    *path* the file that has its bytes (another image's, if that had the same bytes first), *checksum* their
    sha256 in hex, *checked_at* the Unix time at which the server last confirmed them, *warnings* what is wrong
    with them (`imgcrawl.images.damage.WARNINGS`), parted by spaces. *mtime_ns* and *inode* are those of the file when
    it was last known to have these bytes; 0: not known, `LOST`: it has not. *verified* is how deep they were looked
    at where they were not decoded (`imgcrawl.images.verify.DEPTHS`). Without a *path* it is what a person has
    deleted on purpose, and *wanted* is the file that had it."""

    key: bytes
    wanted: str
    path: str
    checksum: str
    bytes: int
    format: str
    width: int
    height: int
    frames: int
    final_url: str
    etag: str
    last_modified: str
    fetched_at: str
    checked_at: float
    warnings: str = ""
    mtime_ns: int = 0
    inode: int = 0
    verified: str = ""

    def facts(self) -> dict[str, Any]:
        """What an item's image says of its file; what is not known is left out."""
        told = {name: getattr(self, name) for name in _TOLD} | {"warnings": self.warnings.split()}
        return {name: value for name, value in told.items() if value not in ("", 0, [])}


_TOLD = (
    *("path", "checksum", "bytes", "format", "width", "height", "frames", "final_url", "etag", "last_modified"),
    *("fetched_at", "verified"),
)


@dataclass(frozen=True, slots=True)
class LastOutcome:
    """What last became of an address. *key* is the request's fingerprint, *page* the address that showed it,
    *gallery* the key of the gallery that named it last, *opt_outs* words parted by spaces. *tried* is how often it was
    looked for in vain or brought home; a refusal with 0 says nothing of the address, so a failure that is known stays,
    and counts once more if the refusal is one that stays, too (robots.txt, an opt-out, a filter, a title).
    *first_seen* and *last_seen* are Unix times. *reason* and *requested_path* are empty for what is stored."""

    key: bytes
    url: str
    spider: str
    gallery: bytes
    page: str
    status: str
    reason: str
    requested_path: str
    opt_outs: str
    tried: int
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class GalleryVisit:
    """A gallery as a crawl has just seen it. *fields* are its item's, but for its addresses and outcomes; *media*
    names the fields that these are in ("image_urls images"), and *outcomes* are in the order of its addresses. *error*
    says why its page could not be had; what was known of the gallery then stays, as where it shows no images any more.
    *partial*: these are some of the images of a gallery, tried again; if it is known, its other images and its fields
    stay. *key*: what it is known by, where that is not its spider and address."""

    spider: str
    url: str
    title: str
    fields: Mapping[str, Any]
    media: str
    outcomes: Sequence[LastOutcome]
    seen_at: float
    complete: bool
    error: str = ""
    partial: bool = False
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class StoredGallery:
    """A gallery as the catalogue has it. *keys* are the fingerprints of its addresses, in order; *complete_at* is the
    Unix time at which all of them were last here or refused, 0 if they never were. It is complete now if that is
    *last_seen*. *error* says why its page, or the first of its sub-pages that failed, could not be had."""

    number: int
    key: bytes
    spider: str
    url: str
    title: str
    fields: Mapping[str, Any]
    media: str
    keys: Sequence[bytes]
    first_seen: float
    last_seen: float
    complete_at: float
    error: str


class SameBytes(NamedTuple):
    """An address that has some bytes: where it *led_to*, the key of the *gallery* that named it last, and how many
    *images* that has (0: not known)."""

    url: str
    led_to: str
    gallery: bytes
    images: int


def failed_subpage(fields: Mapping[str, Any]) -> str:
    """Why the first of a gallery's sub-pages that failed (`failed_pages`) could not be had; empty if there is none."""
    failed = fields.get("failed_pages")
    first = failed[0] if isinstance(failed, list) and failed else None
    return str(first.get("reason") or "error") if isinstance(first, Mapping) else ""


@dataclass(frozen=True, slots=True)
class CatalogueCounts:
    """How much is in a catalogue. *addresses* are those that are stored, in *files* with *bytes* in all; *size* is its
    own, in bytes."""

    version: int
    size: int
    addresses: int
    files: int
    bytes: int
    deleted: int
    failed: int
    refused: int
    galleries: int
    complete: int
    lost_pages: int


class StoredRecords(Protocol):
    """What is stored, by address."""

    def transaction(self) -> AbstractContextManager[None]:
        """What is read and written inside is one step for all threads, processes and machines; so is what is done in
        another within it."""

    def find(self, key: bytes) -> Record | None:
        """The record of the address with fingerprint *key*."""

    def find_all(self, keys: Iterable[bytes]) -> list[Record | None]:
        """The records of the addresses with the fingerprints *keys*, in their order."""

    def files_of(self, checksum: str, after: str = "") -> Iterator[str]:
        """The files that these bytes are recorded for, each once, in order, from the one *after*. That they have many
        addresses costs nothing."""

    def first_files(self, checksums: Iterable[str]) -> dict[str, str]:
        """The first of `files_of` for each of *checksums* that has one."""

    def has_file(self, path: str, checksum: str) -> bool:
        """Whether these bytes are recorded for the file *path*."""

    def put(self, *records: Record) -> None:
        """Add *records*, or put them in the place of older ones of the same addresses. Call inside `transaction`."""

    def note_file(self, record: Record) -> None:
        """Note `mtime_ns` and `inode` of *record*, if it is still of that file. Call inside `transaction`."""

    def note_decoded(self, records: Iterable[Record]) -> None:
        """Note what decoding told of the files of *records*, where they are still of these bytes: sizes and warnings,
        and no `verified`."""

    def claim(self, checksum: str, path: str) -> str:
        """The path at which these bytes are to be stored: *path*, or what another machine has claimed before."""

    def put_claimed(self, record: Record) -> None:
        """`put` *record*, in a transaction of its own, and end the claim on its bytes."""

    def records(self, after: bytes = b"") -> Iterator[Record]:
        """Everything that was stored, by fingerprint, from the one behind *after* on."""

    def keys_of(self, path: str, *, deleted: bool = False) -> list[bytes]:
        """The fingerprints of the addresses whose bytes are in the file *path*, or, with *deleted*, were in it before
        `forget`. Walks everything that is stored."""

    def forget(self, keys: Iterable[bytes]) -> None:
        """Note that a person wants no more of the addresses with these fingerprints: their records have no path."""

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove what is known of the addresses with these fingerprints, as if they had never been seen; the
        galleries that named them last are not complete."""


class Catalogue(StoredRecords, Protocol):
    """Everything that is known. Methods may be called from any thread, and wait for the database.

    What is written is there when the `transaction` that it is in has ended without an error. Raises `InputError` where
    it is opened and cannot be used, `CatalogueError` where its server goes away later.
    """

    def note(self, visits: Sequence[GalleryVisit]) -> None:
        """Note what became of galleries and their images, all or nothing."""

    def outcomes(self, keys: Iterable[bytes]) -> list[LastOutcome | None]:
        """What last became of the addresses with the fingerprints *keys*, in their order."""

    def latest(self, spider: str, galleries: int) -> list[bytes]:
        """The fingerprints of the first addresses of each of so many *galleries* of *spider*, the newest."""

    def often(self, checksums: Sequence[str], enough: int) -> list[str]:
        """Those of *checksums* whose bytes *enough* addresses have."""

    def same_bytes(self, checksum: str, spider: str, since: float, most: int) -> list[SameBytes]:
        """The addresses, at most so many, of bytes with this *checksum* which *spider* has told of *since* then, a Unix
        time, as stored or as placeholders."""

    def note_placeholders(self, checksum: str, spider: str, since: float, led_to: str = "") -> dict[str, int]:
        """Note that all addresses of bytes with this *checksum* (with *led_to*: those that led there) that *spider* has
        told of *since* then as stored are placeholders. How many there were of each status: each is counted once,
        whoever asks."""

    def mark_lost(self, keys: Iterable[bytes]) -> int:
        """Note that the files of the addresses with these fingerprints are not what they were (`LOST`): a failure,
        `lost`. How many have that outcome: of others, stored by older releases, none is known."""

    def not_had(
        self, spider: str | None, statuses: Sequence[str] = ("failed",), reason: str = ""
    ) -> Iterator[LastOutcome]:
        """The outcomes of these *statuses* ("failed", "refused"): of a spider or of all, of a *reason* or of each."""

    def lost_galleries(self, spider: str | None) -> Iterator[StoredGallery]:
        """The galleries, of a spider or of all, whose page, or a sub-page of which, could not be had when last asked
        for."""

    def gallery(self, key: bytes) -> StoredGallery | None:
        """The gallery with this key (`gallery_key`)."""

    def complete_at(self, keys: Sequence[bytes], tries: int = 0) -> list[float]:
        """When the galleries with these keys were seen to be complete, Unix times; 0 for one that is not known, or was
        not complete when it was last seen. With *tries*, what its site does not have is not missed, nor what it did not
        give as many times."""

    def galleries(self, spider: str | None) -> Iterator[StoredGallery]:
        """The galleries of a spider or of all, in the order in which they were first seen. What is added meanwhile
        may be among them."""

    def note_walk(self, key: bytes, *, whole: bool) -> bool:
        """Note whether the last walk of the list with this key reached its end. Whether that was noted before."""

    def note_look(self, checksum: str, look: bytes, pixels: int) -> None:
        """Note what the image with this checksum looks like (a perceptual hash), and how many *pixels* it has. What was
        noted of it before stays. Call inside `transaction`."""

    def looks(self, after: int = 0) -> Iterator[tuple[int, str, bytes, int]]:
        """What was noted of looks, in order: a number, checksum, look and pixels, from the one behind *after* on."""

    def counts(self) -> CatalogueCounts:
        """How much there is. Walks all of it."""

    def take_over(self, other: Catalogue) -> None:
        """Add what *other* knows and this does not, all or nothing."""

    def sharing(self, checksum: str, path: str) -> Iterator[tuple[bytes, str]]:
        """The fingerprints of the addresses whose bytes, with this checksum, are in the file *path*, each with the name
        that its item asked for (`Record.wanted`)."""

    def rename(self, files: Iterable[tuple[str, str, str]], names: Iterable[tuple[bytes, str]] = ()) -> None:
        """Note, all or nothing, that *files* (checksum, path, new path) are called otherwise, and which *names*
        (fingerprint, `Record.wanted`) addresses ask for now, or, where they failed, will ask for."""

    def close(self) -> None:
        """Let go of the database."""
