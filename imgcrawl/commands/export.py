"""`scrapy export`: stored images, with what is known of them, as what others read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from imgcrawl.commands.base import BaseCommand, complain, say, whole_option
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.items import IMAGE_FIELDS

if TYPE_CHECKING:
    from imgcrawl.commands.storeditems import StoredItems
    from imgcrawl.exports.options import ExportOptions
    from imgcrawl.exports.pictures import Bodies, ImageReader, Pictures
    from imgcrawl.exports.target import Part

FORMATS = ("webdataset", "parquet", "folder", "zip", "cbz", "sidecars")


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: the target holds every image that was picked; 1: images are not in the store any more, or
    the target cannot take more, or there was nothing to export; 2: bad input."""

    requires_project = False  # feeds and their images are all that it needs

    def syntax(self) -> str:
        return "--to FORMAT [<feed> ...] -o <target>"

    def short_desc(self) -> str:
        return "Write stored images as WebDataset, Parquet, a folder tree, ZIP, CBZ or sidecars"

    def long_desc(self) -> str:
        return (
            "Writes the stored images that feeds name (JSON Lines or JSON arrays; each gallery once), or all that the "
            "catalogue knows, into a folder, each byte as the site sent it: "
            "webdataset (tar files as img2dataset writes them), parquet (a row for each "
            "image), folder (files under other names), zip or cbz (one for each gallery), sidecars (files beside "
            "images that say what is known of them). The same command again writes only what is new or was not done. "
            "Example: scrapy export --to webdataset images.json -o shards --where \"width >= 512 and format == 'JPEG'\""
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--to", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
        parser.add_argument("-o", "--output", metavar="TARGET", help="the folder to write to")
        parser.add_argument(
            "--images",
            metavar="DIR",
            help="where the images are: a folder, or s3://bucket/prefix (default: IMAGES_STORE)",
        )
        parser.add_argument(
            "--where", metavar="EXPRESSION", default="", help="which images: an expression on their fields"
        )
        parser.add_argument(
            "--name", metavar="TEMPLATE", default="", help="names in a folder, or of archives, as IMAGES_NAME has them"
        )
        parser.add_argument(
            "--caption", metavar="FIELD", default="", help="the field that is the caption (default: caption, or title)"
        )
        parser.add_argument("--sidecars", metavar="KINDS", help="beside images in a folder: some of json,txt,xmp")
        parser.add_argument(
            "--paths", action="store_true", help="Parquet with the paths of images, without their bytes"
        )
        parser.add_argument(
            "--per-file", metavar="N", default="10000", help="most images in one tar or Parquet file (default: 10000)"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        # No crawl needs any of these.
        from imgcrawl.exports.conditions import condition  # noqa: PLC0415 -- the same
        from imgcrawl.exports.pictures import Bodies, Pictures  # noqa: PLC0415 -- the same
        from imgcrawl.exports.target import Target, UnwritableTargetError  # noqa: PLC0415 -- the same

        options = _options(opts)
        bodies = Bodies(image_reader(opts.images, self.project_settings))
        with stored_items(args, opts, self.project_settings) as found:
            fields = _fields(found.columns)
            where = condition(opts.where, fields) if opts.where else None
            if opts.caption and opts.caption not in (known := {*IMAGE_FIELDS, *fields}):
                raise InputError(f"--caption {opts.caption}: expected one field of {', '.join(sorted(known))}")
            pictures = Pictures(found.__iter__, where, opts.caption)
            progress = CommandProgress(
                lambda: f"{bodies.count:,} images, {bodies.size / 1e6:,.1f} MB of {found.count:,} galleries"
            )
            with progress, Target(Path(opts.output), opts.to) as target:
                try:
                    for part in _parts(opts.to, fields, pictures, bodies, options):
                        target.add(part)
                    removed = 0 if found.told else target.finish()  # a part of a feed does not say what is stale
                except UnwritableTargetError as error:
                    complain(str(error))
                    return ExitCode.FAILED
        if found.told:
            complain(f"nothing was removed from {opts.output}: the feeds are not whole")
        _tell(opts, bodies, target.written, target.unchanged, removed)
        nothing = not target.written + target.unchanged
        return ExitCode.FAILED if bodies.missing or found.is_broken or nothing else ExitCode.DONE


def stored_items(feeds: list[str], opts: argparse.Namespace, settings: Settings) -> StoredItems:
    """Those of *feeds*, or else of the catalogue in `--images`, or in the store. Tells what of them cannot be read."""
    from imgcrawl.commands.storeditems import StoredItems  # noqa: PLC0415 -- no crawl needs it

    settings = settings.copy()
    if opts.images:
        settings.setdict({"IMAGES_STORE": opts.images}, "cmdline")
    with CommandProgress(lambda: "reading what galleries there are"):
        found = StoredItems(feeds, settings)
    for sentence in found.told:
        complain(sentence)
    return found


def image_reader(given: str | None, settings: Settings) -> ImageReader:
    """What reads images of the store *given*, or else of IMAGES_STORE. Raises `InputError`."""
    from imgcrawl.exports.pictures import ImageFolder, ImageObjects  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.pipelines.objects import StoredObjects  # noqa: PLC0415 -- the same

    store = str(given or settings["IMAGES_STORE"] or "images")
    if store.startswith("s3://"):
        return ImageObjects(StoredObjects(store, settings))
    if "://" in store:
        raise InputError(f"images are read from a folder or from s3:// here, not from {store}; expected --images DIR")
    if not Path(store).is_dir():
        raise InputError(f"{store} is no folder; expected that of the images: --images DIR")
    return ImageFolder(Path(store))


def _options(opts: argparse.Namespace) -> ExportOptions:
    from imgcrawl.exports.options import ExportOptions  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.exports.sidecars import KINDS  # noqa: PLC0415 -- the same

    if opts.to not in FORMATS:
        raise InputError(f"scrapy export --to {opts.to or ''}: expected one of {', '.join(FORMATS)}")
    if not opts.output:
        raise InputError("scrapy export: expected a folder to write to, as in -o shards")
    if "://" in opts.output:
        raise InputError(f"scrapy export -o {opts.output}: expected a folder of this machine, as in -o shards")
    sidecars = (opts.sidecars or ("json" if opts.to == "sidecars" else "")).split(",")
    sidecars = [kind.strip() for kind in sidecars if kind.strip()]
    if unknown := [kind for kind in sidecars if kind not in KINDS]:
        raise InputError(f"--sidecars {unknown[0]!r}: expected some of {','.join(KINDS)}")
    per_file = whole_option("per-file", opts.per_file, 1, 10_000)
    return ExportOptions(per_file=per_file, name=opts.name, with_bytes=not opts.paths, sidecars=tuple(sidecars))


def _fields(columns: Collection[str]) -> set[str]:
    """The names that the fields of galleries have in an image's row."""
    return {*columns, *(f"gallery_{name}" for name in columns), "image_name", "image_page"}


def _parts(
    kind: str, fields: Collection[str], pictures: Pictures, bodies: Bodies, options: ExportOptions
) -> Iterator[Part]:
    from imgcrawl.exports import archives, folders, parquet, sidecars, webdataset  # noqa: PLC0415 -- no crawl needs them

    makers: dict[str, Callable[[], Iterator[Part]]] = {
        "webdataset": lambda: webdataset.parts(pictures, bodies, options),
        "parquet": lambda: parquet.parts(pictures, bodies, options),
        "folder": lambda: folders.parts(fields, pictures, bodies, options),
        "sidecars": lambda: sidecars.parts(fields, pictures, bodies, options),
        "zip": lambda: archives.parts("zip", fields, pictures, bodies, options),
        "cbz": lambda: archives.parts("cbz", fields, pictures, bodies, options),
    }
    return makers[kind]()


def _tell(opts: argparse.Namespace, bodies: Bodies, written: int, unchanged: int, removed: int) -> None:
    for sentence in bodies.problems:
        complain(sentence)
    if bodies.missing:
        complain(f"{bodies.missing:,} images are not in the store any more and were left out")
    if not written + unchanged + bodies.missing:
        complain(f"no image to export: there is none that is stored{' and meets --where' * bool(opts.where)}")
    say(
        f"{opts.output}: {written:,} files written with {bodies.count:,} images, {unchanged:,} were there already"
        + (f", {removed:,} removed" if removed else "")
    )
