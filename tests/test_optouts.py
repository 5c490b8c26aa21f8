"""What a site says against the use of its images: how it is read, and what becomes of the images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parsel import Selector

from imgcrawl.optouts import in_headers, in_page
from tests.support import crawling
from tests.support.crawling import Crawl
from tests.support.server import Server, jpeg

MIDDLEWARES = {
    "imgcrawl.spidermiddlewares.PageUrlMiddleware": 850,
    "imgcrawl.spidermiddlewares.OptOutsMiddleware": 840,
}


def crawl(folder: Path, spider: str, arguments: dict[str, str], **settings: Any) -> Crawl:
    return crawling.crawl(folder, spider, arguments, SPIDER_MIDDLEWARES=json.dumps(MIDDLEWARES), **settings)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("noai", ["noai"]),
        ("NoAI, NoImageAI", ["noai", "noimageai"]),
        ("none", ["noindex"]),
        ("imgcrawl: noai", ["noai"]),
        ("IMGCRAWL:noai", ["noai"]),
        ("googlebot: noai", []),
        ("googlebot: noai, imgcrawl: noindex, noimageindex", ["noindex", "noimageindex"]),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noai", ["noai"]),
        ("max-image-preview: large, noindex", ["noindex"]),
        ("all", []),
        ("", []),
        (",,:,", []),
        ("noai" * 1_000_000, []),
    ],
)
def test_headers(tag: str, said: list[str]) -> None:
    assert in_headers([tag], [], "imgcrawl") == said


def test_several_headers_and_tdm_reservation() -> None:
    assert in_headers(["googlebot: noai", "noindex"], [" 1 "], "imgcrawl") == ["noindex", "tdm-reservation"]
    assert in_headers([], ["0", ""], "imgcrawl") == []


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ('<meta name="robots" content="noai, noimageai">', ["noai", "noimageai"]),
        ('<META NAME="Robots" CONTENT="NONE">', ["noindex"]),
        ('<meta name="imgcrawl" content="noimageindex">', ["noimageindex"]),
        ('<meta name="googlebot" content="noai">', []),
        ('<meta name="tdm-reservation" content="1">', ["tdm-reservation"]),
        ('<meta name="tdm-reservation" content="0">', []),
        ('<meta name="robots">', []),
        ("noai", []),
    ],
)
def test_pages(meta: str, said: list[str]) -> None:
    assert in_page(Selector(f"<html><head>{meta}</head></html>"), "imgcrawl") == said


def images_of(server: Server, folder: Path, headers: dict[str, str], **settings: Any) -> Crawl:
    page = [{"image_urls": [server.url("/said.jpg"), server.url("/silent.jpg")]}]
    server.add("/page", json.dumps(page).encode(), headers={"Content-Type": "application/json", **headers})
    done = crawl(folder, "items", {"url": server.url("/page")}, **settings)
    assert "Traceback" not in done.log
    return done


OPT_OUTS = [
    ({"X-Robots-Tag": "noai"}, "noai"),
    ({"X-Robots-Tag": "noimageai"}, "noimageai"),
    ({"X-Robots-Tag": "imgcrawl: noindex"}, "noindex"),
    ({"X-Robots-Tag": "noimageindex"}, "noimageindex"),
    ({"tdm-reservation": "1"}, "tdm-reservation"),
]


def test_each_said_of_an_image_is_refused_with_its_name_or_stored_with_it(server: Server, tmp_path: Path) -> None:
    urls = []
    for number, (headers, word) in enumerate(OPT_OUTS):
        server.add(f"/{word}.jpg", jpeg(70 + number), headers=headers)
        urls.append(server.url(f"/{word}.jpg"))
    page = json.dumps([{"image_urls": urls}]).encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    for name, obeyed in (("all", [word for _, word in OPT_OUTS]), ("some", None), ("none", [])):
        folder = tmp_path / name
        folder.mkdir()
        settings = {} if obeyed is None else {"OPT_OUTS_OBEYED": ",".join(obeyed)}
        done = crawl(folder, "items", {"url": server.url("/page")}, **settings)
        refused = ["noai", "noimageai", "tdm-reservation"] if obeyed is None else obeyed
        for image, (_, word) in zip(done.images, OPT_OUTS, strict=True):
            if word in refused:
                assert (image["status"], image["reason"]) == ("refused", word.replace("-", "_"))
            else:
                assert (image["status"], image["opt_outs"]) == ("downloaded", [word])


def test_what_a_page_says_holds_for_its_images(server: Server, tmp_path: Path) -> None:
    server.add("/said.jpg", jpeg(70))
    server.add("/silent.jpg", jpeg(71))
    done = images_of(server, tmp_path, {"X-Robots-Tag": "noindex, noai"})
    assert [(image["status"], image["reason"]) for image in done.images] == [("refused", "noai")] * 2
    assert done.items[0]["opt_outs"] == ["noai", "noindex"]
    assert server.count("/said.jpg") == 0, "nothing is fetched to be thrown away"
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    done = images_of(server, allowed, {"X-Robots-Tag": "noindex, noai"}, OPT_OUTS_OBEYED="")
    assert [(image["status"], image["opt_outs"]) for image in done.images] == [("downloaded", ["noai", "noindex"])] * 2


def test_a_gallery_of_a_site_that_says_so_in_its_html(server: Server, tmp_path: Path) -> None:
    server.add("/1.jpg", jpeg(70))
    html = b'<html><head><meta name="robots" content="NoAI"></head><body><img class="i" src="/1.jpg"></body></html>'
    server.add("/gallery", html, headers={"Content-Type": "text/html"})
    server.add("/list/1", b'<html><a class="g" href="/gallery">one</a></html>', headers={"Content-Type": "text/html"})
    arguments = {"list": server.url("/list/{page}"), "galleries": "a.g", "images": "img.i"}
    done = crawl(tmp_path, "gallery", arguments)
    assert [(image["status"], image["reason"]) for image in done.images] == [("refused", "noai")], done.log
    assert server.count("/1.jpg") == 0


def test_what_the_page_of_an_image_says_holds_for_that_image(server: Server, tmp_path: Path) -> None:
    html = {"Content-Type": "text/html"}
    server.add("/g", b"<h1>x</h1><a class=t href=/p/1>1</a><a class=t href=/p/2>2</a>", headers=html)
    server.add("/p/1", b"<img src=/1.jpg>", headers=html)
    server.add("/1.jpg", jpeg(71))
    server.add("/2.jpg", jpeg(72))
    server.add("/p/2", b"<meta name=robots content=noai><img src=/2.jpg>", headers=html)
    done = crawl(tmp_path, "gallery", {"gallery": server.url("/g"), "image_pages": "a.t"})
    assert [image.get("reason") for image in done.images] == [None, "noai"], done.log
    assert done.items[0]["opt_outs_of_pages"] == {server.url("/p/2"): ["noai"]}
    assert "opt_outs" not in done.items[0]
    assert server.count("/2.jpg") == 0
    again = crawl(tmp_path, "gallery", {"gallery": server.url("/g"), "image_pages": "a.t"}, OPT_OUTS_OBEYED="")
    assert [image["opt_outs"] for image in again.images if "opt_outs" in image] == [["noai"]]
    assert [image["status"] for image in again.images] == ["uptodate", "downloaded"]


def test_an_unknown_word_is_named(server: Server, tmp_path: Path) -> None:
    done = crawl(tmp_path, "items", {"url": server.url("/page")}, OPT_OUTS_OBEYED="nofun")
    assert done.code == 2
    assert "OPT_OUTS_OBEYED has 'nofun': expected some of noai" in done.log
