"""`python -m MODULE` as a process of its own, without the second of CPU in which it would import Scrapy.

A process that has imported what is not ours (Scrapy, Twisted without a reactor, aiohttp, lxml, Pillow) waits; for each
start it forks a child, which takes over the command's arguments, environment, folder, files and session and runs the
module as `python -m` does. The child is a child of the test's process: it is waited for and gets its signals as any.

What differs from a real start: /proc/PID/cmdline, the seed of `hash()` that all children of one test process share,
and that libraries stand in `sys.modules` already. A test that looks at one of these, and what needs a new interpreter
(LD_PRELOAD, PYTHON* variables), starts for real. IMGCRAWL_TESTS_FORK=0 starts all for real.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# What a crawl imports of others; each brings the rest of its own.
LIBRARIES = """
scrapy.cmdline scrapy.crawler scrapy.core.downloader scrapy.core.scraper scrapy.core.engine scrapy.core.scheduler
scrapy.core.spidermw scrapy.pipelines.images scrapy.addons scrapy.logformatter scrapy.spiderloader scrapy.pqueues
scrapy.statscollectors scrapy.resolver scrapy.dupefilters scrapy.squeues scrapy.robotstxt scrapy.loader
scrapy.exporters twisted.internet.asyncioreactor twisted.conch.telnet aiohttp aiohttp.web rich.console rich.progress
rich.live rich.table PIL.Image PIL.ImageFile PIL.ImageOps lxml.html parsel itemadapter pydantic jmespath cachetools
filelock pathvalidate platformdirs ada_url protego tldextract sqlite3 cryptography.x509 queuelib tomllib resource
scrapy.commands.bench scrapy.commands.check scrapy.commands.crawl scrapy.commands.edit scrapy.commands.fetch
scrapy.commands.genspider scrapy.commands.list scrapy.commands.parse scrapy.commands.runspider
scrapy.commands.settings scrapy.commands.shell scrapy.commands.startproject scrapy.commands.version
scrapy.commands.view scrapy.extensions.postprocessing scrapy.extensions.feedexport scrapy.extensions.throttle
scrapy.extensions.logstats scrapy.extensions.corestats scrapy.extensions.logcount scrapy.extensions.telnet
scrapy.extensions.memusage scrapy.extensions.memdebug scrapy.extensions.closespider scrapy.extensions.spiderstate
scrapy.extensions.remote_control scrapy.downloadermiddlewares.retry scrapy.downloadermiddlewares.robotstxt
scrapy.downloadermiddlewares.httpcompression scrapy.downloadermiddlewares.redirect
scrapy.downloadermiddlewares.httpauth scrapy.downloadermiddlewares.cookies scrapy.downloadermiddlewares.offsite
scrapy.downloadermiddlewares.downloadtimeout scrapy.downloadermiddlewares.defaultheaders
scrapy.downloadermiddlewares.useragent scrapy.downloadermiddlewares.httpproxy scrapy.downloadermiddlewares.stats
scrapy.downloadermiddlewares.httpcache scrapy.spidermiddlewares.httperror scrapy.spidermiddlewares.base
scrapy.spidermiddlewares.referer scrapy.spidermiddlewares.start scrapy.spidermiddlewares.urllength
scrapy.spidermiddlewares.depth scrapy.spidermiddlewares.metacopy scrapy.core.downloader.handlers.base
scrapy.core.downloader.handlers._base_http scrapy.core.downloader.handlers._base_streaming
scrapy.core.downloader.handlers._aiohttp scrapy.core.downloader.handlers.datauri
scrapy.core.downloader.handlers.http11
"""

# Names of variables that an interpreter or a library reads as it starts.
READ_EARLY = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "LC_", "LANG", "TZ", "OPENSSL_", "SSL_", "AIOHTTP_", "PYDANTIC_")
NO_REACTOR = "twisted.internet.reactor"
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def early(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_EARLY) and name != "PYTHONPATH"  # which the child reads
    }


def may_fork(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether *command* with *environment* would be the same here as in a new interpreter."""
    return (
        sys.platform == "linux"
        and os.environ.get("IMGCRAWL_TESTS_FORK") != "0"
        and list(command[:2]) == [sys.executable, "-m"]
        and command[2] in ("scrapy", "imgcrawl")
        and early(environment) == early(os.environ)
    )


class ForkServer:
    """The process that waits, and what this one says to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, stdin=-3)

    def start(self, files: Sequence[int], **order: Any) -> int:
        """The pid of a new child of this process, with *files* as stdin, stdout and stderr; *order*: see `Child`."""
        with self._lock, os.fdopen(os.memfd_create("order"), "w+b", buffering=0) as paper:
            paper.write(json.dumps(order).encode())
            # An orphan becomes the child of its next ancestor that asks for it: the fork's fork becomes ours.
            self._adopt(True)
            try:
                socket.send_fds(self._socket, [b"."], [*files, paper.fileno()])
                pid = int.from_bytes(self._socket.recv(8), "little")
            finally:
                self._adopt(False)
        if not pid:
            raise OSError("the fork server has ended")
        return pid

    def _adopt(self, yes: bool) -> None:
        assert self._libc.prctl(SUBREAPER, int(yes), 0, 0, 0) == 0

    def close(self) -> None:
        self._socket.close()
        self.process.wait()


@functools.cache
def fork_server() -> ForkServer:
    """The one of this process; the end of this process is its end."""
    return ForkServer()


def close_fork_server() -> None:
    if fork_server.cache_info().currsize:
        fork_server().close()
        fork_server.cache_clear()


class Child(dict[str, Any]):
    """What a forked process is to become: `argv` (after `python -m`), `environment`, `folder`, `session`."""

    def become(self) -> None:
        os.chdir(self["folder"])
        if self["session"]:
            os.setsid()
        os.environ.clear()
        os.environ.update(self["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.path[:0] = [str(Path.cwd()), *paths]
        sys.argv[:] = ["-m", *self["argv"][1:]]
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = _stream(number, name)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        importlib.invalidate_caches()

    def run(self) -> None:
        runpy.run_module(self["argv"][0], run_name="__main__", alter_sys=True)


def _stream(number: int, name: str) -> io.TextIOWrapper:
    """A standard stream for the file that is now *number*, made as Python makes it at its start."""
    known: io.TextIOWrapper = getattr(sys, name)
    unbuffered = bool(number and known.write_through)  # as PYTHONUNBUFFERED says
    binary: Any = os.fdopen(number, "wb" if number else "rb", 0 if unbuffered else -1, closefd=False)
    (binary if unbuffered else binary.raw).name = f"<{name}>"
    stream = io.TextIOWrapper(
        binary,
        encoding=known.encoding,
        errors=known.errors,
        newline="\n",
        line_buffering=not known.write_through and bool(number == 2 or os.isatty(number)),
        write_through=known.write_through,
    )
    stream.mode = "w" if number else "r"
    return stream


def serve(connection: socket.socket) -> Child:
    """Returns in each child, with what it is to become; in the server itself never."""
    for library in LIBRARIES.split():
        with suppress(ImportError):
            importlib.import_module(library)
    assert NO_REACTOR not in sys.modules  # each child installs its own
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a person at the terminal: the children's and the tests' affair
    while True:
        data, files, _, _ = socket.recv_fds(connection, 1, 4)
        if not data:
            os._exit(0)
        told, tell = os.pipe()
        waits, wakes = os.pipe()
        if not (between := os.fork()):
            if child := os.fork():
                os.write(tell, child.to_bytes(8, "little"))
                os._exit(0)
            for other in (wakes, told, tell):
                os.close(other)
            os.read(waits, 1)  # until it is an orphan, and with that the child of who asked for it
            os.close(waits)
            connection.close()
            for number, file in enumerate(files[:3]):
                os.dup2(file, number)
            with os.fdopen(files[3], "rb") as paper:
                paper.seek(0)
                order = Child(json.load(paper))
            for file in files[:3]:
                os.close(file)
            return order
        os.waitpid(between, 0)
        pid = os.read(told, 8)
        for file in (*files, told, tell, waits, wakes):
            os.close(file)
        connection.send(pid)


if __name__ == "__main__":
    del sys.path[0]
    order = serve(socket.socket(fileno=int(sys.argv[1])))
    order.become()
    order.run()
