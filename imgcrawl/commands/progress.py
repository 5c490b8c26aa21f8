"""How far a command is that takes longer than a moment: on stderr, so that its output stays its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Self

from imgcrawl.display import clock
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

PATIENCE = 2.0  # seconds for which nobody asks
_EVERY, _EVERY_LINE = 0.5, 30.0  # seconds between two pictures, or between two lines where there is no terminal


class CommandProgress:
    """In a `with`: says *told*, one line, from time to time once the command has taken longer than `PATIENCE`.

    From a thread: whatever the block does, a long step of a database included. One within another takes its place.
    Nothing is said where *told* gives "", nor without a terminal if *in_terminal_only*.
    """

    def __init__(self, told: Callable[[], str], *, in_terminal_only: bool = False) -> None:
        self.told = told
        self.in_terminal_only = in_terminal_only

    def __enter__(self) -> Self:
        _teller.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        _teller.end(self)


def no_progress() -> CommandProgress:
    """While it lasts nothing is said: something else is on the terminal, or nothing is being done."""
    return CommandProgress(str)


def progress_of_crawl(settings: BaseSettings, told: Callable[[], str]) -> CommandProgress:
    """What a crawl with these *settings* has *told* where its own display is not there: before it, and after it."""
    in_lines = settings.getbool("LOG_JSON", False) and not settings["LOG_FILE"]
    is_wanted = settings.getbool("PROGRESS_ENABLED") and not in_lines
    return CommandProgress(told if is_wanted else str, in_terminal_only=True)


class _Teller:
    """Says what the innermost of those has to say that have begun."""

    def __init__(self) -> None:
        self._progresses: list[CommandProgress] = []
        self._ended = threading.Event()
        self._thread = threading.Thread()

    def begin(self, progress: CommandProgress) -> None:
        self._progresses.append(progress)
        if len(self._progresses) == 1:
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._tell, args=(monotonic(),), name="progress", daemon=True)
            self._thread.start()

    def end(self, progress: CommandProgress) -> None:
        self._progresses.remove(progress)
        if not self._progresses:
            self._ended.set()
            self._thread.join()
        status_line.show("")

    def _tell(self, started: float) -> None:
        wait = PATIENCE if sys.stderr.isatty() else _EVERY_LINE
        while not self._ended.wait(wait):
            has_terminal = sys.stderr.isatty()
            wait = _EVERY if has_terminal else _EVERY_LINE
            for progress in self._progresses[-1:]:
                told = progress.told()
                line = f"{clock(monotonic() - started)}  {told}" if told else ""
                if has_terminal:
                    status_line.show(line)
                elif line and not progress.in_terminal_only:
                    status_line.print(line)


class StatusLine:
    """The line at the bottom of a terminal at stderr, which threads may change."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shown = 0  # characters

    def show(self, line: str) -> None:
        """Show *line*, "" for none, in the place of the last one, below what is printed."""
        with self._lock:
            text = printable(line)[: _columns() - 1]
            if text or self._shown:
                sys.stderr.write(f"\r{text}{' ' * (self._shown - len(text))}\r")
                sys.stderr.flush()
            self._shown = len(text)

    def print(self, sentence: str) -> None:
        """Print *sentence* to stderr, as a terminal may show it."""
        with self.away():
            sys.stderr.write(f"{printable(sentence)}\n")

    @contextmanager
    def away(self) -> Iterator[None]:
        """While this lasts, something else is printed where the line stands."""
        with self._lock:
            self.show("")
            yield


def _columns() -> int:
    """How wide the terminal at stderr is: stdout may be none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


_teller = _Teller()
status_line = StatusLine()
