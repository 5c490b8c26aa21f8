from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crawling import Crawl, crawl
from tests.support.server import Answer, Request, Server, jpeg, redirect, reset

HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", "127.0.0.2")) as running:
        yield running


def add_list(server: Server) -> None:
    server.add("/page/1", b'<ul id="pins"><li><a href="/7"></a><span><a href="/7">x</a></span></li></ul>', headers=HTML)


def add_subpage(server: Server, number: int, said: int, *, following: bool = True, image: int | None = None) -> None:
    path = "/7" if number == 1 else f"/7/{number}"
    link = f"/7/{number + 1}" if following else "/8"
    shown = server.url(f"/{image or number}.jpg", host="127.0.0.2")
    html = (
        f'<h2 class="main-title">A <b>title</b></h2>'
        f'<div class="main-image"><p><a href="{link}"><img src="{shown}"></a></p></div>'
        f'<div class="pagenavi"><a href="/6">«</a><span>{number}</span>'
        f'<a href="/7/{said}"><span>{said}</span></a><a href="{link}"><span>next</span></a></div>'
    )
    server.add(path, html.encode(), headers=HTML, delay=0.05)


def add_image(server: Server, number: int) -> bytes:
    """An image that is given only to who comes from its own sub-page."""
    body = jpeg(width=40 + number)
    page = server.url("/7" if number == 1 else f"/7/{number}")

    def gated(request: Request) -> Answer:
        return Answer(body, 200) if request.headers.get("referer") == page else Answer(b"", 403)

    server.add(f"/{number}.jpg", gated)
    return body


def walk(server: Server, folder: Path, **settings: str) -> Crawl:
    return crawl(folder, "mzitu", {"base": server.url("").rstrip("/")}, STATS_DUMP="True", **settings)


def numbers(server: Server, folder: Path) -> list[str]:
    run = walk(server, folder, ITEM_PIPELINES="{}", VERDICT_IMAGES_EXPECTED="False")
    assert run.code == 0, run.log
    (item,) = run.items
    assert item["failed_pages"] == []
    names: list[str] = item["image_names"]
    assert item["image_urls"] == [server.url(f"/{name}.jpg", host="127.0.0.2") for name in names]
    return names


def test_one_folder_in_order_where_a_sub_page_fails(server: Server, tmp_path: Path) -> None:
    add_list(server)
    bodies = {}
    for number in range(1, 21):
        add_subpage(server, number, 20, following=number < 20)
        bodies[f"mzitu/A title/{number}.jpg"] = add_image(server, number)
    for number in (5, 11):
        del bodies[f"mzitu/A title/{number}.jpg"]
    server.add("/7/5", status=403)
    server.add("/7/11", reset)

    run = walk(server, tmp_path, RETRY_TIMES="1")

    assert run.files == bodies
    (item,) = run.items
    assert [image["path"] for image in item["images"]] == list(bodies)
    assert item["failed_pages"] == [
        {"url": server.url("/7/5"), "reason": "http_403"},
        {"url": server.url("/7/11"), "reason": "connection"},
    ]
    assert re.search(r"'subpage/count': 20\b", run.log)
    assert re.search(r"'subpage/failed': 2\b", run.log)
    assert run.log.count("2 of 20 sub-pages without an image (http_403: ") == 1
    pages = [request for request in server.requests if request.path.startswith("/7/")]
    assert 2 <= max(request.in_flight for request in pages) <= 8
    assert {request.headers["referer"] for request in pages} == {server.url("/7")}


def test_a_number_that_is_too_small(server: Server, tmp_path: Path) -> None:
    add_list(server)
    for number in range(1, 6):
        add_subpage(server, number, max(2, number), following=number < 5)
    assert numbers(server, tmp_path) == ["1", "2", "3", "4", "5"]


def test_no_number_at_all(server: Server, tmp_path: Path) -> None:
    add_list(server)
    server.add("/7", b'<div class="main-image"><img src="//127.0.0.2:%d/1.jpg"></div>' % server.port, headers=HTML)
    assert numbers(server, tmp_path) == ["1"]


@pytest.mark.parametrize("end", ["404", "gallery", "home", "last"])
def test_a_number_that_is_too_large(server: Server, tmp_path: Path, end: str) -> None:
    add_list(server)
    claimed = 999_999_999
    for number in range(1, 4):
        add_subpage(server, number, claimed)
    add_subpage(server, 0, claimed, image=3)
    past = {"404": None, "gallery": redirect("/7"), "home": redirect("/"), "last": None}[end]
    server.add("/", b"<p>home</p>", headers=HTML)
    for number in range(4, 40):
        if end == "last":
            add_subpage(server, number, claimed, image=3)
        elif past:
            server.add(f"/7/{number}", past)
    assert numbers(server, tmp_path) == ["1", "2", "3"]
    assert len([path for path in server.paths() if path.startswith("/7/")]) < 60
