"""Processes of tests, and patience with them: how long a thing takes depends on what else the machine does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, AnyStr


def patience(seconds: float) -> float:
    """*seconds* of a machine with nothing else to do, as the machine is now."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        load = 0.0
    return seconds * max(2.0, load / (os.cpu_count() or 1))


class Process(subprocess.Popen[AnyStr]):
    """A process whose timeouts are in seconds of a machine with nothing else to do."""

    def wait(self, timeout: float | None = None) -> int:
        return super().wait(None if timeout is None else patience(timeout))

    def communicate(self, input: AnyStr | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        return super().communicate(input, None if timeout is None else patience(timeout))


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is not only waiting for its parent to notice that it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
