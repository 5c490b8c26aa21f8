"""`scrapy queue`: what the shared queue of a spider holds."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.commands import ScrapyCommand
from scrapy.spiderloader import get_spider_loader

from imgcrawl.commands.base import BaseCommand, complain, say, show
from imgcrawl.commands.progress import CommandProgress, no_progress
from imgcrawl.display import again
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable, shown_address
from imgcrawl.live.control import own_server
from imgcrawl.shared.address import redis_url

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.frontier.queues import Queues

PATIENCE = 10  # seconds for a crawl to start its server, or to leave
MOST_WORKERS = MOST_LEASES = 50  # shown; a table that fills many screens tells nobody anything


class Command(BaseCommand, ScrapyCommand):
    """Shows, or changes, what is queued. Exit code 1: Redis does not answer, or nothing was cleared; 2: bad input."""

    def syntax(self) -> str:
        return "[options] <spider>"

    def short_desc(self) -> str:
        return "Show the queue that workers share: queued, leased, done, dead"

    def long_desc(self) -> str:
        return (
            "Shows what the queue of a spider holds that workers share: queued, leased by whom and since when, done, "
            "given up. Example: REDIS_URL=redis://127.0.0.1:6379 scrapy queue pximg --dead"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--dead", action="store_true", help="show the pages that were given up, and why")
        what.add_argument("--requeue", action="store_true", help="put the pages that were given up back into the queue")
        what.add_argument("--clear", action="store_true", help="forget queue, leases and what was seen; asks first")
        parser.add_argument(
            "--in", dest="folder", metavar="FOLDER", help="of the feed of a crawl with --workers and no REDIS_URL"
        )
        parser.add_argument("--yes", action="store_true", help="clear without asking, also under live workers")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        spider = self.spider_name("queue", args)
        settings = self.project_settings.copy()
        get_spider_loader(settings).load(spider).update_settings(settings)
        url = redis_url(settings) or own_server(settings, spider)
        if url and not opts.folder:
            return _look(settings, url, spider, opts)
        with _server(spider, Path(opts.folder or ".")) as url:
            return _look(settings, url, spider, opts)


def _look(settings: BaseSettings, url: str, spider: str, opts: argparse.Namespace) -> int:
    settings.set("REDIS_URL", url, "cmdline")
    # Nothing of it is loaded without REDIS_URL.
    from imgcrawl.frontier.queue import queue_from_settings  # noqa: PLC0415 -- see above
    from imgcrawl.frontier.queues import queues_as_they_are  # noqa: PLC0415 -- see above
    from imgcrawl.shared.connection import OUTAGES, check_server  # noqa: PLC0415 -- see above

    async def go() -> int:
        home = queue_from_settings(settings, spider)
        try:
            async with asyncio.timeout(10):
                await check_server(home, url)
                store = await queues_as_they_are(home)
            if opts.clear:
                return await _clear(store, spider, sure=opts.yes)
            action: Callable[[Queues, str], Awaitable[int]] = _show
            if opts.dead:
                action = _show_dead
            elif opts.requeue:
                action = _requeue
            with CommandProgress(lambda: f"asking the queue of {spider}"):
                return await action(store, spider)
        except OUTAGES as error:
            complain(f"REDIS_URL {shown_address(url)}: cannot be reached ({type(error).__name__}: {error})")
            return ExitCode.FAILED
        finally:
            await home.client.aclose()

    return asyncio.run(go())


@contextmanager
def _server(spider: str, folder: Path) -> Iterator[str]:
    """The address of the server that a crawl with --workers has, or had, in *folder* or the `.imgcrawl` in it."""
    from imgcrawl.frontier.server import EmbeddedServer  # noqa: PLC0415 -- nothing of it is loaded without REDIS_URL
    from imgcrawl.workers.plan import claimed  # noqa: PLC0415 -- the same

    folder = folder.absolute()
    places = [place for place in (folder, *sorted(folder.glob(".imgcrawl/*"))) if (place / "redis").is_dir()]
    places = [place for place in places if re.fullmatch(f"{re.escape(spider)}-[0-9a-f]{{8}}", place.name)]
    if len(places) > 1:
        raise InputError(f"scrapy queue {spider}: expected --in and one of {', '.join(map(str, places))}")
    if not places:
        raise InputError(
            "scrapy queue: expected REDIS_URL, a setting or an environment variable, or --in and the folder of the feed"
            f" of a crawl that ended with pages set aside: {folder} holds no queue of {spider}"
        )
    server = EmbeddedServer(places[0] / "redis")
    with ExitStack() as stack:
        patience = time.monotonic() + PATIENCE
        while not server.is_alive():
            try:
                stack.enter_context(claimed(places[0]))
            except InputError:  # a crawl that is about to start it, or has just stopped it
                if time.monotonic() > patience:
                    raise
                time.sleep(0.1)
                continue
            server.start()
            stack.callback(server.stop)
            break
        yield server.url


async def _show(store: Queues, spider: str) -> int:
    from rich.table import Table  # noqa: PLC0415 -- no crawl needs it
    from rich.text import Text  # noqa: PLC0415 -- the same

    from imgcrawl.frontier import inspect  # noqa: PLC0415 -- the same
    from imgcrawl.frontier.run_arguments import shown  # noqa: PLC0415 -- the same

    counts, workers = await inspect.counts(store), await inspect.workers(store, MOST_WORKERS)
    if not counts["id"]:
        say(f"{spider}: no crawl yet; {counts['queued']:,} queued, {counts['seen']:,} seen")
        return 0
    started = f", since {_when(counts['started'] / 1000)}" if counts["started"] else ""
    seeded = "" if counts["seeded"] else ", the start pages are still being queued"
    given = f", with {shown(counts['arguments'])}" if counts["arguments"] else ""
    say(f"{spider}: {counts['state']}{started}{given}{seeded}")
    if counts["error"]:
        say(f"start() ended with {counts['error']}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, meaning in {
        "queued": "pages that wait",
        "leased": "pages that workers have",
        "done": "pages whose items are in the feed",
        "seen": "addresses that were queued at any time",
        "redelivered": "pages that went back, after a failure or the death of a worker",
        "dead": f"pages given up: scrapy queue {spider} --dead",
        "rejected": "values in Redis that were none of ours",
    }.items():
        table.add_row(name, f"{counts[name]:,}", meaning)
    show(table)
    if workers:
        held = Table("worker", "pages", "oldest since", box=None, padding=(0, 2, 0, 0), header_style="bold")
        for worker, leases in sorted(workers.items()):
            since = min((lease.since for lease in leases), default=0.0)
            held.add_row(Text(printable(worker)), str(len(leases)), _when(since) if since else "")
        show(held)
        _say_how_many_more(counts["workers"] - len(workers), "workers")
    if pages := sorted((lease.since, worker, lease) for worker in workers for lease in workers[worker]):
        shown_ = Table("since", "worker", "page", box=None, padding=(0, 2, 0, 0), header_style="bold")
        for since, worker, lease in pages[:MOST_LEASES]:
            shown_.add_row(_when(since), Text(printable(worker)), Text(_url(lease.request), overflow="fold"))
        show(shown_)
        _say_how_many_more(counts["leased"] - MOST_LEASES, "pages")
    return 0


def _say_how_many_more(count: int, what: str) -> None:
    if count > 0:
        say(f"and {count:,} more {what}")


async def _show_dead(store: Queues, spider: str) -> int:
    from imgcrawl.frontier import inspect  # noqa: PLC0415 -- nothing of it is loaded without REDIS_URL

    dead = await inspect.dead(store)
    for page in dead:
        times = f"{page['failures']} failures, {page['deaths']} deaths of its worker"
        say(f"{_when(page['at'])}  {_url(page['request'])}")
        say(f"    {times}; the last: {page['reason']}")
    total = (await inspect.counts(store))["dead"]
    if not total:
        say(f"{spider}: no page was given up")
    elif total > len(dead):
        say(f"and {total - len(dead):,} more")
    return 0


async def _requeue(store: Queues, spider: str) -> int:
    back = await store.requeue()
    say(f"{spider}: {again(back)}")
    return 0


async def _clear(store: Queues, spider: str, *, sure: bool) -> int:
    from imgcrawl.frontier import inspect  # noqa: PLC0415 -- nothing of it is loaded without REDIS_URL

    counts = await inspect.counts(store)
    if not sure:
        workers = f", {counts['workers']} workers have to leave" if counts["workers"] else ""
        say(
            f"{spider}: {counts['queued']:,} queued and {counts['leased']:,} leased pages and {counts['seen']:,} seen "
            f"addresses will be forgotten{workers}. Clear? [y/N] ",
            end="",
        )
        with no_progress():
            answer = await asyncio.to_thread(sys.stdin.readline)
        if answer.strip().lower() not in ("y", "yes"):
            say("Nothing was cleared.")
            return 1
    with CommandProgress(lambda: f"{counts['seen']:,} addresses are being forgotten"):
        await store.clear(force=True)
    say(f"{spider}: cleared")
    return 0


def _url(request: bytes) -> str:
    """The address in a request as it lies in Redis."""
    try:
        url: Any = json.loads(request)["url"]
    except (ValueError, RecursionError, TypeError, KeyError):
        url = request[:200]
    return printable(str(url))[:500]


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
    except (ValueError, OverflowError, OSError):  # what stands in Redis may be anybody's
        return "?"
