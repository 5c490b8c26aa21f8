"""What the threads of a process wait for: the interpreter, or a core. Seen from outside, so that looking takes neither.

Linux on x86-64 and ARM, with Python's lock of the interpreter: who waits for that waits for at most 5 ms at a time,
who waits for work or for another lock does so without an end.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

EVERY = 0.002  # seconds
FUTEX = {"202", "98"}  # numbers of that system call
TIMEOUT = 4  # which of its arguments says for how long


class Waits:
    """Looks at the threads of the process *pid* from now on, until it is `told`."""

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._main = str(pid)
        self._waited: dict[str, float] = defaultdict(float)
        self._delays: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def told(self) -> dict[str, float]:
        """Seconds, by part of the process and by what was waited for; nothing where the system does not tell."""
        self._over.set()
        self._thread.join()
        for task, delay in self._delays.items():
            self._waited[f"{self._part(task)}: waiting for a core"] += delay / 1e9
        return dict(self._waited)

    def _part(self, task: str) -> str:
        return "event loop" if task == self._main else "threads"

    def _look(self) -> None:
        before = time.monotonic()
        while not self._over.wait(EVERY):
            now = time.monotonic()
            with suppress(OSError):
                for task in self._tasks.iterdir():
                    self._look_at(task, now - before)
            before = now

    def _look_at(self, task: Path, seconds: float) -> None:
        with suppress(OSError, IndexError, ValueError):  # it has ended
            call = (task / "syscall").read_text().split()
            if call[0] in FUTEX and int(call[TIMEOUT], 16):
                self._waited[f"{self._part(task.name)}: waiting for the interpreter"] += seconds
            self._delays[task.name] = int((task / "schedstat").read_text().split()[1])
