"""The picture below the log, in a terminal. What draws it is loaded where somebody sees it only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.ansi import AnsiDecoder
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from imgcrawl.lines import printable


class LiveDisplay:
    """Lines that stay below whatever else is written to the terminal at stderr, until `stop()`.

    With *redirect_stdout* what is printed to stdout appears above them, too.
    """

    def __init__(self, *, redirect_stdout: bool) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=redirect_stdout)

    def start(self) -> None:
        self._live.start()
        self.console.show_cursor(True)  # a process that is killed cannot bring it back

    def stop(self) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Print *line* above, as a terminal may show it."""
        self.console.print(Text(printable(line)), soft_wrap=True)

    def show(self, title: str, lines: Sequence[str], *, stopping: bool) -> None:
        """Show *title*, in bold, before the first of *lines*; one that is too long goes on below."""
        room = self.console.width - 2
        first, *folded = _folded(f"{title} {lines[0]}", room)
        folded += [row for line in lines[1:] for row in _folded(line, room)]
        shown = [Text(first), *(Text(f"  {row}") for row in folded)]
        shown[0].stylize("bold", 0, len(title))
        if stopping:
            shown.append(Text("  stopping when what is under way is done; Ctrl-C again stops at once"))
        for line in shown:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._live.update(Group(*shown), refresh=True)


def _folded(line: str, room: int) -> list[str]:
    """*line*, broken after commas so that it has *room*, where its parts have."""
    rows: list[str] = []
    for part in line.split(", "):
        if rows and len(rows[-1]) + 3 + len(part) <= room:  # with a comma behind it
            rows[-1] += f", {part}"
        else:
            rows[-1:] = [*(f"{row}," for row in rows[-1:]), part]
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
