"""Commands that a crawl runs: in threads, with bounds, facts on stdin; never by a shell."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from scrapy.utils.serialize import ScrapyJSONEncoder

from imgcrawl.exceptions import describe
from imgcrawl.hooks.arguments import Arguments
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

_LOOK = 0.2  # seconds between two looks at whether the crawl is being stopped
_TOLD = 500  # bytes of what a command said that are logged where it failed


class CommandRunner:
    """Runs commands, COMMAND_AT_ONCE (default 2) at a time, each for COMMAND_TIMEOUT (default 60) seconds at the most.

    When the crawl is told to stop, which *is_stopping* says, they may go on for SHUTDOWN_TIMEOUT seconds.
    """

    def __init__(self, settings: BaseSettings, is_stopping: Callable[[], bool]) -> None:
        self.threads = ThreadPoolExecutor(max(1, settings.getint("COMMAND_AT_ONCE", 2)), "commands")
        self._timeout = settings.getfloat("COMMAND_TIMEOUT", 60.0)
        self._patience = settings.getfloat("SHUTDOWN_TIMEOUT", 5)
        self._is_stopping = is_stopping
        self._stopped_at: float | None = None
        self._lock = threading.Lock()

    def run(self, arguments: Arguments, facts: Mapping[str, str], given: Mapping[str, Any]) -> str:
        """Run the command of *arguments*, filled with *facts*, to its end; *given* is on its stdin, as JSON. Why it
        failed: exit_N, signal_N, timeout, stopped, not_started; "" where it did not."""
        command = arguments.filled(facts)
        try:
            with _in_memory() as stdin, TemporaryFile() as said:
                stdin.write(json.dumps(given, cls=ScrapyJSONEncoder, ensure_ascii=False).encode("utf-8", "replace"))
                stdin.seek(0)
                process = subprocess.Popen(  # noqa: S603 -- the user's own program; see Arguments
                    command,
                    executable=arguments.path,
                    stdin=stdin,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                if reason := self._wait(process):
                    logger.info("The command %s failed (%s): %s", arguments.program, reason, _end_of(said))
                return reason
        except (OSError, ValueError, TypeError) as error:  # also a full disk, and an item that is no JSON
            logger.info("The command %s could not be started: %s", arguments.program, describe(error))
            return "not_started"

    def _wait(self, process: subprocess.Popen[bytes]) -> str:
        end = monotonic() + self._timeout
        with _ending(process) as has_ended:
            while not has_ended(min(_LOOK, max(0.0, end - monotonic()))):
                if monotonic() >= end:
                    _kill(process)
                    return "timeout"
                if self._is_stopping() and monotonic() >= self._stopped() + self._patience:
                    _kill(process)
                    return "stopped"
        code = process.wait()
        return "" if not code else f"exit_{code}" if code > 0 else f"signal_{-code}"

    def _stopped(self) -> float:
        """Since when the crawl is being stopped."""
        with self._lock:
            if self._stopped_at is None:
                self._stopped_at = monotonic()
            return self._stopped_at

    def stop_at_once(self) -> None:
        """What runs is ended."""
        self._patience, self._is_stopping = 0.0, lambda: True

    def close(self) -> None:
        self.threads.shutdown()


def _in_memory() -> IO[bytes]:
    """A file for what a command is given, which takes no disk where the system has such."""
    if sys.platform == "linux":
        with suppress(OSError):
            return os.fdopen(os.memfd_create("imgcrawl"), "w+b")
    return TemporaryFile()


@contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """Asks whether *process* ends within so many seconds. Where the system can tell, nobody looks again and again: of
    what a short command costs that is a part."""

    def looked(seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return True
        return False

    if sys.platform != "linux":
        yield looked
        return
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:  # an old kernel, or a sandbox
        yield looked
        return
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    try:
        yield lambda seconds: bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End *process* and what it has started."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _end_of(said: IO[bytes]) -> str:
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _TOLD))
    return printable(" ".join(said.read().decode("utf-8", "replace").split())) or "it said nothing"
