from __future__ import annotations

import pytest
from scrapy import Request
from scrapy.http import Response

from imgcrawl.downloadhandler import reason_of
from tests.support.asking import ask
from tests.support.server import JPEG, Server, redirect

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
