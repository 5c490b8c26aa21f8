"""`scrapy genspider`: Scrapy's, with an example in its help, and not into the installed package."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import cast

import scrapy.commands.genspider
from scrapy.settings import Settings

from imgcrawl.commands.base import refuse, require_own_folder
from imgcrawl.commands.scrapys import ScrapysCommand
from imgcrawl.exceptions import InputError


class Command(ScrapysCommand, scrapy.commands.genspider.Command):
    """Scrapy's own command; `newsite` begins a spider of galleries. Exit code 2: there is no folder for it."""

    example = "scrapy genspider -t crawl birds example.org"

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        super().process_options(args, opts)
        if opts.list or opts.dump:
            return
        settings = cast("Settings", self.settings)
        try:
            require_own_folder("genspider", settings)
        except InputError as error:
            refuse(str(error))
        name = settings["NEWSPIDER_MODULE"]
        if name and not (module := import_module(name)).__file__:
            folder = next(iter(module.__path__))
            refuse(f"scrapy genspider: the folder {folder} is no package; put a file __init__.py into it")
