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
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from scrapy.crawler import Crawler, CrawlerProcess, CrawlerRunner
from scrapy.settings import BaseSettings
from twisted.python.failure import Failure

from imgcrawl import settings as ours
from imgcrawl.checks import check_values
from imgcrawl.engine import count_as_told, crawl_by, deferred_runner
from imgcrawl.exceptions import BAD_INPUT, InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

logger = logging.getLogger(__name__)

_PROGRAMS = ("scrapy", "imgcrawl")
_BY_DEFERREDS: WeakSet[Crawler] = WeakSet()
_TOLD: WeakSet[CrawlerRunner] = WeakSet()  # whose crawls' bad input is told already


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
    ended: the sentence is logged, and who awaits the crawl gets the error. (Of a crawl by Deferreds `tell_uncaught`
    takes care.) Commands of ours tell it by themselves, but for those of Scrapy's among them, which have this `Addon`.
    """
    own = crawler.settings["COMMANDS_MODULE"] == ours.COMMANDS_MODULE
    if not crawler.crawling or (own and Addon not in crawler.settings.getdict("ADDONS")):  # `scrapy shell` is no crawl
        return
    if crawler in _BY_DEFERREDS:  # a task that runs now is whoever's that began it
        return
    with suppress(RuntimeError):  # a crawl by Deferreds without an add-on, which runs in no task
        if task := asyncio.current_task():
            tell = _Teller(crawler)
            task.remove_done_callback(tell)  # of the spider, and of an add-on: once
            task.add_done_callback(tell)


def tell_uncaught(settings: BaseSettings) -> None:
    """Have an `InputError` that is raised before a crawl begins, or where there is none (`scrapy shell`), told in the
    same way, in scripts too; and one of a crawl by Deferreds (CrawlerRunner, CrawlerProcess, FORCE_CRAWLER_PROCESS).
    Not where commands are ours, which do it themselves."""
    if settings["COMMANDS_MODULE"] == ours.COMMANDS_MODULE:
        return
    if getattr(sys.excepthook, "func", None) is not _tell_uncaught and not hasattr(sys, "ps1"):
        sys.excepthook = partial(_tell_uncaught, sys.excepthook)
    if (runner := deferred_runner()) and runner not in _TOLD:
        _TOLD.add(runner)
        _CrawlsByDeferreds(runner)


def _tell_uncaught(
    otherwise: Any, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not isinstance(error, InputError):
        otherwise(kind, error, traceback)
        return
    print(printable(str(error)), file=sys.stderr)  # noqa: T201 -- a command's words to its user
    sys.exit(ExitCode.REFUSED)


class _CrawlsByDeferreds:
    """Stands before methods of *runner*, for there are no tasks to ask how its crawls ended."""

    def __init__(self, runner: CrawlerRunner) -> None:
        self._was_told = False
        crawl_by(runner, self._made)
        if isinstance(runner, CrawlerProcess):
            self._start = runner.start
            runner.start = self.start  # type: ignore[method-assign]  # Scrapy has no hook there

    def _made(self, crawl: Callable[..., Deferred[None]]) -> Callable[..., Deferred[None]]:
        return partial(self.crawl, crawl)

    def crawl(
        self, crawl: Callable[..., Deferred[None]], crawler: Crawler, *args: Any, **kwargs: Any
    ) -> Deferred[None]:
        _BY_DEFERREDS.add(crawler)
        deferred = crawl(crawler, *args, **kwargs)

        told = False

        def ended(result: Any) -> Any:
            nonlocal told
            told = _tell(crawler, result.value if isinstance(result, Failure) else None)
            self._was_told |= told
            return result

        deferred.addBoth(ended)
        if told:
            count_as_told(deferred)
        return deferred

    def start(self, *args: Any, **kwargs: Any) -> None:
        self._start(*args, **kwargs)
        if self._was_told and _is_scrapys_command():
            sys.exit(ExitCode.REFUSED)


@dataclass(frozen=True)
class _Teller:
    crawler: Crawler

    def __call__(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task._exception  # exception() would have it count as told
        if _tell(self.crawler, error):
            if error:
                task.exception()
            if _is_scrapys_command():
                sys.exit(ExitCode.REFUSED)  # event loops pass that on


def _tell(crawler: Crawler, error: BaseException | None) -> bool:
    """Tell the bad input that ended *crawler*, with *error* or in order; False if it was something else."""
    if error and not isinstance(error, InputError):
        return False
    sentence = str(error) if error else _sentence_of_end(crawler)
    if not sentence:
        return False
    logger.error("%s", printable(sentence))
    if _is_scrapys_command() and (crawler.settings["LOG_FILE"] or not crawler.settings.getbool("LOG_ENABLED")):
        print(printable(sentence), file=sys.stderr)  # noqa: T201 -- else nobody at the terminal reads it
    return True


def _sentence_of_end(crawler: Crawler) -> str:
    try:
        reason = str(crawler.stats.get_value("finish_reason", ""))
    except RuntimeError:  # it has not got that far
        return ""
    return reason.removeprefix(BAD_INPUT) if reason.startswith(BAD_INPUT) else ""


def _is_scrapys_command() -> bool:
    program = Path(sys.argv[0])
    return any(name in (program.stem, program.parent.name) for name in _PROGRAMS)  # the script, and `python -m scrapy`
