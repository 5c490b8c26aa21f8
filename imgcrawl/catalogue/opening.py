"""Which catalogue a project has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgcrawl.catalogue.sqlite import SqliteCatalogue
from imgcrawl.durability import wants_fsync
from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.catalogue.contract import Catalogue

CATALOGUE_NAME = ".catalogue.sqlite3"


def open_catalogue(settings: BaseSettings, *, must_exist: bool = False, in_crawl: bool = False) -> Catalogue:
    """The catalogue of *settings*: the PostgreSQL database at CATALOGUE_URL, else the SQLite file CATALOGUE_FILE, else
    `.catalogue.sqlite3` in IMAGES_STORE, or here if that is no directory. With *must_exist* no file is made.
    *in_crawl*: a server has CATALOGUE_TIMEOUT seconds for each answer; who looks through all of it waits.

    Raises `InputError` if it cannot be used.
    """
    if url := settings.get("CATALOGUE_URL"):
        try:
            from imgcrawl.catalogue.postgresql import PostgresCatalogue  # noqa: PLC0415 -- for who has such a server
        except ImportError as error:
            raise InputError(
                f"CATALOGUE_URL needs a library ({error}); install it with imgcrawl[postgresql]"
            ) from error
        timeout = settings.getfloat("CATALOGUE_TIMEOUT", 60.0) if in_crawl else 0
        return PostgresCatalogue(url, timeout=timeout or None)
    path = catalogue_file(settings)
    if must_exist and not path.exists():
        raise InputError(
            f"{path}: there is no catalogue; expected that of a crawl (IMAGES_STORE, CATALOGUE_FILE or CATALOGUE_URL"
            " say where it is)"
        )
    return SqliteCatalogue(path, durable=wants_fsync(settings))


def catalogue_file(settings: BaseSettings) -> Path:
    """The file of a catalogue that is in SQLite."""
    if chosen := settings.get("CATALOGUE_FILE"):
        return Path(chosen).resolve()  # may be a link: the user has made it
    return (local_store(settings) or Path()) / CATALOGUE_NAME


def local_store(settings: BaseSettings) -> Path | None:
    """The directory that IMAGES_STORE is, or None if it is none."""
    store = str(settings.get("IMAGES_STORE") or "")
    scheme, found, rest = store.partition("://")
    if not found or Path(store).is_absolute():
        return Path(store)
    return Path(rest) if scheme == "file" else None
