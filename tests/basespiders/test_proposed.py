"""Whole sites of which nothing is said but where they begin."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.pages.layouts import LAYOUTS, NAMES, many, site
from tests.support.crawling import Crawl, crawl
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg

HTML = {"Content-Type": "text/html; charset=utf-8"}


def list_page(page: int) -> bytes:
    cards = many(
        4, lambda n, name: f'<div class="card"><a href="/g/{page}-{name}"><img src="/thumb/{name}.jpg"></a></div>'
    )
    popular = many(5, lambda n, name: f'<li><a href="/g/pop-{name}"><img src="/thumb/pop-{name}.jpg"></a></li>')
    older = f'<a class="older" href="/older?from={page + 1}">Older posts</a>' if page < 3 else ""
    return site(f'<main>{cards}{older}</main><aside class="popular"><ul>{popular}</ul></aside>').encode()


def answer(request: Request) -> Answer:
    name = request.path.rpartition("/")[2]
    if request.path.startswith("/g/"):
        images = "".join(f'<p><img src="/i/{name}-{n}.jpg"></p>' for n in range(3))
        page = f'<h1>My site</h1><h2>The {name}</h2><img src="/logo.png"><div class="body">{images}</div>'
        return Answer(site(page).encode(), 200, HTML)
    if request.path.startswith("/i/"):
        return Answer(jpeg(colour=(sum(map(ord, name)) % 250, 9, 9)), 200)
    return Answer(b"no", 404)


def contents(run: Crawl) -> dict[str, list[str]]:
    return {item["title"]: [url.rpartition("/")[2] for url in item["image_urls"]] for item in run.items}


def test_a_whole_site_without_declarations_and_what_was_taken_can_be_pasted(server: Server, tmp_path: Path) -> None:
    server.add("*", answer)
    server.add("/start", list_page(1), headers=HTML)
    for page in (2, 3):
        server.add(f"/older?from={page}", list_page(page), headers=HTML)

    run = crawl(tmp_path, "gallery", {"list": server.url("/start")})

    galleries = [f"{page}-{name}" for page in (1, 2, 3) for name in NAMES[:4]]
    expected = {f"The {name}": [f"{name}-{n}.jpg" for n in range(3)] for name in galleries}
    assert contents(run) == expected
    assert run.code == 0, run.log
    (taken,) = re.findall(r"Taken from what the pages of \S+ repeat: (.*)", run.log)
    arguments = dict(pair.split("=", 1) for pair in shlex.split(taken)[1::2])
    assert arguments == {
        "list": server.url("/start"),
        "next": "//a[normalize-space()='Older posts']",
        "galleries": "div.card a",
        "images": "div.body img",
        "title": "h2",
    }

    (tmp_path / "pasted").mkdir()
    pasted = crawl(tmp_path / "pasted", "gallery", arguments)
    assert contents(pasted) == expected


def test_what_was_taken_can_be_pasted_to_the_end_of_its_line_where_images_are_searched_for(
    server: Server, tmp_path: Path
) -> None:
    def page(request: Request) -> Answer:
        if found := re.fullmatch(r"/(i|small)/(\w+)-(\d).jpg", request.path):
            return Answer(jpeg(*((640, 480) if found[1] == "i" else (100, 75)), comment=request.path))
        body = f'<img src="/i/{request.path[7:]}.jpg" width=640 height=480>'
        if request.path == "/start":
            body = "".join(f'<div class=set><a href="/set/{name}">{name}</a></div>' for name in NAMES[:4])
        elif name := request.path.removeprefix("/set/").strip("/") if "/set/" in request.path else "":
            shown = "<a class=ph href='/photo/{0}-{1}'><img src='/small/{0}-{1}.jpg' width=100 height=75></a>"
            body = f"<h1>The {name}</h1>" + "".join(shown.format(name, number) for number in range(3))
        return Answer(body.encode(), headers=HTML)

    server.add("*", page)
    server.robots("")
    run = crawl(tmp_path, "gallery", {"list": server.url("/start")})
    (taken,) = re.findall(r"Taken from what the pages of \S+ repeat(.*)", run.log)
    searched, _, options = taken.partition(": ")
    assert searched == " (images are searched for)"
    names = [pair.partition("=")[0] for pair in shlex.split(options)[1::2]]
    assert names == ["list", "galleries", "image_pages", "title"]
    assert set(shlex.split(options)[::2]) == {"-a"}


def test_a_numbered_list_goes_on_behind_a_page_of_which_all_is_hidden(server: Server, tmp_path: Path) -> None:
    """The site's own links name later pages, as they do where the numbers were declared."""
    server.add("*", answer)
    for page in range(1, 6):
        pager = " ".join(f'<a href="/index?p={n}">{n}</a>' for n in range(1, 6))
        body = b"<h1>Nobody here but us chickens!</h1>" if page == 3 else list_page(page)
        server.add(f"/index?p={page}", body + pager.encode(), headers=HTML)
    run = crawl(tmp_path, "gallery", {"list": server.url("/index?p=1")}, RETRY_TIMES="1")
    assert contents(run).keys() == {f"The {page}-{name}" for page in (1, 2, 4, 5) for name in NAMES[:4]}
    assert "1 list page could not be had" in run.log
    assert run.code == 1


def test_where_it_is_not_sure_the_crawl_ends_with_a_sentence(server: Server, tmp_path: Path) -> None:
    server.add("/", LAYOUTS["two lists alike"].html.encode(), headers=HTML)
    run = crawl(tmp_path, "gallery", {"list": server.url("/")})
    assert run.code == 1
    assert (
        f"{server.url('/')}: galleries may be what 'section#latest a' finds, or what 'section#picks a' does; "
        "say it with -a galleries=XPATH_OR_CSS" in run.log
    )
    assert "Traceback" not in run.log
    assert server.count("/g/1") == 0


def test_workers_are_told_who_guesses_and_what_to_give_them(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    server.add("/start", list_page(1), headers=HTML)
    run = crawl(tmp_path, "gallery", {"list": server.url("/start")}, REDIS_URL=redis_server.url)
    assert run.code == 1
    assert 'crawl once without --workers and REDIS_URL: its line "Taken from what the pages' in run.log


@pytest.mark.parametrize("status", [200, 403])
def test_a_start_page_that_asks_to_log_in_says_so(server: Server, tmp_path: Path, status: int) -> None:
    form = b"<nav><a href=/a>A</a><a href=/b>B</a></nav><form><input name=u><input type=password name=p></form>"
    server.add("/start", b"", status=302, headers={"Location": "/login"})
    server.add("/login", form, status=status, headers=HTML)
    run = crawl(tmp_path, "gallery", {"list": server.url("/start")}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
    assert run.code == 1
    assert "the start page is a form to log in: the session has ended, or COOKIES" in run.log
