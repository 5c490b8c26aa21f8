"""Where Prometheus finds the metrics of a crawl: an address of its own for each process."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from scrapy import signals

from imgcrawl.cancelling import cancel_all
from imgcrawl.exceptions import InputError, describe
from imgcrawl.filelocks import lock
from imgcrawl.ownfiles import open_own, whose
from imgcrawl.telemetry.metrics import CrawlMetrics
from imgcrawl.watch.access import is_loopback, is_own_name

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

_PORTS = 100  # tried, from METRICS_PORT on: so many workers may be on one machine
_INTERVAL = 0.25  # seconds between two looks at how late the event loop is
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class MetricsServer:
    """Serves `/metrics` at METRICS_ADDRESS (default 127.0.0.1) and METRICS_PORT, or, if another process has that, the
    next port that is free; 0: any. It is made when somebody asks, in the event loop, of the crawl's stats. At an
    address of this machine alone it is to be had by an address, or by this machine's names only; elsewhere by any, as
    scrapers have names for it.

    With METRICS_TARGETS, a folder, each process has a file there while it lives, as Prometheus' `file_sd_configs` wants
    it; those of processes that were killed are removed by the next one. METRICS_HOSTS (default 20) hosts have labels of
    their own. Raises `InputError` for settings that make no sense.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self.address = str(settings.get("METRICS_ADDRESS", "127.0.0.1"))
        self.port = _port(settings.get("METRICS_PORT"))
        self.targets = TargetFile(settings.get("METRICS_TARGETS", ""), crawler.spidercls.name)
        self.registry = CollectorRegistry()
        self.registry.register(CrawlMetrics(crawler, settings.getint("METRICS_HOSTS", 20)))
        ProcessCollector(registry=self.registry)
        lag = "How late the event loop was, looked at four times a second."
        self._lag = Histogram(
            "imgcrawl_event_loop_lag_seconds", lag, ["spider"], registry=self.registry, buckets=_BUCKETS
        ).labels(crawler.spidercls.name)
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None
        crawler.signals.connect(self.spider_opened, signals.spider_opened)
        crawler.signals.connect(self.engine_stopped, signals.engine_stopped)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def spider_opened(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen(self._runner)
        host, port = self._runner.addresses[0][:2]
        shown = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        logger.info("Metrics are at http://%s/metrics", shown)
        self.targets.write(shown)
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _listen(self, runner: web.AppRunner) -> None:
        for port in range(self.port, min(self.port + _PORTS, 65536)) if self.port else (0,):
            try:
                await web.TCPSite(runner, self.address, port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    where = f"METRICS_ADDRESS={self.address}, METRICS_PORT={port}"
                    raise InputError(f"{where}: nothing can listen there: {describe(error)}") from error
            else:
                return
        raise InputError(f"METRICS_PORT={self.port}: it and the {_PORTS - 1} behind it are taken; expected a free one")

    async def _metrics(self, request: web.Request) -> web.Response:
        if is_loopback(self.address) and not is_own_name(request.headers.get("Host", ""), self.address):
            # A site in a browser of this machine whose name was made to lead here (DNS rebinding).
            raise web.HTTPMisdirectedRequest(text="by that name METRICS_ADDRESS would have to be another than this")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            self._lag.observe(max(0.0, loop.time() - due))

    async def engine_stopped(self) -> None:
        self.targets.remove()
        if self._watching:
            await cancel_all(self._watching)
        if self._runner:
            await self._runner.cleanup()


class TargetFile:
    """The file in *folder* that tells Prometheus where a process is. None where *folder* is "". Its process holds a
    lock on it: one that can be locked is of a process that is gone."""

    def __init__(self, folder: Any, spider: str) -> None:
        self._folder = Path(folder) if folder else None
        self._spider = spider
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        if self._folder and not self._folder.is_dir():
            raise InputError(f"METRICS_TARGETS={folder}: there is no such folder; expected one that can be written to")

    def write(self, target: str) -> None:
        """Tell that this process is at *target*. Raises `InputError`."""
        if self._folder is None:
            return
        try:
            for file in self._folder.glob("imgcrawl-*.json"):
                _remove_if_dead(file)
            self._path = self._folder / f"imgcrawl-{os.getpid()}-{secrets.token_hex(4)}.json"
            unfinished = self._path.with_suffix(".tmp")
            self._file = unfinished.open("xb")
            with suppress(OSError):  # a file system without locks: what kills leave stays there
                lock(self._file)
            content = [{"targets": [target], "labels": {"spider": self._spider}}]
            self._file.write(json.dumps(content).encode())
            self._file.flush()
            unfinished.replace(self._path)
        except OSError as error:
            raise InputError(
                f"METRICS_TARGETS={self._folder}: {describe(error)}; expected a folder to write to"
            ) from error

    def remove(self) -> None:
        if self._path and self._file:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            self._file.close()


def _remove_if_dead(path: Path) -> None:
    with suppress(OSError, InputError):
        if not whose(path):
            with open_own(path) as file:
                lock(file)
                path.unlink()


def _port(value: Any) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = -1
    if not 0 <= port < 65536:
        raise InputError(f"METRICS_PORT={value!r:.60}: expected a port, or 0 for any that is free")
    return port
