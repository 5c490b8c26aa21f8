"""Who we are is told to whom it concerns, and to nobody else."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import scrapy
from scrapy.utils.test import get_crawler

from imgcrawl.cookiesfile import read_cookies
from imgcrawl.downloadermiddlewares.cookies import MOST, CookiesMiddleware
from imgcrawl.downloadermiddlewares.credentials import HttpAuthMiddleware
from imgcrawl.exceptions import InputError
from tests.support.crawling import Crawl, crawl
from tests.support.server import JPEG, Answer, Request, Server

HTML = {"Content-Type": "text/html; charset=utf-8"}
SECRETS = ("s3cret", "renewed", "pa55word", "k3y")
LATER = int(time.time()) + 86400
LOGIN = b"<form><input type=password></form>"


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """A site, and the foreign host that has its images."""
    with Server() as site, Server(hosts=("127.0.0.2",)) as images:
        yield site, images


def add_site(site: Server, images: Server) -> None:
    """A list and two galleries that want a cookie; it is renewed on the way, as is often the case with sessions. What
    is asked for first fails for a moment, one gallery moves, and its image leads to another host."""

    def with_cookie(body: str, **headers: str) -> object:
        def answer(request: Request) -> Answer:
            known = any(f"session={value}" in request.headers.get("cookie", "") for value in ("s3cret", "renewed"))
            return Answer(body.encode() if known else LOGIN, 200, {**HTML, **headers})

        return answer

    picture = images.url("/i/2", host="127.0.0.2")
    site.add("/list/1", status=503, times=1)
    site.add(
        "/list/1",
        with_cookie(
            "<a class=g href=/g/1>x</a><a class=g href=/g/2>x</a>", **{"Set-Cookie": "session=renewed; Path=/"}
        ),
    )
    site.add("/g/1", with_cookie(f"<h2>1</h2><img src=/i/1><img src={picture}>"))
    site.add("/g/2", lambda _: Answer(b"", 302, {"Location": "/g/two"}))
    site.add("/g/two", with_cookie("<h2>2</h2><img src=/i/away>"))
    site.add("/i/1", JPEG)
    site.add("/i/away", lambda _: Answer(b"", 302, {"Location": images.url("/i/3", host="127.0.0.2")}))
    images.add("/i/2", JPEG)
    images.add("/i/3", lambda _: Answer(JPEG + b"3", 200))


def gallery(site: Server, folder: Path, **settings: str) -> Crawl:
    given = {"list": site.url("/list/{page}"), "galleries": "a.g", "images": "img::attr(src)", "pages": "1"}
    return crawl(folder, "gallery", given, **{"LOG_LEVEL": "DEBUG", **settings})


def sent(server: Server, name: str) -> set[str]:
    return {request.headers[name] for request in server.requests if name in request.headers}


def test_cookies_of_a_file_open_the_site_and_reach_no_other_host(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    site, images = servers
    add_site(site, images)
    # As export tools write: a mark, a domain for subdomains without a dot, an end of 0, one that is long over.
    (tmp_path / "cookies.txt").write_text(
        f"# Netscape HTTP Cookie File\n\n#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t{LATER}\tsession\ts3cret\n"
        "127.0.0.1\tTRUE\t/\tFALSE\t0\tnever\tends\n127.0.0.1\tFALSE\t/\tFALSE\t1\told\tgone\n"
        "127.0.0.1\tFALSE\t/\tTRUE\t0\tonly\thttps\n"
    )
    run = gallery(
        site, tmp_path, COOKIES_FILE="cookies.txt", HTTPAUTH_USER="me", HTTPAUTH_PASS=SECRETS[2],
        HTTPAUTH_DOMAIN="127.0.0.1", HOST_HEADERS=json.dumps({"127.0.0.1": {"X-Key": "k3y", "User-Agent": "mine"}}),
        COOKIES_DEBUG="True",
    )  # fmt: skip
    assert run.code == 0, run.log
    assert sorted((item["title"], len(item["images"])) for item in run.items) == [("1", 2), ("2", 1)], run.log
    assert {image["status"] for image in run.images} <= {"downloaded", "duplicate"}
    assert images.count("/i/2") and images.count("/i/3")
    # The site knows who is asking, at every address of it ...
    assert {"session=s3cret; never=ends", "session=renewed; never=ends"} == sent(site, "cookie")
    assert [("x-key" in request.headers, request.headers["user-agent"]) for request in site.requests] == [
        (True, "mine")
    ] * len(site.requests)
    assert sent(site, "authorization") == {f"Basic {base64.b64encode(b'me:pa55word').decode()}"}
    # ... and the other one does not, and nobody reads of it.
    assert not [name for name in ("cookie", "authorization", "x-key") if sent(images, name)]
    assert "mine" not in sent(images, "user-agent")
    told = run.log + (tmp_path / "items.json").read_text()
    assert "Overridden settings" in told
    assert "Cookie: session=***; never=***\n" in told and "Set-Cookie: session=***" in told
    assert not [secret for secret in SECRETS if secret in told]
    assert "Traceback" not in run.log


def test_without_the_cookie_the_session_that_ended_is_told(servers: tuple[Server, Server], tmp_path: Path) -> None:
    site, images = servers
    add_site(site, images)
    run = gallery(site, tmp_path)
    assert run.code == 1
    assert run.items == []


def cookie_sent(middleware: CookiesMiddleware, url: str) -> bytes | None:
    request = scrapy.Request(url, headers={"Accept": "*/*"})
    middleware.process_request(request)
    sent = request.headers.get("Cookie")
    middleware.process_exception(request, OSError())
    assert dict(request.headers) == {b"Accept": [b"*/*"]}, "what is tried again goes to Redis"
    return sent


def test_of_the_cookies_that_sites_set_no_more_is_kept_than_browsers_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcrawl.downloadermiddlewares.cookies.MOST_TOGETHER", together := 300)
    file = tmp_path / "cookies.txt"
    file.write_text("".join(f"{host}\tFALSE\t/\tFALSE\t0\tgiven\t1\n" for host in ("a.example", "b.example")))
    cookies = CookiesMiddleware.from_crawler(get_crawler(settings_dict={"COOKIES_FILE": str(file)}))

    def answer(host: str, *values: str) -> bytes:
        page = scrapy.Request(f"http://{host}/")
        cookies.process_response(page, scrapy.http.Response(page.url, headers={"Set-Cookie": list(values)}))
        return cookie_sent(cookies, page.url) or b""

    for number in range(0, 1000, 50):
        sent = answer("a.example", *(f"n{n}=v; Path=/" for n in range(number, number + 50)), f"l={'x' * 5000}")
    assert sent.count(b"=") == MOST + 1
    assert b"given=1" in sent and b"n999=v" in sent and b"n0=v" not in sent and b"l=x" not in sent
    for number in range(together + 100):
        answer(f"host{number}.example", "a=b")
    assert len(cookies.jars[None]) == together + 2
    assert len(cookies.jars[None]._cookies) <= together + 2
    assert cookie_sent(cookies, "http://a.example/") == b"given=1"
    assert cookie_sent(cookies, f"http://host{together}.example/") == b"a=b"


def test_cookies_are_kept_apart_by_domain_and_the_list_of_public_domains_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("asked the Internet")

    file = tmp_path / "cookies.txt"
    file.write_text("shop.co.uk\tFALSE\t/\tFALSE\t0\thost\t1\n.shop.co.uk\tTRUE\t/a\tFALSE\t0\tbelow\t2\n")
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    cookies = CookiesMiddleware.from_crawler(get_crawler(settings_dict={"COOKIES_FILE": str(file)}))
    page = scrapy.Request("http://www.shop.co.uk/")
    answer = {"Set-Cookie": ["all=3; Domain=co.uk", "site=4; Domain=shop.co.uk", "own=5", "other=6; Domain=x.org"]}
    cookies.process_response(page, scrapy.http.Response(page.url, headers=answer))
    assert {url: cookie_sent(cookies, f"http://{url}") for url in (
        "shop.co.uk/", "www.shop.co.uk/a", "img.shop.co.uk/", "notshop.co.uk/", "co.uk/", "x.org/"
    )} == {
        "shop.co.uk/": b"host=1; site=4", "www.shop.co.uk/a": b"below=2; own=5; site=4", "img.shop.co.uk/": b"site=4",
        "notshop.co.uk/": None, "co.uk/": None, "x.org/": None,
    }  # fmt: skip


@pytest.mark.parametrize("expires", ["0", "-1", "", "9999999999.5", "1999999999000"])
def test_a_cookie_that_has_no_end_or_a_late_one_is_sent(tmp_path: Path, expires: str) -> None:
    file = tmp_path / "cookies.txt"
    file.write_text(f"x.org\tFALSE\t/\tFALSE\t{expires}\tsession\ts3cret\n")
    cookies = CookiesMiddleware.from_crawler(get_crawler(settings_dict={"COOKIES_FILE": str(file)}))
    assert cookie_sent(cookies, "http://x.org/") == b"session=s3cret"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "cannot be read: it is no text in UTF-8"),
        (b"# Netscape HTTP Cookie File\n", "there are no cookies in it"),
        (b"x.org\tTRUE\t/\tFALSE\t1\tsession\ts3cret", "all cookies in it have expired"),
        (b'[{"name": "session", "value": "s3cret"}]', "line 1 is no cookie"),
        (b"# one\nx.org\tTRUE\t/\tFALSE\tnever\tsession\ts3cret", "line 2 is no cookie"),
        (b"x.org\tTRUE\t/\tFALSE\tinf\tsession\ts3cret", "line 1 is no cookie"),
    ],
)
def test_a_file_without_cookies_is_one_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "cookies.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_cookies(str(file))
    assert str(caught.value).startswith(f"COOKIES_FILE={file}") and sentence in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"COOKIES_FILE": "none.txt"},
            "COOKIES_FILE=none.txt cannot be read: No such file or directory; expected lines",
        ),
        ({"HTTPAUTH_PASS": "pa55word"}, "HTTPAUTH_USER and HTTPAUTH_PASS need HTTPAUTH_DOMAIN: expected the domain"),
        ({"HTTPAUTH_DOMAIN": "http://x.org/"}, "HTTPAUTH_DOMAIN='http://x.org/' is no domain; expected the domain"),
        ({"HOST_HEADERS": '{"x.org": "k3y"}'}, "HOST_HEADERS for x.org are no headers; expected hosts and their"),
        ({"HOST_HEADERS": '{"x.org": {"X Key:": "k3y"}}'}, "HOST_HEADERS for x.org are no headers; expected hosts"),
        ({"HOST_HEADERS": '{"*": {"X-Key": "k3y"}}'}, "HOST_HEADERS names '*', which is no host; expected hosts"),
        ({"HOST_HEADERS": '{"x.org": {"Host": "k3y"}}'}, "HOST_HEADERS for x.org: each request has a Host of its own"),
    ],
)
def test_who_we_are_is_checked_before_the_first_page(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    run = crawl(tmp_path, "gallery", {"list": "http://127.0.0.1:9/", "galleries": "a"}, options=[], **settings)
    assert run.code == 2
    assert run.log.splitlines()[-1].startswith(sentence), run.log
    assert not [word for word in ("Traceback", *SECRETS) if word in run.log]


def test_a_password_is_sent_as_browsers_send_it() -> None:
    settings = {"HTTPAUTH_USER": "я", "HTTPAUTH_PASS": "p\xe4:\xdf", "HTTPAUTH_DOMAIN": "x.org"}
    middleware = HttpAuthMiddleware.from_crawler(get_crawler(settings_dict=settings))
    request = scrapy.Request("http://img.x.org/")
    middleware.process_request(request)
    assert base64.b64decode(request.headers["Authorization"].partition(b" ")[2]).decode() == "я:pä:ß"


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_the_password_of_a_proxy_reaches_the_proxy_and_no_log(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    page = b"<a class=g href=/g/1>x</a><h2>1</h2><img src=/i>"
    server.add("*", lambda request: Answer(JPEG) if request.path.endswith("/i") else Answer(page, 200, HTML))
    monkeypatch.setenv(name, f"http://me:{SECRETS[2]}%D0%BF@127.0.0.1:{server.port}")
    monkeypatch.setenv("no_proxy", "")
    given = {"list": "http://site.example/{page}", "galleries": "a.g", "images": "img::attr(src)", "pages": "1"}
    run = crawl(tmp_path, "gallery", given, LOG_LEVEL="DEBUG", ROBOTSTXT_OBEY="False")
    assert [image["status"] for image in run.images] == ["downloaded"], run.log
    assert sent(server, "proxy-authorization") == {f"Basic {base64.b64encode('me:pa55wordп'.encode()).decode()}"}
    assert SECRETS[2] not in run.log
