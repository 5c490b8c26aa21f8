"""`scrapy options`: what can be said to a spider, from its code."""

from __future__ import annotations

import argparse
import textwrap

from scrapy import Spider
from scrapy.commands import ScrapyCommand
from scrapy.settings import BaseSettings
from scrapy.spiderloader import get_spider_loader

from imgcrawl.basespiders.base import BaseSpider
from imgcrawl.commands.base import BaseCommand, say

WIDTH = 110


class Command(BaseCommand, ScrapyCommand):
    """Lists every option of one spider, or of all, and the settings that it changes. Exit code 2: no such spider."""

    def syntax(self) -> str:
        return "[spider]"

    def short_desc(self) -> str:
        return "List the options of a spider, or of all"

    def long_desc(self) -> str:
        return (
            "Lists what can be said to a spider with -a, with meaning and default, and the settings that it changes. "
            "Example: scrapy options gallery"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        loader = get_spider_loader(self.project_settings)
        names = [self.spider_name("options", args)] if args else sorted(loader.list())
        for number, name in enumerate(names):
            for line in ([""] if number else []) + described(loader.load(name), self.project_settings).split("\n"):
                say(line)
        return 0


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
