"""An object store as far away as another machine's: it takes what it is given, and keeps nothing.

`python -m benchmarks.objects PORT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from contextlib import AbstractContextManager

from benchmarks.server import free_port, in_a_process

LATENCY = 0.05  # seconds before each answer
_TAKEN = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\n\r\n'
_NOT_THERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


def object_store() -> AbstractContextManager[str]:
    """The store in a process of its own. Its address."""
    port = free_port()
    return in_a_process("benchmarks.objects", port, str(port))


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"100-continue" in head:
                await asyncio.sleep(LATENCY)  # that of the way there and back
                writer.write(_GO_ON)
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            await asyncio.sleep(LATENCY)
            writer.write(_TAKEN if head.startswith(b"put") else _NOT_THERE)
    writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_connected, "127.0.0.1", port, limit=1 << 20, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1])))
