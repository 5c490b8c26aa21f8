"""`scrapy watch`: a page in the browser that shows a crawl while it runs, and steers it."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
from functools import partial

from scrapy.commands import ScrapyCommand
from scrapy.settings import BaseSettings, Settings
from scrapy.spiderloader import get_spider_loader

from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.commands.progress import no_progress
from imgcrawl.commands.status import look
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.live.control import ask, requeue
from imgcrawl.live.overview import overview
from imgcrawl.live.view import ALIVE

PORT = 8976


class Command(BaseCommand, ScrapyCommand):
    """Serves the page until Ctrl-C. Exit code 2: bad input, or a port that cannot be had."""

    def syntax(self) -> str:
        return "[options] [spider]"

    def short_desc(self) -> str:
        return "Show a crawl in the browser while it runs: figures, curves, images, failures; pause, slow down, stop"

    def long_desc(self) -> str:
        return (
            "Serves a page on this machine that shows a crawl while it runs, with all its workers, and pauses, slows "
            "down or stops it. Whoever is to see it needs the address that is printed, with the token behind its #. "
            "Example: scrapy watch pximg"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--port", type=int, help=f"port of the page (default: {PORT}, or a free one if it is taken; 0: a free one)"
        )
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen at, for other machines (default: %(default)s)"
        )
        parser.add_argument(
            "--token", help="what the page asks for (default: WATCH_TOKEN, or a new one at every start)"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        settings = self.project_settings.copy()
        spider = self.spider_name("watch", args) if args else _the_one_that_runs(settings)
        get_spider_loader(settings).load(spider).update_settings(settings)
        if opts.port is not None and not 0 <= opts.port <= 65535:
            raise InputError(f"--port {opts.port}: expected a number from 0 to 65535")
        try:
            with no_progress():
                asyncio.run(_serve(settings, spider, opts))
        except KeyboardInterrupt:
            say("")
        return ExitCode.DONE


def _the_one_that_runs(settings: Settings) -> str:
    ours = set(get_spider_loader(settings).list())  # crawls of other projects are found, too
    views = asyncio.run(look(settings, ""))
    running = [view["spider"] for view in views if view["state"] in ALIVE and view["spider"] in ours]
    if len(running) != 1:
        found = f"these run: {', '.join(running)}" if running else "no crawl runs that is known here"
        raise InputError(f"scrapy watch: {found}; expected the name of a spider")
    return str(running[0])


async def _serve(settings: BaseSettings, spider: str, opts: argparse.Namespace) -> None:
    # No crawl needs these.
    from imgcrawl.catalogue.opening import local_store  # noqa: PLC0415 -- see above
    from imgcrawl.pipelines.objects import StoredObjects  # noqa: PLC0415 -- see above
    from imgcrawl.watch.access import Access, check_token, new_token  # noqa: PLC0415 -- see above
    from imgcrawl.watch.server import WatchServer  # noqa: PLC0415 -- see above
    from imgcrawl.watch.thumbnails import Thumbnails  # noqa: PLC0415 -- see above

    chosen = opts.token if opts.token is not None else settings.get("WATCH_TOKEN", "")
    token = check_token(str(chosen)) if chosen or opts.token is not None else new_token()
    bounds = settings.getint("IMAGES_MAX_PIXELS", 100_000_000), settings.getint("IMAGES_MAX_MEMORY", 160_000_000)
    watch = WatchServer(
        partial(overview, settings, spider),
        partial(ask, settings, spider),
        partial(requeue, settings, spider),
        Thumbnails(local_store(settings), *bounds, StoredObjects.from_settings(settings)),
        Access(token, opts.host),
    )

    def on_ready(port: int) -> None:
        say(f"{spider} is watched at http://{_shown(opts.host)}:{port}/#{token} until Ctrl-C")

    ports = [PORT, 0] if opts.port is None else [opts.port]
    try:
        await watch.serve(opts.host, ports, on_ready)
    except OSError as error:
        raise InputError(f"{opts.host}:{ports[-1]} cannot be listened at: {describe(error)}") from error


def _shown(host: str) -> str:
    """*host* as it stands in an address that others can open."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return socket.gethostname()
    return f"[{host}]" if address.version == 6 else host
