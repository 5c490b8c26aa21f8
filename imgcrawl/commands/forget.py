"""`scrapy forget`: what a person wants no more does not come back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scrapy import Request, Spider
from scrapy.commands import ScrapyCommand
from scrapy.crawler import Crawler
from scrapy.settings import Settings
from scrapy.utils.misc import build_from_crawler, load_object

from imgcrawl.catalogue import Catalogue, open_catalogue
from imgcrawl.catalogue.opening import local_store
from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.identity import Identity


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
        settings = self.project_settings
        catalogue = open_catalogue(settings, must_exist=True)
        code = ExitCode.DONE
        try:
            for name in args:
                keys, paths = _known(catalogue, settings, name)
                if not keys:
                    complain(f"{name}: not in the catalogue")
                    code = ExitCode.FAILED
                elif opts.undo:
                    catalogue.remove(keys)
                    say(f"{name}: will be fetched again")
                else:
                    catalogue.forget(keys)
                    say(f"{name}: {_delete(local_store(settings), paths)}will not be fetched again")
        finally:
            catalogue.close()
        return code


def _known(catalogue: Catalogue, settings: Settings, name: str) -> tuple[list[bytes], list[str]]:
    """The fingerprints of the addresses that *name*, a file or an address, is of, and their files."""
    if "://" not in name:
        return catalogue.keys_of(name), [name]
    kind: Any = load_object(settings["REQUEST_FINGERPRINTER_CLASS"])
    fingerprinter: Any = build_from_crawler(kind, Crawler(Spider, settings.copy()))
    try:
        key = fingerprinter.fingerprint(Request(Identity.of_images(settings).of(name)))
    except ValueError as error:
        raise InputError(f"{name}: {error}; expected the address of an image") from error
    record = catalogue.find(key)
    if record is None:
        return [], []
    # A file may have been stored for other addresses, too: it goes with the last of them.
    return [key], [record.path] if record.path and catalogue.keys_of(record.path) == [key] else []


def _delete(store: Path | None, paths: list[str]) -> str:
    """Delete *paths* from *store*; what is to be said of it. Raises `InputError`."""
    if store is None or not paths:
        return ""
    for path in paths:
        file = store / path
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise InputError(f"{path}: expected a path below {store}")
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{file} cannot be deleted: {describe(error)}") from error
    return "deleted, "
