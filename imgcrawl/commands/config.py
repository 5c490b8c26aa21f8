"""`scrapy config`: which settings hold, and where each comes from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from scrapy.commands import ScrapyCommand
from scrapy.settings import BaseSettings

from imgcrawl.checks import check_name
from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.commands.progress import status_line
from imgcrawl.configuration import SOURCES
from imgcrawl.lines import HIDDEN, SECRET_NAME, Secret, printable

_OF_A_FILE = ("CONFIG_FILE", "SPIDER_ARGUMENTS")  # empty where none is found


class Command(BaseCommand, ScrapyCommand):
    """Prints the settings that differ from Scrapy's and this project's defaults, or all; secrets are not shown.

    Exit code 2: a name that is mistyped, or none of a setting.
    """

    def syntax(self) -> str:
        return "[options] [name ...]"

    def short_desc(self) -> str:
        return "Show the settings that hold, and where they come from"

    def long_desc(self) -> str:
        return (
            "Shows each setting that a file, the environment or the command line has set, with its value and where "
            "it comes from; with names, these settings; with --all, every one. "
            "Example: imgcrawl config DOWNLOAD_DELAY USER_AGENT"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--all", action="store_true", help="every setting, defaults included")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        from rich.console import Console  # noqa: PLC0415 -- no crawl needs it
        from rich.table import Table  # noqa: PLC0415 -- the same
        from rich.text import Text  # noqa: PLC0415 -- the same

        table = Table("setting", "value", "from", box=None, header_style="dim")
        names = [check_name(self.project_settings, name, "scrapy config") for name in args]
        for name, value, source in held(self.project_settings, names, everything=opts.all):
            table.add_row(Text(name), Text(value), Text(source))
        console = Console(highlight=False, soft_wrap=True)
        say(f"configuration file: {self.project_settings.get('CONFIG_FILE') or 'none'}")
        with status_line.away():
            console.print(table if table.row_count else "all settings are the project's own")
        return 0


def held(settings: BaseSettings, names: list[str], *, everything: bool) -> Iterator[tuple[str, str, str]]:
    """Name, printable value and source of the settings of these *names*, of all, or of those that were changed."""
    for name in names or sorted(settings):
        priority = settings.getpriority(name)
        is_changed = (priority or 0) > 20 and (name not in _OF_A_FILE or settings.get(name))
        if names or everything or is_changed:
            source = "not set" if priority is None else SOURCES.get(priority, "an add-on")
            yield name, shown(name, settings.get(name)), source


def shown(name: str, value: Any) -> str:
    """*value* of the setting *name*, without what nobody should read over a shoulder."""
    if value and (isinstance(value, Secret) or SECRET_NAME.search(name)):
        return HIDDEN
    return printable(str(value))
