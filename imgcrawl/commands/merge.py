"""`scrapy merge`: the segments of many workers as one feed, each gallery once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.commands import ScrapyCommand
from scrapy.settings import BaseSettings
from scrapy.utils.conf import feed_process_params_from_cli

from imgcrawl.commands.base import FAILED, BaseCommand, complain, say
from imgcrawl.exceptions import InputError
from imgcrawl.feeds.local import exporter_for, local_feeds, local_path
from imgcrawl.feeds.merge import LINES, Segments, write_feed

if TYPE_CHECKING:
    from imgcrawl.feeds.merge import Report

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
            "has already, -O replaces it; either way it is replaced at the end, in one step."
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("-o", "--output", metavar="FILE", action="append", help="add to FILE (.json, .jsonl, .csv)")
        parser.add_argument("-O", "--overwrite-output", metavar="FILE", action="append", help="write FILE anew")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        exitcode = 0
        for path, options in self._feeds(args, opts).items():
            there = [] if options.get("overwrite") or not path.exists() else [path]
            with Segments([*there, *map(local_path, args)]) as segments:
                exporter, kwargs = exporter_for(self.project_settings, options["format"])
                write_feed(segments, path, options["format"], exporter, **kwargs)
            _tell(segments.report, path)
            exitcode = FAILED if segments.report.broken else 0
        return exitcode

    def _feeds(self, args: list[str], opts: argparse.Namespace) -> dict[Path, dict[str, Any]]:
        if not args:
            raise InputError("scrapy merge: expected segments, as in scrapy merge part-*.jsonl -O images.json")
        if not opts.output and not opts.overwrite_output:
            raise InputError("scrapy merge: expected a feed to write, as in -O images.json")
        given = BaseSettings({"FEED_EXPORTERS": self.project_settings.getwithbase("FEED_EXPORTERS")})
        feeds = feed_process_params_from_cli(given, opts.output, overwrite_output=opts.overwrite_output)
        for uri in feeds:
            if "%(" in uri:  # a crawl's: no spider, no batch and no worker is here to fill it in
                raise InputError(f"Feed {uri}: expected a name without %(...)s")
        found = local_feeds(feeds)
        for path, options in found.items():
            if path.exists() and not options.get("overwrite") and options["format"] not in ("json", *LINES):
                raise InputError(f"Feed {path}: scrapy merge cannot add to {options['format']}; -O replaces it")
        return found


def _tell(report: Report, path: Path) -> None:
    for sentences in (report.torn, report.broken):
        for sentence in sentences[:MOST_TOLD]:
            complain(sentence)
        if more := len(sentences[MOST_TOLD:]):
            complain(f"and {more:,} more")
    again = report.items - report.galleries
    say(f"{path}: {report.galleries:,} galleries of {report.items:,} items" + (f", {again:,} again" if again else ""))
