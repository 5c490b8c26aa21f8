"""`scrapy options`: what can be said to a spider, from its code."""

from __future__ import annotations

import argparse
import sys
import textwrap

from scrapy import Spider
from scrapy.commands import ScrapyCommand
from scrapy.settings import BaseSettings
from scrapy.spiderloader import get_spider_loader

from imgcrawl.basespiders.base import BaseSpider

WIDTH = 110


class Command(ScrapyCommand):
    """Lists every option of one spider, or of all, and the settings that it changes. Exit code 2: no such spider."""

    requires_project = True
    requires_crawler_process = False

    def syntax(self) -> str:
        return "[spider]"

    def short_desc(self) -> str:
        return "List the options of a spider, or of all"

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        assert self.settings is not None  # noqa: S101 -- set in scrapy.cmdline
        loader = get_spider_loader(self.settings)
        names = sorted(loader.list())
        if len(args) > 1 or not set(args) <= set(names):
            print(f"scrapy options {' '.join(args)}: expected one spider of {', '.join(names)}", file=sys.stderr)
            self.exitcode = 2
            return
        print("\n\n".join(described(loader.load(name), self.settings) for name in args or names))


def described(spider: type[Spider], settings: BaseSettings) -> str:
    """What `spider` is, its options with their meaning and default, and the settings it changes."""
    lines = [f"{spider.name}: {' '.join((spider.__doc__ or '').split())}"]
    if not issubclass(spider, BaseSpider):
        return f"{lines[0]}\n  declares no options"
    rows = []
    for option in spider.described_options():
        required = " (required)" if option.required else ""
        default = "" if option.default is None else f" (default: {option.default})"
        rows.append((f"-a {option.name}=", f"{option.meaning}{required}{default}"))
    naming = f"{spider.media.upper()}S_NAME"
    custom = {naming: settings[naming]} | spider.all_custom_settings()
    rows += [(f"-s {name}=", f"{value}") for name, value in custom.items()]
    margin = 4 + max(len(name) for name, _ in rows)
    for name, meaning in rows:
        lines.append(
            textwrap.fill(
                meaning,
                WIDTH,
                initial_indent=f"  {name}".ljust(margin),
                subsequent_indent=" " * margin,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(lines)
