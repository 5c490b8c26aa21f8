"""How far a command is that takes longer than a moment: on stderr, so that its output stays its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Self

from imgcrawl.commands.base import complain, show_status
from imgcrawl.display import clock

PATIENCE = 2.0  # seconds for which nobody asks
_EVERY, _EVERY_LINE = 0.5, 30.0  # seconds between two pictures, or between two lines where there is no terminal


class CommandProgress:
    """In a `with`: says *told*, one line, from time to time once the block has taken longer than `PATIENCE`.

    From a thread: whatever the block does, a long step of a database included. Not where it is *hidden*.
    """

    def __init__(self, told: Callable[[], str], *, hidden: bool = False) -> None:
        self._told = told
        self._started = monotonic()
        self._ended = threading.Event()
        self._thread = None if hidden else threading.Thread(target=self._tell, name="progress", daemon=True)

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread and self._thread.ident is not None:
            self._thread.join()
        if sys.stderr.isatty():
            show_status("")

    def step(self) -> None:
        """Begin, where there is no block; what it takes is seen by itself."""
        if self._thread and self._thread.ident is None:
            self._thread.start()

    def end(self) -> None:
        self.__exit__()

    def _tell(self) -> None:
        wait = PATIENCE if sys.stderr.isatty() else _EVERY_LINE
        while not self._ended.wait(wait):
            line = f"{clock(monotonic() - self._started)}  {self._told()}"
            if sys.stderr.isatty():
                show_status(line)
                wait = _EVERY
            else:
                complain(line)
                wait = _EVERY_LINE
