"""`scrapy hosts`: how the hosts of a crawl that is shared are being asked right now."""

from __future__ import annotations

import argparse
import asyncio

from scrapy.commands import ScrapyCommand
from scrapy.settings import Settings

from imgcrawl.commands.base import BaseCommand, show
from imgcrawl.exceptions import InputError
from imgcrawl.lines import printable
from imgcrawl.live import overview
from imgcrawl.live.control import own_server
from imgcrawl.live.view import ALIVE
from imgcrawl.shared.address import redis_url


class Command(BaseCommand, ScrapyCommand):
    """Shows, for each host that was asked for in the last ten minutes (a thousand at most), what all workers together
    may do there and why.

    Of a crawl that shares no Redis, the busiest: it is found by itself, as `scrapy status` does. Exit code 2: no such
    spider, none of its crawls runs, or a server that cannot be reached.
    """

    def syntax(self) -> str:
        return "<spider>"

    def short_desc(self) -> str:
        return "Show how a crawl asks its hosts: permits, delays, who slowed it and why"

    def long_desc(self) -> str:
        return (
            "Shows how all workers of a crawl ask their hosts: how many at once, with which delay, and who slowed it "
            "and why. Example: scrapy hosts pximg"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        spider, settings = self.spider_name("hosts", args), self.project_settings
        url = redis_url(settings) or own_server(settings, spider)
        asyncio.run(_show(spider, settings, url) if url else _show_busiest(spider, settings))
        return 0


async def _show_busiest(spider: str, settings: Settings) -> None:
    view = await overview(settings, spider)
    if view["state"] not in ALIVE:
        raise InputError(f"scrapy hosts: no crawl of {spider} runs here; expected one, or REDIS_URL of one elsewhere")
    from imgcrawl.live.statusview import hosts_table  # noqa: PLC0415 -- no crawl needs it

    show(hosts_table(view))


async def _show(spider: str, settings: Settings, url: str) -> None:
    settings.set("REDIS_URL", url, "cmdline")
    from rich.table import Table  # noqa: PLC0415 -- no crawl needs it
    from rich.text import Text  # noqa: PLC0415 -- the same

    from imgcrawl.limits.redis import OUTAGES  # noqa: PLC0415 -- needs REDIS_URL
    from imgcrawl.limits.sharded import ShardedNotes, limits_of_shards  # noqa: PLC0415 -- needs REDIS_URL

    shards = limits_of_shards(settings, spider)
    try:
        told = [await limits.status() for limits in shards]
        workers, total = max(count for count, _, _ in told), sum(count for _, count, _ in told)
        hosts = sorted((host for _, _, found in told for host in found), key=lambda host: -host.blocked)
        notes = await ShardedNotes(shards).recall_all([f"robots of {host.host}" for host in hosts])
    except OUTAGES as error:
        raise InputError(f"REDIS_URL: the server cannot be reached ({printable(str(error))[:200]})") from None
    finally:
        for limits in shards:
            await limits.store.client.aclose()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("host", "permits", "workers", "delay", "blocked", "slowed by", "robots.txt"):
        table.add_column(column, no_wrap=column == "host")
    for host, note in zip(hosts, notes, strict=True):
        blocked = f"{host.blocked:.0f} s" if host.blocked else ""
        slowed = f"{host.why} ({host.by}, {host.ago:.0f} s ago)" if host.slowed or host.blocked else ""
        cells = (
            host.host,
            f"{host.permits}/{host.concurrency}",
            str(host.workers),
            f"{host.delay:.2f} s",
            blocked,
            slowed,
            str((note or {}).get("said", "")),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    show(Text(f"{spider}: {workers} workers, {total} hosts asked for in the last ten minutes"), table)
