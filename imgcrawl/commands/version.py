"""`scrapy version`: of this project, and Scrapy's."""

from __future__ import annotations

import argparse

import scrapy.commands.version

from imgcrawl import __version__
from imgcrawl.commands.base import say
from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.version.Command):
    """Scrapy's own command, and our version before it."""

    example = "scrapy version -v"

    def short_desc(self) -> str:
        return "Print the versions of imgcrawl and Scrapy"

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        say(f"imgcrawl {__version__}")
        super().run(args, opts)
