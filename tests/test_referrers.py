"""What a site says about the Referer of its images: how it is read, and what their hosts see of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from parsel import Selector

from imgcrawl.referrers import may_have_policy, referer_by, stated_policy
from tests.support.crawling import crawl
from tests.support.server import Answer, Request, Server, jpeg, redirect

PAGE, IMAGE = "https://site.example:8443/g/1?a=2", "https://img.example/1.jpg"


@pytest.mark.parametrize(
    ("headers", "page", "said"),
    [
        (["no-referrer"], "", "no-referrer"),
        (["no-referrer, strict-origin-when-cross-origin"], "", ""),  # the last that is known counts
        (["no-referrer, same-origin, of-the-future"], "", "same-origin"),
        (["no-referrer", "origin"], "", "origin"),
        ([], '<meta name="referrer" content="never">', "no-referrer"),
        ([], '<META NAME=Referrer CONTENT=" No-Referrer ">', "no-referrer"),
        (["no-referrer"], '<meta name="referrer" content="unsafe-url">', ""),
        (["no-referrer"], '<meta name="referrer" content="of-the-future">', "no-referrer"),
        (["same-origin"], '<meta name="description" content="no-referrer">', "same-origin"),
        ([], '<img src="/a.jpg" referrerpolicy="no-referrer">', "no-referrer@site.example"),
        ([], '<img src=/a.gif data-src="//i.example/a" referrerpolicy=origin>', "origin@site.example origin@i.example"),
        (["no-referrer"], '<img src="//img.example/a.jpg" referrerpolicy="unsafe-url">', "no-referrer @img.example"),
        ([], "<img src=a.jpg referrerpolicy=no-referrer-when-downgrade>", ""),
        ([], "<img src=a.jpg><img src=pixel.gif referrerpolicy=no-referrer><img src=//i.example/a>", ""),
        (["no-referrer " * 1_000_000], "", ""),
    ],
)
def test_a_policy_is_read_as_browsers_read_it(headers: list[str], page: str, said: str) -> None:
    assert stated_policy(headers, Selector(f"<html>{page}</html>") if page else None, PAGE) == said
    assert headers or not said or may_have_policy(page.encode())


@pytest.mark.parametrize(
    "page", [b"<a rel=noreferrer>", b"<p>referrers say</p>", b"<p class=Referrers>", b"<p>referrer policy"]
)
def test_most_pages_that_have_the_word_are_not_searched(page: bytes) -> None:
    assert not may_have_policy(page)


@pytest.mark.parametrize(
    ("policy", "image", "referer"),
    [
        ("", IMAGE, PAGE),
        ("no-referrer", IMAGE, ""),
        ("origin", IMAGE, "https://site.example:8443/"),
        ("same-origin", IMAGE, ""),
        ("same-origin", "https://site.example:8443/1.jpg", PAGE),
        ("same-origin", "https://site.example/1.jpg", ""),
        ("no-referrer@img.example", IMAGE, ""),
        ("no-referrer@img.example", "https://other.example/1.jpg", PAGE),
        ("no-referrer @img.example", IMAGE, PAGE),
        ("no-referrer @img.example", "https://other.example/1.jpg", ""),
        ("nonsense from a list @ @@", IMAGE, PAGE),
    ],
)
def test_what_is_sent(policy: str, image: str, referer: str) -> None:
    assert referer_by(policy, PAGE, image) == referer


def test_what_is_sent_where_a_redirect_leads() -> None:
    own, other = "https://site.example:8443/1.jpg", IMAGE
    assert (referer_by("same-origin", PAGE, own, other), referer_by("same-origin", PAGE, own, own)) == ("", PAGE)
    assert referer_by("no-referrer@img.example", PAGE, own, other) == PAGE  # that is said of other images


def test_many_long_hosts_take_no_time() -> None:
    letters = "".join(chr(0x4E00 + n * 7_919 % 20_000) for n in range(3_000))
    pages = [
        "".join(f"<img referrerpolicy=origin src='//{letters[n : n + size]}/x.jpg'>" for n in range(2_000))
        for size in (900, 250)
    ]
    started = time.process_time()
    for page in pages:
        stated_policy([], Selector(page), PAGE)
    assert time.process_time() - started < 1


def test_a_page_of_nothing_but_policies_takes_no_time() -> None:
    """It is read in the event loop, whatever its size."""
    page = Selector("<meta name=referrer content=no-referrer>" * 200_000)

    def took() -> float:
        started = time.thread_time()
        assert stated_policy([], page, PAGE) == "no-referrer"
        return time.thread_time() - started

    assert min(took() for _ in range(3)) < 0.1


@pytest.fixture
def hosts() -> Iterator[Server]:
    with Server(("127.0.0.1", "127.0.0.2")) as running:
        yield running


def test_images_of_a_host_that_refuses_other_sites_come_home_where_the_page_says_how(
    hosts: Server, tmp_path: Path
) -> None:
    """As browsers show them: `Referrer-Policy` as a header, a meta element, and of single images."""

    def image(request: Request) -> Answer:
        is_foreign = "127.0.0.2" not in request.headers.get("referer", "127.0.0.2")
        return Answer(b"no hotlinks", 403) if is_foreign else Answer(jpeg(comment=request.path), 200)

    def shown(name: str, more: str = "") -> str:
        return f'<h1>x</h1><img src="{hosts.url(f"/{name}.jpg", host="127.0.0.2")}" width=700 {more}>'

    html = {"Content-Type": "text/html"}
    hosts.add("*", image)
    hosts.add("/g/header", shown("a").encode(), headers={**html, "Referrer-Policy": "same-origin"})
    hosts.add("/g/meta", f"<meta name=referrer content=no-referrer>{shown('b')}".encode(), headers=html)
    hosts.add("/g/image", shown("c", "referrerpolicy=no-referrer").encode(), headers=html)
    hosts.add("/g/moved", b"<h1>x</h1><img src=/e.jpg width=700>", headers={**html, "Referrer-Policy": "same-origin"})
    hosts.add("/e.jpg", redirect(hosts.url("/f.jpg", host="127.0.0.2")))
    hosts.add("/g/silent", shown("d").encode(), headers=html)
    galleries = ",".join(hosts.url(f"/g/{name}") for name in ("header", "meta", "image", "silent", "moved"))
    done = crawl(tmp_path, "gallery", {"gallery": galleries})
    said = {image["url"].rpartition("/")[2]: image.get("reason", image["status"]) for image in done.images}
    assert said == {
        "a.jpg": "downloaded",
        "b.jpg": "downloaded",
        "c.jpg": "downloaded",
        "d.jpg": "http_403",
        "e.jpg": "downloaded",
    }
    policies = {item["url"].rpartition("/")[2]: item.get("referrer_policy") for item in done.items}
    assert policies == {
        "header": "same-origin",
        "meta": "no-referrer",
        "image": "no-referrer@127.0.0.2",
        "silent": None,
        "moved": "same-origin",
    }
    asked = {request.path: request.headers.get("referer") for request in hosts.requests}
    assert (asked["/d.jpg"], asked["/a.jpg"]) == (hosts.url("/g/silent"), None)
    assert (asked["/e.jpg"], asked["/f.jpg"]) == (hosts.url("/g/moved"), None)


def test_each_page_of_a_gallery_says_it_for_its_own_images(hosts: Server, tmp_path: Path) -> None:
    html = {"Content-Type": "text/html"}
    silent, no_referrer = html, {**html, "Referrer-Policy": "no-referrer"}
    hosts.add("*", lambda request: Answer(jpeg(comment=request.path), 200))
    for gallery, said in (("open", silent), ("shy", no_referrer)):
        pages = "".join(f"<a class=t href=/p/{gallery}-{name}>x</a>" for name in ("silent", "shy", "links"))
        hosts.add(f"/g/{gallery}", f"<h1>x</h1>{pages}".encode(), headers=said)
        image = f"<img src={hosts.url(f'/i/{gallery}', host='127.0.0.2')}-{{}}.jpg>"
        hosts.add(f"/p/{gallery}-silent", image.format("silent").encode(), headers=silent)
        hosts.add(f"/p/{gallery}-shy", image.format("shy").encode(), headers=no_referrer)
        links = f"<a rel=noreferrer href=/x>{image.format('links')}"
        hosts.add(f"/p/{gallery}-links", links.encode(), headers=silent)
    given = {"gallery": ",".join(hosts.url(f"/g/{name}") for name in ("open", "shy")), "image_pages": "a.t"}
    done = crawl(tmp_path, "gallery", given)
    assert done.code == 0, done.log
    asked = {
        request.path[3:-4]: request.headers.get("referer") for request in hosts.requests if request.path[:3] == "/i/"
    }
    assert asked == {
        f"{gallery}-{page}": None if page == "shy" else hosts.url(f"/p/{gallery}-{page}")
        for gallery in ("open", "shy")
        for page in ("silent", "shy", "links")
    }
