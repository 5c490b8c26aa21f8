"""A small Scrapy project that uses imgcrawl's command and extensions, run as a user runs it, also in a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.crawling import environment
from tests.support.processes import Process

# What would tell rich or Scrapy something about the terminal or the project that is not so here.
STEERING = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
STEERING |= {"SCRAPY_PROJECT"}

SETTINGS = """
BOT_NAME = "tiny"
SPIDER_MODULES = ["tiny.spiders"]
COMMANDS_MODULE = "imgcrawl.commands"
LOG_LEVEL = "INFO"
STATS_DUMP = False
TELNETCONSOLE_ENABLED = REMOTE_CONTROL_ENABLED = ROBOTSTXT_OBEY = False
EXTENSIONS = {
    "scrapy.extensions.logstats.LogStats": None,
    "imgcrawl.extensions.progress.Progress": 500,
    "imgcrawl.extensions.verdict.Verdict": 500,
    "tiny.refuser.Refuser": 600,
}
ITEM_PIPELINES = {"tiny.refuser.Pipeline": 100}
DOWNLOADER_MIDDLEWARES = {"tiny.refuser.Middleware": 100}
REFUSE = ""
"""

# Components that find bad input at the place that REFUSE names.
REFUSER = """
import asyncio
from scrapy import signals
from scrapy.exceptions import DropItem
from imgcrawl.exceptions import InputError

class Component:
    def __init__(self, crawler):
        self.place = type(self).__name__.lower()
        self.where = crawler.settings["REFUSE"]
        self.check("")
        crawler.signals.connect(self.spider_opened, signals.spider_opened)

    from_crawler = classmethod(lambda cls, crawler: cls(crawler))

    def check(self, when):
        if self.where == self.place + when:
            raise InputError(f"REFUSE is {self.where!r}: expected nothing")
        if self.where == f"{self.place}{when} bug":
            raise KeyError("a bug")

    def spider_opened(self):
        self.check(".spider_opened")

class Refuser(Component):
    pass

class Middleware(Component):
    pass

class Pipeline(Component):
    def open_spider(self):
        self.check(".open_spider")

    async def process_item(self, item):
        what = item.get("do")
        if what == "drop":
            raise DropItem("not wanted")
        if what == "break":
            raise KeyError("a bug")
        if what == "hang":
            await asyncio.sleep(3600)
        return item
"""

SPIDERS = '''
import asyncio, json, logging
import scrapy
from imgcrawl.exceptions import InputError

class Told(scrapy.Spider):
    """Does what it is told: sets stats, yields items, requests addresses, logs lines."""
    name = "told"

    def __init__(self, stats="{}", items="[]", urls="[]", lines="[]", **kwargs):
        super().__init__(**kwargs)
        self.told, self.items, self.urls = json.loads(stats), json.loads(items), json.loads(urls)
        self.lines = json.loads(lines)

    async def start(self):
        for name, value in self.told.items():
            self.crawler.stats.set_value(name, value)
        for item in self.items:
            yield item
        for url in self.urls:
            yield scrapy.Request(url, meta={"download_slot": slot} if (slot := getattr(self, "slot", None)) else None)
        for line in self.lines:
            self.logger.warning(line)
            await asyncio.sleep(0.02)

    def parse(self, response):
        if response.url == "data:,break":
            raise KeyError("a bug in a callback")

class Picky(scrapy.Spider):
    name = "picky"

    def __init__(self, where="init", **kwargs):
        super().__init__(**kwargs)
        self.where = where
        self.check("init")

    def check(self, where):
        if self.where == where:
            raise InputError(f"-a where={where}: expected a better place")
        if self.where == f"{where} bug":
            raise KeyError("a bug")

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.check("from_crawler")
        return spider

    async def start(self):
        self.check("start")
        yield scrapy.Request("data:,page")

    def parse(self, response):
        self.check("parse")

class Busy(scrapy.Spider):
    """Never ends by itself."""
    name = "busy"

    async def start(self):
        self.crawler.stats.set_value("image/found", 3)
        self.crawler.stats.set_value("image/downloaded", 3)
        yield {"do": getattr(self, "do", "keep")}
        self.logger.warning("busy now")
        await asyncio.sleep(3600)
'''


class Project:
    """The project, in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / "tiny"
        package.mkdir()
        (folder / "scrapy.cfg").write_text("[settings]\ndefault = tiny.settings\n")
        (package / "__init__.py").touch()
        (package / "settings.py").write_text(SETTINGS)
        (package / "refuser.py").write_text(REFUSER)
        (package / "spiders.py").write_text(SPIDERS)
        self.env = {
            **{name: value for name, value in environment(settings=None).items() if name not in STEERING},
            "TERM": "xterm",
        }

    def start(self, *args: str, command: str = "crawl", **kwargs: Any) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "scrapy", command, *args]
        return Process(line, cwd=self.folder, env=self.env, **kwargs)

    def crawl(self, *args: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `scrapy crawl`, without a terminal."""
        process = self.start(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def told(
        self,
        *args: str,
        stats: dict[str, Any] | None = None,
        items: list[Any] | None = None,
        urls: list[str] | None = None,
    ) -> tuple[int, str, str]:
        """The same of a crawl that sets *stats*, yields *items* and requests *urls*."""
        return self.crawl("told", *telling(stats, items, urls), *args)

    @contextmanager
    def in_terminal(self, *args: str, **kwargs: Any) -> Iterator[Terminal]:
        """`scrapy crawl` with a terminal at stdin, stdout and stderr (or what *kwargs* say instead)."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        ends = {"stdin": slave, "stdout": slave, "stderr": slave, **kwargs}
        process = self.start(*args, start_new_session=True, **ends)
        os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            os.close(master)


def telling(
    stats: dict[str, Any] | None = None,
    items: list[Any] | None = None,
    urls: list[str] | None = None,
    lines: list[str] | None = None,
) -> list[str]:
    told = {"stats": stats or {}, "items": items or [], "urls": urls or [], "lines": lines or []}
    return [part for name, value in told.items() for part in ("-a", f"{name}={json.dumps(value)}")]


WIDTH, HEIGHT = 80, 24
TOKEN = re.compile(r"\x1b\[(?P<args>[?\d;]*)(?P<command>[A-Za-z])|(?P<char>.)", re.DOTALL)


class Terminal:
    """What a person sees of *process*: the lines of an 80 x 24 terminal, those scrolled away included.

    It knows what a live display needs; any other escape sequence or control character is an error.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.master = master
        self.raw = ""
        self.lines = [""]
        self.row = self.column = 0

    def read_until(self, pattern: str) -> None:
        """Read until *pattern* was written. Raises AssertionError if the process ends before."""
        while not re.search(pattern, self.raw):
            assert self._read(), f"ended before {pattern!r}: {self.raw}"

    def end(self) -> int:
        """Read until the process ends; return its exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=60)

    def screen(self) -> list[str]:
        """The lines to be seen after all that was written so far."""
        self.lines, self.row, self.column = [""], 0, 0
        for token in TOKEN.finditer(self.raw):
            if token["command"]:
                self._control(token["command"], token["args"])
            else:
                self._put(token["char"])
        return [line.rstrip() for line in self.lines]

    def _read(self) -> bool:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            return False
        self.raw += data.decode()
        return bool(data)

    def _control(self, command: str, args: str) -> None:
        if command == "A":
            self.row = max(0, len(self.lines) - HEIGHT, self.row - int(args or 1))
        elif command == "K":
            assert args == "2"
            self.lines[self.row] = ""
        else:
            assert command == "m" or (args, command) in {("?25", "h"), ("?25", "l")}, (args, command)

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
            return
        if char == "\n" or self.column == WIDTH:
            self.row += 1
            if char != "\n":
                self.column = 0
            if self.row == len(self.lines):
                self.lines.append("")
        if char != "\n":
            assert char.isprintable(), repr(char)
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1
