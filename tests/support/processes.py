"""Processes of tests, and patience with them: how long a thing takes depends on what else the machine does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, AnyStr

from tests.support.forkserver import ForkingPopen


def patience(seconds: float) -> float:
    """*seconds* of a machine with nothing else to do, as the machine is now."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        load = 0.0
    return seconds * max(2.0, load / (os.cpu_count() or 1))


class Process(ForkingPopen[AnyStr]):
    """A process whose timeouts are in seconds of a machine with nothing else to do.

    `python -m scrapy` (or imgcrawl) is forked from one that has imported Scrapy, where nobody sees the difference:
    `forkserver.py`.
    """

    def wait(self, timeout: float | None = None) -> int:
        return super().wait(None if timeout is None else patience(timeout))

    def communicate(self, input: AnyStr | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        return super().communicate(input, None if timeout is None else patience(timeout))


def run(
    command: Sequence[str], *, input: str | bytes | None = None, timeout: float | None = None, check: bool = False,
    capture_output: bool = False, **kwargs: Any,
) -> subprocess.CompletedProcess[Any]:  # fmt: skip
    """`subprocess.run` with a `Process`."""
    if input is not None:
        kwargs["stdin"] = subprocess.PIPE
    if capture_output:
        kwargs |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Process[Any](command, **kwargs) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is not only waiting for its parent to notice that it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def children_of(pid: int) -> list[int]:
    """The processes that *pid* has started and that live."""
    with suppress(OSError):  # it ends
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text("ascii").split()]
    return []
