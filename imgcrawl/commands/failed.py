"""`scrapy failed`: the addresses of a feed that were not brought home, as a list that can be crawled again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scrapy.commands import ScrapyCommand

from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.exceptions import InputError


class Command(BaseCommand, ScrapyCommand):
    """Prints each address that failed, after a comment with its reason and where it stood. Exit code 2: bad input.

    `scrapy failed images.json > failed.txt` makes a list for `scrapy crawl urls -a file=failed.txt`. To have them
    under their own names, start the crawl that made the feed again: it asks only for what is missing.
    """

    requires_project = False  # a feed is all that it needs

    def syntax(self) -> str:
        return "[--refused] <feed>"

    def short_desc(self) -> str:
        return "List the images of a feed that failed"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--refused", action="store_true", help="also those that were refused")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        for line in listing(args, refused=opts.refused):
            say(line)
        return 0


def listing(args: list[str], *, refused: bool) -> Iterator[str]:
    """The lines for the feed in *args*; what is no image is a comment. Raises `InputError`."""
    if len(args) != 1:
        raise InputError(f"scrapy failed {' '.join(args)}: expected one feed, .json or .jsonl")
    statuses = ("failed", "refused") if refused else ("failed",)
    for item in items_of(Path(args[0])):
        for outcome in [*(item.get("images") or ()), *(item.get("videos") or ())]:
            if outcome["status"] in statuses:
                yield f"# {outcome['reason']} on {item.get('url')}"
                yield _spelled(outcome["url"])
        for page in item.get("failed_pages") or ():
            yield f"# a sub-page: {page['reason']} on {item.get('url')}"
            yield f"# {_spelled(page['url'])}"
        if item.get("error"):
            yield f"# a page: {item['error']}"
            yield f"# {_spelled(item.get('url'))}"


def _spelled(address: Any) -> str:
    """*address* on one line, what cannot be shown percent-encoded: it stays the same address."""
    text = " ".join(str(address).split())
    return "".join(char if char.isprintable() else quote(char, errors="replace") for char in text)


def items_of(feed: Path) -> Iterator[dict[str, Any]]:
    """The items of a .json or .jsonl feed as imgcrawl writes them, one a line. Raises `InputError`."""
    try:
        with feed.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip().removeprefix("[").removesuffix("]").strip(" ,\n")
                if not text:
                    continue
                try:
                    item = json.loads(text)
                except (ValueError, RecursionError):
                    item = None
                if not isinstance(item, dict):
                    raise InputError(f"{feed}, line {number}: expected a feed with an item a line, .json or .jsonl")
                yield item
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{feed} cannot be read: {error}") from error
