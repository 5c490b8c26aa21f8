"""`scrapy report`: what crawls brought home and what went wrong, as a page for people."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from imgcrawl.catalogue import open_catalogue
from imgcrawl.commands.base import BaseCommand, complain, say, whole_option
from imgcrawl.commands.progress import CommandProgress, no_progress
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode

if TYPE_CHECKING:
    from imgcrawl.report.pictures import ReportFiles
    from imgcrawl.report.reading import CatalogueCollection, Collection
    from imgcrawl.report.records import GalleryRecord

LARGE = 200_000  # images from which on a file is slow to open
PORT = 8978


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: written, or served until Ctrl-C; 1: something of a feed could not be read, or there was nothing to
    tell; 2: bad input."""

    requires_project = False  # feeds and their images are all that it needs

    def syntax(self) -> str:
        return "[<feed or log> ...] -o <report.html> | --serve"

    def short_desc(self) -> str:
        return "Show galleries, images, failures and charts as a page, in one file or served"

    def long_desc(self) -> str:
        return (
            "Writes one file that any browser opens, without the internet: galleries with their images, search and "
            "filters, failures by reason, charts by day and host. Of feeds (.json, .jsonl, .csv, .parquet) and logs of "
            "crawls, which are read by several processes; without any, of the catalogue. --serve shows the same page "
            "of large ones, at 127.0.0.1, to who has the address that it prints. "
            "Example: scrapy report images.json crawl.log -o report.html"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("-o", "--output", metavar="FILE", help="the file to write (replaced in one step)")
        parser.add_argument("--serve", action="store_true", help="serve the page, until Ctrl-C")
        parser.add_argument("--host", default="127.0.0.1", help="with --serve: where to listen (default: 127.0.0.1)")
        parser.add_argument("--port", help=f"with --serve (default: {PORT}, or a free one if it is taken)")
        parser.add_argument(
            "--token", help="with --serve: a secret, needed with --host (default: REPORT_TOKEN, or a new one)"
        )
        parser.add_argument("--images", metavar="DIR", help="where the images are (default: IMAGES_STORE)")
        parser.add_argument(
            "--thumbnails",
            metavar="N",
            default="1000",
            help="small copies in the file (default: 1000); others are links",
        )
        parser.add_argument("--lookalikes", action="store_true", help="seek images that look the same, too")
        parser.add_argument(
            "--label", metavar="FIELD", action="append", help="a field that is a label (default: label, labels, tags)"
        )
        parser.add_argument("--title", default="", help="the title of the page")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if bool(opts.output) == bool(opts.serve):
            raise InputError("scrapy report: expected -o FILE, or --serve")
        opts.thumbnails = whole_option("thumbnails", opts.thumbnails, 0, 100_000)
        opts.port = whole_option("port", opts.port, 0, 65_535) if opts.port is not None else None
        settings = self.project_settings.copy()
        token = _token(opts, settings) if opts.serve else ""
        if opts.images:
            if not Path(opts.images).is_dir():
                raise InputError(f"--images {opts.images}: expected the folder of the images")
            settings.setdict({"IMAGES_STORE": opts.images}, "cmdline")
        with ExitStack() as stack:
            found = _found(args, opts, settings, stack)
            from imgcrawl.report.pictures import ReportFiles  # noqa: PLC0415 -- no crawl needs it

            stored = ReportFiles(settings)
            stack.callback(stored.close)
            return _serve(found, stored, args, opts, token) if opts.serve else _write(found, stored, args, opts)


def _found(
    args: list[str], opts: argparse.Namespace, settings: Settings, stack: ExitStack
) -> Collection | CatalogueCollection:
    from imgcrawl.report.reading import CatalogueCollection, collect  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.report.records import LABELS  # noqa: PLC0415 -- the same

    labels = opts.label or LABELS
    if args:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="imgcrawl-report-"))
            with CommandProgress(lambda: f"reading {len(args):,} file{'s' * (len(args) != 1)}"):
                found = collect([Path(arg) for arg in args], Path(folder), labels)
        except (OSError, BrokenExecutor) as error:  # also a full disk, and a process that was killed
            raise InputError(
                f"the feeds cannot be read: {describe(error)}; expected room for them in {gettempdir()}, and memory"
            ) from error
        for problem in found.problems:
            complain(problem)
        return found
    catalogue = open_catalogue(settings, must_exist=True)
    stack.callback(catalogue.close)
    return CatalogueCollection(catalogue, labels)


def _title(args: list[str], opts: argparse.Namespace) -> tuple[str, list[str]]:
    sources = [Path(arg).name for arg in args] or ["the catalogue"]
    return opts.title or (
        f"Report of {sources[0]}" if len(sources) == 1 else f"Report of {len(sources)} files"
    ), sources


def _write(
    found: Collection | CatalogueCollection, stored: ReportFiles, args: list[str], opts: argparse.Namespace
) -> int:
    from imgcrawl.feeds.atomic import replacing, write_all  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.report.page import FilePage, head_of  # noqa: PLC0415 -- the same

    path = Path(opts.output)
    page = FilePage(stored, stored.address_from(path.absolute().parent))
    with CommandProgress(lambda: f"{page.count:,} images"):
        for gallery in found:
            page.add(gallery)
    if not page.galleries and not found.logs.lines:
        complain("nothing to report: no gallery, and no line of a log")
        return ExitCode.FAILED
    head: dict[str, Any] = head_of(*_title(args, opts), found.tally, found.logs)
    if opts.lookalikes:
        head["groups"] = _lookalikes(page.stored_images(), stored)
    try:
        with CommandProgress(lambda: f"writing {page.count:,} images"), replacing(path) as file:
            for piece in page.html(head, opts.thumbnails):
                write_all(file, piece)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {describe(error)}") from error
    say(f"{path}: {page.galleries:,} galleries, {page.count:,} images, {path.stat().st_size / 1e6:,.1f} MB")
    if page.count > LARGE:
        complain(f"a file of more than {LARGE:,} images is slow to open: scrapy report --serve shows the same page")
    return ExitCode.FAILED if found.problems else ExitCode.DONE


def _lookalikes(images: list[tuple[int, str]], stored: ReportFiles) -> list[list[int]]:
    from imgcrawl.report.lookalikes import find  # noqa: PLC0415 -- no crawl needs it

    if stored.root is None:
        return []
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done = count

    with CommandProgress(lambda: f"{done:,} of {len(images):,} images compared"):
        return find(stored.root, images, step, stored.bounds)


def _token(opts: argparse.Namespace, settings: Settings) -> str:
    from imgcrawl.watch.access import check_token, is_loopback, new_token  # noqa: PLC0415 -- no crawl needs it

    chosen = opts.token if opts.token is not None else str(settings.get("REPORT_TOKEN", ""))
    if not chosen and not is_loopback(opts.host):
        raise InputError(f"--host {opts.host}: others could ask it; expected --token or REPORT_TOKEN, too")
    return check_token(chosen) if chosen or opts.token is not None else new_token()


def _serve(
    found: Collection | CatalogueCollection, stored: ReportFiles, args: list[str], opts: argparse.Namespace, token: str
) -> int:
    from imgcrawl.report.index import Index  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.report.page import head_of  # noqa: PLC0415 -- the same
    from imgcrawl.report.server import ReportServer, serve  # noqa: PLC0415 -- the same
    from imgcrawl.watch.access import Access  # noqa: PLC0415 -- the same

    count = 0

    def counted() -> Iterable[GalleryRecord]:
        nonlocal count
        for gallery in found:
            count += 1
            yield gallery

    with CommandProgress(lambda: f"{count:,} galleries"):
        index = Index(counted())
    head = head_of(*_title(args, opts), found.tally, found.logs)
    server = ReportServer(index, stored, head, Access(token, opts.host))
    ports = [PORT, 0] if opts.port is None else [opts.port]
    try:
        with no_progress():
            asyncio.run(serve(server.application(), opts.host, ports, lambda address: say(f"{address}#{token}")))
    except KeyboardInterrupt:
        return ExitCode.DONE  # that is how it ends
    finally:
        server.close()
        index.close()
    return ExitCode.DONE
