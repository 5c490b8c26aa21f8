"""`scrapy retry`: a crawl of what the catalogue says has failed, and of nothing else."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

from scrapy.spiderloader import get_spider_loader

from imgcrawl.catalogue import open_catalogue
from imgcrawl.commands import crawl
from imgcrawl.commands.base import CATALOGUE_ERRORS, complain, know_addon, refuse, without_catalogue
from imgcrawl.commands.progress import progress_of_crawl
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.retries import ALL, has_failed

if TYPE_CHECKING:
    import argparse

    from scrapy.settings import Settings


class Command(crawl.Command):
    """As `scrapy crawl`, but for where it begins. Exit code 0 also where there is nothing to try."""

    def short_desc(self) -> str:
        return "Try again what failed, and only that"

    def long_desc(self) -> str:
        return (
            "Asks once more for the images of a spider that failed when they were last tried, each with the page that "
            "shows it as Referer, under the path that it was to have, and for the pages of galleries that could not be "
            "had, with the limits and the settings of a crawl; what is had completes its gallery in the catalogue. "
            "Give the arguments (-a) that the crawl had. Exit codes as of `scrapy crawl`. "
            "Example: scrapy retry pximg --reason http_503"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--reason", default="", help="only what failed for this reason (http_404, timeout, …)")

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        settings = cast("Settings", self.settings)
        names = get_spider_loader(settings).list()
        try:
            know_addon(settings)
            told = progress_of_crawl(settings, lambda: "looking for what failed")
            with told, closing(open_catalogue(settings, must_exist=True)) as catalogue:
                # What is no spider, the crawl tells.
                found = len(args) != 1 or args[0] not in names or has_failed(catalogue, args[0], opts.reason)
        except InputError as error:
            refuse(str(error))
        except CATALOGUE_ERRORS as error:
            self.exitcode = without_catalogue(error)
            return
        if not found:
            complain(f"nothing of {args[0]} to try again{f' for {opts.reason}' if opts.reason else ''}")
            self.exitcode = ExitCode.DONE
            return
        opts.spargs["_retry"] = opts.reason or ALL
        super().run(args, opts)
