"""`scrapy failed`: the images of a feed that were not brought home, as a list that can be crawled again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scrapy.commands import ScrapyCommand

from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError
from imgcrawl.items import is_row
from imgcrawl.retries import retries_of

MAX_LINE = 1 << 28  # characters of an item, which may have a million images


class Command(BaseCommand, ScrapyCommand):
    """Prints each item of a feed with images that failed, with these alone, as a line of JSON. Exit code 2: bad input.

    `scrapy failed images.json > failed.jsonl` makes a list for `scrapy crawl urls -a file=failed.jsonl`: the images
    have the paths they were to have, their items the same `url`, title and other fields, and each image is asked for
    with its page as `Referer`. A list of videos is for the spider that made the feed. Pages that could not be had
    are told on stderr: start the crawl that made the feed again, it asks only for what is missing.

    With `--urls` addresses are printed, and reasons as comments: for other programs.
    """

    requires_project = False  # a feed is all that it needs

    def syntax(self) -> str:
        return "[--refused] [--urls] <feed>"

    def short_desc(self) -> str:
        return "List the images of a feed that failed"

    def long_desc(self) -> str:
        return (
            "Prints each item of a feed with images that failed, with these alone, as a line of JSON: a list that "
            "`scrapy crawl urls` brings home into the same galleries, with their fields. "
            "Example: scrapy failed images.json > again.jsonl"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--refused", action="store_true", help="also those that were refused")
        parser.add_argument("--urls", action="store_true", help="addresses alone, one a line")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if len(args) != 1:
            raise InputError(f"scrapy failed {' '.join(args)}: expected one feed, .json or .jsonl")
        statuses = ("failed", "refused") if opts.refused else ("failed",)
        read = 0
        with CommandProgress(lambda: f"{read:,} items read"):
            for read, item in enumerate(items_of(Path(args[0])), 1):  # noqa: B007 -- told by progress
                _tell(item, statuses, as_urls=opts.urls)
        return 0


def _tell(item: dict[str, Any], statuses: Sequence[str], *, as_urls: bool) -> None:
    again = retries_of(item, lambda outcome: outcome["status"] in statuses)
    for line in addresses_of(item, statuses) if as_urls else map(json.dumps, again):
        say(line)
    for reason, address in lost_pages(item):
        if as_urls:
            say(f"# {reason}")
            say(f"# {_spelled(address)}")
        else:
            complain(f"{reason}: {_spelled(address)}")


def addresses_of(item: dict[str, Any], statuses: Sequence[str]) -> Iterator[str]:
    """The lines of a text list for *item*."""
    for outcome in [*(item.get("images") or ()), *(item.get("videos") or ())]:
        if outcome["status"] in statuses:
            yield f"# {outcome['reason']} on {item.get('url')}"
            yield _spelled(outcome["url"])


def lost_pages(item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Why each page that *item* lacks could not be had, and its address."""
    for page in item.get("failed_pages") or ():
        yield f"a sub-page: {page['reason']} on {item.get('url')}", page["url"]
    if item.get("error"):
        yield f"a page: {item['error']}", item.get("url")


def _spelled(address: Any) -> str:
    """*address* on one line, what cannot be shown percent-encoded: it stays the same address."""
    text = " ".join(str(address).split())
    return "".join(char if char.isprintable() else quote(char, errors="replace") for char in text)


def is_readable(item: dict[str, Any]) -> bool:
    """Whether what is read here of *item* is of the kinds that a crawl writes."""
    texts = ("url", "status", "reason", "requested_path")
    for name in ("images", "videos", "failed_pages"):
        outcomes = item.get(name) or []
        if not isinstance(outcomes, list):
            return False
        for outcome in outcomes:
            if not isinstance(outcome, dict) or not all(isinstance(outcome.get(text, ""), str) for text in texts):
                return False
            if not ({"url", "reason"} if name == "failed_pages" else {"url", "status"}) <= outcome.keys():
                return False
            if outcome.get("status") in {"failed", "refused"} and "reason" not in outcome:
                return False
    parallel = (f"{media}_{column}" for media in ("image", "video") for column in ("names", "pages"))
    return all(isinstance(item.get(name) or [], list) for name in parallel)


def items_of(feed: Path) -> Iterator[dict[str, Any]]:
    """The items of a .json or .jsonl feed as imgcrawl writes them, one a line. Raises `InputError`."""
    try:
        with feed.open(encoding="utf-8") as lines:
            for number, line in enumerate(iter(partial(lines.readline, MAX_LINE), ""), start=1):
                text = line.strip().removeprefix("[").removesuffix("]").strip(" ,\n")
                if not text:
                    continue
                try:
                    item = json.loads(text)
                except (ValueError, RecursionError):
                    item = None
                if not isinstance(item, dict) or not is_readable(item):
                    raise InputError(f"{feed}, line {number}: expected a feed with an item a line, .json or .jsonl")
                if is_row(item):
                    raise InputError(
                        f"{feed}, line {number} is a row of an image (FEED_ROWS), which cannot be tried again; "
                        "expected the feed of galleries, or scrapy retry"
                    )
                yield item
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{feed} cannot be read: {error}") from error
