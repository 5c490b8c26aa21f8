"""How far a command is that takes longer than a moment: on stderr, so that its output stays its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

from imgcrawl.commands.base import complain, overwrite_line
from imgcrawl.display import clock

PATIENCE = 2.0  # seconds for which nobody asks
_EVERY, _EVERY_LINE = 0.5, 30.0  # seconds between two pictures, or between two lines where there is no terminal


class CommandProgress:
    """Says *told*, one line, from time to time once the command has taken longer than `PATIENCE`."""

    def __init__(self, told: Callable[[], str]) -> None:
        self._told = told
        self._started = monotonic()
        self._next = self._started + PATIENCE
        self._shown = 0

    def step(self) -> None:
        """To be called as often as there may be something to say."""
        now = monotonic()
        if now < self._next:
            return
        line = f"{clock(now - self._started)}  {self._told()}"
        if sys.stderr.isatty():
            self._shown = overwrite_line(line, self._shown)
            self._next = now + _EVERY
        else:
            complain(line)
            self._next = now + _EVERY_LINE

    def end(self) -> None:
        """Take the line off the terminal."""
        if self._shown:
            overwrite_line("", self._shown)
