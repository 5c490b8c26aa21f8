"""`scrapy crawl`, which tells in the end what became of everything, and whether it is what was wanted."""

from __future__ import annotations

import logging
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

import scrapy.commands.crawl
from rich.console import Console
from rich.text import Text
from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.exceptions import UsageError
from scrapy.extensions.feedexport import FeedExporter
from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError
from imgcrawl.extensions.progress import Progress
from imgcrawl.extensions.verdict import printable, summary

if TYPE_CHECKING:
    import argparse
    import asyncio

    from scrapy import Spider
    from scrapy.crawler import Crawler, CrawlerProcessBase
    from scrapy.settings import Settings

logger = logging.getLogger(__name__)

WIDTH = 120  # columns where there is no terminal to ask
FAILED, REFUSED = 1, 2  # exit codes

# What Scrapy tells at INFO before the first request (versions, settings, lists of components) is for who
# debugs: it is shown with LOG_LEVEL=DEBUG.
STARTUP_LOGGERS = ("scrapy.addons", "scrapy.crawler", "scrapy.middleware", "scrapy.utils.log")

# How the finish reason begins when an `InputError` ended a crawl that Scrapy was already starting.
BAD_INPUT = "bad input: "


class Command(scrapy.commands.crawl.Command):
    """Exit code 0: the crawl did what it should; 1: it did not, and stderr ends with why (the stat `verdict`);
    2: bad input, and stderr ends with what. With SUMMARY_ENABLED (default) a summary precedes the verdict.
    """

    default_settings: ClassVar[dict[str, Any]] = {"PROGRESS_ENABLED": True, "PROGRESS_INTERVAL": 60}

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        settings = cast("Settings", self.settings)  # set in scrapy.cmdline
        try:
            _check_settings(settings, opts.set)
            super().process_options(args, opts)
            _check_log_level(settings["LOG_LEVEL"])
        except (UsageError, InputError) as error:
            _refuse(str(error))
        if settings["LOG_LEVEL"] != "DEBUG":
            _quiet_startup()

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            process = _asyncio_process(self.crawler_process)
            crawler = self._create_crawler(_spider_name(args, sorted(process.spider_loader.list())))
            _run(process, crawler, opts.spargs)
        except InputError as error:
            _refuse(str(error))
        except Exception as error:
            logger.exception("The crawl could not start")
            _say(f"the crawl could not start: {type(error).__name__}: {error}")
            self.exitcode = FAILED
        else:
            self.exitcode = _tell(crawler)

    def _create_crawler(self, spidercls: type[Spider] | str) -> Crawler:
        crawler = super()._create_crawler(spidercls)
        crawler.signals.connect(self._require_feeds, signals.spider_opened)
        return crawler

    def _require_feeds(self, sender: Crawler) -> None:
        # Scrapy logs an error and crawls without the feed that was asked for.
        feeds = sender.settings.getdict("FEEDS")
        if feeds and sender.get_extension(FeedExporter) is None:
            raise InputError(f"the feed cannot be written, the log says why: {', '.join(map(str, feeds))}")


def _asyncio_process(process: CrawlerProcessBase | None) -> AsyncCrawlerProcess:
    if not isinstance(process, AsyncCrawlerProcess):
        raise InputError("TWISTED_REACTOR and FORCE_CRAWLER_PROCESS: expected Scrapy's defaults (asyncio)")
    return process


def _run(process: AsyncCrawlerProcess, crawler: Crawler, spargs: dict[str, str]) -> None:
    """Run *crawler* to its end. Raises what kept it from starting."""
    task: asyncio.Task[None] = process.crawl(crawler, **spargs)
    process.start()
    if not task.done() or task.cancelled():
        # The second Ctrl-C: nothing was closed, so nobody else judges, or takes the display away.
        if progress := crawler.get_extension(Progress):
            progress.close()
        crawler.stats.set_value("verdict", "stopped at once, before what was under way was done")
        return
    task.result()
    reason = str(crawler.stats.get_value("finish_reason", ""))
    if reason.startswith(BAD_INPUT):
        raise InputError(reason.removeprefix(BAD_INPUT))


def _tell(crawler: Crawler) -> int:
    """Print the summary and the verdict; return the exit code."""
    stats = crawler.stats.get_stats()
    some = any(stats.get(name) for name in ("image/found", "gallery/count", "gallery/failed"))
    if some and crawler.settings.getbool("SUMMARY_ENABLED", True):
        _console().print(summary(stats))
    verdict = stats.get("verdict")
    if not verdict:
        return 0
    _say(str(verdict))
    for finding in stats.get("verdict/findings", [])[1:]:
        _say(f"also: {finding}")
    return FAILED


def _spider_name(args: list[str], spiders: list[str]) -> str:
    known = f"the spiders are {', '.join(spiders)}" if spiders else "this project has no spiders"
    if not args:
        raise InputError(f"scrapy crawl: expected the name of a spider; {known}")
    for odd in (arg for index, arg in enumerate(args) if index or arg.startswith("-")):
        raise InputError(f"scrapy crawl: {odd!r} is no option, expected one spider and -a NAME=VALUE for its arguments")
    if args[0] not in spiders:
        close = " or ".join(get_close_matches(args[0], spiders))
        raise InputError(f"no spider {args[0]!r}: " + (f"did you mean {close}?" if close else known))
    return args[0]


def _check_settings(settings: Settings, given: list[str]) -> None:
    """Raise `InputError` if a NAME=VALUE of *given* cannot be what its setting is: a number, or yes or no."""
    for name, value in (pair.split("=", 1) for pair in given if "=" in pair):
        default = settings.get(name)
        try:
            if isinstance(default, bool):
                expected = "True or False"
                BaseSettings({name: value}).getbool(name)
            elif isinstance(default, (int, float)):
                expected = "a number"
                float(value)
        except ValueError:
            raise InputError(f"-s {name}={value}: expected {expected}") from None


def _check_log_level(level: str | int) -> None:
    levels = logging.getLevelNamesMapping()
    if level not in levels and level not in levels.values():
        raise InputError(f"LOG_LEVEL is {level!r}: expected CRITICAL, ERROR, WARNING, INFO or DEBUG")


def _quiet_startup() -> None:
    # A filter, because configure_logging() resets the levels of Scrapy's loggers.
    for name in STARTUP_LOGGERS:
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or str(record.msg).startswith("Received ")  # a signal


def _console() -> Console:
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDTH)


def _say(sentence: str) -> None:
    _console().print(Text(printable(sentence)), soft_wrap=True)


def _refuse(sentence: str) -> NoReturn:
    """End the process: *sentence* on stderr, exit code 2."""
    _say(sentence)
    sys.exit(REFUSED)
