"""Bad input where the command is not one of ours: one sentence in the place of a traceback."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.settings import BaseSettings

from imgcrawl import settings as ours
from imgcrawl.checks import check_values
from imgcrawl.exceptions import BAD_INPUT, InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable

logger = logging.getLogger(__name__)

_PROGRAMS = ("scrapy", "imgcrawl")


class Addon:
    """Has bad input told in one sentence, and looks at the values of settings. Raises `InputError` for these."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def update_settings(self, settings: BaseSettings) -> None:
        tell_bad_input(self.crawler)
        check_values(settings)


def tell_bad_input(crawler: Crawler) -> None:
    """Have an `InputError` that ends *crawler*, which is about to start, told in one sentence.

    Scrapy's own commands, which would end with 1 or even with 0, then end with exit code 2. In a script nothing is
    ended: the sentence is logged, and who awaits the crawl gets the error. Commands of ours tell it by themselves, but
    for those of Scrapy's among them, which have this `Addon`.
    """
    own = crawler.settings["COMMANDS_MODULE"] == ours.COMMANDS_MODULE
    if not crawler.crawling or (own and Addon not in crawler.settings.getdict("ADDONS")):  # `scrapy shell` is no crawl
        return
    with suppress(RuntimeError):  # a crawl by Deferreds, which runs in no task
        if task := asyncio.current_task():
            tell = _Teller(crawler)
            task.remove_done_callback(tell)  # of the spider, and of an add-on: once
            task.add_done_callback(tell)


def tell_uncaught(settings: BaseSettings) -> None:
    """Have an `InputError` that is raised before a crawl begins, or where there is none (`scrapy shell`), told in the
    same way: where the command is one of Scrapy's."""
    if settings["COMMANDS_MODULE"] != ours.COMMANDS_MODULE and _is_scrapys_command():
        sys.excepthook = partial(_tell_uncaught, sys.excepthook)


def _tell_uncaught(
    otherwise: Any, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not isinstance(error, InputError):
        otherwise(kind, error, traceback)
        return
    print(printable(str(error)), file=sys.stderr)  # noqa: T201 -- a command's words to its user
    sys.exit(ExitCode.REFUSED)


@dataclass(frozen=True)
class _Teller:
    crawler: Crawler

    def __call__(self, task: asyncio.Task[Any]) -> None:
        _tell(self.crawler, task)


def _tell(crawler: Crawler, task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task._exception  # exception() would have it count as told
    if error and not isinstance(error, InputError):
        return
    if error:
        task.exception()
    sentence = str(error) if error else _sentence_of_end(crawler)
    if not sentence:
        return
    logger.error("%s", printable(sentence))
    if _is_scrapys_command():
        if crawler.settings["LOG_FILE"] or not crawler.settings.getbool("LOG_ENABLED"):
            print(printable(sentence), file=sys.stderr)  # noqa: T201 -- else nobody at the terminal reads it
        sys.exit(ExitCode.REFUSED)  # event loops pass that on


def _sentence_of_end(crawler: Crawler) -> str:
    try:
        reason = str(crawler.stats.get_value("finish_reason", ""))
    except RuntimeError:  # it has not got that far
        return ""
    return reason.removeprefix(BAD_INPUT) if reason.startswith(BAD_INPUT) else ""


def _is_scrapys_command() -> bool:
    program = Path(sys.argv[0])
    return any(name in (program.stem, program.parent.name) for name in _PROGRAMS)  # the script, and `python -m scrapy`
