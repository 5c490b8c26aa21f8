from __future__ import annotations

import re
from pathlib import Path

import pytest
from scrapy.utils.test import get_crawler

from imgcrawl.basespiders import GallerySpider
from imgcrawl.exceptions import InputError
from tests.support.crawling import crawl
from tests.support.server import Answer, Request, Server, jpeg, reset

HTML = {"Content-Type": "text/html; charset=utf-8"}
LIST = "/albums?page={}"


def add_lists(server: Server, count: int) -> None:
    for page in range(1, count + 1):
        links = "".join(f'<a class="album" href="/a/{page}{letter}">x</a>' for letter in "ab")
        server.add(LIST.format(page), links.encode(), headers=HTML)

    def gallery(request: Request) -> Answer:
        return Answer(f"<h2>{request.path[3:]}</h2><img src={request.path}.jpg>".encode(), 200, HTML)

    for page in range(1, count + 1):
        for letter in "ab":
            server.add(f"/a/{page}{letter}", gallery)


def galleries(server: Server, folder: Path, code: int = 0, **arguments: str) -> list[str]:
    given = {"list": server.url(LIST.format("{page}")), "galleries": "a.album", **arguments}
    run = crawl(folder, "gallery", given, ITEM_PIPELINES="{}", VERDICT_IMAGES_EXPECTED="False", RETRY_TIMES="0")
    assert run.code == code, run.log
    assert "Traceback" not in run.log
    return sorted(item["title"] for item in run.items)


@pytest.mark.parametrize("end", ["404", "410", "empty", "first", "last"])
def test_the_end_of_a_list(server: Server, tmp_path: Path, end: str) -> None:
    add_lists(server, 3)
    path = LIST.format(4)
    if end in ("404", "410"):
        server.add(path, status=int(end))
    elif end == "empty":
        server.add(path, b"<p>nothing here</p>", headers=HTML)
    else:
        page = 1 if end == "first" else 3
        for past in (4, 5):
            links = "".join(f'<a class="album" href="/a/{page}{letter}">x</a>' for letter in "ab")
            server.add(LIST.format(past), links.encode(), headers=HTML)
    assert galleries(server, tmp_path) == ["1a", "1b", "2a", "2b", "3a", "3b"]
    assert server.count(LIST.format(5)) == 0


def test_pages(server: Server, tmp_path: Path) -> None:
    add_lists(server, 3)
    assert galleries(server, tmp_path, pages="2") == ["1a", "1b", "2a", "2b"]
    assert server.count(LIST.format(3)) == 0


def test_a_list_page_that_fails_is_passed_over_and_told(server: Server, tmp_path: Path) -> None:
    add_lists(server, 4)
    server.add(LIST.format(2), reset)
    assert galleries(server, tmp_path, code=1) == ["1a", "1b", "3a", "3b", "4a", "4b"]


def test_three_list_pages_that_fail_end_the_walk(server: Server, tmp_path: Path) -> None:
    add_lists(server, 9)
    for page in (3, 4, 5):
        server.add(LIST.format(page), status=403)
    assert galleries(server, tmp_path, code=1) == ["1a", "1b", "2a", "2b"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"list": ""}, "gallery needs one of -a list=… (the address of a list page, with {page} for its number"),
        ({"gallery": "http://a/"}, "gallery needs one of -a list=… (the address of a list page, with {page} for its"),
        ({"list": "", "gallery": "a.html"}, "-a gallery=a.html: expected an address that begins with http:// or http"),
        ({"list": "", "file": "nowhere.txt"}, "list 'nowhere.txt' cannot be read: No such file"),
        ({"list": "", "sitemap": "x.xml"}, "-a sitemap=x.xml: expected an address that begins with http:// or https"),
        ({"list": "", "sitemap": "http://a/x.xml", "only": "("}, "-a only=(: expected a regular expression ("),
        ({"galleries": "//a["}, "-a galleries=//a[: expected XPath (which begins with /), CSS, or for JSON JMESPath ("),
        ({"images": "a[["}, "-a images=a[[: expected XPath (which begins with /), CSS, or for JSON JMESPath ("),
        ({"title": "h1::nope"}, "-a title=h1::nope: expected XPath (which begins with /), CSS, or for JSON JMESPath ("),
        ({"list": "example.org/{page}"}, "-a list=example.org/{page}: expected an address that begins with http"),
        (
            {"list": "https://example.org/{nr}"},
            "-a list=https://example.org/{nr}: only {page}, {offset} or {token} may stand in braces",
        ),
        (
            {"list": "https://example.org/{page"},
            "-a list=https://example.org/{page: only {page}, {offset} or {token} may stand in braces",
        ),
        (
            {"list": "https://example.org/a, https://example.org/b"},
            "-a list=https://example.org/a, https://example.org/b: expected one list; crawl each, with -o",
        ),
        ({"pages": "none"}, "-a pages=none: expected a whole number, 1 or more"),
        ({"base": "example.org"}, "-a base=example.org: expected scheme, host and port only"),
        (
            {"list": "", "lists": "http://a/"},
            "-a lists=http://a/: gallery has no option 'lists'; it has list, galleries",
        ),
        (
            {"list": "https://ann:secret@example.org/{page}"},
            "-a list=https://example.org/{page}: addresses with a user and a password are not asked for",
        ),
        (
            {"list": "", "gallery": "http://a.org/1, http://ann:secret@a.org/2"},
            "-a gallery=http://a.org/1, http://a.org/2: addresses with a user and a password are not asked for",
        ),
        (
            {"nmae": "x"},
            "-a nmae=x: gallery has no option 'nmae'; it has list, galleries, next, first, per_page, sitemap, only",
        ),
    ],
)
def test_bad_options_are_told_before_any_request(
    server: Server, tmp_path: Path, arguments: dict[str, str], sentence: str
) -> None:
    given = {"list": server.url(LIST.format("{page}")), "galleries": "a.album", **arguments}
    run = crawl(tmp_path, "gallery", given)
    assert run.code == 2
    assert run.log.splitlines()[-1].startswith(sentence), run.log
    assert "Traceback" not in run.log
    assert server.requests == []


def test_a_spider_whose_list_is_misspelt_is_told_in_one_sentence() -> None:
    class Bare(GallerySpider):
        name = "bare"
        lst_url = "https://example.org/albums"

    with pytest.raises(InputError, match="Bare declares no list_url; expected the address of a list page"):
        Bare.from_crawler(get_crawler(Bare)).first_address()


def test_images_of_the_same_text_do_not_overwrite_each_other(server: Server, tmp_path: Path) -> None:
    bodies = [jpeg(width=width) for width in (40, 41, 42)]
    images, host = "", server.url("").removeprefix("http:").rstrip("/")
    for number, (body, text) in enumerate(zip(bodies, ["Hi!", "hi？", "...*"], strict=True)):
        server.add(f"/{number}.jpg!dta", body)
        images += f'<img class="lazy" src="/loading.gif" data-original="{host}/{number}.jpg!dta" alt="{text}">'
    page = f'<div class="page-content text-center">{images}<img class="gif" data-original="/badge.png"></div>'
    server.add("/photo/list/?page=1", page.encode(), headers=HTML)

    run = crawl(tmp_path, "doutula", {"base": server.url("").rstrip("/")})

    assert run.code == 0, run.log
    assert run.files == {"doutula/Hi.jpg": bodies[0], "doutula/hi-2.jpg": bodies[1], "doutula/2.jpg": bodies[2]}


def test_entries_on_a_known_number_of_pages(server: Server, tmp_path: Path) -> None:
    for start in range(0, 250, 25):
        entry = (
            f'<ol class="grid_view"><li><div class="pic"><em>{start + 1}</em><a href="https://movie.douban.com/subject/{start}/">'
            f'<img src="/s_ratio_poster/{start}.jpg"></a></div><span class="title">Film {start}</span></li></ol>'
        )
        server.add(f"/top250?start={start}&filter=", entry.encode(), headers=HTML, delay=0.1)
        server.add(f"/l_ratio_poster/{start}.jpg", jpeg(width=40 + start))
    server.add("/top250?start=50&filter=", b"<p>try again</p>", headers=HTML)

    run = crawl(tmp_path, "douban", {"base": server.url("").rstrip("/")})

    assert run.code == 1
    assert "no entries; nothing matches" in run.log
    assert sorted(run.files)[:2] == ["douban/001 Film 0.jpg", "douban/026 Film 25.jpg"]
    assert len(run.files) == 9
    assert server.max_in_flight > 2
    referers = {r.path: r.headers["referer"] for r in server.requests if re.match(r"/l_", r.path)}
    assert referers["/l_ratio_poster/25.jpg"] == server.url("/top250?start=25&filter=")


@pytest.mark.parametrize("address", [LIST.format(1), "/albums?after={token}"])
def test_galleries_come_home_where_the_next_link_takes_too_long_to_find(
    server: Server, tmp_path: Path, address: str
) -> None:
    add_lists(server, 2)
    links = '<a class="album" href="/a/1a">x</a><a class="album" href="/a/1b">x</a><div><a href="/albums?page=2">2</a>'
    page = f"<p>{links}</div>{'<i></i>' * 210_000}".encode()  # more elements than anything of two steps is tried on
    server.add(LIST.format(1), page, headers=HTML)
    server.add("/albums?after=", page, headers=HTML)
    assert galleries(server, tmp_path, code=1, list=server.url(address), next="div a") == ["1a", "1b"]
    assert server.count(LIST.format(2)) == 0
