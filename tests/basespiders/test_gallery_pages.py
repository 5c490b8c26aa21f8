from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from imgcrawl.pages.sheets import images_in_sheet, imported_by, names_in
from tests.support.crawling import crawl
from tests.support.server import Exchange, Misbehaviour, Server, jpeg

PAGE = """<html><head><meta charset=gbk><title>T</title><script type="application/ld+json">
{"@type": "ImageGallery", "author": {"name": "A. Author"}, "datePublished": "2024-05-17", "keywords": "rain, street",
 "license": "https://creativecommons.org/licenses/by/4.0/", "image": {"@type": "ImageObject", "url": "/made/main.jpg",
 "creditText": "Photo: P.", "acquireLicensePage": "https://site.example/buy"}}</script></head>
<body><h1>雨</h1><a href="/made/big.jpg"><img src="/made/small.jpg"></a>
<img src="图.jpg?名=图片"><img src="\\made\\b.jpg">
<img src="ftp://site.example/c.jpg"><img src="loading.gif" data-src="d.jpg"></body><base href="/made/"></html>"""
PATHS = ["main.jpg", "big.jpg", "%E5%9B%BE.jpg?%C3%FB=%CD%BC%C6%AC", "b.jpg", "d.jpg"]


def test_a_page_is_read_as_browsers_read_it_and_its_facts_stay_with_the_item(server: Server, tmp_path: Path) -> None:
    server.add("/list", b"<a class=g href=/g>g</a>", headers={"Content-Type": "text/html"})
    server.add("/g", PAGE.encode("gbk"), headers={"Content-Type": "text/html"})
    for number, path in enumerate(PATHS):
        server.add(f"/made/{path}", jpeg(64 + number))
    run = crawl(
        tmp_path, "gallery", {"list": server.url("/list"), "galleries": "a.g"}, PRIVATE_HOSTS_ALLOWED="127.0.0.1"
    )
    (item,) = run.items
    assert {image["url"].removeprefix(server.url("/made/")): image["status"] for image in item["images"]} == {
        **dict.fromkeys(PATHS, "downloaded"),
        "ftp://site.example/c.jpg": "refused",
    }
    assert [image["reason"] for image in item["images"] if "reason" in image] == ["scheme"]
    assert item["title"] == "雨"
    assert (item["author"], item["date"], item["tags"]) == ("A. Author", "2024-05-17", ["rain", "street"])
    assert item["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert item["image_facts"] == {
        server.url("/made/main.jpg"): {
            "credit_text": "Photo: P.",
            "acquire_license_page": "https://site.example/buy",
        }
    }
    kept = {image["url"]: image["facts"] for image in item["images"] if "facts" in image}
    assert kept == item["image_facts"], "what is stated about an image is kept with it"
    assert "small.jpg" not in " ".join(server.paths())


STATED = """<title>T</title><ul><li data-src="/i/1.jpg?{0}"><a href=#><img src=/t/1.jpg></a></li></ul>
<div data-gallery='[{{"src":"/i/2.jpg?{0}","thumb":"/t/2.jpg"}},{{"src":"\\/i\\/3.jpg?{0}"}}]'><img src=/t/2.jpg></div>
<div style='background:image-set("/t/4.jpg?{0}" 1x, "/i/4.jpg?{0}" 2x)'></div><object data=/i/5.jpg?{0}></object>
<a href=# onclick="show('/i/6.jpg?{0}')"><img src=/t/6.jpg></a><img src=/i/7.jpg?{0}>
<script>window.gallery = [{{src: '/i/7.jpg?{0}'}}, {{src: '/i/8.jpg?{0}', thumb: '/t/8.jpg'}},]</script>"""


def test_images_that_scripts_show_come_once_however_their_addresses_are_signed(server: Server, tmp_path: Path) -> None:
    body = [jpeg(64 + number) for number in range(9)]
    nights = [f"Expires={time}&Signature={time}&Key-Pair-Id=K&e=5" for time in (1790000000, 1790086400)]
    for query in nights:
        for number in range(1, 9):
            server.add(f"/i/{number}.jpg?{query}", chunked(body[number], b"\n" if number % 2 else b"\r\n"))
        server.add("/g", STATED.format(query).encode(), headers={"Content-Type": "text/html"})
        run = crawl(tmp_path, "gallery", {"gallery": server.url("/g")}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
        (item,) = run.items[-1:]
        assert sorted(image["url"] for image in item["images"]) == [
            server.url(f"/i/{number}.jpg?{query}") for number in range(1, 9)
        ]
        assert {image["status"] for image in item["images"]} == {"downloaded" if query == nights[0] else "uptodate"}
    asked = [path for path in server.paths() if path.startswith("/i/")]
    assert sorted(asked) == [f"/i/{number}.jpg?{nights[0]}" for number in range(1, 9)]
    assert not [path for path in server.paths() if path.startswith("/t/")]


FRAMES = {
    "/one": "<title>One</title><img src=/theme/logo.png><iframe src=/inner width=800></iframe>",
    "/set": "<title>Set</title><frameset cols='20%,80%'><frame src='menu'><frame src='/inner#x'></frameset>",
    "/none": "<title>None</title><iframe src=/inner width=1 height=1></iframe><iframe src='http://127.0.0.2:1/'></iframe>"
    "<iframe src=/none></iframe><iframe src=/404></iframe>",
    "/own": "<title>Own</title><img src=/i/3.jpg><img src=/i/2.jpg><img class=avatar src=/me.jpg><iframe src=/inner>",
    "/menu": "<a href=/inner>x</a>",
    "/nest": "<title>Nest</title><iframe src=/middle></iframe>",
    "/middle": "<img src=/theme/logo.png width=20 height=20><iframe src=/nest></iframe><iframe src=/inner></iframe>",
    "/inner": "<img src=i/1.jpg><li data-src=/i/2.jpg>",
}


def test_what_a_page_has_in_frames_of_its_own_site_is_its_gallery(server: Server, tmp_path: Path) -> None:
    for path, page in FRAMES.items():
        server.add(path, page.encode(), headers={"Content-Type": "text/html"})
    for number in (1, 2, 3):
        server.add(f"/i/{number}.jpg", jpeg(64 + number))
    given = ",".join(server.url(path) for path in ("/one", "/set", "/none", "/own", "/nest"))
    run = crawl(tmp_path, "gallery", {"gallery": given}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
    site = server.url("/i/")
    found = {item["title"]: [image["url"].removeprefix(site) for image in item["images"]] for item in run.items}
    assert found == {
        "One": ["1.jpg", "2.jpg"],
        "Set": ["1.jpg", "2.jpg"],
        "None": [],
        "Own": ["3.jpg", "2.jpg"],
        "Nest": ["1.jpg", "2.jpg"],
    }
    assert {image["status"] for image in run.images} <= {"downloaded", "uptodate", "duplicate"}
    assert {path.rpartition("/")[2] for path in run.files} == {"001.jpg", "002.jpg"}, "numbered as those of one page"
    assert f"gallery author_pictures: {server.url('/me.jpg')} on {server.url('/own')}" in run.log
    assert f"{server.url('/none')}: frames of other sites are not read: http://127.0.0.2:1/" in run.log
    (asked,) = {request.headers.get("referer") for request in server.requests if request.path == "/i/1.jpg"}
    assert asked == server.url("/inner")


BESIDE = {
    "iframe": "<iframe src=/embed/album/7></iframe>",
    "lazy": "<iframe src=about:blank data-src=/inner title='Photo gallery'></iframe>",
    "object": "<object type=text/html data=/inner/set-7></object>",
    "embed": "<embed class=slideshow src=/inner.html>",
    "frame": "<frameset><frame src=/embed/album/7></frameset>",
}
NONE_OF_ITS = (
    "<iframe src=/related/album/7></iframe><iframe src=/ads/7></iframe><embed src=/album.swf><object data=/a.pdf>"
)


@pytest.mark.parametrize("kind", BESIDE)
def test_an_album_in_a_frame_beside_an_image_of_the_page_is_its_own(server: Server, tmp_path: Path, kind: str) -> None:
    html = {"Content-Type": "text/html"}
    server.add("/g/set-7", f"<title>A</title><img src=/i/1.jpg>{BESIDE[kind]}{NONE_OF_ITS}".encode(), headers=html)
    for path in ("/embed/album/7", "/inner", "/inner/set-7", "/inner.html"):
        server.add(path, b"<img src=/i/2.jpg><img src=/i/1.jpg><img src=/i/3.jpg>", headers=html)
    for path in ("/related/album/7", "/ads/7", "/album.swf", "/a.pdf"):
        server.add(path, b"<img src=/i/4.jpg>", headers=html)
    for number in range(1, 5):
        server.add(f"/i/{number}.jpg", jpeg(64 + number))
    run = crawl(tmp_path, "gallery", {"gallery": server.url("/g/set-7")}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
    (item,) = run.items
    assert sorted(image["url"][-5:] for image in item["images"]) == ["1.jpg", "2.jpg", "3.jpg"], run.log
    assert run.code == 0
    assert {"/related/album/7", "/ads/7", "/album.swf", "/a.pdf"}.isdisjoint(server.paths())


def test_frames_beside_images_are_told_where_they_cannot_be_had_or_may_be_anything(
    server: Server, tmp_path: Path
) -> None:
    html = {"Content-Type": "text/html"}
    server.add("/g/7", b"<title>A</title><img src=/i/1.jpg><iframe src=/album/lost></iframe>", headers=html)
    server.add("/g/8", b"<title>B</title><img src=/i/1.jpg><iframe src=/inner></iframe>", headers=html)
    server.add("/i/1.jpg", jpeg(65))
    given = f"{server.url('/g/7')},{server.url('/g/8')}"
    run = crawl(tmp_path, "gallery", {"gallery": given}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
    items = {item["title"]: item for item in run.items}
    assert items["A"]["failed_pages"] == [{"url": server.url("/album/lost"), "reason": "http_404"}]
    assert {title: len(item["images"]) for title, item in items.items()} == {"A": 1, "B": 1}
    assert run.code == 1
    assert f"what it has in frames beside its images is not read: {server.url('/inner')}" in run.log


def chunked(body: bytes, end: bytes) -> Misbehaviour:
    """*body* in two chunks whose lines end with *end*."""

    async def chunked_(exchange: Exchange) -> None:
        await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (body[:100], body[100:], b""):
            await exchange.write(b"%x%s%s%s" % (len(part), end, part, end))

    return chunked_


SHOWN = """<title>T</title><main><h1>Sunday walk</h1><p><time datetime="2024-12-28">a day</time></p>
<script type="application/ld+json">{"@type": "ImageObject", "contentUrl": "/i/0.jpg", "caption": "Stated"}</script>
<figure><img src=/i/0.jpg><figcaption>Not this</figcaption></figure>
<figure><img src=/i/1.jpg><figcaption>The pier</figcaption></figure><img src=/i/2.jpg alt="Sunday walk">
<img src=/i/4.jpg alt="Click to enlarge"><a rel=next href="/walks/a/2">more</a></main>"""
MORE = "<h1>Sunday walk</h1><a href=/i/3.jpg data-caption='The <b>sea</b>'><img src=/t/3.jpg></a><img src=/i/1.jpg>"
MORE += "<img src=/i/5.jpg alt='Click to enlarge'>"  # as an image of the page before


def test_captions_and_the_day_that_a_page_shows_are_had_where_it_states_none(server: Server, tmp_path: Path) -> None:
    html = {"Content-Type": "text/html; charset=utf-8"}
    server.add("/list", b"<a class=g href=/walks/a>a</a><a class=g href=/walks/b>b</a>", headers=html)
    server.add("/walks/a", SHOWN.encode(), headers=html)
    server.add("/walks/a/2", MORE.encode(), headers=html)
    server.add("/walks/b", b"<h1>No day</h1><img src=/i/9.jpg alt='a dog, a cat'>", headers=html)
    for number in (0, 1, 2, 3, 4, 5, 9):
        server.add(f"/i/{number}.jpg", jpeg(64 + number))
    for since, stored in (("2024-12-29", {"No day": 1}), ("2024-12-28", {"No day": 1, "Sunday walk": 6})):
        arguments = {"list": server.url("/list"), "galleries": "a.g"}
        settings = {"PRIVATE_HOSTS_ALLOWED": "127.0.0.1", "GALLERIES_SINCE": since}
        run = crawl(tmp_path, "gallery", arguments, **settings)
        had = {item["title"]: sum("path" in image for image in item["images"]) for item in run.items}
        assert {title: count for title, count in had.items() if count} == stored
        assert re.search(r"^ +undated +1 ", run.log, re.MULTILINE), run.log
    items = {item["title"]: item for item in run.items}
    assert items["Sunday walk"]["date"] == "2024-12-28"
    said = {image["url"][-5]: image["facts"] for item in run.items for image in item["images"] if "facts" in image}
    assert said == {
        "0": {"caption": "Stated"}, "1": {"caption": "The pier"}, "3": {"caption": "The sea"},
        "9": {"caption": "a dog, a cat"},
    }  # fmt: skip


SHEET = """/* .tile-9{background:url(/i/9.jpg)} */ body{background:url(/theme/bg.jpg)}
.tile-1, .unused { background: #fff url("../i/1.jpg") no-repeat }
@media (min-width: 9px) { #two.tile { background-image: url('/i/2.jpg') } }
.tile:hover{background:url(/i/8.jpg)} .tile .unused{background:url(/i/7.jpg)} .icons{background:url(sprite.png)}
"""


def test_photographs_behind_elements_without_an_image_are_those_of_the_style_sheets(
    server: Server, tmp_path: Path
) -> None:
    tiles = "<div class='tile tile-1'></div><div id=two class=tile></div><i class=icons></i>"
    links = "<link rel=stylesheet href=/css/a.css><link rel=stylesheet media=print href=/css/print.css>"
    server.add("/a", f"<title>A</title>{links}{tiles}".encode(), headers={"Content-Type": "text/html"})
    server.add(
        "/b", f"<title>B</title>{links}{tiles}<img src=/i/3.jpg>".encode(), headers={"Content-Type": "text/html"}
    )
    server.add("/css/a.css", SHEET.encode(), headers={"Content-Type": "text/css"})
    for number in (1, 2, 3):
        server.add(f"/i/{number}.jpg", jpeg(64 + number))
    given = f"{server.url('/a')},{server.url('/b')}"
    run = crawl(tmp_path, "gallery", {"gallery": given}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
    site = server.url("/i/")
    found = {item["title"]: [image["url"].removeprefix(site) for image in item["images"]] for item in run.items}
    assert found == {"A": ["1.jpg", "2.jpg"], "B": ["3.jpg"]}
    assert server.paths().count("/css/a.css") == 1
    assert "/css/print.css" not in server.paths()


def test_style_sheets_import_others(server: Server, tmp_path: Path) -> None:
    linked = "".join(f"<link rel=stylesheet href=/css/{number}.css>" for number in range(12))
    style = "<style>/* @import 'no.css' */ @import url(/css/in.css); @import url(/css/print.css) print; p {}</style>"
    tiles = "".join(f"<div class=t{number}></div>" for number in range(4))
    server.add("/a", f"<title>A</title>{linked}{style}{tiles}".encode(), headers={"Content-Type": "text/html"})
    sheets = {
        "0": "@import '1.css'; @import \"one/two.css\" screen;",
        "11": ".t0{background:url(/i/0.jpg)}",
        "in": ".t1{background:url(/i/1.jpg)}",
        "one/two": "@import url('../0.css');@import url( ../three.css );.t2{background:url(/i/2.jpg)}",
        "three": "@import 'four.css';.t3{background:url(/i/3.jpg)}",
    }
    for name, css in sheets.items():
        server.add(f"/css/{name}.css", css.encode(), headers={"Content-Type": "text/css"})
    for number in range(4):
        server.add(f"/i/{number}.jpg", jpeg(64 + number))
    run = crawl(tmp_path, "gallery", {"gallery": server.url("/a")}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
    (item,) = run.items
    assert sorted(image["url"].rpartition("/")[2] for image in item["images"]) == [f"{n}.jpg" for n in range(4)]
    asked = [path for path in server.paths() if path.startswith("/css/")]
    assert len(asked) == len(set(asked)) == 15
    assert "left_out" not in item


def test_a_style_sheet_without_end_is_read_in_bounded_time() -> None:
    before = time.process_time()
    for sheet in (
        "/*" * 500_000,
        ".a" * 500_000,
        ".a{" * 300_000,
        ".a,{url(" * 200_000,
        ".a{background:url(" * 100_000,
    ):
        images_in_sheet(sheet, "https://site.example/a.css", {"a"})
        names_in(f"<p class='{sheet}")
        imported_by(sheet, "https://site.example/a.css")
    assert time.process_time() - before < 5
    many = "".join(f"@import url({number}.css);" for number in range(300_000))
    assert len(imported_by(many, "https://site.example/a.css")) == 1_000
