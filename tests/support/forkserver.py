"""`python -m MODULE` as a process of its own, without the second of CPU in which it would import Scrapy.

A process that has imported Scrapy, Twisted without a reactor, aiohttp, lxml, Pillow and the package waits; for each
start it forks a child, which takes over the command's arguments, environment, folder, files and session and runs the
module as `python -m` does. The child is a child of the test's process: it is waited for and gets its signals as any.
A command that starts others (`--workers`, `demo`) forks those in the same way, as its own children.

What differs from a real start: /proc/PID/cmdline, the seed of `hash()` that all children of one test process share,
and that libraries stand in `sys.modules` already (modules of ours do not: see `Kept`). A test that looks at one of
these, and what needs a new interpreter (LD_PRELOAD, PYTHON* variables), starts for real. IMGCRAWL_TESTS_FORK=0 starts
all for real.
"""

from __future__ import annotations

import builtins
import ctypes
import gc
import importlib
import importlib.abc
import importlib.machinery
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
from types import ModuleType
from typing import Any, AnyStr

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

# What of ours is not kept: what registers formats with Pillow as it is loaded, and what wants a package that a test may
# say is not installed.
NOT_KEPT = "imgcrawl.images.decoder boto3 ijson imagehash numpy playwright psycopg pyarrow python_socks "
NOT_KEPT += "scrapy_playwright shtab simpleeval warcio"
PACKAGE = Path(__file__).parents[2] / "imgcrawl"

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
        and command[2] in ("scrapy", "imgcrawl", "imgcrawl.demo")
        and early(environment) == early(os.environ)
    )


class ForkServer:
    """The process that waits at the other end of *connection*, and what this one says to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._lock = threading.Lock()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._socket = connection

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


class _Ours:
    """The fork server of this process, once there is one."""

    server: ForkServer | None = None
    process: subprocess.Popen[bytes] | None = None


def fork_server() -> ForkServer:
    """The one of this process; the end of this process is its end."""
    if not _Ours.server:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            _Ours.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, stdin=-3)
        _Ours.server = ForkServer(mine)
    return _Ours.server


def close_fork_server() -> None:
    if _Ours.server and _Ours.process:
        _Ours.server.close()
        _Ours.process.wait()
        _Ours.server = _Ours.process = None


# What Popen would do for a child that a fork cannot.
UNFORKED = {"executable", "preexec_fn", "pass_fds", "user", "group", "extra_groups", "umask", "process_group"}


class ForkingPopen(subprocess.Popen[AnyStr]):
    """A process that is forked where nobody sees the difference, else started."""

    def __init__(
        self,
        command: Sequence[str],
        *args: Any,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
        **kwargs: Any,
    ) -> None:
        self._order: dict[str, Any] | None = None
        environment = dict(os.environ if env is None else env)
        plain = not (args or kwargs.get("shell") or kwargs.keys() & UNFORKED)
        if plain and may_fork(command, environment):
            folder = str(cwd or Path.cwd())
            self._order = {"argv": list(command[2:]), "environment": environment, "folder": folder}
            self._order["session"] = start_new_session
        super().__init__(command, *args, cwd=cwd, env=env, start_new_session=start_new_session, **kwargs)

    def _execute_child(self, *given: Any) -> None:
        """Fork in place of Popen's fork and execution, with the pipes that it has made."""
        if not self._order:
            super()._execute_child(*given)  # type: ignore[misc] -- Popen's own; the stubs leave it out
            return
        reading, told, telling, shown, failing, complained = given[10:16]
        files = [number if mine == -1 else mine for number, mine in enumerate((reading, shown, complained))]
        self.pid = fork_server().start(files, **self._order)
        self._child_created = True
        self._close_pipe_fds(reading, told, telling, shown, failing, complained)  # type: ignore[attr-defined] -- as above


class Kept(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of ours that the server has loaded. To a child they are as if they were not: when it imports one, it gets
    it as it is, and with it what its code imports, so that `sys.modules` has what it would have."""

    def __init__(self) -> None:
        self._imports: dict[str, list[str]] = {}  # module → modules of ours that its code imports as it is loaded
        self._modules: dict[str, ModuleType] = {}
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def load(self) -> None:
        real = builtins.__import__

        def noted(name: str, given: Any = None, own: Any = None, names: Any = (), level: int = 0) -> ModuleType:
            found = real(name, given, own, names, level)
            if given and given.get("__name__", "").startswith("imgcrawl") and name.startswith("imgcrawl"):
                asked = [name, *(f"{name}.{each}" for each in names or () if f"{name}.{each}" in sys.modules)]
                self._imports.setdefault(given["__name__"], []).extend(asked)
            return found

        sys.path.insert(0, str(PACKAGE.parent))
        absent = [name for name in NOT_KEPT.split() if name not in sys.modules]
        sys.modules |= dict.fromkeys(absent)  # type: ignore[arg-type] -- how Python marks what is not there
        builtins.__import__ = noted
        for file in sorted(PACKAGE.rglob("*.py")):
            name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
            if not name.endswith("__main__"):
                with suppress(ImportError):
                    importlib.import_module(name)
        builtins.__import__ = real
        for name in absent:
            del sys.modules[name]
        for name in [name for name in sys.modules if name.partition(".")[0] == "imgcrawl"]:
            self._modules[name] = sys.modules.pop(name)
            self._specs[name] = self._modules[name].__spec__
        sys.path.remove(str(PACKAGE.parent))

    def offer(self) -> None:
        """To this process, if it would find the same package by its path."""
        places = (Path(path) / "imgcrawl" for path in sys.path)
        if next((place for place in places if (place / "__init__.py").exists()), None) == PACKAGE:
            sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in self._modules:
            return None
        is_package = hasattr(self._modules[name], "__path__")
        return importlib.machinery.ModuleSpec(name, self, is_package=is_package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._specs[module.__name__]
        for name in self._imports.get(module.__name__, ()):
            importlib.import_module(name)


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
        kept.offer()

    @property
    def starts_others(self) -> bool:
        return self["argv"][1:2] == ["demo"] or any(each.startswith("--workers") for each in self["argv"])

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


def split(order: Child) -> Child:
    """A fork server beside this process, which is to become *order*, for what it starts. Returns in both, and in each
    child of that server with what that is to become."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.fork():
        theirs.close()
        _Ours.server = ForkServer(mine)
        subprocess.Popen = ForkingPopen  # type: ignore[misc] -- whoever starts a process finds it there
        return order
    mine.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):  # those of the command end with it
        os.dup2(nothing, number)
    os.close(nothing)
    return serve(theirs)


if __name__ == "__main__":
    del sys.path[0]
    for library in LIBRARIES.split():
        with suppress(ImportError):
            importlib.import_module(library)
    kept = Kept()
    kept.load()
    assert NO_REACTOR not in sys.modules  # each child installs its own
    gc.collect()
    gc.freeze()
    order = serve(socket.socket(fileno=int(sys.argv[1])))
    if order.starts_others:
        order = split(order)
    order.become()
    order.run()
