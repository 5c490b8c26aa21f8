"""Lists whose pages are asked for by POST: as it is declared, or by a form for the next page."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from parsel import Selector

from imgcrawl.pages.pagerforms import Posted, next_posted
from tests.basespiders.test_every_gallery import HTML, add_galleries, links, names
from tests.support.crawling import Crawl, crawl
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server

PAGES = 3
NEXT = "<form method=post action=/list><input type=hidden name=page value={}><button>Next</button></form>"


def list_of(server: Server, form: str = "", once: Collection[Answer] = ()) -> None:
    """/list shows page 1 to GET, and to POST the page that is sent; each has two galleries. Page 2 is *once* another
    answer."""
    add_galleries(server)
    moments = [*once]

    def answer(request: Request) -> Answer:
        if moments and b"2" in request.body:
            return moments.pop()
        sent = request.body.decode()
        is_json = request.headers.get("content-type") == "application/json"
        page = 1 if request.method == "GET" else int(json.loads(sent)["page"] if is_json else parse_qs(sent)["page"][0])
        if request.method == "POST" and not form and page < 1:
            return Answer(b"no", 400)
        galleries = links(f"/g/{2 * page - 1}", f"/g/{2 * page}") if page <= PAGES else "nothing"
        return Answer(f"<p>{galleries}</p>{form.format(page + 1) if page < PAGES else ''}".encode(), 200, HTML)

    server.add("/list", answer)


def walked(server: Server, folder: Path, settings: dict[str, str] | None = None, **arguments: str) -> Crawl:
    run = crawl(folder, "gallery", {"list": server.url("/list"), "galleries": "a.g", **arguments}, **(settings or {}))
    assert "Traceback" not in run.log
    return run


ALL = [str(number) for number in range(1, 2 * PAGES + 1)]


@pytest.mark.parametrize("post", ["sort=new&page={page}", '{"page": {page}, "of": {"sort": "new"}}'])
def test_what_is_sent_is_declared(server: Server, tmp_path: Path, post: str) -> None:
    list_of(server)
    run = walked(server, tmp_path, post=post)
    assert (names(run), run.code) == (ALL, 0)
    sent = [request.body.decode() for request in server.requests if request.path == "/list"]
    assert sent == [post.replace("{page}", str(page)) for page in range(1, PAGES + 2)]


def test_workers_send_it_too(server: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    list_of(server)
    run = walked(server, tmp_path, {"REDIS_URL": redis_server.url}, post="page={page}")
    assert (names(run), run.code) == (ALL, 0)


def test_a_form_for_the_next_page_is_sent(server: Server, tmp_path: Path) -> None:
    list_of(server, NEXT)
    run = walked(server, tmp_path)
    assert (names(run), run.code) == (ALL, 0)
    assert [request.method for request in server.requests if request.path == "/list"] == ["GET", "POST", "POST"]


def test_a_page_that_is_busy_is_sent_the_same_again(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    sent = []

    def answer(request: Request) -> Answer:
        if request.method == "GET":
            return Answer((links("/g/1") + NEXT.format(2)).encode(), 200, HTML)
        sent.append(request.body)
        return Answer(b"Too many requests" if len(sent) < 3 else links("/g/2").encode(), 200, HTML)

    server.add("/list", answer)
    run = walked(server, tmp_path)
    assert (names(run), run.code) == (["1", "2"], 0)
    assert sent == [b"page=2"] * 3


@pytest.mark.parametrize(("busy", "says"), [(503, b""), (200, b""), (200, b"Too many requests")])
def test_what_was_sent_to_a_page_that_leads_to_a_busy_one_is_sent_again(
    server: Server, tmp_path: Path, busy: int, says: bytes
) -> None:
    """It was asked for by GET, which shows page 1: the walk was at its end, with exit code 0."""
    list_of(server, once=[Answer(b"", 302, {"Location": "/busy"})])
    server.add("/busy", lambda _: Answer(says, busy, HTML))
    run = walked(server, tmp_path, post="page={page}")
    assert (names(run), run.code) == (ALL, 0)


@pytest.mark.parametrize("status", [307, 308])
def test_what_is_sent_goes_to_no_other_site_with_the_cookies_that_the_user_has_there(
    server: Server, tmp_path: Path, status: int
) -> None:
    add_galleries(server)
    with Server(("127.0.0.2",)) as other:
        other.add("*", b"deleted")
        away = Answer(b"", status, {"Location": other.url("/delete")})
        form = (links("/g/1") + NEXT.format(2)).encode()
        server.add("/list", lambda request: Answer(form, 200, HTML) if request.method == "GET" else away)
        (tmp_path / "cookies.txt").write_text("127.0.0.2\tFALSE\t/\tFALSE\t0\tsession\ts3cret\n")
        run = walked(server, tmp_path, {"COOKIES_FILE": "cookies.txt"})
        assert other.requests == []
    assert (names(run), run.code) == (["1"], 1)
    assert f"list page 2, which could not be had (http_{status})" in run.log


def test_what_is_declared_without_a_list_is_said(tmp_path: Path) -> None:
    run = crawl(tmp_path, "gallery", {"gallery": "http://127.0.0.1:1/g", "post": "page={page}"})
    assert run.code == 2
    assert "-a post=page={page}: expected with -a list=…" in run.log


FORMS = {
    NEXT.format(2): [("http://h/list", "page=2")],
    "<form method=POST><input type=hidden name=k value='a b'><button name=p value=2>›</button></form>": [
        ("http://h/list?x=1", "k=a+b&p=2")
    ],
    "<form method=post><button name=p value=2>2</button><button name=p value=3>3</button></form>": [
        ("http://h/list?x=1", "p=2")
    ],
    # What asks for something, is for something else, is elsewhere, or counts nothing.
    "<form method=post><input name=q><input type=hidden name=page value=2><button>Next</button></form>": [],
    "<form method=post><input type=hidden name=page value=2><textarea></textarea><button>Next</button></form>": [],
    "<form method=post><input type=hidden name=page value=2><button>Delete</button></form>": [],
    "<form method=post action=http://other/><input type=hidden name=p value=2><button>Next</button></form>": [],
    "<form method=post><input type=hidden name=agree value=yes><button>Next</button></form>": [],
    "<form><input type=hidden name=page value=2><button>Next</button></form>": [],
}


@pytest.mark.parametrize("markup", FORMS)
def test_forms_for_the_next_page(markup: str) -> None:
    url = "http://h/list?x=1"
    found: list[Posted] = next_posted(Selector(f"<body>{markup}"), url, url, "utf-8", 2)
    assert [(str(each), each.body) for each in found] == FORMS[markup]
