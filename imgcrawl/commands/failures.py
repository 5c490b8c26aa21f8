"""`scrapy failures`: what the catalogue says could not be had."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from scrapy.commands import ScrapyCommand
from scrapy.spiderloader import get_spider_loader

from imgcrawl.catalogue import Catalogue, open_catalogue
from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError
from imgcrawl.items import REASONS


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: told, also where there is nothing to tell; 2: bad input."""

    def syntax(self) -> str:
        return "[<spider>] [--reason REASON] [--refused] [--json]"

    def short_desc(self) -> str:
        return "List what could not be had, from the catalogue"

    def long_desc(self) -> str:
        return (
            "Lists the addresses of images that failed when they were last tried, of a spider or of all, and the "
            "pages of galleries that could not be had; what was had since is not listed. --json gives a JSON object a "
            "line. `scrapy retry` tries them again. Example: scrapy failures pximg --reason http_503"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--reason", default="", help="only those of this reason (http_404, timeout, …)")
        parser.add_argument("--refused", action="store_true", help="also those that were refused")
        parser.add_argument("--json", action="store_true", help="a JSON object a line")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        if len(args) > 1:
            raise InputError(f"scrapy failures {' '.join(args)}: expected one spider, or none for all")
        with_refused = opts.refused or opts.reason in REASONS["refused"]
        statuses = ("failed", "refused") if with_refused else ("failed",)
        catalogue = open_catalogue(self.project_settings, must_exist=True)
        counted: Counter[str] = Counter()
        try:
            with CommandProgress(lambda: f"{counted.total():,} found"):
                for failure in failures(catalogue, args[0] if args else None, statuses, opts.reason):
                    counted[failure["reason"]] += 1
                    say(json.dumps(failure) if opts.json else _line(failure))
        finally:
            catalogue.close()
        if args and not counted and args[0] not in (names := get_spider_loader(self.project_settings).list()):
            raise InputError(f"scrapy failures {args[0]}: expected one spider of {', '.join(sorted(names))}")
        reasons = ", ".join(f"{reason}: {count}" for reason, count in counted.most_common())
        complain(f"{counted.total():,} not had ({reasons})" if counted else "nothing that could not be had")
        return 0


def failures(
    catalogue: Catalogue, spider: str | None, statuses: tuple[str, ...], reason: str = ""
) -> Iterator[dict[str, Any]]:
    """What could not be had: images, then pages of galleries."""
    for outcome in catalogue.not_had(spider, statuses, reason):
        yield {
            "spider": outcome.spider,
            "kind": "image",
            "status": outcome.status,
            "reason": outcome.reason,
            "url": outcome.url,
            "page": outcome.page,
            "tried": outcome.tried,
            "first_seen": _time(outcome.first_seen),
            "last_seen": _time(outcome.last_seen),
        }
    for gallery in catalogue.lost_galleries(spider):
        if reason in ("", gallery.error):
            yield {
                "spider": gallery.spider,
                "kind": "page",
                "status": "failed",
                "reason": gallery.error,
                "url": gallery.url,
                "first_seen": _time(gallery.first_seen),
                "last_seen": _time(gallery.last_seen),
            }


def _line(failure: dict[str, Any]) -> str:
    tried = f", tried {failure['tried']} times" if failure.get("tried", 1) > 1 else ""
    page = f" on {failure['page']}" if failure.get("page") else ""
    kind = "page " if failure["kind"] == "page" else ""
    return f"{failure['reason']}  {kind}{failure['url']}{page} (since {failure['first_seen']}{tried})"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
