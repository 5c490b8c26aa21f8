"""`scrapy duplicates`: stored images that look the same."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import TYPE_CHECKING

from scrapy.commands import ScrapyCommand

from imgcrawl.commands.base import BaseCommand, complain, say, whole_option
from imgcrawl.commands.export import image_reader, stored_items
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode

if TYPE_CHECKING:
    from imgcrawl.exports.pictures import Picture

MOST_DISTANCE = 128  # bits: half of them differ between pictures that have nothing in common


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: every stored image was looked at; 1: some, or items of a feed, are not there; 2: bad input."""

    requires_project = False  # feeds and their images are all that it needs

    def syntax(self) -> str:
        return "[<feed> ...]"

    def short_desc(self) -> str:
        return "List stored images that look the same"

    def long_desc(self) -> str:
        return (
            "Lists groups of stored images, of feeds or of the catalogue, that look the same though their bytes differ "
            "(another format or size, a "
            "little cut off), the largest first; with --keep largest the paths of all others, one a line, which "
            "another program may remove. Nothing is changed. "
            "Example: scrapy duplicates images.json"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--images", metavar="DIR", help="where the images are (default: IMAGES_STORE)")
        parser.add_argument("--distance", metavar="N", default="32", help="bits of 256 that may differ (default: 32)")
        parser.add_argument("--keep", metavar="WHICH", help="largest: list those that are not, one a line")
        parser.add_argument("--json", action="store_true", help="a line of JSON for each group")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        # No crawl needs any of these.
        from imgcrawl.exports.pictures import Bodies, Pictures  # noqa: PLC0415 -- the same
        from imgcrawl.images.lookalikes import Hasher, groups_of, load_library  # noqa: PLC0415 -- the same

        distance = _checked(opts)
        load_library()
        bodies = Bodies(image_reader(opts.images, self.project_settings))
        seen: dict[str, Picture] = {}  # by their files, of which some are several images'
        hashes: list[bytes] = []
        settings = self.project_settings
        bounds = settings.getint("IMAGES_MAX_PIXELS", 100_000_000), settings.getint("IMAGES_MAX_MEMORY", 160_000_000)
        with (
            closing(Hasher(*bounds)) as hasher,
            stored_items(args, opts, self.project_settings) as found,
            CommandProgress(lambda: f"{bodies.count:,} images, of {found.count:,} galleries"),
        ):
            for picture in Pictures(found.__iter__):
                if picture.path in seen or (body := bodies.of(picture)) is None or not (known := hasher.of(body)):
                    continue
                seen[picture.path] = picture
                hashes.append(known)
        pictures = list(seen.values())
        with CommandProgress(lambda: f"comparing {len(hashes):,} images"):
            groups = groups_of(hashes, distance)
        for group in groups:
            _tell(sorted((pictures[place] for place in group), key=_size, reverse=True), opts)
        for sentence in bodies.problems:
            complain(sentence)
        return ExitCode.FAILED if bodies.missing or found.is_broken else ExitCode.DONE


def _checked(opts: argparse.Namespace) -> int:
    """The distance that is asked for. Raises `InputError` for what is not to be understood."""
    if opts.keep not in (None, "largest"):
        raise InputError(f"--keep {opts.keep}: expected largest")
    return whole_option("distance", opts.distance, 0, MOST_DISTANCE)


def _size(picture: Picture) -> tuple[int, int]:
    row = picture.row
    return int(row.get("width") or 0) * int(row.get("height") or 0), int(row.get("bytes") or 0)


def _tell(group: list[Picture], opts: argparse.Namespace) -> None:
    if opts.keep:
        for picture in group[1:]:
            say(picture.path)
        return
    fields = ("path", "url", "width", "height", "bytes", "format")
    rows = [{name: picture.row.get(name) for name in fields} for picture in group]
    if opts.json:
        say(json.dumps(rows))
        return
    for number, row in enumerate(rows):
        text = f"{row['path']}  {row['width']} x {row['height']}, {row['bytes'] or 0:,} bytes, {row['format']}"
        say(("  " if number else "") + text)
