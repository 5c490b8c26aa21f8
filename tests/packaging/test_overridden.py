"""Pipelines that a project derives from ours, with what Scrapy's documentation and most projects override."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.test_addon import done_in
from tests.support.crawling import crawl_command
from tests.support.server import Server, jpeg

SETTINGS = """
SPIDER_MODULES = ["theirs"]
LOG_LEVEL = "WARNING"
TELNETCONSOLE_ENABLED = False
ITEM_PIPELINES = {name: number for number, name in enumerate(%r)}
IMAGES_STORE = "images"
"""
THEIRS = """
import scrapy
from scrapy.exceptions import DropItem
from imgcrawl.pipelines import ImagesPipeline

class Product(scrapy.Item):
    name = scrapy.Field()
    src = scrapy.Field()
    image_paths = scrapy.Field()
    errors = scrapy.Field()

class Theirs(scrapy.Spider):
    name = "theirs"

    async def start(self):
        yield scrapy.Request(self.url)

    def parse(self, response):
        for item in response.json():
            yield Product(item) if "src" in item else Place(item) if "place" in item else item

class AsDocumented(ImagesPipeline):
    def get_media_requests(self, item, info):
        for url in item["src"]:
            yield scrapy.Request(url, meta={"name": item["name"]})

    def file_path(self, request, response=None, info=None, *, item=None):
        return f"{request.meta['name']}/{request.url.rpartition('/')[2]}"

    def item_completed(self, results, item, info):
        item["errors"] = [x.getErrorMessage() for ok, x in results if not ok]
        item["image_paths"] = [x["path"] for ok, x in results if ok]
        if not item["image_paths"]:
            raise DropItem("Item contains no images")
        return item

class RequestsOnly(ImagesPipeline):
    def get_media_requests(self, item, info):
        return [scrapy.Request(url) for url in item["image_urls"]]

class Place(scrapy.Item):
    place = scrapy.Field()

class RequestsIfAny(ImagesPipeline):
    def get_media_requests(self, item, info):
        for url in item.get("src") or ():
            yield scrapy.Request(url)

class CompletedOnly(ImagesPipeline):
    def item_completed(self, results, item, info):
        item = super().item_completed(results, item, info)
        item["had"] = [ok for ok, _ in results]
        return item

class Covers(ImagesPipeline):
    IMAGES_RESULT_FIELD = "covers"
    THUMBS = {"small": (10, 10)}

class Drawn(ImagesPipeline):
    def get_images(self, response, request, info, *, item=None):
        raise AssertionError
"""


@pytest.fixture
def site(server: Server) -> Server:
    for number, size in enumerate((60, 20)):
        server.add(f"/{number}.jpg", jpeg(size, size, (size, 20, 30)))
    return server


def crawled(
    folder: Path, server: Server, *items: dict[str, Any], pipelines: tuple[str, ...], **settings: str
) -> tuple[list[dict[str, Any]], str]:
    """The items of a crawl whose page has *items*, and the log."""
    (folder / "scrapy.cfg").write_text("[settings]\ndefault = theirsettings\n")
    (folder / "theirsettings.py").write_text(SETTINGS % [f"theirs.{name}" for name in pipelines])
    (folder / "theirs.py").write_text(THEIRS)
    server.add("/page", json.dumps(items).encode(), headers={"Content-Type": "application/json"})
    done = done_in(
        folder, *crawl_command("theirs", "-O", "x.json", arguments={"url": server.url("/page")}, settings=settings)
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "x.json").read_text()), done.stderr


def test_requests_names_and_results_as_scrapys_documentation_has_them(site: Server, tmp_path: Path) -> None:
    """Addresses in a field of its own, no field for our outcomes, and paths of those that were had."""
    addresses = [site.url("/0.jpg"), site.url("/none.jpg"), site.url("/1.jpg")]
    products = ({"name": "a", "src": addresses}, {"name": "b", "src": addresses[1:2]})
    items, log = crawled(tmp_path, site, *products, pipelines=("AsDocumented",))
    assert items == [
        {
            "name": "a",
            "src": addresses,
            "errors": [f"failed (http_404): {addresses[1]}"],
            "image_paths": ["a/0.jpg", "a/1.jpg"],
        }
    ]
    assert "Item contains no images" in log
    assert "Traceback" not in log
    assert sorted(path.name for path in (tmp_path / "images" / "a").iterdir()) == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize("had", [0, 1])
def test_what_a_budget_cut_short_is_had_by_the_next_start(had: int, site: Server, tmp_path: Path) -> None:
    """The item says nothing of it, or is dropped: its page was done, and the others were lost with exit code 0."""
    product = {"name": "a", "src": [site.url("/0.jpg"), site.url("/1.jpg")]}
    others = [{"name": "b", "src": [site.url(f"/none{number}.jpg") for number in range(2 - had)]}]
    settings = {"ADDONS": '{"imgcrawl.Addon": 300}', "JOBDIR": "job", "CONCURRENT_REQUESTS": "1"}
    pipelines = ("AsDocumented",)
    crawled(tmp_path, site, *others, product, pipelines=pipelines, **settings, BUDGET_IMAGES="2")
    items, log = crawled(tmp_path, site, *others, product, pipelines=pipelines, **settings)
    assert [item["image_paths"] for item in items] == [["a/0.jpg", "a/1.jpg"]], log


def test_requests_of_its_own_have_what_ours_have(site: Server, tmp_path: Path) -> None:
    addresses = [site.url("/0.jpg"), site.url("/none.jpg"), site.url("/1.jpg")]
    item = {"url": site.url("/gallery"), "title": "T", "image_urls": addresses, "referrer_policy": "origin"}
    opted_out = {**item, "url": site.url("/other"), "opt_outs": ["noai"], "image_urls": [site.url("/0.jpg?other")]}
    items, log = crawled(tmp_path, site, item, opted_out, pipelines=("RequestsOnly",))
    told, other = sorted(items, key=lambda each: len(each["images"]), reverse=True)
    assert [(image["status"], image.get("path")) for image in told["images"]] == [
        ("downloaded", "theirs/T/001.jpg"),
        ("failed", None),
        ("downloaded", "theirs/T/003.jpg"),
    ]
    asked = [request for request in site.requests if request.path == "/0.jpg"]
    assert {request.headers["referer"] for request in asked} == {site.url("/")}
    assert [(image["status"], image["reason"]) for image in other["images"]] == [("refused", "noai")]
    assert log == ""


def test_items_of_another_kind_pass_and_outcomes_without_a_place_are_told(site: Server, tmp_path: Path) -> None:
    items = ({"place": "here"}, {"src": [site.url("/0.jpg")]})
    told, log = crawled(tmp_path, site, *items, pipelines=("RequestsIfAny",))
    assert told == [{"place": "here"}]
    assert "Product declares no field 'images', so what became of its images would be lost; declare it" in log


def test_what_is_completed_by_ours_first_has_every_outcome(site: Server, tmp_path: Path) -> None:
    addresses = [site.url("/none.jpg"), "nonsense", site.url("/0.jpg")]
    (told,), _ = crawled(tmp_path, site, {"title": "T", "image_urls": addresses}, pipelines=("CompletedOnly",))
    assert [image["status"] for image in told["images"]] == ["failed", "refused", "downloaded"]
    assert told["had"] == [False, False, True]


def test_several_at_once_have_settings_of_their_own(site: Server, tmp_path: Path) -> None:
    item = {
        "title": "T",
        "image_urls": [site.url(f"/{path}.jpg") for path in (0, 1, "0.jpg?more")],
        "cover_urls": [site.url("/1.jpg")],
    }
    retried = {"title": "R", "failed": 1, "image_urls": [site.url(f"/0.jpg?{number}") for number in range(3)]}
    items, _ = crawled(
        tmp_path, site, item, retried, pipelines=("RequestsOnly", "Covers"), REQUESTSONLY_IMAGES_MIN_WIDTH="30",
        COVERS_IMAGES_URLS_FIELD="cover_urls", IMAGES_RANGE="1-2",
    )  # fmt: skip
    again, told = sorted(items, key=lambda each: each["title"])
    assert [image.get("reason") for image in told["images"]] == [None, "too_small", "range"]
    assert [image["status"] for image in told["covers"]] == ["downloaded"]
    assert "range" not in [image.get("reason") for image in again["images"]]
    assert len([*(tmp_path / "images" / "thumbs" / "small").rglob("*.jpg")]) == 1


def test_what_is_never_called_is_told(site: Server, tmp_path: Path) -> None:
    (told,), log = crawled(tmp_path, site, {"title": "T", "image_urls": [site.url("/0.jpg")]}, pipelines=("Drawn",))
    assert [image["status"] for image in told["images"]] == ["downloaded"]
    (line,) = log.splitlines()
    assert "Drawn overrides get_images, which imgcrawl does not call: images are stored as they were served." in line
