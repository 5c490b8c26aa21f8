"""`scrapy crawl --workers`: the crawl with several processes, and what they did together."""

from __future__ import annotations

import asyncio
import gc
import sys
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from scrapy.spiderloader import SpiderLoader

from imgcrawl.checks import check_values
from imgcrawl.children import crawl_command
from imgcrawl.commands.base import whole_option
from imgcrawl.commands.ending import tell_end
from imgcrawl.commands.progress import progress_of_crawl
from imgcrawl.components import check_paths
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.hooks import announcer_for

if TYPE_CHECKING:
    import argparse

    from scrapy.crawler import AsyncCrawlerProcess
    from scrapy.settings import Settings

    from imgcrawl.workers.process import Starter

MOST_WORKERS = 10_000  # more than any machine has memory for
# What a worker loads that no setting names.
_OF_WORKERS = ("imgcrawl.frontier.scheduler", "imgcrawl.limits.sharded", "scrapy.core.engine", "lxml.html")


def starter_for(settings: Settings) -> Starter | None:
    """What forks workers from a process that has loaded what a crawl loads; that goes on while this one looks for a
    Redis. To be asked for before this process has threads."""
    if sys.platform == "linux":
        from imgcrawl.workers.warm import WarmStart  # noqa: PLC0415 -- with --workers only

        return WarmStart.fork(partial(_load, settings))
    return None


def _load(settings: Settings) -> None:
    for name in _OF_WORKERS:
        import_module(name)
    SpiderLoader.from_settings(settings)
    check_paths(settings)


def run_workers(
    process: AsyncCrawlerProcess,
    spider: str,
    opts: argparse.Namespace,
    arguments: dict[str, str],
    starter: Starter | None,
) -> int:
    """Run several workers of *spider* to the end of the crawl, and tell what they did together; return the exit
    code."""
    gc.enable()
    # What they need (a Redis client) is for who uses it.
    from imgcrawl.feeds.output import OutputWriter  # noqa: PLC0415 -- see above
    from imgcrawl.frontier.options import check_settings  # noqa: PLC0415 -- see above
    from imgcrawl.shared.address import redis_params  # noqa: PLC0415 -- see above
    from imgcrawl.workers.plan import Plan, folder_for  # noqa: PLC0415 -- see above
    from imgcrawl.workers.process import start_worker  # noqa: PLC0415 -- see above
    from imgcrawl.workers.supervisor import Workers  # noqa: PLC0415 -- see above

    if sys.platform == "win32":  # neither signals nor processes in the event loop that Scrapy uses there
        raise InputError("--workers is not for Windows: start several crawls with one REDIS_URL")
    count = whole_option("workers", opts.workers, 1, MOST_WORKERS)
    if arguments.get("file") == "-":
        raise InputError("-a file=- with --workers: each worker reads the list; expected a file, or its address")
    with progress_of_crawl(process.settings, lambda: "the workers begin"):  # a feed that is added to is read
        settings = process.create_crawler(spider).settings
        check_values(settings)
        check_settings(settings)
        redis_params(settings)
        feeds = OutputWriter(settings, spider, arguments)
    # Only what stands on this command line, too: all may read those of others' processes, and secrets are in files.
    command = crawl_command(settings, spider)
    command += [part for name, value in opts.spargs.items() for part in ("-a", f"{name}={value}")]
    command += [part for pair in opts.set for part in ("-s", pair)]
    command += ["-L", opts.loglevel] if opts.loglevel else []
    command += ["--logfile", opts.logfile] if opts.logfile else []
    command += ["--nolog"] if opts.nolog else []
    plan = Plan(spider, count, command, feeds, folder_for(spider, arguments, feeds))
    announcer = announcer_for(settings, spider)
    workers = Workers(plan, settings, announcer, partial(start_worker, starter=starter))
    with progress_of_crawl(settings, workers.terminal.told_beside):
        done = asyncio.run(workers.run())
    if done.refused:
        return ExitCode.REFUSED
    done.stats["finish_time"] = datetime.now(UTC)
    if announcer:
        done.stats |= announcer.end(done.stats, done.findings, done.samples)
        done.findings = done.stats.get("verdict/findings", done.findings)
    return tell_end(spider, done.stats, done.findings, settings, done.samples, as_json=opts.json)
