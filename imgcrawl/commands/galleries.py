"""`scrapy galleries`: what is there now, as a feed, from the catalogue."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scrapy.commands import ScrapyCommand

from imgcrawl.catalogue import open_catalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.commands.base import BaseCommand, complain
from imgcrawl.commands.progress import CommandProgress, no_progress
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.feeds.tables import json_line, write_table
from imgcrawl.items import image_rows
from imgcrawl.lines import escaped_json


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: written; 1: the catalogue has no such gallery, and the file stays as it was; 2: bad input."""

    def syntax(self) -> str:
        return "[<spider>] [-O <feed>] [--rows images]"

    def short_desc(self) -> str:
        return "Write what the catalogue has: each gallery once, with its images"

    def long_desc(self) -> str:
        return (
            "Writes every gallery that the catalogue knows, of a spider or of all, once, as an item of a feed: the "
            "fields of its last visit, and what last became of each of its images. -O takes .json, .jsonl, .csv and "
            ".parquet, and is replaced in one step; without it, JSON Lines go to stdout. --rows images gives a row for "
            "each image, which is what .csv always has. Example: scrapy galleries pximg -O all.json"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("-O", "--overwrite-output", metavar="FILE", help="the file (.json, .jsonl, .csv, .parquet)")
        parser.add_argument("--rows", choices=("galleries", "images"), help="one row for each (default: galleries)")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if len(args) > 1:
            raise InputError(f"scrapy galleries {' '.join(args)}: expected one spider, or none for all")
        spider = args[0] if args else None
        from imgcrawl.feeds.output import local_path  # noqa: PLC0415 -- no crawl needs it

        path = local_path(opts.overwrite_output) if opts.overwrite_output else None
        by_image = opts.rows == "images" or (opts.rows is None and path is not None and path.suffix.lower() == ".csv")
        if path and path.suffix.lower() == ".csv" and not by_image:
            raise InputError("--rows galleries: a .csv has a row for each image; .json, .jsonl and .parquet have both")
        catalogue = open_catalogue(self.project_settings, must_exist=True)

        def made() -> Iterable[dict[str, Any]]:
            found = items(catalogue, spider)
            return (row for item in found for row in image_rows(item)) if by_image else found

        read = 0

        def counted() -> Iterable[dict[str, Any]]:
            nonlocal read
            for read, row in enumerate(made(), 1):  # noqa: B007 -- told by progress
                yield row

        is_shown = path is None and sys.stdout.isatty()
        try:
            with no_progress() if is_shown else CommandProgress(lambda: f"{read:,} rows"):
                count = self._write(path, counted) if path else _print(counted())
        finally:
            catalogue.close()
        if not count:
            left = f"; {path} is as it was" if path and path.exists() else ""
            complain(f"the catalogue has no gallery{f' of {spider}' if spider else ''}{left}")
            return ExitCode.FAILED
        return ExitCode.DONE

    def _write(self, path: Path, made: Any) -> int:
        try:
            return write_table(path, made, formulas=self.project_settings.get("FEED_CSV_FORMULAS", "escape"))
        except OSError as error:
            raise InputError(f"{path} cannot be written: {describe(error)}") from error


def _print(items: Iterable[dict[str, Any]]) -> int:
    count = 0
    for item in items:
        sys.stdout.buffer.write(escaped_json(json_line(item).decode()).encode() + b"\n")
        count += 1
    sys.stdout.buffer.flush()
    return count
