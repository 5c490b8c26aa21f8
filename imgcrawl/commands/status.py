"""`scrapy status`: what runs now, or how the last crawl ended."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scrapy.commands import ScrapyCommand
from scrapy.spiderloader import get_spider_loader

from imgcrawl.commands.base import BaseCommand, say, show
from imgcrawl.commands.progress import no_progress
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable
from imgcrawl.live import overview
from imgcrawl.live.entries import of_folder
from imgcrawl.live.folder import LiveFolder
from imgcrawl.live.shared import spiders_of_redis
from imgcrawl.live.view import ALIVE

if TYPE_CHECKING:
    from rich.console import RenderableType
    from scrapy.settings import Settings

REFRESH = 1.0  # seconds


class Command(BaseCommand, ScrapyCommand):
    """Shows the crawl of one spider, or which crawls run; in a terminal again each second, until the crawl ends.

    Exit code 0: a crawl runs, or ran until a moment ago; 1: none runs, and when and how the last one ended is said;
    2: bad input, or a Redis that does not answer.
    """

    def syntax(self) -> str:
        return "[spider]"

    def short_desc(self) -> str:
        return "Show what runs now: workers, speed, queue, hosts, outcomes; or how the last crawl ended"

    def long_desc(self) -> str:
        return (
            "Shows a crawl that runs, from any folder: each worker, how fast it is, what the queue holds, who slows "
            "which host, what became of everything. Finds crawls of this user, and with REDIS_URL those that share it. "
            "Example: scrapy status pximg --once"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--once", action="store_true", help="show it once, also in a terminal")
        parser.add_argument("--json", action="store_true", help="a line of JSON for each crawl, once")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        spider = self.spider_name("status", args) if args else ""
        settings = self.project_settings
        if opts.json:
            views = asyncio.run(look(settings, spider))
            for view in views:
                say(json.dumps(view))
            return _code(views)
        if opts.once or not sys.stdout.isatty():
            views = asyncio.run(look(settings, spider))
            show(_picture(views, spider))
            return _code(views)
        try:
            return asyncio.run(_watch(settings, spider))
        except KeyboardInterrupt:  # whoever looks has seen enough
            return ExitCode.DONE


async def look(settings: Settings, spider: str) -> Sequence[dict[str, Any]]:
    """The overview of *spider*, or, without one, those of all that run; if none runs, of all that ever have."""
    if spider:
        return [await overview(settings, spider)]
    folder = LiveFolder.from_settings(settings)
    names = await asyncio.to_thread(lambda: {entry.read()["spider"] for entry in folder.entries()})
    known = set(get_spider_loader(settings).list())
    names |= await spiders_of_redis(settings, known)
    views = [  # of another project's spiders there are files only
        await (overview(settings, name) if name in known else asyncio.to_thread(of_folder, settings, name))
        for name in sorted(names - {""})
    ]
    views = [view for view in views if view["state"] != "none"]
    return [view for view in views if view["state"] in ALIVE] or views


def _picture(views: Sequence[Mapping[str, Any]], spider: str) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 -- no crawl needs it
    from rich.text import Text  # noqa: PLC0415 -- the same

    from imgcrawl.live.statusview import headline, picture  # noqa: PLC0415 -- the same

    if spider or (len(views) == 1 and views[0]["state"] in ALIVE):
        return picture(views[0])
    running = any(view["state"] in ALIVE for view in views)
    first = f"{len(views)} crawls run; scrapy status SPIDER shows one" if running else "no crawl runs here"
    return Group(Text(first), *(headline(view) for view in views))


async def _watch(settings: Settings, spider: str) -> int:
    from rich.console import Console  # noqa: PLC0415 -- no crawl needs it
    from rich.live import Live  # noqa: PLC0415 -- the same
    from rich.text import Text  # noqa: PLC0415 -- the same

    views = await look(settings, spider)
    with no_progress(), Live(_picture(views, spider), console=Console(highlight=False), auto_refresh=False) as live:
        live.refresh()
        ran = False
        while _code(views) == ExitCode.DONE:
            ran = True
            await asyncio.sleep(REFRESH)
            try:
                views = await look(settings, spider)
                live.update(_picture(views, spider), refresh=True)
            except InputError as error:  # a Redis that is away: it may come back
                live.update(Text(printable(str(error))), refresh=True)
    return ExitCode.DONE if ran else ExitCode.FAILED


def _code(views: Sequence[Mapping[str, Any]]) -> ExitCode:
    return ExitCode.DONE if any(view["state"] in ALIVE for view in views) else ExitCode.FAILED
