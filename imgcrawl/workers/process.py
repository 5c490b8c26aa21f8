"""The process of a worker: how it is started, what it says, whether it is one of many that crash."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

from imgcrawl.children import import_path

logger = logging.getLogger(__name__)

MAX_CRASHES, CRASH_WINDOW = 5, 60.0  # so many workers may crash within so many seconds
MAX_LINE = 1 << 20  # bytes of a log line


StartWorker = Callable[[Sequence[str], str], Awaitable["WorkerProcess"]]


class WorkerProcess(Protocol):
    """As `asyncio.subprocess.Process`."""

    @property
    def pid(self) -> int: ...

    @property
    def stderr(self) -> asyncio.StreamReader | None: ...

    def send_signal(self, signal: int) -> None: ...

    def kill(self) -> None: ...

    async def wait(self) -> int: ...


class Starter(Protocol):
    """What starts processes faster than the system does (`warm.WarmStart`)."""

    async def start(self, command: Sequence[str], environment: Mapping[str, str], limit: int) -> WorkerProcess: ...

    def close(self) -> None: ...


async def start_worker(command: Sequence[str], redis_url: str, *, starter: Starter | None = None) -> WorkerProcess:
    """Start *command* as a worker of the queue at *redis_url*. Its log comes out as `log_lines`."""
    environment = {**os.environ, **import_path(), "REDIS_URL": redis_url}
    if starter:
        try:
            return await starter.start(command, environment, MAX_LINE)
        except OSError as error:
            logger.debug("A worker is started anew: %s", error)
    return await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
        start_new_session=True,  # Ctrl-C is for the supervisor, who tells them
    )


async def log_lines(process: WorkerProcess) -> AsyncIterator[str]:
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
