"""`scrapy forget`: what a person wants no more does not come back."""

from __future__ import annotations

import argparse
from contextlib import closing
from itertools import chain
from pathlib import Path

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from imgcrawl.catalogue import Catalogue, open_catalogue
from imgcrawl.catalogue.opening import local_store
from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.pipelines.stores import FileStore, is_plain


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: done; 1: some are not in the catalogue, which is told of each; 2: bad input."""

    def syntax(self) -> str:
        return "[--undo] <file or address> [<file or address> ...]"

    def short_desc(self) -> str:
        return "Delete stored images for good: no crawl brings them back"

    def long_desc(self) -> str:
        return (
            "Deletes files of IMAGES_STORE, named as in a feed (`path`) or by the address of an image, and notes in "
            "the catalogue that they are not wanted: crawls refuse their addresses (deleted). Of a store that is no "
            "folder the files stay. --undo lets addresses be fetched again. "
            "Example: scrapy forget pximg/title/001.jpg"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--undo", action="store_true", help="let the next crawl fetch these addresses again")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if not args:
            raise InputError("scrapy forget: expected files, as a feed names them, or addresses of images")
        for name in args:
            if "://" not in name and not is_plain(name):
                raise InputError(f"scrapy forget {name!r}: expected a file of IMAGES_STORE, as a feed names it (path)")
        settings = self.project_settings
        catalogue = open_catalogue(settings, must_exist=True)
        known: list[bool] = []
        with closing(catalogue), CommandProgress(lambda: f"{len(known):,} of {len(args):,}"):
            for name in args:
                known.append(_forget(catalogue, settings, name, undo=opts.undo))  # noqa: PERF401 -- told by progress
        return ExitCode.DONE if all(known) else ExitCode.FAILED


def _forget(catalogue: Catalogue, settings: Settings, name: str, *, undo: bool) -> bool:
    """Forget *name*, or with *undo* that it was forgotten. Whether the catalogue knows it."""
    keys, paths = _known(catalogue, settings, name, deleted=undo)
    if not keys:
        complain(f"{name}: not in the catalogue")
        return False
    if undo:
        catalogue.remove(keys)
        say(f"{name}: will be fetched again")
    else:
        # First: what is noted is not found by its name any more, if this has to be done again.
        deleted = _delete(local_store(settings), paths)
        catalogue.forget(keys)
        say(f"{name}: {deleted}will not be fetched again")
    return True


def _known(catalogue: Catalogue, settings: Settings, name: str, *, deleted: bool) -> tuple[list[bytes], list[str]]:
    """The fingerprints of the addresses that *name*, a file, also a *deleted* one, or an address, is of, and their
    files."""
    if "://" not in name:
        return catalogue.keys_of(name) + (catalogue.keys_of(name, deleted=True) if deleted else []), [name]
    from imgcrawl.upkeep.addresses import AddressKeys  # noqa: PLC0415 -- no crawl needs it

    key = AddressKeys(settings).of(name)
    record = catalogue.find(key)
    if record is None:
        return [], []
    # A file may have been stored for other addresses, too: it goes with the last of them.
    return [key], [record.path] if record.path and catalogue.keys_of(record.path) == [key] else []


def _delete(root: Path | None, paths: list[str]) -> str:
    """Delete *paths*, and their thumbnails, from the store at *root*; what is to be said of it. Raises `InputError`."""
    if root is None or not paths:
        return ""
    store = FileStore(root)
    for path in chain(paths, *map(store.thumbnails_of, paths)):
        try:
            store.remove(path)
        except OSError as error:
            raise InputError(f"{root / path} cannot be deleted: {describe(error)}") from error
    return "deleted, "
