"""What the commands of this project have in common: bad input is one sentence and exit code 2."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from abc import abstractmethod
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn, cast

from scrapy.exceptions import UsageError
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.conf import closest_scrapy_cfg

from imgcrawl.catalogue import CatalogueError
from imgcrawl.checks import check_given
from imgcrawl.commands.progress import CommandProgress, status_line
from imgcrawl.commands.startup import check_files
from imgcrawl.digits import whole
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable
from imgcrawl.pipelines.loststores import LostStoreError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from scrapy.commands import ScrapyCommand as Base
else:
    Base = object  # Scrapy takes every subclass of ScrapyCommand in this package for a command

WIDTH = 160  # columns where there is no terminal to ask
CATALOGUE_ERRORS = (CatalogueError, sqlite3.Error)  # raised by a catalogue that was opened


class BaseCommand(Base):
    """What a command that needs a project inherits besides `ScrapyCommand`, and before it.

    An `InputError` ends the command with exit code 2 and its sentence, a catalogue that cannot be used any more with
    exit code 1 and one, as a store that does not answer, or a disk that is full, Ctrl-C with exit code 3. Where nobody
    reads stdout any more (`| head -1`), it ends without a word.
    """

    requires_project = True
    requires_crawler_process = False

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            check_files(self.project_settings, opts)
            check_given(self.project_settings, opts.set)
            super().process_options(args, opts)
            know_addon(self.project_settings)
        except (InputError, UsageError) as error:
            refuse(str(error))

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        if isinstance(sys.stdout, TextIOWrapper):  # what others print there, too, ends at no character of a site
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with CommandProgress(lambda: "working", in_terminal_only=True):  # unless it has more to say
                self.exitcode = self.execute(args, opts)
        except (InputError, UsageError) as error:
            complain(str(error))
            self.exitcode = ExitCode.REFUSED
        except CATALOGUE_ERRORS as error:
            self.exitcode = without_catalogue(error)
        except LostStoreError as error:
            complain(f"the store cannot be read: {error}")
            self.exitcode = ExitCode.FAILED
        except KeyboardInterrupt:
            complain("interrupted")
            self.exitcode = ExitCode.STOPPED
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                complain(f"{error.filename}: {describe(error)}" if error.filename else describe(error))
            if not error.filename:  # Python flushes stdout once more in the end, and would tell the same error
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.exitcode = ExitCode.FAILED

    @abstractmethod
    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        """Do what the command is for, and return the exit code. May raise `InputError`."""

    @property
    def project_settings(self) -> Settings:
        return cast("Settings", self.settings)  # set in scrapy.cmdline

    def spider_name(self, command: str, args: list[str]) -> str:
        """The one spider that *args* name. Raises `InputError`."""
        names = sorted(get_spider_loader(self.project_settings).list())
        if len(args) != 1 or args[0] not in names:
            raise InputError(f"scrapy {command} {' '.join(args)}: expected one spider of {', '.join(names)}")
        return args[0]


def know_addon(settings: Settings) -> None:
    """Give *settings* what a crawl has of `imgcrawl.Addon`, where the project has that. May raise `InputError`."""
    if any(_is_addon(path) for path, order in settings.getdict("ADDONS").items() if order is not None):
        from imgcrawl.addon import set_values  # noqa: PLC0415 -- it loads all parts

        set_values(settings)


def _is_addon(path: object) -> bool:
    """Whether *path* is `imgcrawl.Addon`, by its class, too, and by another of its names."""
    name = path if isinstance(path, str) else f"{getattr(path, '__module__', '')}.{getattr(path, '__qualname__', '')}"
    return name in ("imgcrawl.Addon", "imgcrawl.addon.Addon")


def say(line: str, *, end: str = "\n") -> None:
    """Print *line* to stdout, as a terminal may show it."""
    with status_line.away():
        print(_encodable(printable(line), getattr(sys.stdout, "encoding", None)), end=end, flush=True)


def show(*parts: RenderableType) -> None:
    """Print *parts*, made for `rich`, to stdout: as wide as the terminal, or as WIDTH."""
    from rich.console import Console  # noqa: PLC0415 -- no crawl needs it

    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    with status_line.away():
        for part in parts:
            console.print(part)


def _encodable(line: str, encoding: str | None) -> str:
    """*line*, with escapes for what *encoding* has not: those of JSON, which *line* may be."""
    try:
        line.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in line)
    return line


def whole_option(name: str, value: str, least: int, most: int) -> int:
    """The number that the option *name* has. Raises `InputError` for anything but one from *least* to *most*."""
    number = whole(value, most)
    if number is None or number < least:
        raise InputError(f"--{name} {value:.60}: expected a number from {least} to {most}")
    return number


def complain(sentence: str) -> None:
    """Print *sentence* to stderr, as a terminal may show it."""
    status_line.print(sentence)


def without_catalogue(error: Exception) -> int:
    """Tell *error*, one of `CATALOGUE_ERRORS`, and return the exit code."""
    complain(f"the catalogue cannot be read or written: {error}")
    return ExitCode.FAILED


def refuse(sentence: str) -> NoReturn:
    """End the process: *sentence* on stderr, exit code 2."""
    complain(sentence)
    sys.exit(ExitCode.REFUSED)


def require_own_folder(command: str, settings: Settings) -> None:
    """Raise `InputError` where a new spider would go among those of the installed package."""
    if settings["NEWSPIDER_MODULE"] == "imgcrawl.spiders" and not closest_scrapy_cfg():
        raise InputError(
            f'scrapy {command}: there is no folder for spiders of your own; make one, "my_spiders" say, and an '
            'imgcrawl.toml with the line: spiders = ["my_spiders"]'
        )
