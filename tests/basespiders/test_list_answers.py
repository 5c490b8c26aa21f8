"""Lists in JSON and sitemaps, as servers answer them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scrapy.http import HtmlResponse, JsonResponse

from imgcrawl.basespiders.following import is_last_stated, last_stated, next_stated
from tests.basespiders.test_every_gallery import JSON, add, add_galleries, gallery_crawl, links, names
from tests.support.crawling import crawl
from tests.support.server import Server

XML = {"Content-Type": "text/xml"}
API = "http://host/api"


def page(first: int, **more: Any) -> bytes:
    return json.dumps({"items": [{"url": f"/g/{number}"} for number in (first, first + 1)], **more}).encode()


def test_an_answer_of_json_names_the_next_one_by_the_usual_names() -> None:
    def stated(data: Any, **headers: str) -> list[str]:
        return next_stated(JsonResponse(API, body=json.dumps(data).encode(), headers=headers))

    assert stated({"next": "http://host/api?page=2"}) == ["http://host/api?page=2"]
    assert stated({"links": {"next": "?page=2"}}) == ["http://host/api?page=2"]
    assert stated({"_links": {"next": {"href": "/api/2"}}}) == ["http://host/api/2"]
    assert stated({"@odata.nextLink": "https://host/api?skip=9", "next": 2}) == ["https://host/api?skip=9"]
    for data in ({"next": "bmV4dA"}, {"next": 2}, {"next": None}, {"next": "http://other/api"}, [1], "x", None):
        assert stated(data) == [], data
    assert next_stated(JsonResponse(API, body=b'{"next": "/api')) == []
    titled = '</a>; title="1, 2"; rel=prev, </b>; title="two, of 3; rel=x"; rel=next'
    for said in ("</b>; rel=next", '</a>; rel=prev, </b>; rel="last next"', titled):
        assert next_stated(HtmlResponse(API, headers={"Link": said})) == ["http://host/b"], said


@pytest.mark.parametrize(
    ("data", "last"),
    [
        ({"has_more": True}, 4),
        ({"data": {"pageInfo": {"hasNextPage": True}}}, 4),
        ({"next": "/api?page=4"}, 4),
        ({"meta": {"current_page": 3, "last_page": 7}}, 7),
        ({"page": 3, "pages": 5, "has_more": True}, 5),
        ({"pages": 5}, 0),
        ({"has_more": False, "next": None}, 0),
        ({"has_more": 1, "total_pages": True}, 0),
        ({"data": [{"has_more": True, "total_pages": 9}]}, 0),
        ({"total_pages": 10**400}, 0),
        ([{"has_more": True}], 0),
        (None, 0),
    ],
)
def test_an_answer_of_json_says_that_there_are_more_pages(data: Any, last: int) -> None:
    answer = JsonResponse(API, body=json.dumps(data).encode())
    assert last_stated(answer, 3, 1) == last
    assert last_stated(HtmlResponse(API, body=answer.body), 3, 1) == 0


@pytest.mark.parametrize(
    ("data", "is_last"),
    [
        ({"has_more": False, "cursor": "z"}, True),
        ({"data": {"pageInfo": {"hasNextPage": False, "endCursor": "z"}}}, True),
        ({"has_more": False, "meta": {"has_next": True}}, False),
        ({"has_more": 0, "cursor": "z"}, False),
        ({"items": [{"has_more": False}]}, False),
        (None, False),
    ],
)
def test_an_answer_of_json_says_that_it_is_the_last(data: Any, is_last: bool) -> None:
    assert is_last_stated(JsonResponse(API, body=json.dumps(data).encode())) is is_last


def test_the_last_page_of_a_list_in_json_may_have_a_cursor_or_a_link(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    server.add("/api?c=", page(1, data={"hasMore": True}, cursor="z"), headers=JSON)
    server.add("/api?c=z", page(3, data={"hasMore": False}, cursor="zz"), headers=JSON)
    run = gallery_crawl(server, tmp_path / "token", "/api?c={token}", galleries="items[].url", next="cursor")
    assert (names(run), run.code) == (["1", "2", "3", "4"], 0), run.log
    server.add("/list", page(1, has_more=True, next="/list?c=z"), headers=JSON)
    server.add("/list?c=z", page(3, has_more=False, next="/list?c=zz"), headers=JSON)
    run = gallery_crawl(server, tmp_path / "link", "/list", galleries="items[].url")
    assert (names(run), run.code) == (["1", "2", "3", "4"], 0), run.log
    assert not {"/api?c=zz", "/list?c=zz"} & {request.path for request in server.requests}


def test_a_list_in_json_goes_on_by_what_it_states_and_an_answer_that_is_cut_is_told(
    server: Server, tmp_path: Path
) -> None:
    add_galleries(server)
    server.add("/api", page(1, next="/api?page=2"), headers=JSON)
    server.add("/api?page=2", page(3, next=None), headers=JSON)
    run = gallery_crawl(server, tmp_path / "stated", "/api", galleries="items[].url")
    assert (names(run), run.code) == (["1", "2", "3", "4"], 0), run.log
    # A truth is no token.
    server.add("/more?c=", page(1, more=True, cursor="z"), headers=JSON)
    server.add("/more?c=z", page(3, more=False, cursor="zz"), headers=JSON)
    run = gallery_crawl(server, tmp_path / "more", "/more?c={token}", galleries="items[].url", next="more && cursor")
    assert (names(run), run.code) == (["1", "2", "3", "4"], 0), run.log
    # It says itself that there is more behind a page without anything.
    for number, first in ((1, 1), (2, 0), (3, 5)):
        there = json.loads(page(first))["items"] if first else []
        server.add(f"/m/{number}", json.dumps({"items": there, "has_more": number < 3}).encode(), headers=JSON)
    run = gallery_crawl(server, tmp_path / "has_more", "/m/{page}", galleries="items[].url")
    assert (names(run), run.code) == (["1", "2", "5", "6"], 1), run.log
    # Asked for again, and passed over.
    server.add("/n/1", page(1), headers=JSON)
    server.add("/n/2", page(3)[:-9], headers=JSON)
    server.add("/n/3", page(5)[:-9], headers=JSON, times=1)
    server.add("/n/3", page(5), headers=JSON)
    run = gallery_crawl(server, tmp_path / "cut", "/n/{page}", galleries="items[].url")
    assert (names(run), run.code) == (["1", "2", "5", "6"], 1), run.log
    assert "1 list page could not be had, so galleries may be missing (corrupt: 1)" in run.log
    # Deeper than can be read.
    server.add("/n/2", b"[" * 100_000, headers=JSON)
    run = gallery_crawl(server, tmp_path / "deep", "/n/{page}", galleries="items[].url")
    assert (names(run), run.code) == (["1", "2", "5", "6"], 1), run.log
    assert "galleries may be missing (corrupt: 1)" in run.log


def test_sitemaps_that_robots_txt_names_and_one_that_breaks_off(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    robots = f"\ufeffSITEMAP: {server.url('/a.xml')} # the first\r\nSitemap : /b.xml\nUser-agent: *\nAllow: /\n"
    server.add("/robots.txt", robots.encode(), headers={"Content-Type": "text/plain"})
    entries = "".join(f"<url><loc>/g/{number}</loc></url>" for number in range(1, 30))
    server.add("/a.xml", f"<urlset>{entries}</urlset>"[:-30].encode(), headers=XML)
    server.add("/b.xml", b"<urlset><url><loc>/g/30</loc></url></urlset>", headers=XML)
    run = crawl(tmp_path, "gallery", {"sitemap": server.url("/robots.txt")})
    assert sorted(map(int, names(run))) == [*range(1, 29), 30], run.log
    assert run.code == 1
    assert "/a.xml: the sitemap could not be read (it breaks off" in run.log


@pytest.mark.parametrize("unseen", ["<p style='display: none'>{}</p>", "<script>say({{no: '{}'}})</script>"])
def test_what_a_page_says_to_nobody_is_no_bad_moment_of_it(server: Server, tmp_path: Path, unseen: str) -> None:
    add_galleries(server)
    end = "<p>That was all.</p>" + unseen.format("An error occurred. Please try again later.")
    add(server, {"/list/1": links("/g/1") + links("/list/2", css="next"), "/list/2": end})
    for name, path, following in (("linked", "/list/1", {"next": "a.next"}), ("numbered", "/list/{page}", {})):
        run = gallery_crawl(server, tmp_path / name, path, **following)
        assert (names(run), run.code) == (["1"], 0), run.log
