"""`scrapy merge`: the segments of many workers as one feed, each gallery once."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy.commands import ScrapyCommand
from scrapy.utils.conf import feed_process_params_from_cli

from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode

if TYPE_CHECKING:
    from imgcrawl.feeds.merge import Report
    from imgcrawl.feeds.output import OutputWriter

MOST_TOLD = 20  # lines of a segment that are told one by one


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: the feed has every item of the segments, but for what kills cut off, which is told; 1: lines in
    the midst of a segment were no items; 2: bad input."""

    def syntax(self) -> str:
        return "<segment> [<segment> ...] -O <feed>"

    def short_desc(self) -> str:
        return "Make one feed of many, with each gallery once"

    def long_desc(self) -> str:
        return (
            "Reads feeds (JSON Lines or JSON arrays, also such as a kill has cut off) and writes one with each gallery "
            "once; of several items of a gallery the most complete counts, or else the latest. -o keeps what the feed "
            "has already, -O replaces it; either way it is replaced at the end, in one step. "
            "Example: scrapy merge part-*.jsonl -O images.json"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("-o", "--output", metavar="FILE", action="append", help="add to FILE (.json, .jsonl, .csv)")
        parser.add_argument("-O", "--overwrite-output", metavar="FILE", action="append", help="write FILE anew")

        parser.add_argument(
            "--rows", choices=("galleries", "images"), help="a row for each of these (default: FEED_ROWS, galleries)"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        from imgcrawl.feeds.merge import Segments  # noqa: PLC0415 -- no crawl needs it
        from imgcrawl.feeds.output import local_path  # noqa: PLC0415 -- the same

        writer, added = self._writer(args, opts)
        progress = CommandProgress(lambda: f"{len(args):,} feeds are read and merged")
        with progress, Segments([*added, *map(local_path, args)]) as segments:
            report = segments.report
            if 0 < report.rows < report.items:
                raise InputError(
                    f"{report.rows:,} of {report.items:,} items are rows of images (FEED_ROWS), the others galleries; "
                    "expected feeds of one kind: make all rows of galleries, as with --rows images -O rows.jsonl"
                )
            writer.write_files(segments)
            asyncio.run(writer.write_others(segments))
        _tell(segments.report, " ".join([*(opts.output or ()), *(opts.overwrite_output or ())]))
        return ExitCode.FAILED if segments.report.broken else ExitCode.DONE

    def _writer(self, args: list[str], opts: argparse.Namespace) -> tuple[OutputWriter, list[Path]]:
        """What writes the feeds, and those that are segments, too, because they keep what they have."""
        from imgcrawl.feeds.formats import LINES  # noqa: PLC0415 -- no crawl needs it
        from imgcrawl.feeds.output import OutputWriter, local_path  # noqa: PLC0415 -- the same

        if not args:
            raise InputError("scrapy merge: expected segments, as in scrapy merge part-*.jsonl -O images.json")
        if not opts.output and not opts.overwrite_output:
            raise InputError("scrapy merge: expected a feed to write, as in -O images.json")
        settings = self.project_settings.copy()
        feeds = feed_process_params_from_cli(settings, opts.output, overwrite_output=opts.overwrite_output)
        kept = [local_path(uri) for uri, options in feeds.items() if not options.get("overwrite")]
        for uri in feeds:
            if "%(" in uri:  # a crawl's: no spider, no batch and no worker is here to fill it in
                raise InputError(f"Feed {uri}: expected a name without %(...)s")
        there = [path for path in kept if path.exists()]
        for path, options in zip(kept, feeds.values(), strict=False):
            if path in there and options["format"] not in ("json", *LINES):
                raise InputError(f"Feed {path}: scrapy merge cannot add to {options['format']}; -O replaces it")
        if opts.rows:
            settings.setdict({"FEED_ROWS": opts.rows}, "cmdline")
        settings.set("FEEDS", {uri: {**options, "overwrite": True} for uri, options in feeds.items()}, "cmdline")
        return OutputWriter(settings), there


def _tell(report: Report, feeds: str) -> None:
    for sentences in (report.torn, report.broken):
        for sentence in sentences[:MOST_TOLD]:
            complain(sentence)
        if more := len(sentences[MOST_TOLD:]):
            complain(f"and {more:,} more")
    again = report.items - report.galleries
    say(f"{feeds}: {report.galleries:,} galleries of {report.items:,} items" + (f", {again:,} again" if again else ""))
