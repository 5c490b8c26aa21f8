"""Every gallery that a list names ends in an item, and a walk ends where the list does."""

from __future__ import annotations

import json
import re
import signal
import threading
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import scrapy
from scrapy.utils.test import get_crawler
from twisted.python.failure import Failure

from imgcrawl.pipelines.window import WINDOW
from imgcrawl.spiders.pximg import PximgSpider
from tests.support.crawling import Crawl, crawl, start, until
from tests.support.server import Answer, Request, Server, jpeg, redirect

HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


SCRAPED = "scraped"


def links(*paths: str, css: str = "g") -> str:
    return "".join(f'<a class="{css}" href="{path}">x</a>' for path in paths)


def add(server: Server, pages: dict[str, str], **more: Any) -> None:
    for path, body in pages.items():
        server.add(path, body.encode(), headers=HTML, **more)


def add_galleries(server: Server) -> None:
    """Every /g/NAME that is nothing else is a gallery with one image."""

    def answer(request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        if request.path.startswith("/g/"):
            return Answer(f"<h2>{name}</h2><img src=/i/{name}>".encode(), 200, HTML)
        if request.path.startswith("/i/"):
            return Answer(jpeg(colour=(crc32(name.encode()) % 256, crc32(name.encode()) % 251, 9)), 200)
        return Answer(b"no", 404)

    server.add("*", answer)


def gallery_crawl(server: Server, folder: Path, path: str = "/list/{page}", **arguments: Any) -> Crawl:
    settings = {name: arguments.pop(name) for name in list(arguments) if name.isupper() or name == "options"}
    folder.mkdir(exist_ok=True)
    given = {"list": server.url(path), "galleries": "a.g", **arguments}
    run = crawl(folder, "gallery", given, RETRY_DELAY="0.01", **{"VERDICT_MAX_FAILED": "1", **settings})
    assert "Traceback" not in run.log
    return run


def names(run: Crawl) -> list[str]:
    return sorted(item["url"].rpartition("/")[2] for item in run.items if "error" not in item)


def errors(run: Crawl) -> dict[str, str]:
    return {item["url"].rpartition("/")[2]: item["error"] for item in run.items if "error" in item}


def test_galleries_that_lead_elsewhere_are_told_as_what_they_are(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(
        server,
        {"/list/1": links(*(f"/g/{n}" for n in range(1, 13))), "/removed": "<p>gone</p>", "/login": "<p>who?</p>"},
    )
    add(server, {"/g/8": "<form><input type=password></form>", "/": "<img src=/i/home>", "/list": "<img src=/i/list>"})
    for path, target in {
        "/g/2": "/g/1",
        "/g/3": "/list/1",
        "/g/4": "/login",
        "/g/5": "/removed",
        "/g/6": "/g/six",
        "/g/9": "/",
        "/g/10": "/list",
        "/g/11": "/removed",
        "/g/12": "/removed",
    }.items():
        server.add(path, redirect(target))
    server.add("/g/7", redirect("/g/six"))
    run = gallery_crawl(server, tmp_path)
    astray = "6" if "7" in names(run) else "7"  # of two that lead to one page, the second
    assert names(run) == sorted({"1", "6", "7"} - {astray})
    assert errors(run) == {
        "2": "redirected", "3": "redirected", "4": "login", "5": "redirected", astray: "redirected", "8": "login",
        "9": "redirected", "10": "redirected", "11": "redirected", "12": "redirected",
    }  # fmt: skip
    ends = {item["url"]: item.get("final_url") for item in run.items}
    assert ends[server.url("/g/2")] == server.url("/g/1")
    assert "galleries found" in run.log
    assert f"3 galleries lead to one address, {server.url('/removed')}: they are gone, or the site" in run.log
    assert "asked to log in, though" not in run.log, "no cookies are sent"
    assert run.code == 1


@pytest.mark.parametrize(("cookies", "outcome"), [("True", {}), ("False", {"1": "too_many_redirects"})])
def test_a_gallery_that_leads_to_itself_over_a_cookie(
    server: Server, tmp_path: Path, cookies: str, outcome: dict[str, str]
) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1")})

    def gate(request: Request) -> Answer:
        if "seen=1" in request.headers.get("cookie", ""):
            return Answer(b"<h2>1</h2><img src=/i/1>", 200, HTML)
        return Answer(b"", 302, {"Location": "/g/1", "Set-Cookie": "seen=1; Path=/"})

    server.add("/g/1", gate)
    run = gallery_crawl(server, tmp_path, COOKIES_ENABLED=cookies)
    assert errors(run) == outcome
    assert names(run) == ([] if outcome else ["1"])


def test_a_page_may_be_a_list_page_and_a_gallery(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    # The selector of galleries finds the links to list pages, too.
    add(server, {"/list/1": links("/list/1", "/list/2", "/g/1") + "<img src=/i/a>"})
    add(server, {"/list/2": links("/list/1", "/list/2", "/g/2", "/g/3") + "<img src=/i/b>"})
    run = gallery_crawl(server, tmp_path, images="img::attr(src)")
    assert {item["url"].removeprefix(server.url("").rstrip("/")) for item in run.items} == {
        "/list/1", "/list/2", "/g/1", "/g/2", "/g/3",
    }  # fmt: skip
    assert not errors(run)


def test_a_busy_page_and_a_hole_in_the_middle_are_asked_again_and_looked_past(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    pages = {page: links("/g/pin", f"/g/{page}a", f"/g/{page}b") for page in range(1, 8)}
    add(server, {"/list/2": ""}, times=1)
    server.add("/g/1a", status=429, headers={"Retry-After": "1"}, times=1)
    add(server, {"/g/1a": "<img src=/i/1a>"})
    add(server, {"/list/3": "<h1>Too many requests, please slow down</h1>"}, times=1)
    add(server, {"/list/7": links("/g/pin") + "<p>Too many requests</p>"}, times=1)
    for page, body in (pages | {5: "<p>nothing</p><link href=/list/6 rel=Next>"}).items():
        more = f'<a href="/list/{page + 1}">next</a>' if page < 7 and page != 5 else ""
        add(server, {f"/list/{page}": body + more})
    run = gallery_crawl(server, tmp_path, RETRY_TIMES="1")
    assert names(run) == sorted(["pin", *(f"{page}{letter}" for page in (1, 2, 3, 4, 6, 7) for letter in "ab")])
    assert server.count("/list/5") == 2
    assert "WARNING" not in run.log
    assert re.search(r"^galleries found +13 *$", run.log, re.MULTILINE), "each once, however often it is asked for"
    assert run.code == 1
    assert "1 list page could not be had" in run.log


def test_a_page_that_a_link_leads_to_and_that_shows_nothing_is_asked_for_once_more(
    server: Server, tmp_path: Path
) -> None:
    add_galleries(server)
    first = links("/g/1") + "<a rel=next href=/walk?p=2>next</a>"
    add(server, {"/walk?p=2": "<header>Photos</header><ul></ul>", "/g/2": "<h1>Please wait...</h1>"}, times=1)
    add(server, {"/g/3": "<img src=/i/3a><a rel=next href=/g/3/2>next</a>"})
    add(server, {"/g/3/2": "<h1>Oops</h1>An error occurred"}, times=1)
    # What a redirect for the moment led to is not asked for again, but what led there.
    add(server, {"/sorry": "<h1>Something went wrong</h1>", "/busy": "<h1>Unusual traffic</h1>"})
    for path, led_to in (("/g/1", "/sorry"), ("/i/1", "/sorry"), ("/list/1", "/busy")):
        server.add(path, redirect(led_to), times=1)
    add(server, {"/walk": "<h1>Oops</h1>An error occurred"}, times=1)
    add(server, {"/g/3/2": "<img src=/i/3b>", "/walk": first, "/g/1": "<img src=/i/1>"})
    server.add("/i/1", jpeg(1))
    add(server, {"/walk?p=2": links("/g/2", "/g/3") + "<a rel=next href=/walk?p=3>next</a>", "/walk?p=3": "No more"})
    run = gallery_crawl(server, tmp_path / "once", "/walk")
    assert (names(run), run.code) == (["1", "2", "3"], 0), run.log
    assert sorted(len(item["images"]) for item in run.items) == [1, 1, 2]
    assert (server.count("/walk?p=2"), server.count("/walk?p=3")) == (2, 2), "and no more: that is the end"
    # What says to the last that something went wrong is no end.
    add(server, {"/walk?p=3": "<h1>Internal Server Error</h1>"})
    run = gallery_crawl(server, tmp_path / "wrong", "/walk", RETRY_TIMES="1")
    assert (names(run), run.code) == (["1", "2", "3"], 1), run.log
    assert "list page could not be had, so galleries may be missing (error: 1)" in run.log
    # By numbers each list has an end that shows nothing.
    add(server, {"/list/1": links("/g/1"), "/list/3": "No more"})
    add(server, {"/list/2": "<h1>Down for maintenance</h1>"}, times=1)
    add(server, {"/list/2": links("/g/2")})
    run = gallery_crawl(server, tmp_path / "numbers")
    assert (names(run), run.code) == (["1", "2"], 0), run.log
    assert (server.count("/list/2"), server.count("/list/3")) == (2, 1)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "two"])
def test_why_list_pages_could_not_be_had_is_told(server: Server, tmp_path: Path, workers: tuple[str, ...]) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1", "/g/2")})
    for page in range(2, 9):
        server.add(f"/list/{page}", b"<h1>Who are you?</h1>", status=401, headers=HTML)
    run = gallery_crawl(server, tmp_path, options=["-O", "items.json", *workers])
    assert run.code == 1
    assert "3 list pages could not be had, so galleries may be missing (http_401: 3)" in run.log


LOGIN = "<h1>Who are you?</h1><form action=/session><input name=user><input type=password name=word></form>"
GATE = "<h1>Are you 18 or older?</h1><form method=post><button name=age value=yes>Yes, I am 18</button></form>"
FOOT = "<p>Nothing more. You must be 18 or older. <a href=/18>18+</a>" + "".join(
    f"<a href=/{n}>{n}</a>" for n in range(20)
)


@pytest.mark.parametrize("status", [200, 401, 403])
@pytest.mark.parametrize(
    ("page", "asks"), [(LOGIN, "is a form to log in: the session has ended"), (GATE, "asks how old one is")]
)
def test_list_pages_and_galleries_that_ask_are_told_whatever_their_status(
    server: Server, tmp_path: Path, status: int, page: str, asks: str
) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1", "/g/2") + "<a href=/list/2>2</a>"})
    add(server, {"/whole/1": links("/g/1"), "/whole/2": FOOT})
    add(server, {"/on/1": links("/g/1") + "<a href=/on/3>3</a>", "/on/3": links("/g/3")})
    server.add("/on/2", page.encode(), status=status, headers=HTML)
    for path in ("/list/2", "/list/3", "/list/4", "/g/2", "/first/1"):
        server.add(path, page.encode(), status=status, headers=HTML)
    run = gallery_crawl(server, tmp_path)
    assert run.code == 1
    assert f"/list/2: list page 2 {asks}" in run.log
    assert errors(run) == {"2": "login" if page == LOGIN else "age_gate"}
    assert f"/first/1: list page 1 {asks}" in gallery_crawl(server, tmp_path / "first", "/first/{page}").log
    assert names(gallery_crawl(server, tmp_path / "on", "/on/{page}")) == ["1", "3"], "one page alone may ask"
    assert gallery_crawl(server, tmp_path / "whole", "/whole/{page}").code == 0, "the foot of a page asks nobody"


@pytest.mark.parametrize(
    "end",
    [
        "<p>No more results.</p><p>Please log in to view more.</p><a href=/login>Log in</a>",
        "<p>No more galleries.</p><footer>You must be 18 or older. <a href=/18>18+</a></footer>",
    ],
)
def test_what_is_behind_the_last_list_page_asks_nobody_unless_the_page_before_asks_too(
    server: Server, tmp_path: Path, end: str
) -> None:
    add_galleries(server)
    add(server, {"/whole/1": links("/g/1"), "/whole/2": links("/g/2"), "/whole/3": end})
    run = gallery_crawl(server, tmp_path, "/whole/{page}")
    assert (names(run), run.code, server.count("/whole/2")) == (["1", "2"], 0, 2), run.log
    assert f"{server.url('/whole/3')}: list page 3 asks " in run.log
    assert "; taken for the end of the list" in run.log
    assert gallery_crawl(server, tmp_path, "/whole/{page}", stop_at_known="1").code == 0
    assert server.count("/whole/2") == 4, "it may not be the end: the next walk does not stop before"
    # The session ends; or the site says that there is more.
    add(server, {"/ended/1": links("/g/1"), "/more/1": links("/g/1") + "<a href=/more/2>2</a>", "/more/2": end})
    add(server, {"/ended/2": links("/g/2")}, times=1)
    add(server, {"/ended/2": end, "/ended/3": end})
    for name, page in (("ended", 3), ("more", 2)):
        run = gallery_crawl(server, tmp_path / name, f"/{name}/{{page}}")
        assert run.code == 1
        assert f"/{name}/{page}: list page {page} " in run.log


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ('Basic realm="x"', "(http_401); it asks for a password: HTTPAUTH_USER, HTTPAUTH_PASS and HTTPAUTH_DOMAIN, or"),
        ("Digest nonce=1", "(http_401); it asks for a password by 'Digest', and HTTPAUTH_USER sends Basic only"),
    ],
)
def test_a_server_that_asks_for_a_password_is_told(server: Server, tmp_path: Path, asked: str, told: str) -> None:
    server.add("/list/1", b"who?", status=401, headers=HTML | {"WWW-Authenticate": asked})
    assert f"/list/1: the start page could not be had {told}" in gallery_crawl(server, tmp_path).log


def test_a_walk_that_ends_before_the_site_s_own_last_page_says_so(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1") + '<a href="/list/40">40</a>'})
    add(server, {f"/list/{page}": "<p>" for page in range(2, 40)})
    run = gallery_crawl(server, tmp_path, RETRY_TIMES="0")
    assert run.code == 1
    assert "before the site's own last one, 40" in run.log
    assert len([path for path in server.paths() if path.startswith("/list/")]) < 15


def test_lists_by_next_link_by_offset_and_by_token(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/n": links("/g/1") + '<a rel="next" href="?after=x">n</a>', "/n?after=x": links("/g/2")})
    add(
        server,
        {"/m": links("/g/1") + '<a class="more" href="/m2">n</a>', "/m2": links("/g/2") + '<a class="more" href="/m">'},
    )
    add(server, {"/o?from=2": "<p>nothing for a moment"}, times=1)
    add(server, {"/o?from=0": links("/g/1", "/g/2") + '<a href="/o?from=3">3</a>', "/o?from=2": links("/g/3")})
    add(server, {"/o?from=3": "<p><a href='/o?from=2'>2</a>"})
    add(server, {"/o?from=20": links("/g/4"), "/z/0": links("/g/1"), "/z/1": links("/g/2")})
    server.add("/h", links("/g/1").encode(), headers=HTML | {"Link": '</h?p=1>; rel=prev, </h?p=2>; rel="next last"'})
    add(server, {"/h?p=2": links("/g/2")})
    add(server, {"/t?c=": links("/g/1") + "<i data-c='a b'>", "/t?c=a%20b": links("/g/2")})
    for number, (path, arguments, expected) in enumerate(
        (
            ("/n", {}, "12"),
            ("/m", {"next": "a.more"}, "12"),
            ("/h", {}, "12"),
            ("/o?from={offset}", {}, "123"),
            ("/o?from={offset}", {"per_page": "20"}, "124"),
            ("/z/{page}", {"first": "0"}, "12"),
            ("/t?c={token}", {"next": "i::attr(data-c)"}, "12"),
        )
    ):
        run = gallery_crawl(server, tmp_path / str(number), path, **arguments)
        assert names(run) == list(expected), (path, run.log)
        assert run.code == 0


def test_a_list_in_json_with_a_cursor(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    first = {"data": {"items": [{"page": "/g/1"}, {"page": "/g/2"}], "next": "/api?c=2"}}
    server.add("/api", json.dumps(first).encode(), headers=JSON)
    server.add("/api?c=2", b'{"error": "Too many requests"}', headers=JSON, times=1)
    server.add("/api?c=2", json.dumps({"data": {"items": [{"page": "/g/3"}], "next": None}}).encode(), headers=JSON)
    run = gallery_crawl(server, tmp_path / "1", "/api", galleries="data.items[].page", next="data.next")
    assert names(run) == ["1", "2", "3"]
    assert run.code == 0
    # What scripts put into the page as it is scrolled: HTML in JSON.
    server.add("/more?p=1", json.dumps({"html": links("/g/1", "/g/2"), "more": "/more?p=2"}).encode(), headers=JSON)
    server.add("/more?p=2", json.dumps({"html": f"<ul>{links('/g/3')}</ul>", "more": None}).encode(), headers=JSON)
    run = gallery_crawl(server, tmp_path / "2", "/more?p=1", next="more")
    assert names(run) == ["1", "2", "3"]
    assert run.code == 0


def test_one_list_page_without_a_next_is_said(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/all": links("/g/1")})
    run = gallery_crawl(server, tmp_path, "/all")
    assert names(run) == ["1"]
    assert "one list page was read: its address has no {page}, and it names no next" in run.log


def test_what_was_not_reached_is_counted(server: Server, tmp_path: Path) -> None:
    add(server, {"/list/1": links(*(f"/g/{n}" for n in range(400)), "/g/1")})
    stopping = threading.Event()
    images = "".join(f"<img src=/i/{number}>" for number in range(WINDOW + 50)).encode()
    first = iter([True])  # of many images, so that it is begun, and not done

    def answer(request: Request) -> Answer:
        if request.path.startswith("/g/") and next(first, False):
            return Answer(images, 200, HTML)
        return Answer(b"<h2>x</h2>", 200, HTML, delay=stopping)

    server.add("*", answer)
    given = {"list": server.url("/list/{page}"), "galleries": "a.g", "pages": "1"}
    process = start(tmp_path, "gallery", given, ROBOTSTXT_OBEY="False", CONCURRENT_REQUESTS="4")
    until(lambda: len(server.requests) >= 6)  # so one of the four that there may be at a time is over
    process.send_signal(signal.SIGINT)
    assert process.stdout
    log = ""
    while "Closing spider" not in log:
        log += process.stdout.readline()
    stopping.set()
    log += process.communicate(timeout=60)[0]
    counts = {name: int(count) for name, count in re.findall(r"^ *([a-z ]+?)  +(\d+)", log, re.MULTILINE)}
    assert counts["galleries found"] == 400
    assert counts.get("not reached", 0) > 10, log
    done = counts[SCRAPED] + log.count("Gallery failed")
    assert done + counts["not reached"] == 400
    assert len(json.loads((tmp_path / "items.json").read_text())) == done, "what was given up is not scraped"
    assert "stopped after" in log


def test_pages_that_are_something_else_than_they_say(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    enter = "<form action=/enter><input name=mail><input type=Password name=p></form>"  # on each page
    login = "<img src=/logo.png><form><input name=u><input type=password name=p></form>"
    reload = '<meta http-equiv="refresh" content="1;url=/g/reload"><h2>x</h2><img src=/i/reload>'
    pages = {
        "/g/meta": "<meta http-equiv=refresh content=\"0; URL='/g/m'\">",
        "/g/bare": '<meta content="0 ;/g/b" http-equiv=refresh>',
        "/g/reload": reload,
        "/g/js": "<p>one moment<script>setTimeout(function () {window.location.replace('\\/g\\/j')}, 9);</script>",
        "/g/press": "<p>x<script>function on() {location.href = '/g/no'}</script><a href='javascript:on()'>go</a>",
        "/g/slides": '<meta http-equiv=refresh content="9;url=/g/x"><h2>x</h2><img src=/i/slides>',
        "/g/scripts": '<noscript><meta http-equiv=refresh content="0;url=/no"></noscript><img src=/i/scripts>',
        "/g/who": login,
        "/g/short": f"{enter}<h2>short</h2><img src=/i/short>",
        "/g/busy": "<h1>429 Too Many Requests</h1>",
        "/g/gate": "<img src=/logo.png><h1>Adults only</h1><a href=?age=ok>I am over 18</a>",
        "/g/script": "<h2>x</h2><img src=/logo.png><script>var pictures = ['/i/script.jpg'];</script>",
        "/g/large": "<h2>x</h2><a data-lightbox=x href=/i/large><img src=/t/large.jpg></a>"
        + "<img src='http://[bad/1.jpg'><video poster='ftp://h.example/2.jpg'></video>",
        "/g/files": "<a href=/file/12><img src=/i/t12></a><a href=/file/13><img src=/i/t13></a><h2>x</h2>",
        "/file/12": "<img src=/i/1><img src=/i/2>",
        "/list/2": f"{enter}<p>nothing here",
        "/list/1": enter
        + links(
            *(
                f"/g/{name}"
                for name in ("meta", "bare", "header", "js", "reload", "slides", "scripts", "who", "typed", "short")
            )
        )
        + links("/g/empty", "/g/busy", "/g/once", "/g/slow", "/g/gate", "/g/script", "/g/large", "/g/files", "/g/press")
        + '<a class=g>no link</a><a class=g href="#">top</a><a class=g href="/g/meta#comments">2</a>',
    }
    add(server, pages)
    server.add("/g/header", b"<p>wait", headers=HTML | {"Refresh": "0;url=/g/h"})
    server.add("/g/empty", b"", headers=HTML)
    add(server, {"/g/once": "", "/g/slow": "<h1>Too many requests</h1>"}, times=1)
    add(server, {f"/g/{name}": f"<h2>{name}</h2><img src=/i/{name}>" for name in ("once", "slow")})
    server.add("/g/typed", b"<h2>typed</h2><img src=/i/typed>", headers=JSON)
    run = gallery_crawl(server, tmp_path)
    assert names(run) == [
        "bare", "files", "header", "js", "large", "meta", "once", "press", "reload", "script", "scripts", "short",
        "slides", "slow", "typed",
    ]  # fmt: skip
    assert errors(run) == {"who": "login", "empty": "empty", "busy": "busy", "gate": "age_gate"}
    assert [item["images"] for item in run.items if "error" in item] == [[]] * 4
    stored = {image["url"].rpartition("/")[2] for image in run.images if image["status"] == "downloaded"}
    assert {"script.jpg", "large"} <= stored
    # What the links lead to is a page with several images, and nothing.
    assert [(image["url"], image["final_url"], image["warnings"]) for image in run.images if "warnings" in image] == [
        (server.url(f"/file/{n}"), server.url(f"/i/t{n}"), ["thumbnail"]) for n in (12, 13)
    ]
    refused = {image["url"]: image["reason"] for image in run.images if image["status"] == "refused"}
    assert refused == {"http://[bad/1.jpg": "invalid_url", "ftp://h.example/2.jpg": "scheme"}
    ends = {item["url"].rpartition("/")[2]: item["final_url"] for item in run.items if "final_url" in item}
    assert ends == {name: server.url(f"/g/{name[0]}") for name in ("meta", "bare", "header", "js")}
    assert run.code == 0, run.log


def test_galleries_in_json_and_a_list_whose_links_have_a_new_session_each_time(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    for name in "12":
        gallery = json.dumps({"name": f"title {name}", "images": [{"src": f"/i/{name}a"}, {"src": f"/i/{name}b"}]})
        server.add(f"/g/{name}", gallery.encode(), headers={"Content-Type": "text/json"})
    asked = iter(range(1000))

    def answer(request: Request) -> Answer:
        session = f"?PHPSESSID={next(asked):032x}"
        return Answer(json.dumps([f"/g/{name}{session}" for name in "12"]).encode(), 200, JSON)

    def gallery(request: Request) -> Answer:
        return Answer(b"", 302, {"Location": request.path.partition("?")[0]})

    server.add("*", lambda request: Answer(jpeg(colour=(len(server.requests), 9, 9))))
    for page in range(1, 60):
        server.add(f"/list/{page}", answer)
    for number in range(200):
        for name in "12":
            server.add(f"/g/{name}?PHPSESSID={number:032x}", gallery)
    run = gallery_crawl(server, tmp_path, galleries="[]", images="images[].src", title="name")
    assert sorted(item["title"] for item in run.items) == ["title 1", "title 2"]
    assert [len(item["images"]) for item in run.items] == [2, 2]
    assert len([path for path in server.paths() if path.startswith("/list/")]) < 10, "the walk ends"


def test_a_gallery_that_breaks_its_spider_has_an_outcome(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1", "/g/2")})
    run = crawl(tmp_path, "breaking", {"base": server.url("").rstrip("/"), "pages": "1"}, VERDICT_MAX_FAILED="1")
    assert errors(run) == {"2": "error"}
    assert names(run) == ["1"]
    assert run.code == 1
    assert "1 page broke the spider" in run.log


def test_a_gallery_that_fails_where_it_leads_to_is_known_by_its_own_address() -> None:
    """Where a project has Scrapy's own redirects; ours are followed as part of the page that was asked for."""
    spider = PximgSpider.from_crawler(get_crawler(PximgSpider))
    failure = Failure(TimeoutError())
    failure.request = scrapy.Request("http://h/moved", meta={"redirect_urls": ["http://h/g/9", "http://h/on"]})  # type: ignore[attr-defined] # as Scrapy does
    (item,) = spider.gallery_failed(failure)
    assert (item["url"], item["error"]) == ("http://h/g/9", "timeout")


def test_a_gallery_whose_page_says_that_it_is_not_there(server: Server, tmp_path: Path) -> None:
    related = (
        '<div class=related><a href="/g/1"><img src="/i/t1.jpg"></a><a href="/g/8"><img src="/i/t8.jpg"></a></div>'
    )
    says = f"<title>404 Not Found</title><h1>Page not found</h1><p>This album was deleted.</p>{related}"
    add_galleries(server)
    called = f"<title>404</title><h1>404</h1>{related}"
    add(server, {"/list/1": links("/g/1", "/g/2", "/g/3"), "/g/2": says, "/g/3": called})
    run = gallery_crawl(server, tmp_path, VERDICT_MAX_FAILED="0.2")
    assert errors(run) == {"2": "gone"}, "the other one is only called so"
    assert run.code == 1
    assert "1 of 3 galleries failed, more than 20% (gone: 1)" in run.log
    # An image's page that says so shows none of its own.
    add(server, {"/t": '<a class=i href="/p/1"><img src=/i/s1></a><a class=i href="/p/2"><img src=/i/s2></a>'})
    add(server, {"/p/1": "<img src=/i/1.jpg>", "/p/2": says})
    (tmp_path / "pages").mkdir()
    run = crawl(tmp_path / "pages", "gallery", {"gallery": server.url("/t"), "image_pages": "a.i"})
    (item,) = run.items
    assert [url.rpartition("/")[2] for url in item["image_urls"]] == ["1.jpg"]
    assert item["failed_pages"] == [{"url": server.url("/p/2"), "reason": "gone"}]
