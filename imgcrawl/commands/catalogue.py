"""`scrapy catalogue`: what is in it; and how it is made again, or fed with what others have fetched."""

from __future__ import annotations

import argparse
import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader

from imgcrawl.catalogue import CatalogueCounts, SqliteCatalogue, open_catalogue
from imgcrawl.catalogue.opening import catalogue_file, local_store
from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable
from imgcrawl.ownfiles import check_database
from imgcrawl.pipelines.stores import FileStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from imgcrawl.images.process import DecoderProcess
    from imgcrawl.upkeep.naming import Naming
    from imgcrawl.upkeep.rebuilding import Rebuild, StoredFiles

NOTES = ".rebuild.sqlite3"  # the files that were read, beside the images: another start does not read them again


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: done; 1: something of a feed, of the store or of what was to be imported is not as it should be,
    each told; 2: bad input."""

    def syntax(self) -> str:
        return "[--json] | --rebuild [<feed> ...] | --import <kind> <path> ..."

    def short_desc(self) -> str:
        return "Tell what is in the catalogue; make it again; import files"

    def long_desc(self) -> str:
        return (
            "Tells how much the catalogue knows. --rebuild reads all files of IMAGES_STORE, a folder, and the feeds "
            "(.json, .jsonl, .csv, .parquet) of earlier crawls, the oldest first, and adds what the catalogue does not "
            "know, so that no crawl fetches it again; it tells what feeds name and is missing or has other bytes, and "
            "which files no feed names. --import takes in what others have fetched: 'files' (a list with the columns "
            "path and url), 'gallery-dl' (a folder with a .json beside each file, its archive of downloads, or both), "
            "'img2dataset' (an output folder). Files "
            "outside the store get a link in it. Both may be interrupted and begun again. "
            "Example: scrapy catalogue --rebuild 2026-11-*.json"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--rebuild", action="store_true", help="make it again from the stored files and these feeds"
        )
        parser.add_argument("--import", dest="kind", metavar="KIND", help="files, gallery-dl or img2dataset")
        parser.add_argument("--json", action="store_true", help="a JSON object")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        settings = self.project_settings
        if opts.rebuild and opts.kind:
            raise InputError("scrapy catalogue: expected --rebuild or --import, not both")
        if opts.rebuild:
            return _rebuild(settings, [Path(feed) for feed in args])
        if opts.kind:
            return _import(settings, opts.kind, args)
        if args:
            raise InputError(f"scrapy catalogue {' '.join(args)}: expected no arguments but with --rebuild or --import")
        progress = CommandProgress(lambda: "counting")
        with closing(open_catalogue(settings, must_exist=True)) as catalogue, progress:
            counts = catalogue.counts()
        place = printable(settings.get("CATALOGUE_URL") or str(catalogue_file(settings)))
        for line in [json.dumps({"place": place, **asdict(counts)})] if opts.json else _told(place, counts):
            say(line)
        return ExitCode.DONE


def _told(place: str, counts: CatalogueCounts) -> list[str]:
    lost = f", {counts.lost_pages:,} could not be had when last asked for" if counts.lost_pages else ""
    return [
        f"{place}: version {counts.version}, {counts.size:,} bytes",
        f"stored: {counts.addresses:,} addresses, in {counts.files:,} files of {counts.bytes:,} bytes",
        f"not stored: {counts.failed:,} failed, {counts.refused:,} refused, {counts.deleted:,} deleted on purpose",
        f"galleries: {counts.galleries:,}, of which {counts.complete:,} are complete{lost}",
    ]


def _store(settings: Settings) -> FileStore:
    root = local_store(settings)
    if root is None or not root.is_dir():
        raise InputError(f"IMAGES_STORE={settings['IMAGES_STORE']}: expected a folder with files")
    return FileStore(root)


def _decoder(settings: Settings) -> DecoderProcess:
    from imgcrawl.images.process import DecoderProcess  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.pipelines.settings import PipelineSettings  # noqa: PLC0415 -- the same

    config = PipelineSettings.from_settings(settings, name_setting="IMAGES_NAME")
    return DecoderProcess(config.max_pixels, config.memory)


@contextmanager
def _staged(store: FileStore) -> Iterator[None]:
    """A folder for unfinished files, beside those of crawls."""
    try:
        store.staging.open()
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # of stdout
            raise
        raise InputError(f"{store.root}: {describe(error)}; expected a folder that can be written to") from error
    finally:
        store.staging.close()


def _rebuild(settings: Settings, feeds: list[Path]) -> int:
    from imgcrawl.upkeep.addresses import AddressKeys  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.upkeep.rebuilding import Rebuild, StoredFiles  # noqa: PLC0415 -- the same

    store = _store(settings)
    for feed in feeds:
        if not feed.is_file():
            raise InputError(f"{feed} is no file; expected a feed of a crawl: .json, .jsonl, .csv or .parquet")
    notes_file = store.root / NOTES
    check_database(notes_file, "the notes of a rebuilding; remove it")
    with _staged(store), closing(sqlite3.connect(notes_file, isolation_level=None)) as notes:
        files = StoredFiles(store, notes, settings.getint("IMAGES_THREADS", 4))
        with closing(SqliteCatalogue(store.staging.unused_path())) as made:
            with closing(_decoder(settings)) as decoder:
                rebuild = Rebuild(made, files, _namings(settings), AddressKeys(settings).fingerprinter, decoder)
                problems = _read(files, rebuild, feeds)
            told = CommandProgress(lambda: "the catalogue takes over what is new")
            with told, closing(open_catalogue(settings)) as catalogue:
                catalogue.take_over(made)
                counts = catalogue.counts()
        lost, unnamed = 0, 0
        for lost, line in enumerate(rebuild.lost(), 1):  # noqa: B007 -- told below
            say(line)
        for unnamed, path in enumerate(files.unnamed(), 1):  # noqa: B007 -- the same
            say(f"unknown  {path}")
    for suffix in ("", "-journal"):
        Path(f"{notes_file}{suffix}").unlink(missing_ok=True)
    for problem in problems:
        complain(problem)
    complain(
        f"{counts.addresses:,} addresses in {counts.files:,} files, {counts.galleries:,} galleries; missing or other "
        f"than a feed says: {lost:,}; named by no feed: {unnamed:,}"
    )
    return ExitCode.FAILED if lost or unnamed or problems else ExitCode.DONE


def _read(files: StoredFiles, rebuild: Rebuild, feeds: list[Path]) -> list[str]:
    """Read all files and feeds. What is no item, a line each."""
    from imgcrawl.upkeep.feeditems import FeedItems  # noqa: PLC0415 -- no crawl needs it

    count = 0
    problems = []
    with CommandProgress(lambda: f"{files.count:,} files read, {count:,} items of feeds"):
        for _ in files.read():
            pass
        for feed in feeds:
            items = FeedItems(feed)
            for item in items:
                rebuild.add(item)
                count += 1
            problems += items.problems
    return problems


def _namings(settings: Settings) -> Any:
    from imgcrawl.upkeep.naming import Naming, settings_of  # noqa: PLC0415 -- no crawl needs it

    loader = get_spider_loader(settings)
    known = set(loader.list())

    def naming_of(name: str, fields: Collection[str]) -> Naming:
        own = settings_of(loader.load(name), settings) if name in known else settings
        return Naming(own, name, fields)  # a list's columns are fields, too

    return naming_of


def _import(settings: Settings, kind: str, args: list[str]) -> int:
    from imgcrawl.upkeep.addresses import AddressKeys  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.upkeep.importing import Importing  # noqa: PLC0415 -- the same
    from imgcrawl.upkeep.sources import KINDS  # noqa: PLC0415 -- the same

    if kind not in KINDS or not args:
        raise InputError(f"scrapy catalogue --import {kind} {' '.join(args)}: expected {', '.join(KINDS)} and a path")
    paths = [Path(arg) for arg in args]
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} is not there; expected what --import {kind} reads")
    base = paths[0] if paths[0].is_dir() else paths[0].parent
    root = local_store(settings)
    if root is not None:
        root.mkdir(parents=True, exist_ok=True)
    store = _store(settings)
    with _staged(store), closing(open_catalogue(settings)) as catalogue, closing(_decoder(settings)) as decoder:
        importing = Importing(
            catalogue,
            store,
            AddressKeys(settings),
            decoder,
            settings.getint("IMAGES_THREADS", 4),
            with_checksum=settings.getbool("IMAGES_NAME_CHECKSUM"),
        )
        counts = importing.counts
        scratch = store.staging.unused_path()
        scratch.mkdir()
        with CommandProgress(lambda: f"{counts.total():,} files"):
            for _ in importing.add(KINDS[kind](paths, scratch), base):
                pass
    for problem in importing.problems:
        complain(problem)
    others = "".join(f", {number:,} {name}" for name, number in sorted(counts.items()) if name != "imported")
    complain(f"{counts['imported']:,} files imported{others}; not imported: {len(importing.problems):,}")
    return ExitCode.FAILED if importing.problems else ExitCode.DONE
