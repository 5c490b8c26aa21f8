"""What of a page is left out is told, and what can be had in good time is not left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcrawl.basespiders import imagepages
from imgcrawl.basespiders.sitemaps import MAX_LEVEL
from imgcrawl.pages import find_images
from imgcrawl.pages.bounds import MAX_IMAGES, both_ends, bounded, noted
from imgcrawl.pages.sitemaps import MAX_IMAGES as MOST_STATED
from imgcrawl.pages.sitemaps import read_sitemap
from tests.basespiders.test_every_gallery import add, add_galleries, gallery_crawl, names
from tests.support.crawling import crawl
from tests.support.server import Answer, Request, Server, jpeg

URL = "http://h/g/1"
MANY = 12_000


def files(count: int, folder: str = "/g/x") -> list[str]:
    return [f"{folder}/{n:06}.jpg" for n in range(1, count + 1)]


def series(count: int) -> str:
    return f"<img src=/g/x/000001.jpg><script>show({json.dumps(files(count))[1:-1]})</script>"


ALL_OF_A_PAGE: dict[str, Callable[[], str]] = {
    "a series in a script": lambda: series(MANY),
    "behind many icons": lambda: "".join(f"<img src=/o/{n}.png>" for n in range(200)) + series(MANY),
    "a list in a script": lambda: f"<img src=/g/x/000001.jpg><script>var images = {json.dumps(files(MANY))};</script>",
    "of many lists in scripts the last": lambda: (
        "<img src=/g/x/000001.jpg><script>var a = {"
        + "".join(f'"images": ["/o/{n}.jpg", "/p/{n}.jpg"], ' for n in range(100))
        + f'"photos": {json.dumps(files(MANY))}'
        + "}</script>"
    ),
    "behind a list that is not closed": lambda: (
        "<img src=/g/x/000001.jpg><script>/* images = [{ */ say('photos: [')</script>"
        f"<script>var photos = {json.dumps(files(MANY))};</script>"
    ),
    "scripts alone": lambda: f"<script>x = {json.dumps([{'u': file, 'z': 1} for file in files(MANY)])}</script>",
    "an attribute": lambda: f"<div data-images='{json.dumps(files(MANY))}'></div>",
    "linked data": lambda: (
        f'<script type="application/ld+json">{{"@type": "ImageGallery", "image": {json.dumps(files(MANY))}}}</script>'
    ),
    "linked data that is long": lambda: (
        '<script type="application/ld+json">'
        + json.dumps(
            {"@type": "ImageGallery", "image": [{"contentUrl": each, "name": "n" * 80} for each in files(MANY)]}
        )
        + "</script>"
    ),
    "microdata": lambda: "".join(f"<link itemprop=image href={file}>" for file in files(MANY)),
}


@pytest.mark.parametrize("kind", ALL_OF_A_PAGE)
def test_all_images_of_a_page_of_very_many_are_found(kind: str) -> None:
    with noted() as left_out:
        found = find_images(ALL_OF_A_PAGE[kind](), URL)
    assert {f"http://h{file}" for file in files(MANY)} <= set(found)
    assert not left_out


@pytest.mark.parametrize("icons", [10, 60, 300])
def test_what_is_shown_beside_many_icons_is_looked_for_in_data(icons: int) -> None:
    album = [f"/{n}/photo{n}.jpg" for n in range(40)]
    data = json.dumps({"entry": {"media": [{"file": file, "w": 9} for file in album]}})
    shown = "".join(f"<img src=/icons/i{n}.png>" for n in range(icons)) + f"<img src={album[7]}>"
    found = find_images(f'{shown}<script id=x type="application/json">{data}</script>', URL)
    assert {f"http://h{file}" for file in album} <= set(found)


LISTS = "var a = {" + '"images": ["/o/1.jpg", "/p/2.jpg"], ' * 1_100 + "}"
TOO_MANY: dict[str, Callable[[], str]] = {
    "a series in a script": lambda: series(MAX_IMAGES + 10),
    "scripts alone": lambda: f"<script>x = {json.dumps(files(MAX_IMAGES + 10, '/a'))}</script>",
    "data of very many parts": lambda: (
        f'<img src=/1/photo1.jpg><script id=x type="application/json">{{"a": {[0] * 250_000}, "entry": {{"media": '
        + json.dumps([{"file": f"/{n}/photo{n}.jpg", "w": 9} for n in range(40)])
        + "}}</script>"
    ),
    "a long attribute": lambda: f"<div data-images='{json.dumps(files(60_000))}'></div>",
    "very long linked data": lambda: (
        f'<script type="application/ld+json">{{"text": "{5_000_000 * "x"}", "image": "/a.jpg"}}</script>'
    ),
    "very many lists, of which none is the page's": lambda: f"<img src=/g/x/000001.jpg><script>{LISTS}</script>",
}


@pytest.mark.parametrize("kind", TOO_MANY)
def test_more_than_are_read_of_one_page_are_told(kind: str) -> None:
    with noted() as left_out:
        find_images(TOO_MANY[kind](), URL)
    assert left_out == {"images"}


ENOUGH: dict[str, Callable[[], str]] = {
    "linked data that names no image": lambda: (
        f'<img src=/a.jpg><script type="application/ld+json">{{"text": "{5_000_000 * "x"}"}}</script>'
    ),
    "very many lists behind the page's own": lambda: (
        f"<img src=/g/x/000001.jpg><script>var photos = {json.dumps(files(20))};{LISTS}</script>"
    ),
}


@pytest.mark.parametrize("kind", ENOUGH)
def test_what_has_none_of_the_page_s_images_is_not_told(kind: str) -> None:
    with noted() as left_out:
        find_images(ENOUGH[kind](), URL)
    assert not left_out


def test_data_is_found_by_any_of_very_many_images_that_are_shown() -> None:
    album = [f"/{n}/photo{n}.jpg" for n in range(40)]
    data = json.dumps({"entry": {"media": [{"file": file, "w": 9} for file in album]}})
    others = "".join(f"<img src=/o/other{n}.jpg>" for n in range(300))
    shown = f"{others}<img src={album[0]}>{others.replace('other', 'more')}"
    found = find_images(f'{shown}<script id=x type="application/json">{data}</script>', URL)
    assert {f"http://h{file}" for file in album} <= set(found)


def test_what_is_left_out_of_a_gallery_s_page_is_told_by_the_crawl(server: Server, tmp_path: Path) -> None:
    linked = '{"text": "%s", "image": "/a.jpg"}'
    page = f'<h1>Album</h1><img src=/i/1.jpg><script type="application/ld+json">{linked}</script>'
    server.add("/g/1", (page % (5_000_000 * "x")).encode(), headers={"Content-Type": "text/html"})
    server.add("/i/1.jpg", jpeg())
    run = crawl(tmp_path, "gallery", {"gallery": server.url("/g/1")})
    assert [item["left_out"] for item in run.items] == [["images"]]
    assert run.code == 1
    assert "1 gallery has more images than were found (images: 1)" in run.log


def test_sitemaps_say_what_is_not_read_of_them(server: Server, tmp_path: Path) -> None:
    images = "".join(
        f"<image:image><image:loc>http://h{file}</image:loc></image:image>" for file in files(MOST_STATED + 1)
    )
    body = f"<urlset xmlns:image='i'><url><loc>{URL}</loc>{images}</url><url><loc>{URL}2</loc></url></urlset>".encode()
    read = read_sitemap(body, "http://h/sitemap.xml")
    assert len(next(read).images) == MOST_STATED
    assert next(read).address == f"{URL}2"
    with pytest.raises(ValueError, match="more than 1,000 images"):
        next(read)
    add_galleries(server)
    for level in range(MAX_LEVEL + 2):
        entries = f"<sitemap><loc>{server.url(f'/{level + 1}.xml')}</loc></sitemap>"
        server.add(f"/{level}.xml", f"<sitemapindex>{entries}</sitemapindex>".encode())
    run = crawl(tmp_path, "gallery", {"sitemap": server.url("/0.xml")}, VERDICT_IMAGES_EXPECTED="0")
    assert run.code == 1
    assert "1 list page could not be had, so galleries may be missing" in run.log


def test_pages_of_a_gallery_beyond_those_that_are_read_are_told(server: Server, tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        number = int(request.path.rpartition("=")[2]) if "=" in request.path else 1
        if not request.path.startswith("/g/"):
            return Answer(b"no", 404)
        link = f"<a rel=next href='/g/1?page={number + 1}'>Next</a>"
        return Answer(f"<h1>Album</h1><img src=/i/{number}.jpg>{link}".encode(), 200, {"Content-Type": "text/html"})

    server.add("*", answer)
    run = crawl(tmp_path, "gallery", {"gallery": server.url("/g/1")}, IMAGES_SIMULATE="1", CONCURRENT_REQUESTS="64")
    (item,) = run.items
    assert len(item["image_urls"]) == imagepages.MAX_PAGES
    assert item["left_out"] == ["pages"]
    assert run.code == 1


def test_the_next_page_may_stand_behind_very_many_links(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    others = "".join(f"<a href=/other/{n}>x</a>" for n in range(6_000))
    add(server, {"/list": f"<a class=g href=/g/1>x</a>{others}<a href='/list?page=2'>Next</a>"})
    add(server, {"/list?page=2": "<a class=g href=/g/2>x</a>"})
    assert names(gallery_crawl(server, tmp_path, "/list")) == ["1", "2"]


def test_bounds() -> None:
    with noted() as left_out:
        assert list(bounded(range(3), 3)) == [0, 1, 2]
        assert both_ends(range(4), 4) == [0, 1, 2, 3]
        assert both_ends(range(9), 4) == [0, 1, 7, 8]
        assert not left_out
        assert list(bounded(range(4), 3, "pages")) == [0, 1, 2]
    assert left_out == {"pages"}
    assert list(bounded(range(4), 3)) == [0, 1, 2], "nobody asks"
