"""`scrapy shell`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scrapy.commands.shell

from imgcrawl.commands.base import complain
from imgcrawl.commands.scrapys import NothingCameError, ScrapysCommand
from imgcrawl.exceptions import describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.failures import reason_of

if TYPE_CHECKING:
    import argparse


class Command(ScrapysCommand, scrapy.commands.shell.Command):
    """Scrapy's own command. Where nothing comes from an address it says so, and if there is code to be run (`-c`) it
    ends, with exit code 1."""

    example = "scrapy shell https://example.org/albums"

    _has_code = False
    _is_shown = False  # what has come, or that nothing has

    def begin(self, args: list[str], opts: argparse.Namespace) -> None:
        self._has_code = opts.code is not None

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            super().run(args, opts)
        except Exception as error:
            if self._is_shown or not args or reason_of(error)[1] == "error":
                raise
            complain(str(NothingCameError(args[0], describe(error))))
            self.exitcode = ExitCode.FAILED

    def update_vars(self, vars: dict[str, Any]) -> None:
        self._is_shown = True
        request = vars["request"]
        if request is None or vars["response"] is not None:
            return
        if self._has_code:  # it would be run without what it is about
            raise NothingCameError(request.url)
        complain(str(NothingCameError(request.url)))
