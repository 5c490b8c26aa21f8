"""The process of a worker: how it is started, what it says, whether it is one of many that crash."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence

from imgcrawl.children import import_path

MAX_CRASHES, CRASH_WINDOW = 5, 60.0  # so many workers may crash within so many seconds
MAX_LINE = 1 << 20  # bytes of a log line


async def start_worker(command: Sequence[str], redis_url: str) -> asyncio.subprocess.Process:
    """Start *command* as a worker of the queue at *redis_url*. Its log comes out as `log_lines`."""
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **import_path(), "REDIS_URL": redis_url},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
        start_new_session=True,  # Ctrl-C is for the supervisor, who tells them
    )


async def log_lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """What *process* logs, line by line, until it ends. Lines of more than MAX_LINE bytes are left out."""
    assert process.stderr  # noqa: S101 -- asked for as it was started
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # longer than MAX_LINE
            continue
        if not line:
            return
        yield line.decode("utf-8", "replace").rstrip("\n")


def belongs_to(pid: int, worker: str) -> bool:
    """Whether the process *pid* of this machine has given itself the name *worker*."""
    return worker.startswith(f"{socket.gethostname()}-{pid}-")


class Crashes:
    """Counts the workers that crashed within the last CRASH_WINDOW seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self) -> int:
        """Count one that has just crashed. How many those are now."""
        now = time.monotonic()
        self._times.append(now)
        while now - self._times[0] > CRASH_WINDOW:
            self._times.popleft()
        return len(self._times)


def stopping_signals() -> Iterator[signal.Signals]:
    yield from (signal.SIGINT, signal.SIGTERM)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        yield signal.SIGHUP
