"""`imgcrawl health`: whether the crawl beside it lives."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from scrapy.commands import ScrapyCommand

from imgcrawl.commands.base import BaseCommand, complain, whole_option
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode


class Command(BaseCommand, ScrapyCommand):
    """Looks at HEARTBEAT_FILE. Exit code 0: a crawl has touched it within --within seconds (default 60); 1: none has;
    2: bad input.
    """

    def syntax(self) -> str:
        return "[--within SECONDS]"

    def short_desc(self) -> str:
        return "Tell by the exit code whether the crawl that writes HEARTBEAT_FILE lives"

    def long_desc(self) -> str:
        return (
            "Looks at HEARTBEAT_FILE, which a crawl touches while it lives: exit code 0 if it is younger than --within "
            "seconds, else 1. For containers. Example: imgcrawl health -s HEARTBEAT_FILE=/tmp/alive"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--within", metavar="SECONDS", default="60", help="how old the file may be (default: 60)")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if args:
            raise InputError(f"scrapy health {' '.join(args)}: expected no argument")
        within = whole_option("within", opts.within, 0, 10**9)
        if not (file := self.project_settings.get("HEARTBEAT_FILE")):
            raise InputError("HEARTBEAT_FILE is not set: expected the file that the crawl touches while it lives")
        try:
            age = time.time() - Path(file).lstat().st_mtime
        except OSError as error:
            complain(f"{file}: {error.strerror}: no crawl has begun")
            return ExitCode.FAILED
        if age > within:
            complain(f"{file} was touched {age:.0f} seconds ago: the crawl hangs, or has ended")
            return ExitCode.FAILED
        return ExitCode.DONE
