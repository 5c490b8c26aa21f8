"""Writes docs/reference/ from the code: `python docs/reference.py`. A test holds the two together."""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "imgcrawl"
FOLDER = Path(__file__).parent / "reference"
sys.path.insert(0, str(ROOT))  # as a script, docs/ would stand in its place

from scrapy.commands import ScrapyCommand  # noqa: E402 -- the same
from scrapy.settings import Settings  # noqa: E402 -- needs the path above
from scrapy.spiderloader import SpiderLoader  # noqa: E402 -- the same

import imgcrawl.commands  # noqa: E402 -- the same
from imgcrawl.commands.options import described  # noqa: E402 -- the same
from imgcrawl.images.damage import WARNINGS  # noqa: E402 -- the same
from imgcrawl.images.verify import DEPTHS  # noqa: E402 -- the same
from imgcrawl.items import PAGE_REASONS, REASONS, STATUSES  # noqa: E402 -- the same
from imgcrawl.pages.bounds import LEFT_OUT  # noqa: E402 -- the same

# What each stat counts. `{…}` stands for what differs: a reason, a status.
STATS = {
    "budget/reached/{kind}": "requests refused because that budget was used up",
    "budget/waiting": "requests that waited for the hours of their host (CRAWL_HOURS)",
    "command/failed": "commands (COMMAND_FOR_GALLERY, COMMAND_AT_END) that failed",
    "command/failed/{reason}": "the same, by reason: exit_N, signal_N, timeout, stopped, not_started",
    "command/run": "commands that have ended",
    "feed/lost": "items that a feed could not take",
    "feed/missing": "items that the feed of `--workers` lacks in the end",
    "frontier/{name}": "the queue that workers share: what this worker did, and what the queue held in the end",
    "gallery/author_pictures": "pictures of those who write on pages (class `avatar`), left out beside enough others",
    "gallery/count": "galleries scraped",
    "gallery/empty": "galleries scraped that have no image",
    "gallery/undated": "galleries that GALLERIES_SINCE or GALLERIES_UNTIL let pass, having no date that can be read",
    "gallery/failed": "galleries that could not be had",
    "gallery/failed/{reason}": "the same, by reason",
    "gallery/found": "galleries that list pages, lists or the command line named",
    "gallery/left_out": "galleries that have more images than were found",
    "gallery/left_out/{reason}": "the same, by reason: `left_out` of the item",
    "gallery/led_to/{address}": "galleries that led to one address, from three on",
    "gallery/session_ended": "galleries that asked to log in though cookies are sent",
    "gallery/known": "galleries that are complete in the catalogue and were not opened again (GALLERIES_EXPIRES)",
    "upload/given_up": "questions to the store of images that were not waited for any more, as the crawl was stopped",
    "image/bytes": "bytes of the images that were downloaded",
    "image/found": "addresses of images",
    "image/{status}": "addresses of images that ended so; the five statuses add up to image/found",
    "image/{status}/{reason}": "the same, by reason",
    "item/error": "items that a pipeline failed on",
    "live/paused": "whether somebody has paused the crawl (`scrapy watch`)",
    "list/count": "list pages read",
    "list/failed": "list pages that could not be had",
    "list/failed/{reason}": "the same, by reason",
    "placeholder/{checksum}": "placeholders that were learned; with an address behind it, those that led there",
    "page/asked_anew": "pages of galleries that were asked for once more, as the addresses of their images had expired",
    "page/refused/robots": "pages that robots.txt forbids",
    "retry/count": "Scrapy's: requests that were tried again",
    "retry/resumed": "downloads that went on where they had broken",
    "retry/retry_after": "answers whose Retry-After was waited for",
    "retry/retry_after_too_long": "answers whose Retry-After was longer than RETRY_AFTER_MAX",
    "robotstxt/exception_count/{reason}": "robots.txt that could not be had",
    "robotstxt/forbidden": "Scrapy's: requests that robots.txt forbids",
    "robotstxt/request_count": "Scrapy's: robots.txt asked for",
    "robotstxt/response_count": "Scrapy's: robots.txt received",
    "robotstxt/response_status_count/{status}": "Scrapy's: the same, by status",
    "row/bad": "rows of a list that name no address",
    "row/bad/{reason}": "the same, by reason",
    "row/count": "rows of a list read",
    "run/galleries/{name}": "galleries of all workers of a run: found, scraped, failed, not_reached",
    "spider_exceptions/{name}": "Scrapy's: callbacks that failed, by the exception",
    "subpage/count": "sub-pages of galleries read",
    "subpage/failed": "sub-pages that could not be had",
    "verdict": "the sentence that the crawl ends with, where it is not as it should be; exit code 1",
    "verdict/error": "an error that ended the crawl",
    "verdict/findings": "all such sentences",
    "verdict/workers": "workers that reported to the verdict",
}
HEADER = "<!-- made by docs/reference.py -->\n"


def project_settings() -> Settings:
    settings = Settings()
    settings.setmodule("imgcrawl.settings", priority="project")
    return settings


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def settings() -> str:
    """Every assignment of settings.py with the comment behind it, by section."""
    source = (PACKAGE / "settings.py").read_text("utf-8")
    lines = source.splitlines()
    sections: list[tuple[str, list[tuple[str, ...]]]] = [("How it is named, and what is left out", [])]
    assignments = {
        node.lineno: node for node in ast.parse(source).body if isinstance(node, (ast.Assign, ast.AnnAssign))
    }
    for number, line in enumerate(lines, 1):
        if match := re.match(r"# -{4} ([^-]+?) -+$", line):
            sections.append((match[1].capitalize(), []))
        if node := assignments.get(number):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            value = " ".join((ast.get_source_segment(source, node.value) or "").split()) if node.value else ""
            reason = line.partition("  # ")[2]
            if isinstance(node.value, ast.Dict) and node.value.keys:
                value, reason = "see imgcrawl/settings.py", reason or "each entry has its reason there"
            sections[-1][1].append((f"`{ast.unparse(target)}`", f"`{value}`" if value else "", reason))
    parts = [f"## {title}\n\n{table(('setting', 'default', ''), rows)}" for title, rows in sections if rows]
    intro = "What differs from Scrapy's default, or is imgcrawl's own. All others are as in Scrapy.\n"
    return "# Settings\n\n" + "\n".join([intro, *parts])


def outcomes() -> str:
    parts = ["# Outcomes and reasons\n", f"An image's `status` is one of {', '.join(f'`{s}`' for s in STATUSES)}.\n"]
    for status, reasons in REASONS.items():
        rows = [(f"`{reason}`", meaning) for reason, meaning in reasons.items()]
        if status == "failed":
            rows.append(("`http_NNN`", "the server answered with that status"))
        parts.append(f"## {status}\n\n{table(('reason', ''), rows)}")
    rows = [(f"`{reason}`", meaning) for reason, meaning in PAGE_REASONS.items()]
    parts.append(f"## `error` of a gallery\n\nOne of the reasons above, or:\n\n{table(('error', ''), rows)}")
    rows = [(f"`{reason}`", meaning) for reason, meaning in LEFT_OUT.items()]
    parts.append(f"## `left_out` of a gallery\n\nThe crawl's exit code is 1 then.\n\n{table(('', ''), rows)}")
    rows = [(f"`{name}`", meaning) for name, meaning in WARNINGS.items()]
    parts.append(f"## `warnings` of a stored image\n\n{table(('warning', ''), rows)}")
    rows = [(f"`{depth}`", meaning) for depth, meaning in DEPTHS.items()]
    parts.append(
        "## `verified` of a stored image\n\nHow deep it was looked at (`IMAGES_VERIFY`), where it was not decoded.\n\n"
        + table(("depth", ""), rows)
    )
    return "\n".join(parts)


def stats_in_code() -> set[str]:
    """The names of stats in the calls that set them; `{…}` for what is put in."""
    found = set()
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            called = getattr(getattr(node, "func", None), "attr", "")
            if isinstance(node, ast.Call) and called in ("inc_value", "set_value", "max_value") and node.args:
                found |= set(_names(node.args[0]))
    return found


def _names(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def stats() -> str:
    rows = [(f"`{name}`", meaning) for name, meaning in sorted(STATS.items())]
    return "# Stats\n\nBesides Scrapy's own.\n\n" + table(("stat", "what it counts"), rows)


def commands() -> str:
    parts = ["# Commands\n\nWith Scrapy's own. `imgcrawl` in place of `scrapy` does the same from any folder.\n"]
    for _, name, _ in sorted(pkgutil.iter_modules(imgcrawl.commands.__path__)):
        module = importlib.import_module(f"imgcrawl.commands.{name}")
        if issubclass(getattr(module, "Command", object), ScrapyCommand):
            command: ScrapyCommand = module.Command()
            parser = argparse.ArgumentParser(
                prog=f"scrapy {name}", add_help=False, usage="", conflict_handler="resolve"
            )
            command.settings = project_settings()
            command.add_options(parser)
            own = parser._action_groups[1]  # the options of the command, without Scrapy's global ones
            rows = [
                (
                    f"`{', '.join(action.option_strings)}{f' {action.metavar}' if action.metavar else ''}`",
                    help_of(action),
                )
                for group in (own, *parser._mutually_exclusive_groups)
                for action in group._group_actions
                if action.option_strings and action.help != argparse.SUPPRESS
            ]
            unique = list(dict.fromkeys(rows))
            options = f"\n{table(('option', ''), unique)}" if unique else ""
            head = f"scrapy {name} {command.syntax()}".strip()
            parts.append(f"## `{head}`\n\n{command.long_desc()}\n{options}")
    return "\n".join(parts)


def help_of(action: argparse.Action) -> str:
    return (action.help or "").replace("%(default)s", str(action.default))


def spiders() -> str:
    project = project_settings()
    loader = SpiderLoader.from_settings(project)
    blocks = [f"## {name}\n\n```text\n{described(loader.load(name), project)}\n```\n" for name in sorted(loader.list())]
    return "# Spiders and their options\n\n" + "\n".join(blocks)


def redis_keys() -> str:
    """What stands at the head of the scripts, which is where the keys are made."""
    parts = ["# Redis keys\n\nAs the scripts that use them state them; each script is one atomic step.\n"]
    for script in sorted(PACKAGE.rglob("*.lua")):
        lines = script.read_text("utf-8").splitlines()
        head = lines[: next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))]
        text = "\n".join(line.removeprefix("--").removeprefix(" ") for line in head)
        if "KEYS[1]" in text:
            parts.append(f"## {script.relative_to(PACKAGE).as_posix()}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


PAGES = {
    "settings": settings,
    "outcomes": outcomes,
    "stats": stats,
    "commands": commands,
    "spiders": spiders,
    "redis-keys": redis_keys,
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / f"{name}.md").write_text(HEADER + page(), "utf-8")


if __name__ == "__main__":
    main()
