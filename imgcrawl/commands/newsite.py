"""`scrapy newsite`: starts a site with its spider, saved pages, and a test that is red until they agree."""

from __future__ import annotations

import argparse
import asyncio
import json
import keyword
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, cast

from scrapy import Request
from scrapy.commands import ScrapyCommand
from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.http import HtmlResponse, TextResponse
from scrapy.spiderloader import get_spider_loader
from scrapy.utils.conf import closest_scrapy_cfg

from imgcrawl.basespiders.base import content_type
from imgcrawl.basespiders.imagepages import ImagePagesGallerySpider
from imgcrawl.commands.base import BaseCommand, require_own_folder, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.commands.samples import PageSpider, SavedPages
from imgcrawl.exceptions import InputError
from imgcrawl.urls import host_of

if TYPE_CHECKING:
    pass

TEMPLATES = files("imgcrawl") / "templates"
PLACEHOLDER = b"<!doctype html><title>the page of a gallery</title>\n"


class Command(BaseCommand, ScrapyCommand):
    """Writes a spider, its first saved page and what must come of it. Exit code 2, and nothing written: bad input."""

    def syntax(self) -> str:
        return "[--page FILE] <name> <url>"

    def short_desc(self) -> str:
        return "Start a site: a spider, a saved page, and a test that is red until they agree"

    def long_desc(self) -> str:
        return (
            "The url is that of the site's first list page, with {page} where the number of the page stands. "
            "Example: scrapy newsite birds https://example.org/albums?page={page}"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--page", metavar="FILE", help="the list page, saved already: nothing is downloaded")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        written, proposed, unsure = self.new_site(args, opts.page)
        for line in ("Written:", *(f"  {path}" for path in written)):
            say(line)
        if proposed:
            say("The page and its galleries repeat these, so they are declared; check them, and expected.json:")
            for line in proposed:
                say(f"  {line}")
            if unsure:
                say(unsure)
        else:
            say(f"Nothing is proposed: {unsure}")
            say("Now say in expected.json what the pages must give, and in the spider where it stands:")
        scrapy = "scrapy" if closest_scrapy_cfg() else "imgcrawl"
        has_tests = (self.root / "tests" / "test_sites.py").exists()
        say("  " + (f"python -m pytest tests/test_sites.py -k {args[0]}" if has_tests else f"{scrapy} crawl {args[0]}"))
        return 0

    @property
    def root(self) -> Path:
        """The folder of the project, or of its `imgcrawl.toml`."""
        return Path(closest_scrapy_cfg() or self.project_settings.get("CONFIG_FILE", "")).parent

    def new_site(self, args: list[str], page_file: str | None) -> tuple[list[Path], list[str], str]:
        """The files that were written, and what was proposed, or why not."""
        if len(args) != 2:
            raise InputError(f"scrapy newsite {' '.join(args)}: expected a name and the address of a list page")
        name, url = args
        require_own_folder("newsite", self.project_settings)
        module = import_module(self.project_settings["NEWSPIDER_MODULE"])
        spider = Path(module.__path__[0]) / f"{name}.py"
        site = self.root / "tests" / "sites" / name
        self.check_name(name, [spider, site])
        list_url, page_url, next_url = _list_urls(url)
        found, crawler = self.pages(page_url, page_file)
        page = cast("TextResponse", found.page)

        declared = {"list_url": list_url, **_proposed(found, is_numbered="{page" in list_url)}
        by_hand = _by_hand(declared, found)
        expected = (
            asyncio.run(_expected(name, found, declared, by_hand, crawler))
            if found.links
            else _blank(name, page, next_url)
        )
        facts = {
            "class_name": "".join(part.capitalize() for part in name.split("_")) + "Spider",
            "host": host_of(page_url),
            "name": json.dumps(name),
            "declarations": "\n".join(_assignments({**by_hand, **declared})),
        }
        written = {
            spider: Template((TEMPLATES / "spider.py.tmpl").read_text("utf-8")).substitute(facts).encode(),
            site / "list.html": page.body,
            site / "gallery.html": found.galleries[0].body if found.galleries else PLACEHOLDER,
            site / "expected.json": json.dumps(expected, ensure_ascii=False, indent=1).encode(),
            **{site / f"image-{number}.html": each.body for number, each in enumerate(found.image_pages, 1)},
        }
        _write(spider, site, written)
        unsure = found.unsure
        if found.links and by_hand:
            unsure = "No images are found on their pages: say in the spider where they are, and which in expected.json."
        return list(written), [line.strip() for line in _assignments(declared)] if found.links else [], unsure

    def check_name(self, name: str, paths: list[Path]) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name) or keyword.iskeyword(name):
            raise InputError(f"the name {name!r} of a site: expected small letters, digits and _, a letter first")
        if name in get_spider_loader(self.project_settings).list():
            raise InputError(f"the name {name!r} of a site is taken: there is a spider of that name")
        for path in paths:
            if path.exists():
                raise InputError(f"the name {name!r} of a site is taken: {path} exists")

    def pages(self, url: str, page_file: str | None) -> tuple[PageSpider, Crawler]:
        """The list page and some galleries, and the crawl that had them. Raises `InputError`."""
        body = None
        if page_file:
            try:
                body = Path(page_file).read_bytes()
            except OSError as error:
                raise InputError(f"--page {page_file} cannot be read: {error.strerror}") from error
        settings = self.project_settings.copy()
        # A few pages for one person: no log, and no queue that is shared.
        off = dict.fromkeys(("LOG_ENABLED", "PROGRESS_ENABLED", "LIVE_ENABLED"), False)
        settings.setdict({**off, "ADDONS": {}}, priority="cmdline")
        process = AsyncCrawlerProcess(settings)
        crawler = process.create_crawler(PageSpider)
        process.crawl(crawler, url=url, body=body)
        with CommandProgress(lambda: f"looking at {url} and what it leads to"):
            process.start()
        spider = cast("PageSpider", crawler.spider)
        if spider.page is None:
            raise InputError(f"{url} could not be had ({spider.reason}); {spider.remedy}")
        return spider, crawler


def _list_urls(url: str) -> tuple[str, str, str]:
    """The declaration of a list's address, and the addresses of its pages 1 and 2. Raises `InputError`."""
    declared = url.replace("{", "{{").replace("}", "}}").replace("{{page}}", "{page}")
    first, second = declared.format(page=1), declared.format(page=2)
    if not first.startswith(("http://", "https://")) or not host_of(first):
        raise InputError(f"the address {url!r} of a list page: expected one that begins with http:// or https://")
    return declared, first, second


def _proposed(found: PageSpider, *, is_numbered: bool) -> dict[str, Any]:
    """The declarations, besides the address, that the pages which were had propose."""
    from imgcrawl.pages.pagination import propose_pagination  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.pages.repeated import PagePlaces  # noqa: PLC0415 -- the same

    page = found.page
    if found.links is None or page is None:
        return {}
    declared: dict[str, Any] = {}
    places = PagePlaces(page.selector, page.url, page.encoding)
    if not is_numbered and (following := propose_pagination(places)):
        declared = {
            "list_url": following.list_url,
            "first_page": following.first if following.first != 1 else None,
            "page_size": following.per_page,
            "next_link": following.next_link,
        }
    declared["gallery_links"] = found.links.css
    if images := found.images:
        declared |= {"image_page_links": images.image_pages, "image_links": images.images}
        declared["titles"] = (images.title,) if images.title else ()
    return {fact: value for fact, value in declared.items() if value or (value == 0 and fact == "first_page")}


def _by_hand(declared: dict[str, Any], found: PageSpider) -> dict[str, Any]:
    """Placeholders of what a person has to declare. Images that are *found* without it are searched for, as those of
    an image's page are."""
    placeholders = {"gallery_links": "//a[@class='gallery']/@href"}
    if not found.finds_images and "image_page_links" not in declared:
        placeholders["image_links"] = "//div[@class='gallery']//img/@src"
    return {fact: value for fact, value in placeholders.items() if fact not in declared}


def _write(spider: Path, site: Path, contents: dict[Path, bytes]) -> None:
    """Write all of *contents*, *spider* and files in the new folder *site*, or none, so that the same command can be
    given again. Raises OSError with the name of the file that could not be written."""
    site.mkdir(parents=True)
    path = spider
    try:
        for path, content in contents.items():
            with path.open("xb") as file:  # which follows no link
                file.write(content)
    except OSError as error:
        shutil.rmtree(site)
        if not isinstance(error, FileExistsError):
            spider.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _assignments(declared: dict[str, Any]) -> Iterator[str]:
    for fact, value in declared.items():
        told = f"({json.dumps(value[0], ensure_ascii=False)},)" if isinstance(value, tuple) else value
        yield f"    {fact} = {json.dumps(value, ensure_ascii=False) if isinstance(value, str) else told}"


def _blank(name: str, page: TextResponse, next_url: str) -> list[dict[str, Any]]:
    """Cases of the site's test for a person to fill in."""
    gallery = "the address of a gallery, whose page is saved as gallery.html"
    first = "the address of the first gallery on list.html, then of each other"
    item = {"spider": name, "url": "its address", "title": "its title", "image_urls": ["its images"], "images": []}
    return [
        _case(page, "list.html", "parse_list", [["parse_gallery", first], ["parse_list", next_url]], []),
        {"page": "gallery.html", "url": gallery, "callback": "parse_gallery", "requests": [], "items": [item]},
    ]


async def _expected(
    name: str, found: PageSpider, declared: dict[str, Any], by_hand: dict[str, Any], crawler: Crawler
) -> list[dict[str, Any]]:
    """Cases of the site's test, with what a spider of what was *declared* makes of the pages."""
    page = cast("TextResponse", found.page)
    facts = {**by_hand, **declared, "name": name}
    kind: type[ImagePagesGallerySpider] = type("Proposed", (ImagePagesGallerySpider,), facts)
    spider = kind.from_crawler(crawler)
    output = [made async for made in spider.parse_list(_again(page), page=spider.first_page, walk={})]
    cases = [_case(page, "list.html", "parse_list", [[made.callback.__name__, made.url] for made in output], [])]
    cases[0]["cb_kwargs"]["page"] = spider.first_page
    if not found.galleries:
        return [*cases, _blank(name, page, "")[1]]
    saved = {each.url: each.body for each in found.image_pages}
    crawler.engine = SavedPages(saved, _headers(found.galleries[0]))  # type: ignore[assignment] # what spiders ask of it
    (item,) = [made async for made in spider.parse_gallery(_again(found.galleries[0]))]
    told = {fact: value for fact, value in item.items() if fact != "scraped_at"}
    if "image_links" in by_hand:
        told["image_urls"] = ["its images"]
    case = _case(found.galleries[0], "gallery.html", "parse_gallery", [], [told])
    return [*cases, case | {"pages": {url: f"image-{n}.html" for n, url in enumerate(saved, 1)}}]


def _again(response: TextResponse) -> HtmlResponse:
    """*response*, as the test of a saved page makes it."""
    return HtmlResponse(response.url, body=response.body, headers=_headers(response), request=Request(response.url))


def _headers(response: TextResponse) -> dict[str, str]:
    """The headers without which a page cannot be read."""
    return {"Content-Type": content_type(response)} if "Content-Type" in response.headers else {}


def _case(response: TextResponse, file: str, callback: str, requests: list[Any], items: list[Any]) -> dict[str, Any]:
    case: dict[str, Any] = {"page": file, "url": response.url, "headers": _headers(response), "callback": callback}
    if callback == "parse_list":
        case["cb_kwargs"] = {"page": 1, "walk": {}}
    return case | {"requests": requests, "items": items}
