"""The replica's two hosts, in a process of their own, and the handle on them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from weakref import WeakSet

from aiohttp import web

from imgcrawl.children import import_path
from imgcrawl.demo.alexa import Alexa
from imgcrawl.demo.douban import Douban
from imgcrawl.demo.doutula import Doutula
from imgcrawl.demo.douyin import Douyin
from imgcrawl.demo.gallery import Declared
from imgcrawl.demo.huaban import Huaban
from imgcrawl.demo.mzitu import Mzitu
from imgcrawl.demo.pximg import Pximg
from imgcrawl.demo.responses import answer
from imgcrawl.demo.site import Hosts, Options, Site, page
from imgcrawl.demo.urls import Urls
from imgcrawl.demo.weibo import Weibo
from imgcrawl.exceptions import InputError

SITES: dict[str, type[Site]] = {
    site.name: site for site in (Pximg, Mzitu, Doutula, Douban, Weibo, Huaban, Urls, Douyin, Alexa, Declared)
}
PAGE_HOST, IMAGE_HOST = "127.0.0.1", "127.0.0.2"


class Replica:
    """A running replica, seen from outside.

    *base* and *image_base* are the addresses of the page host and of the image host, without a slash at the end.
    *arguments* are those of the spider of the same name as *site*, a `file` among them being one of `lists`;
    *settings* are what its crawl needs, or what makes a demonstration short. *noun* says what its items are.
    """

    def __init__(self, site: str, ready: dict[str, Any], process: subprocess.Popen[bytes]) -> None:
        self.site = site
        self._process = process
        self.base: str = ready["base"]
        self.image_base: str = ready["image_base"]
        self.arguments: dict[str, str] = ready["arguments"]
        self.settings: dict[str, Any] = ready["settings"]
        self.lists: list[str] = ready["lists"]
        self.noun: str = ready["noun"]
        self.media: str = ready["media"]

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What a crawl must find: `galleries` in the order of the list pages, each with `url`, `title`, `topics`
        and `images`, each of these with `address` (as in the page), `clean` (the original's absolute address),
        `final_url`, `behaviour`, the expected `status` and `reason` of a first crawl that obeys robots.txt, and
        `sha256`, `bytes`, `format`, `width`, `height`, `frames` of the complete picture, and `paths`, where it
        may be stored (empty where that is open, or nothing is to be stored). `item` is the gallery's item, but for
        its outcomes and `scraped_at`. `others` are addresses that a crawl must not ask for, `bad_rows` lines of a
        list that it must report. Draws every picture that nobody has asked for yet.
        """
        return self._ask("truth")

    def write_lists(self, folder: Path) -> None:
        """Writes `lists` into *folder*. Raises OSError."""
        for name in self.lists:
            with urllib.request.urlopen(f"{self.base}/_replica/list/{quote(name)}", timeout=60) as response:  # noqa: S310  # as below
                (folder / name).write_bytes(response.read())

    @property
    def galleries(self) -> list[dict[str, Any]]:
        """The galleries of `truth`."""
        return cast("list[dict[str, Any]]", self.truth["galleries"])

    def stats(self) -> dict[str, Any]:
        """What was asked so far: `requests` by address with its query, and for each of `hosts` (by its address)
        `requests`, `max_in_flight` and `connections`; `sent` maps the address of each image file that was sent to
        its sha256. Questions to the replica itself are not counted.
        """
        return self._ask("stats")

    def wait(self) -> None:
        """Returns when the replica has ended."""
        self._process.wait()

    def _ask(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.base}/_replica/{what}", timeout=300) as response:  # noqa: S310  # our own server
            return cast("dict[str, Any]", json.load(response))


@contextmanager
def serve(site: str = "pximg", port: int = 0, **options: Any) -> Iterator[Replica]:
    """Runs a replica of *site* in a process of its own for as long as the context lasts, or until this process
    ends in whatever way. *port* 0 takes a free one; *options* are those of `site.Options`.

    Raises InputError for an unknown site, an option out of range and a port that is taken.
    """
    arguments = [f"--site={site}", f"--port={port}"]
    for name, value in asdict(options_for(site, options)).items():
        option = name.replace("_", "-")
        arguments.append(f"--{'' if value else 'no-'}{option}" if isinstance(value, bool) else f"--{option}={value}")
    with subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", "imgcrawl.demo", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **import_path()},  # the package need not be installed
        start_new_session=True,  # Ctrl-C is for the one who started us; the end of stdin tells the replica
    ) as process:
        assert process.stdin and process.stdout  # noqa: S101  # pipes, as asked for above
        try:
            line = process.stdout.readline()
            if not line:
                raise InputError(f"The replica of {site} ended before it was ready, with exit code {process.wait()}.")
            ready = json.loads(line)
            if "error" in ready:
                raise InputError(ready["error"])
            yield Replica(site, ready, process)
        finally:
            process.stdin.close()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


def options_for(site: str, given: dict[str, Any]) -> Options:
    """The options of *site*: its own defaults, but for those that are *given*. Raises InputError."""
    return Options(**(SITES[site].defaults if site in SITES else {}) | given)


class Server:
    """Serves one site on two hosts and counts what it is asked."""

    def __init__(self, site: type[Site], port: int, options: Options) -> None:
        self._site_class = site
        self._port = port
        self._options = options
        self._requests: Counter[str] = Counter()
        self._host_requests: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()
        self._sent: dict[str, str] = {}
        self._in_flight: Counter[str] = Counter()
        self._max_in_flight: Counter[str] = Counter()
        self._known: WeakSet[asyncio.Transport] = WeakSet()
        self._runners: list[web.AppRunner] = []

    async def start(self) -> Site:
        """Listens on both hosts, each on a port of its own. Raises InputError when a port cannot be had."""
        base = await self._listen(PAGE_HOST, self._port)
        port = self._port and (self._port + 1 if self._port < 65535 else self._port - 1)
        try:
            image_base = await self._listen(IMAGE_HOST, port)
        except InputError:
            # Not every system has all of 127.0.0.0/8 (macOS).
            image_base = await self._listen(PAGE_HOST, port)
        self._site = self._site_class(self._options, Hosts(base, image_base))
        for host in self._site.more_hosts():
            await self._listen(host, int(base.rpartition(":")[2]))
        return self._site

    async def stop(self) -> None:
        """Closes every connection."""
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, host: str, port: int) -> str:
        base = ""  # known once it listens

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, base)

        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError as error:
            await runner.cleanup()
            why = os.strerror(error.errno) if error.errno else str(error)
            raise InputError(f"The replica cannot use port {port} of {host}: {why}.") from error
        self._runners.append(runner)
        base = f"http://{host}:{runner.addresses[0][1]}"
        return base

    async def _handle(self, request: web.Request, base: str) -> web.StreamResponse:
        if request.path == "/_replica/stats":
            return web.json_response(self._stats())
        if request.path == "/_replica/truth":
            return web.json_response(await asyncio.to_thread(self._site.truth))
        if request.path.startswith("/_replica/list/"):
            return self._list(request.path.removeprefix("/_replica/list/"))
        url = base + request.path_qs
        self._requests[url] += 1
        self._host_requests[base] += 1
        if request.transport is not None and request.transport not in self._known:
            self._known.add(request.transport)
            self._connections[base] += 1
        self._in_flight[base] += 1
        self._max_in_flight[base] = max(self._max_in_flight[base], self._in_flight[base])
        try:
            await asyncio.sleep(self._options.latency)
            response = await self._respond(request, base)
            # A request is in flight until its last byte is handed over, so that is done here and not after us.
            with suppress(ConnectionError):  # who asked is gone
                await response.prepare(request)
                await response.write_eof()
            return response
        finally:
            self._in_flight[base] -= 1

    async def _respond(self, request: web.Request, base: str) -> web.StreamResponse:
        url = base + request.path_qs
        images = self._site.images
        known = url if url in images else base + request.path
        if image := images.get(known):
            if "x-oss-process" in request.query and image.behaviour != "gone":
                body = await asyncio.to_thread(image.reduced)
                return web.Response(body=body, content_type="image/webp")
            response = await answer(request, image, known, self._requests[url])
            if response.status in (200, 201) and "ETag" in response.headers:
                self._sent[known] = response.headers["ETag"].strip('"')
            return response
        return await self._site.answer(request, base) or page("404 Not Found", "<h1>404</h1>\n<p>没有找到</p>", 404)

    def _list(self, name: str) -> web.Response:
        body = self._site.lists().get(name)
        return web.Response(status=404) if body is None else web.Response(body=body)

    def _stats(self) -> dict[str, Any]:
        hosts = {
            base: {
                "requests": self._host_requests[base],
                "max_in_flight": self._max_in_flight[base],
                "connections": self._connections[base],
            }
            for base in (self._site.hosts.page, self._site.hosts.image)
        }
        return {"requests": dict(self._requests), "hosts": hosts, "sent": self._sent}


def _read_to_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):  # what Python buffers has a lock, which its end would wait for
        pass
    with suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(ended.set)


async def run(site: str, port: int, options: Options) -> None:
    """Serves until SIGTERM, SIGINT or, where stdin is a pipe, its end. Prints one line of JSON when ready.

    Raises InputError for an unknown site and a port that cannot be had.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"The replica's port is {port}, but must be 0 (any free one) to 65535.")
    if site not in SITES:
        raise InputError(f"There is no replica of {site!r}; there is one of: {', '.join(sorted(SITES))}.")
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    if sys.platform != "win32":  # whose loops know no signals: there Ctrl-C ends it as any program
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
    # Somebody who wants the replica to end with him holds the other end of a pipe. A terminal and /dev/null do not.
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=_read_to_end, args=(loop, ended), daemon=True).start()
    server = Server(SITES[site], port, options)
    try:
        served = await server.start()
        ready = {
            "base": served.hosts.page,
            "image_base": served.hosts.image,
            "arguments": served.arguments(),
            "settings": served.settings,
            "lists": list(served.lists()),
            "noun": served.noun,
            "media": served.media,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await server.stop()
