"""What pages may cost, and how they say what they are written in."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request
from scrapy.http import HtmlResponse, JsonResponse, TextResponse
from scrapy.utils.test import get_crawler

from imgcrawl.downloadermiddlewares.pages import PagesMiddleware, _as_it_is, _bounded
from imgcrawl.pages.encodings import is_nearly_utf_8
from imgcrawl.pages.sitemaps import SITEMAP_MAXSIZE
from imgcrawl.spiders.gallery import AnySiteSpider
from tests.support.crawling import crawl
from tests.support.server import JPEG, Server

HTML = {"Content-Type": "text/html"}
GALLERY = "<h2>café</h2><img src=/i>"


def test_pages_of_too_many_attributes_and_of_odd_encodings_have_their_outcomes(server: Server, tmp_path: Path) -> None:
    def with_attributes(number: int) -> bytes:
        return f"<h2>x</h2><img src=/i><p {' '.join(f'a{n:07}' for n in range(number))}>".encode()

    encoded = {
        "hex": "text/html; charset=hex", "punycode": "text/html; charset=punycode", "rot13": "text/html; charset=rot13",
        "utf7": "text/html; charset=utf-7", "meta": "text/html", "utf16": "text/html",
    }  # fmt: skip
    server.add(
        "/list/1",
        "".join(f"<a class=g href=/g/{name}>x</a>" for name in ("many", "some", *encoded)).encode(),
        headers=HTML,
    )
    server.add("/g/many", with_attributes(200_000), headers=HTML)
    server.add("/g/some", with_attributes(12_000), headers=HTML)
    for name, kind in encoded.items():
        said = {"meta": "<meta charset=hex>", "utf16": "<meta charset=utf-16>"}.get(name, "")
        server.add(f"/g/{name}", (said + GALLERY).encode(), headers={"Content-Type": kind})
    server.add("/i", JPEG)
    given = {"list": server.url("/list/{page}"), "galleries": "a.g", "images": "img::attr(src)", "pages": "1"}
    start = time.monotonic()
    run = crawl(tmp_path, "gallery", given, VERDICT_MAX_FAILED="1")
    assert time.monotonic() - start < 60, "libxml2 would take minutes"
    outcomes = {item["url"].rpartition("/")[2]: item.get("error") or item["title"] for item in run.items}
    assert outcomes == {"many": "too_large", "some": "too_large", **dict.fromkeys(encoded, "café")}
    assert "Traceback" not in run.log


@pytest.mark.parametrize(
    ("body", "kind", "encoding"),
    [
        ("<title>Größe, schön, für</title>".encode() + b"<p>gr\xc3</p>", "text/html", "utf-8"),
        ("<title>写真の頁</title><p>".encode() + "写".encode()[:2], "text/html", "utf-8"),
        ("<title>Größe, schön, für</title>".encode() + b"<p>gr\xc3</p>", "text/html; charset=latin-1", "cp1252"),
        ("<meta charset=gbk><title>写真の頁</title><p>".encode() + "写".encode()[:2], "text/html", "gb18030"),
    ],
)
def test_text_that_was_cut_within_a_character_does_not_change_the_encoding(
    body: bytes, kind: str, encoding: str
) -> None:
    assert _bounded(HtmlResponse("http://h/", body=body, headers={"Content-Type": kind})).encoding == encoding


def test_what_is_in_another_encoding_is_not_nearly_utf_8() -> None:
    texts = {
        "gb18030": "图片和相册的页面，都在这里",
        "cp1251": "Фотографии и альбомы",
        "cp1252": "Größe, schön — für",
        "shift_jis": "写真の頁とアルバム",
    }
    for encoding, text in texts.items():
        assert not is_nearly_utf_8(text.encode(encoding)), encoding
        assert not is_nearly_utf_8(text.encode()), "all of it is"


@pytest.mark.parametrize(
    "around", ["%s", ")]}',\n%s", "while(1);%s", "for (;;); %s", "/**/cb_1(%s);", "a.b['c'] ( %s )\n"]
)
@pytest.mark.parametrize("kind", [JsonResponse, TextResponse, HtmlResponse])
def test_json_is_read_whatever_it_is_called_and_whatever_guards_it(around: str, kind: type[TextResponse]) -> None:
    answer = _as_it_is(kind("http://h/", body=(around % '{"next": [")"]}').encode()))
    assert isinstance(answer, JsonResponse)
    assert answer.json() == {"next": [")"]}


@pytest.mark.parametrize(
    "text", ["f([1]) and more", "f({)", "a(1)", "<p>f([1])", ")]}'", "define(['a'], function(){});"]
)
def test_what_is_no_json_is_left(text: str) -> None:
    page = HtmlResponse("http://h/", body=text.encode())
    assert _as_it_is(page) is page


def test_as_large_as_a_sitemap_is_what_is_read_as_one_whatever_its_meta_says() -> None:
    crawler = get_crawler(settings_dict={"PAGES_MAXSIZE": 1000})
    pages = PagesMiddleware.from_crawler(crawler)
    spider = AnySiteSpider(sitemap="http://x/sitemap.xml")
    bounds = []
    for request in (
        spider.sitemap_request("http://x/sitemap.xml", 0),
        Request("http://x/", spider.parse_gallery, meta={"task": "sitemap"}),
        Request("http://x/", meta={"task": "sitemap"}),
    ):
        pages.process_request(request)
        bounds.append(request.meta["download_maxsize"])
    assert bounds == [SITEMAP_MAXSIZE, 1000, 1000]


async def test_a_large_page_waits_for_one_before_it_until_that_is_garbage() -> None:
    pages = PagesMiddleware.from_crawler(get_crawler())
    body = b"<p>word</p>" * 300_000

    async def fetched() -> HtmlResponse:
        request = Request("http://x/", AnySiteSpider(sitemap="http://x/sitemap.xml").parse_gallery)
        return await pages.process_response(request, HtmlResponse("http://x/", body=body))

    first = await fetched()
    second = asyncio.ensure_future(fetched())
    await asyncio.sleep(0.5)
    assert not second.done()
    circle: list[Any] = [first]
    circle.append(circle)
    gc.disable()
    try:
        del first, circle
        await asyncio.wait_for(second, 60)
    finally:
        gc.enable()
