"""What Scrapy's own commands have in this project: an example in their help, and bad input is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from scrapy.exceptions import UsageError

from imgcrawl.checks import check_given
from imgcrawl.commands.base import complain, refuse
from imgcrawl.commands.startup import check_files
from imgcrawl.components import check_orders, check_process
from imgcrawl.exceptions import ImgcrawlError, InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.refusal import Addon as RefusalAddon

if TYPE_CHECKING:
    import argparse

    from scrapy.commands import ScrapyCommand as Base
    from scrapy.http import Response
    from scrapy.settings import Settings
else:
    Base = object  # Scrapy takes every subclass of ScrapyCommand in this package for a command


class NothingCameError(ImgcrawlError):
    """There is no answer from *url*."""

    def __init__(self, url: str, why: str = "with -L INFO the log says why") -> None:
        super().__init__(f"nothing was fetched from {url}: {why}")


class ScrapysCommand(Base):
    """What is inherited besides a command of Scrapy's, and before it: `example` is shown in its help.

    An `InputError`, of its options or of a crawl that it begins, ends it with exit code 2 and one sentence.
    """

    example: ClassVar[str]

    def long_desc(self) -> str:
        return f"{super().long_desc().strip().rstrip('.')}. Example: {self.example}"

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        settings = cast("Settings", self.settings)  # set in scrapy.cmdline
        try:
            check_files(settings, opts)
            check_given(settings, opts.set)
            super().process_options(args, opts)
            if self.requires_crawler_process:
                check_orders(settings)
                check_process(settings)
                settings.setdefault_in_component_priority_dict("ADDONS", RefusalAddon, 0)
        except InputError as error:
            refuse(str(error))

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            if spider := getattr(opts, "spider", None):
                self.check_spider("--spider ", spider)
            self.begin(args, opts)
            super().run(args, opts)  # type: ignore[safe-super] # of the command of Scrapy's behind this class
        except UsageError as error:
            if not str(error):  # then Scrapy prints the help, and does not say what is missing
                raise UsageError(f"expected {self.syntax()}, as in: {self.example}") from error
            raise
        except InputError as error:
            complain(str(error))
            self.exitcode = ExitCode.REFUSED
        except NothingCameError as error:
            complain(str(error))
            self.exitcode = ExitCode.FAILED

    def begin(self, args: list[str], opts: argparse.Namespace) -> None:
        """What is done before Scrapy's command. May raise `InputError`."""

    def check_spider(self, place: str, name: str) -> None:
        """Raise `InputError` where no spider has the *name* that was given in that *place*."""
        if self.crawler_process:
            names = sorted(self.crawler_process.spider_loader.list())
            if name not in names:
                raise InputError(f"{place}{name}: expected one of {', '.join(names)}")


class ScrapysFetch(ScrapysCommand):
    """The same, of a command that asks for one address: where nothing comes from it, one sentence and exit code 1."""

    _came = False

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        super().run(args, opts)
        if not self.exitcode and not self.has_come():
            complain(str(NothingCameError(args[0])))
            self.exitcode = ExitCode.FAILED

    def has_come(self) -> bool:
        """Whether there was an answer."""
        return self._came

    def _print_response(self, response: Response, opts: argparse.Namespace) -> None:
        self._came = True
        super()._print_response(response, opts)  # type: ignore[misc] # of the command of Scrapy's behind this class
