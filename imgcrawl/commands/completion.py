"""`scrapy completion`: what a shell needs to complete the commands, their options and the spiders."""

from __future__ import annotations

import argparse
from pathlib import Path

from scrapy.cmdline import _get_commands_dict
from scrapy.commands import ScrapyCommand
from scrapy.spiderloader import get_spider_loader

from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.exceptions import InputError


class Command(BaseCommand, ScrapyCommand):
    """Prints a script for a shell; the spiders in it are those of today. Exit code 2: no such shell, or no shtab."""

    def syntax(self) -> str:
        return "<shell>"

    def short_desc(self) -> str:
        return "Print what a shell needs to complete commands, options and spiders"

    def long_desc(self) -> str:
        return (
            "Prints a script that teaches a shell to complete imgcrawl's commands, options and spiders. "
            "Example: imgcrawl completion bash > ~/.local/share/bash-completion/completions/imgcrawl"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        try:
            import shtab  # noqa: PLC0415 -- an extra
        except ImportError:
            raise InputError("scrapy completion needs a library: pip install imgcrawl[completion]") from None
        if len(args) != 1 or args[0] not in shtab.SUPPORTED_SHELLS:
            known = ", ".join(shtab.SUPPORTED_SHELLS)
            raise InputError(f"scrapy completion {' '.join(args)}: expected one of {known}")
        for line in shtab.complete(self._parser(), args[0]).splitlines():
            say(line)
        return 0

    def _parser(self) -> argparse.ArgumentParser:
        """All commands as one parser, which Scrapy never has."""
        settings = self.project_settings
        spiders = sorted(get_spider_loader(settings).list())
        whole = argparse.ArgumentParser(prog="imgcrawl")
        commands = whole.add_subparsers()
        for name, command in sorted(_get_commands_dict(settings, inproject=True).items()):
            command.settings = settings
            parser = commands.add_parser(name, help=command.short_desc(), conflict_handler="resolve")
            command.add_options(parser)
            if "spider>" in command.syntax() or "[spider]" in command.syntax():
                parser.add_argument("spider", choices=spiders)
            elif any(word in command.syntax() for word in ("feed", "file", "segment")):
                parser.add_argument("file", type=Path)
        return whole
