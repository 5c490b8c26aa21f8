"""What the user sees of several workers: their log lines, and how far they are together."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from scrapy.settings import SETTINGS_PRIORITIES

from imgcrawl.display import Speed, clock, lines_of, remaining, stored_images
from imgcrawl.items import STORED
from imgcrawl.lines import escaped_json, printable
from imgcrawl.livedisplay import LiveDisplay, can_be_seen

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

_DONE = {"scraped": "count", "failed": "failed"}  # galleries, and the stats that count these


class Terminal:
    """Lines at stderr and, as a context manager, one picture below them or a log line each PROGRESS_INTERVAL seconds.

    The picture needs a terminal and PROGRESS_ENABLED. `speed` has counted since this was made.
    """

    def __init__(self, spider: str, settings: BaseSettings) -> None:
        self.speed, self._galleries = Speed(), Speed()
        self._logged = time.monotonic()
        self._interval = settings.getfloat("PROGRESS_INTERVAL")
        self._live: LiveDisplay | None = None
        self._is_over = False
        self._spider = spider
        self._in_lines = settings.getbool("LOG_JSON", False) and not settings["LOG_FILE"]
        self._has_picture = settings.getbool("PROGRESS_ENABLED") and sys.stderr.isatty() and can_be_seen()

    def told_beside(self) -> str:
        """What is done before the picture is there, or after it."""
        if self._live or not self._has_picture:
            return ""
        return "the feeds are written" if self._is_over else "the workers begin"

    @property
    def is_live(self) -> bool:
        """Whether the picture is there now."""
        return self._live is not None

    def __enter__(self) -> Self:
        if self._has_picture:
            self._live = LiveDisplay(redirect_stdout=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        if self._live:
            with suppress(OSError):  # a terminal that was closed
                self._live.stop()
            self._live = None

    def say(self, line: str, number: int | None = None) -> None:
        """Show *line*, of the worker of that *number* if there are several. Where the log has lines of JSON it is one,
        or becomes one."""
        if self._in_lines and not line.startswith("{"):
            logger.info("%s", line)
            return
        line = f"[{number}] {line}" if number and not self._in_lines else line
        with suppress(OSError):  # a terminal that was closed
            if self._live and not self._in_lines:
                self._live.say(line)
            else:
                sys.stderr.write((escaped_json(line) if self._in_lines else printable(line)) + "\n")

    def show(self, view: dict[str, Any], before: Mapping[str, Any], workers: int, *, stopping: bool) -> None:
        """Tell how far so many *workers* are; *before*: the stats that there were before they began; *stopping*: they
        are about to leave."""
        images, galleries = view["images"], view["galleries"]
        view["rate"] = self.speed.recent(sum(images[status] for status in STORED) - stored_images(before))
        done = sum(galleries[name] - before.get(f"gallery/{stat}", 0) for name, stat in _DONE.items())
        rate = self._galleries.recent(done)
        view["remaining"] = remaining(view, None, rate)
        first, *lines = lines_of(view, 0)
        lines.insert(0, f"{workers} worker{'' if workers == 1 else 's'}, {first}")
        if self._live:
            with suppress(OSError):
                lines[0] = f"{clock(self.speed.seconds)}  {lines[0]}"
                self._live.show(self._spider, lines, stopping=stopping)
        elif self._interval and time.monotonic() - self._logged >= self._interval:
            self._logged = time.monotonic()
            logger.info("%s", ", ".join(lines))


def is_chosen(settings: BaseSettings, name: str) -> bool:
    """Whether somebody has set *name*: a spider, the command line, but not the project."""
    return (settings.getpriority(name) or 0) > SETTINGS_PRIORITIES["project"]
