"""`scrapy newsite`: starts a site with its spider, a saved page, and a test that is red until both agree."""

from __future__ import annotations

import argparse
import json
import keyword
import re
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from string import Template
from typing import Any, cast

import scrapy
from scrapy import Request
from scrapy.commands import ScrapyCommand
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.conf import closest_scrapy_cfg
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import content_type, failed_reason, is_page
from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.exceptions import InputError
from imgcrawl.urls import host_of

TEMPLATES = Path(__file__).parents[1] / "templates"
PLACEHOLDER = "<!doctype html><title>the page of a gallery</title>\n"


class PageSpider(scrapy.Spider):
    """Asks for one page, as politely as a crawl. `page` is its response; `reason` says why there is none."""

    name = "newsite"
    custom_settings = {"ITEM_PIPELINES": {}, "VERDICT_IMAGES_EXPECTED": False}  # noqa: RUF012 -- never changed
    url = ""
    page: Response | None = None
    reason = "it was not asked for"

    async def start(self) -> AsyncIterator[Any]:
        yield Request(self.url, callback=self.had, errback=self.failed)

    def had(self, response: Response) -> None:
        if is_page(response):
            self.page = response
        else:
            self.reason = f"no page but {content_type(response)}"

    def failed(self, failure: Failure) -> None:
        self.reason = failed_reason(failure)


class Command(BaseCommand, ScrapyCommand):
    """Writes a spider, its first saved page and what must come of it. Exit code 2, and nothing written: bad input."""

    def syntax(self) -> str:
        return "[--page FILE] <name> <url>"

    def short_desc(self) -> str:
        return "Start a site: a spider, a saved page, and a test that is red until they agree"

    def long_desc(self) -> str:
        return "The url is that of the site's first list page, with {page} where the number of the page stands."

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--page", metavar="FILE", help="the list page, saved already: nothing is downloaded")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        written = self.new_site(args, opts.page)
        for line in ("Written:", *(f"  {path}" for path in written)):
            say(line)
        say("Now say in expected.json what the pages must give, and in the spider where it stands:")
        say(f"  python -m pytest tests/test_sites.py -k {args[0]}")
        return 0

    def new_site(self, args: list[str], page_file: str | None) -> list[Path]:
        if len(args) != 2:
            raise InputError(f"scrapy newsite {' '.join(args)}: expected a name and the address of a list page")
        name, url = args
        module = import_module(self.project_settings["NEWSPIDER_MODULE"])
        spider = Path(module.__file__ or "").parent / f"{name}.py"
        site = Path(closest_scrapy_cfg()).parent / "tests" / "sites" / name
        self.check_name(name, [spider, site])
        list_url, page_url, next_url = _list_urls(url)
        page, headers = self.list_page(page_url, page_file)

        facts = {
            "class_name": "".join(part.capitalize() for part in name.split("_")) + "Spider",
            "host": host_of(page_url),
            **{
                fact: json.dumps(value, ensure_ascii=False)
                for fact, value in {
                    "name": name,
                    "list_url": list_url,
                    "page_url": page_url,
                    "next_url": next_url,
                    "headers": headers,
                }.items()
            },
        }
        site.mkdir(parents=True)
        written = {
            spider: _filled("spider.py.tmpl", facts),
            site / "list.html": page,
            site / "gallery.html": PLACEHOLDER.encode(),
            site / "expected.json": _filled("expected.json.tmpl", facts),
        }
        for path, content in written.items():
            path.write_bytes(content)
        return list(written)

    def check_name(self, name: str, paths: list[Path]) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name) or keyword.iskeyword(name):
            raise InputError(f"the name {name!r} of a site: expected small letters, digits and _, a letter first")
        if name in get_spider_loader(self.project_settings).list():
            raise InputError(f"the name {name!r} of a site is taken: there is a spider of that name")
        for path in paths:
            if path.exists():
                raise InputError(f"the name {name!r} of a site is taken: {path} exists")

    def list_page(self, url: str, page_file: str | None) -> tuple[bytes, dict[str, str]]:
        """The list page, and the headers without which it cannot be read."""
        if page_file:
            try:
                return Path(page_file).read_bytes(), {}
            except OSError as error:
                raise InputError(f"--page {page_file} cannot be read: {error.strerror}") from error
        settings = self.project_settings.copy()
        # One page for one person: no log, and no queue that is shared.
        settings.setdict({"LOG_ENABLED": False, "PROGRESS_ENABLED": False, "ADDONS": {}}, priority="cmdline")
        process = AsyncCrawlerProcess(settings)
        crawler = process.create_crawler(PageSpider)
        process.crawl(crawler, url=url)
        process.start()
        spider = cast("PageSpider", crawler.spider)
        if spider.page is None:
            raise InputError(f"{url} could not be had ({spider.reason}); give a saved page with --page FILE")
        return spider.page.body, {"Content-Type": content_type(spider.page)}


def _list_urls(url: str) -> tuple[str, str, str]:
    """The declaration of a list's address, and the addresses of its pages 1 and 2. Raises `InputError`."""
    declared = url.replace("{", "{{").replace("}", "}}").replace("{{page}}", "{page}")
    first, second = declared.format(page=1), declared.format(page=2)
    if not first.startswith(("http://", "https://")) or not host_of(first):
        raise InputError(f"the address {url!r} of a list page: expected one that begins with http:// or https://")
    return declared, first, second


def _filled(template: str, facts: dict[str, str]) -> bytes:
    return Template((TEMPLATES / template).read_text("utf-8")).substitute(facts).encode()
