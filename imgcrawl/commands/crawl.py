"""`scrapy crawl`, which tells in the end what became of everything, and whether it is what was wanted."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

import scrapy.commands.crawl
from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.exceptions import UsageError
from scrapy.extensions.feedexport import FeedExporter
from scrapy.utils.log import configure_logging

from imgcrawl.catalogue import CatalogueError
from imgcrawl.certificates import read_late
from imgcrawl.checks import check_given, check_values
from imgcrawl.commands.base import complain, refuse
from imgcrawl.commands.ending import tell_end
from imgcrawl.commands.manyworkers import run_workers, starter_for
from imgcrawl.commands.progress import progress_of_crawl
from imgcrawl.commands.startup import check_files, check_jobdir, check_log_level, log_file_of, quiet_startup
from imgcrawl.components import check_orders, check_paths, check_process
from imgcrawl.exceptions import BAD_INPUT, InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.extensions.loglines import install_line_records
from imgcrawl.extensions.progress import Progress
from imgcrawl.extensions.runsummary import findings_of
from imgcrawl.extensions.verdict import STOPPED_AT_ONCE
from imgcrawl.live.publisher import Publisher
from imgcrawl.samples import samples_of
from imgcrawl.shared.address import redis_url
from imgcrawl.stopping import stop_in_order

if TYPE_CHECKING:
    import argparse
    import asyncio
    from types import FrameType

    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.settings import Settings

logger = logging.getLogger(__name__)


class Command(scrapy.commands.crawl.Command):
    """The exit codes are those of `ExitCode`; stderr ends with what was not as it should be (the stat `verdict`), and
    so does the file that is logged to (LOG_FILE). With SUMMARY_ENABLED (default) a summary precedes the verdict.
    `--workers` does the crawl with several processes (`imgcrawl.workers`). `--json` writes a last line to stdout: what
    became of everything, as one JSON object.
    """

    default_settings: ClassVar[dict[str, Any]] = {"PROGRESS_ENABLED": True, "PROGRESS_INTERVAL": 60}

    def long_desc(self) -> str:
        return (
            "Runs a spider: images go to IMAGES_STORE, one outcome for each address to the feed. `scrapy list` names "
            "the spiders, `scrapy options SPIDER` their arguments. Exit code 0: the crawl did what it should; 1: it "
            "did not, and the last line says why; 2: bad input; 3: it was told to stop, and ended in order. "
            "Example: scrapy crawl pximg -a pages=3 -O images.json"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--workers", metavar="N", help="crawl with N processes that share the work and the feed")
        parser.add_argument(
            "--simulate", action="store_true", help="ask for no image; say which, and where it would go"
        )
        parser.add_argument("-q", "--quiet", action="store_true", help="tell errors and the verdict only")
        parser.add_argument("--json", action="store_true", help="end with the summary as a line of JSON, on stdout")

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        settings = cast("Settings", self.settings)  # set in scrapy.cmdline
        gc.disable()  # until the crawl begins, when all is loaded: what is loaded stays
        try:
            check_files(settings, opts)
        except InputError as error:
            refuse(str(error))
        try:
            check_given(settings, opts.set)
            super().process_options(args, opts)
            with read_late():
                check_orders(settings)  # which loads components
            check_process(settings)
            check_log_level(settings["LOG_LEVEL"])
            if opts.simulate:
                _simulate(settings, opts)
        except (UsageError, InputError) as error:
            if log_file := log_file_of(settings, opts):
                configure_logging({"LOG_FILE": log_file})
            _refuse(str(error), log_file)
        if opts.quiet:
            opts.loglevel = opts.loglevel or "ERROR"
            for name, value in {
                "LOG_LEVEL": opts.loglevel,
                "PROGRESS_ENABLED": False,
                "SUMMARY_ENABLED": False,
            }.items():
                settings.set(name, value, priority="cmdline")
        if settings["LOG_LEVEL"] != "DEBUG":
            quiet_startup()
        install_line_records()
        _log_in_lines(settings)
        self._starter = starter_for(settings) if opts.workers is not None else None

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            process = cast("AsyncCrawlerProcess", self.crawler_process)  # check_process()
            spiders = sorted(process.spider_loader.list())
            spider = _spider_name(args, spiders)
            settings = cast("Settings", self.settings)
            configured = settings.getdict("SPIDER_ARGUMENTS")
            for name in configured:
                _check_spider(name, spiders, f"{settings['CONFIG_FILE'] or 'SPIDER_ARGUMENTS'}, [arguments.{name}]: ")
            arguments = {**configured.get(spider, {}), **opts.spargs}
            if opts.workers is not None:
                self.exitcode = run_workers(process, spider, opts, arguments, self._starter)
                return
            crawler = self._create_crawler(spider)
            with progress_of_crawl(crawler.settings, partial(_told_beside_display, crawler)):
                _run(process, crawler, arguments)
        except (InputError, CatalogueError) as error:
            _refuse(str(error), self._log_file)
        except Exception as error:
            self._blame_a_setting(error)
            logger.exception("The crawl could not start")
            complain(f"the crawl could not start: {type(error).__name__}: {error}")
            self.exitcode = ExitCode.FAILED
        else:
            stats = crawler.stats.get_stats()
            findings = findings_of(stats)
            if crawler.settings.getint("FRONTIER_PARENT"):  # which tells in the place of its workers
                self.exitcode = ExitCode.FAILED if findings else ExitCode.DONE
            else:
                samples = samples_of(crawler)
                self.exitcode = tell_end(args[0], stats, findings, crawler.settings, samples, as_json=opts.json)
            if stats.get("upload/given_up"):
                _leave(self.exitcode)
        finally:
            if self._starter:
                self._starter.close()

    def _blame_a_setting(self, error: Exception) -> None:
        """End with exit code 2 if a setting is what *error* kept the crawl from starting by: one that names components,
        or a JOBDIR that is no folder to write to."""
        settings = cast("Settings", self.settings)
        try:
            check_paths(settings)
            check_jobdir(settings, error)
        except InputError as bad:
            _refuse(str(bad), self._log_file)

    @property
    def _log_file(self) -> str | None:
        return cast("str | None", cast("Settings", self.settings)["LOG_FILE"])

    def _create_crawler(self, spidercls: type[Spider] | str) -> Crawler:
        crawler = super()._create_crawler(spidercls)
        check_values(crawler.settings)
        crawler.signals.connect(self._require_feeds, signals.spider_opened)
        crawler.signals.connect(_collect_garbage, signals.spider_opened)
        return crawler

    def _require_feeds(self, sender: Crawler) -> None:
        # Scrapy logs an error and crawls without the feed that was asked for.
        feeds = sender.settings.getdict("FEEDS")
        if feeds and sender.get_extension(FeedExporter) is None:
            raise InputError(f"the feed cannot be written, the log says why: {', '.join(map(str, feeds))}")


def _log_in_lines(settings: Settings) -> None:
    """With LOG_JSON have the log be of lines of JSON, from its first one."""
    if settings.getbool("LOG_JSON", False):
        from imgcrawl.telemetry.jsonlines import install_json_lines  # noqa: PLC0415 -- only where it is set

        install_json_lines()


def _told_beside_display(crawler: Crawler) -> str:
    """What is done before the display is there, or when it has gone."""
    try:
        progress = crawler.get_extension(Progress)
    except RuntimeError:  # it has none yet
        return "the crawl begins"
    if progress is None or not progress.display or progress.live:
        return ""
    return "the feeds are written" if crawler.stats.get_value("finish_reason") else "the crawl begins"


def _collect_garbage() -> None:
    # What is loaded by now stays, and the collector need not look at it again and again: a sixth of the event
    # loop's time, and pauses of it.
    gc.freeze()
    gc.enable()


def _run(process: AsyncCrawlerProcess, crawler: Crawler, spargs: dict[str, str]) -> None:
    """Run *crawler* to its end. Raises what kept it from starting."""
    task: asyncio.Task[None] = process.crawl(crawler, **spargs)
    process.stop = partial(stop_in_order, process.stop, crawler, task)  # type: ignore[method-assign] # no hook there
    _stop_on_hangup()
    process.start()
    if not task.done() or task.cancelled():
        # The second Ctrl-C: nothing was closed, so nobody else judges, or takes the display away.
        if progress := crawler.get_extension(Progress):
            progress.close()
        crawler.stats.set_value("verdict", "stopped at once, before what was under way was done")
        crawler.signals.send_catch_log(STOPPED_AT_ONCE)
        _close_live(crawler, "shutdown")
        return
    task.result()
    _close_live(crawler)
    reason = str(crawler.stats.get_value("finish_reason", ""))
    if reason.startswith(BAD_INPUT):
        raise InputError(reason.removeprefix(BAD_INPUT))


def _stop_on_hangup() -> None:
    """A terminal that is closed stops the crawl in order, as SIGTERM does, unless nohup has it go on. The shell says
    so once more, which is not the second signal that ends it at once."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:

        def hang_up(number: int, frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_IGN)
            signal.raise_signal(signal.SIGTERM)

        signal.signal(signal.SIGHUP, hang_up)


def _leave(code: int) -> NoReturn:
    """End the process at once, where Python would wait for threads that wait for the answer of a store."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _close_live(crawler: Crawler, how: str = "") -> None:
    if publisher := crawler.get_extension(Publisher):
        publisher.close(how)


def _simulate(settings: Settings, opts: argparse.Namespace) -> None:
    """Set up a crawl that asks for no image. Raises `InputError` where it would take pages from others."""
    if opts.workers is not None or redis_url(settings):
        raise InputError(
            "--simulate: expected a crawl by itself, without --workers and REDIS_URL, whose queue others share"
        )
    told: dict[str, Any] = {"IMAGES_SIMULATE": True}
    if not (opts.output or opts.overwrite_output):
        told["FEEDS"] = {"stdout:": {"format": "plan"}}
    settings.setdict(told, priority="cmdline")


def _refuse(sentence: str, log_file: str | None) -> NoReturn:
    if log_file:
        logger.error("%s", sentence)
    refuse(sentence)


def _spider_name(args: list[str], spiders: list[str]) -> str:
    if not args:
        raise InputError(f"scrapy crawl: expected the name of a spider; {_known(spiders)}")
    for odd in (arg for index, arg in enumerate(args) if index or arg.startswith("-")):
        raise InputError(f"scrapy crawl: {odd!r} is no option, expected one spider and -a NAME=VALUE for its arguments")
    _check_spider(args[0], spiders)
    return args[0]


def _check_spider(name: str, spiders: list[str], place: str = "") -> None:
    """Raise `InputError` if no spider has the *name* that was given in that *place*."""
    if name not in spiders:
        close = " or ".join(get_close_matches(name, spiders))
        raise InputError(f"{place}no spider {name!r}: " + (f"did you mean {close}?" if close else _known(spiders)))


def _known(spiders: list[str]) -> str:
    return f"the spiders are {', '.join(spiders)}" if spiders else "this project has no spiders"
