"""The picture below the log, in a terminal. What draws it is loaded where somebody sees it only."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import TextIO, cast

from rich.ansi import AnsiDecoder
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from scrapy.utils.log import get_scrapy_root_handler

from imgcrawl.lines import printable


class LiveDisplay:
    """Lines that stay below whatever else is written to the terminal at stderr, until `stop()`.

    With *redirect_stdout* what is printed to stdout appears above them, too; what this process logs does.
    """

    def __init__(self, *, redirect_stdout: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=redirect_stdout)
        self._handler: logging.StreamHandler[TextIO] | None = None

    def start(self) -> None:
        handler = get_scrapy_root_handler()
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            self._handler = handler
            handler.setStream(cast("TextIO", AboveDisplay(self.console, sys.stderr)))
        self._live.start()
        self.console.show_cursor(True)  # a process that is killed cannot bring it back

    def stop(self) -> None:
        if self._handler:
            self._handler.setStream(cast("AboveDisplay", self._handler.stream).file)
            self._handler = None
        self._live.stop()

    def say(self, line: str) -> None:
        """Print *line* above, as a terminal may show it."""
        self.console.print(Text(printable(line)), soft_wrap=True)

    def show(self, title: str, lines: Sequence[str], *, stopping: bool) -> None:
        """Show *title*, in bold, before the first of *lines*; one that is too long goes on below."""
        room = self.console.width - 2
        first, *folded = _folded(f"{title} {lines[0]}", room)
        below = [*lines[1:], *(["stopping when what is under way is done; Ctrl-C again stops at once"] * stopping)]
        folded += [row for line in below for row in _folded(line, room)]
        shown = [Text(first), *(Text(f"  {row}") for row in folded)]
        shown[0].stylize("bold", 0, len(title))
        for line in shown:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._live.update(Group(*shown), refresh=True)


def _folded(line: str, room: int) -> list[str]:
    """*line*, broken after commas so that it has *room*, and between words where that is not enough."""
    rows: list[str] = []
    for part in line.split(", "):
        if rows and len(rows[-1]) + 3 + len(part) <= room:  # with a comma behind it
            rows[-1] += f", {part}"
        else:
            fits = len(part) < room
            words = [part] if fits else wrap(part, max(1, room - 1), break_long_words=False, break_on_hyphens=False)
            rows[-1:] = [*(f"{row}," for row in rows[-1:]), *words]
    return rows


class AboveDisplay:
    """A text stream whose lines appear above the live display of *console*; *file* is what it stands in for.

    A line is written as it is: nothing in it is markup, and the terminal wraps it, so that an address can be
    copied in one piece. Of control characters and escape sequences only colours pass: log lines quote
    strangers.
    """

    def __init__(self, console: Console, file: TextIO) -> None:
        self.console = console
        self.file = file
        self.decoder = AnsiDecoder()

    def write(self, text: str) -> int:
        for line in text.splitlines():
            shown = self.decoder.decode_line(line)
            shown.plain = printable(shown.plain)
            self.console.print(shown, soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        self.file.flush()


def can_be_seen() -> bool:
    """Whether the terminal at stderr can show it."""
    return Console(stderr=True).is_interactive
