from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from scrapy import Request
from scrapy.http import HtmlResponse, Response

from imgcrawl.downloadermiddlewares.redirect import _stated_refresh
from imgcrawl.failures import reason_of
from tests.support import processes
from tests.support.asking import ask
from tests.support.crawling import ROOT
from tests.support.server import HTML, JPEG, Answer, Server, redirect
from tests.support.server import Request as ServerRequest

PAGE = "http://127.0.0.1/gallery/1.html"


def media(url: str) -> Request:
    return Request(url, headers={"Referer": PAGE}, meta={"media": True})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_image_keeps_the_referer_of_its_page(server: Server, status: int) -> None:
    server.add("/go", redirect("/a.jpg", status))
    server.add("/a.jpg", JPEG)
    answer = (await ask(media(server.url("/go"))))[0]
    assert isinstance(answer, Response)
    assert answer.body == JPEG
    assert [request.headers["referer"] for request in server.requests] == [PAGE, PAGE]


async def test_a_page_gets_the_referer_of_the_redirect_as_in_scrapy(server: Server) -> None:
    server.add("/go", redirect("/html"))
    await ask(Request(server.url("/go"), headers={"Referer": PAGE}))
    assert server.requests[-1].headers.get("referer") != PAGE


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://host.example/a.jpg", "data:image/png,x", "s3://b/k"])
async def test_an_image_is_not_redirected_to_another_scheme(server: Server, location: str) -> None:
    server.add("/go", redirect(location))
    answer = (await ask(media(server.url("/go"))))[0]
    assert isinstance(answer, Exception)
    assert reason_of(answer) == ("refused", "scheme")
    page = (await ask(server.url("/go")))[0]
    assert isinstance(page, Response)
    assert page.status == 302


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/石田.jpg#_=_".encode(), "/%E7%9F%B3%E7%94%B0.jpg"),
        ("/zażółć.jpg".encode("iso-8859-2"), "/za%BF%F3%B3%E6.jpg"),
        ("?q=图".encode("gbk"), "/go?q=%CD%BC"),
        (b"/a b.jpg", "/a%20b.jpg"),
    ],
)
async def test_a_location_that_is_not_encoded_goes_back_as_it_came(server: Server, location: bytes, asked: str) -> None:
    server.add("/go", redirect(location.decode("latin-1")), times=1)
    server.add("*", JPEG)
    answer = (await ask(media(server.url("/go"))))[0]
    assert isinstance(answer, Response)
    assert server.paths() == ["/go", asked]


@pytest.mark.parametrize(
    ("page", "stated"),
    [
        ('<meta http-equiv=Refresh content="0;/x">', (0, "http://h/x")),
        ('<META CONTENT="1 ; url = /x" HTTP-EQUIV=" REFRESH ">', (1, "http://h/x")),
        ("""<meta http-equiv=refresh content="0, URL='/x' or so">""", (0, "http://h/x")),
        ("<meta http-equiv=refresh content='0 url=\"x\"'><base href=/b/>", (0, "http://h/b/x")),
        ('<meta http-equiv=refresh content="0"><meta http-equiv=refresh content="0.5;x">', (0.5, "http://h/g/x")),
        ('<meta http-equiv=refresh content=".5;url=/x">', (0.5, "http://h/x")),
        ('<meta http-equiv=refresh content="0; mailto:x">', None),
        ('<meta http-equiv=refresh content="0;url=">', None),  # the page itself, again
        ("""<meta http-equiv=refresh content="1; URL=''">""", None),
        ("""<meta http-equiv=refresh content="1; url = ' '"><base href=/>""", None),
        ("""<meta http-equiv=refresh content="1; '">""", None),
        ('<meta http-equiv=refresh content="0; "><base href=/>', None),
        ("<!-- <meta http-equiv=refresh content=0;/x> -->", None),
        ("<noscript><meta http-equiv=refresh content=0;/x></noscript><p>x", None),
        ("<script>'<meta http-equiv=refresh content=0;/x>'</script><p>x", None),
        ("<p title='<meta http-equiv=refresh content=0;/x>'>", None),
    ],
)
def test_where_a_page_says_that_it_refreshes_to(page: str, stated: tuple[float, str] | None) -> None:
    response = HtmlResponse("http://h/g/1", body=page.encode(), encoding="utf-8")
    assert _stated_refresh(response, ("script", "noscript")) == stated


@pytest.mark.parametrize("location", ["http://[::1/a.jpg", "http://host:99999/", "http://a／b.example/"])
async def test_a_location_that_is_no_address(server: Server, location: str) -> None:
    server.add("/go", redirect(location.encode().decode("latin-1")))
    for request in (media(server.url("/go")), Request(server.url("/go"))):
        answer = (await ask(request))[0]
        assert isinstance(answer, Exception)
        assert reason_of(answer) == ("refused", "invalid_url")


@pytest.mark.parametrize("path", ["/to-nowhere", "/304"])
async def test_a_3xx_without_a_location_is_the_answer(server: Server, path: str) -> None:
    server.add("/304", status=304)
    answer = (await ask(media(server.url(path))))[0]
    assert isinstance(answer, Response)
    assert answer.status in (302, 304)


async def test_a_loop_ends(server: Server) -> None:
    answer = (await ask(media(server.url("/loop")), REDIRECT_MAX_TIMES=5))[0]
    assert isinstance(answer, Exception)
    assert reason_of(answer) == ("failed", "too_many_redirects")
    assert server.count("/loop") == 6


async def test_a_redirect_counts_for_the_host_it_leads_to() -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        server.add("/go", redirect(server.url("/a.jpg", host="127.0.0.2")))
        server.add("/a.jpg", JPEG)
        answer, spiders_own = await ask(
            server.url("/go"), Request(server.url("/go"), meta={"download_slot": "together"}, dont_filter=True)
        )
        assert isinstance(answer, Response)
        assert answer.meta["download_slot"] == "127.0.0.2"
        assert isinstance(spiders_own, Response)
        assert spiders_own.meta["download_slot"] == "together"


def only_with_cookie(request: ServerRequest) -> Answer:
    if "seen=1" in request.headers.get("cookie", ""):
        return Answer(HTML, headers={"Content-Type": "text/html"})
    return Answer(b"", 302, {"Location": request.path, "Set-Cookie": "seen=1; Path=/"})


def page_of(folder: Path, url: str, *settings: str) -> str:
    """What becomes of a page in a real crawl, which filters what it has asked for: a status or a reason."""
    spider = folder / "one.py"
    spider.write_text(f"""
import scrapy
from imgcrawl.failures import reason_of
class One(scrapy.Spider):
    name = "one"
    start_urls = [{url!r}]
    async def start(self):
        yield scrapy.Request({url!r}, errback=self.failed)
    def parse(self, response):
        print("outcome", response.status)
    def failed(self, failure):
        print("outcome", reason_of(failure.value)[1])
""")
    command = [sys.executable, "-m", "scrapy", "runspider", str(spider), "-s", "VERDICT_IMAGES_EXPECTED=False"]
    environment = os.environ | {"SCRAPY_SETTINGS_MODULE": "imgcrawl.settings", "PYTHONPATH": str(ROOT)}
    done = processes.run(
        [*command, *settings], check=False, capture_output=True, text=True, env=environment, cwd=folder, timeout=60
    )
    return " ".join(line.split()[1] for line in done.stdout.splitlines() if line.startswith("outcome"))


def test_a_page_that_redirects_to_itself_over_a_cookie(server: Server, tmp_path: Path) -> None:
    server.add("/g/1", only_with_cookie)
    url = server.url("/g/1")
    fast = ["-s", "AUTOTHROTTLE_ENABLED=False", "-s", "LOG_LEVEL=ERROR", "-s", "IMAGES_STORE="]
    assert page_of(tmp_path, url, *fast, "-s", "COOKIES_ENABLED=True") == "200"
    assert page_of(tmp_path, url, *fast) == "too_many_redirects"
