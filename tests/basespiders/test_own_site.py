"""A site unlike the replica, crawled by declarations only: a list in JSON that links on, behind a login; albums by
slugs, in GBK; thumbnails that are loaded lazily and link to pages, each with its image."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from scrapy.utils.test import get_crawler

from imgcrawl import basespiders
from imgcrawl.basespiders import GallerySpider
from imgcrawl.exceptions import InputError
from tests.support.crawling import crawl
from tests.support.server import Answer, Request, Server, jpeg, redirect

ALBUMS = {"白鹭-at-dawn": "白鹭", "owl's-nest": "猫头鹰", "long-tailed-tit": "银喉长尾山雀"}
THUMB = jpeg(40, 30)


def page(body: str) -> Answer:
    text = f"<html><head><meta charset=gbk><base href=/></head><body>{body}</body></html>"
    return Answer(text.encode("gbk"), 200, {"Content-Type": "text/html"})


class Site:
    """Answers those who are logged in; *images* is path → bytes of what it shows, at *elsewhere*."""

    def __init__(self, elsewhere: str = "") -> None:
        self.images: dict[str, bytes] = {}
        self.pages: dict[str, Answer] = {}
        slugs = list(ALBUMS)
        for start, following in ((0, "/api/albums?after=x9"), (2, None)):
            albums = [{"page": f"/album/{slug}"} for slug in slugs[start : start + 2]]
            listed = {"albums": albums, "paging": {"next": following}}
            path = "/api/albums?after=x9" if start else "/api/albums"
            self.pages[path] = Answer(json.dumps(listed).encode(), 200, {"Content-Type": "application/json"})
        for number, (slug, title) in enumerate(ALBUMS.items()):
            thumbs = "".join(
                f'<li><a href="view?album={title}&amp;n={n}"><img class=lazy src=/loading.gif data-src=/t/{n}></a>'
                for n in (1, 2)
            )
            self.pages[f"/album/{quote(slug, safe=chr(39))}"] = page(
                f"<h2>Birds</h2><h2>{title}</h2><ul class=thumbs>{thumbs}</ul>"
            )
            for n in (1, 2):
                lazy = f"<img src=/loading.gif data-original='{elsewhere}/i/{title}-{n}.jpg'>"
                shown = f"<img src=/logo.png><figure>{lazy}</figure>"
                self.pages[f"/view?album={quote(title.encode('gbk'))}&n={n}"] = page(shown)
                self.images[f"/i/{quote(title)}-{n}.jpg"] = jpeg(100 + 20 * number + n)

    def answer(self, request: Request) -> Answer:
        if request.path in self.images:
            return Answer(self.images[request.path])
        if request.path.startswith(("/t/", "/logo", "/loading")):
            return Answer(THUMB)
        if "member=ada" not in request.headers.get("cookie", ""):
            return Answer(b"", 302, {"Location": "/login"})
        return self.pages.get(request.path, Answer(b"no", 404))


@pytest.mark.parametrize("declared", ["in a spider", "on the command line"])
def test_a_site_unlike_the_replica_is_crawled_by_declarations_only(tmp_path: Path, declared: str) -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        assert_crawled(server, tmp_path, declared)


def assert_crawled(server: Server, tmp_path: Path, declared: str) -> None:
    site = Site(server.url("", host="127.0.0.2"))
    server.add("*", site.answer)
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tmember\tada\n")
    if declared == "in a spider":
        run = crawl(tmp_path, "birds", {"base": server.url("").rstrip("/")}, COOKIES_FILE=str(cookies))
    else:
        given = {
            "list": server.url("/api/albums"),
            "next": "paging.next",
            "galleries": "albums[].page",
            "image_pages": "ul.thumbs a",
            "images": "figure img",
            "title": "(//h2)[2]",
        }
        run = crawl(tmp_path, "gallery", given, COOKIES_FILE=str(cookies))
        assert sorted(item["title"] for item in run.items) == sorted(ALBUMS.values())
    assert run.code == 0, run.log
    assert sorted(run.files.values()) == sorted(site.images.values())
    assert len(run.items) == len(ALBUMS)
    assert {image["status"] for image in run.images} == {"downloaded"}
    foreign = [request for request in server.requests if request.address == "127.0.0.2"]
    assert {request.path for request in foreign} >= set(site.images)
    assert not [request.path for request in foreign if "cookie" in request.headers], "no cookie leaves the site"
    own = [path for path in server.paths() if path.startswith(("/api", "/album", "/view"))]
    assert len(own) == len(set(own)) == 2 + 3 + 6
    assert not [path for path in server.paths() if path.startswith(("/t/", "/logo", "/loading"))]


def test_without_its_cookies_the_site_is_told_to_want_a_login(server: Server, tmp_path: Path) -> None:
    server.add("*", Site().answer)
    server.add("/login", b"<form><input type=password></form>", headers={"Content-Type": "text/html"})
    server.add("/api/albums", redirect("/login"))
    run = crawl(tmp_path, "birds", {"base": server.url("").rstrip("/")}, options=[])
    assert run.code == 1
    assert "/login: list page 1 is a form to log in: the session has ended, or COOKIES_FILE is missing" in run.log


@pytest.mark.parametrize(
    ("declared", "base"),
    [("image_page_links", "ImagePagesGallerySpider"), ("sitemap_url", "SitemapGallerySpider")],
)
def test_a_declaration_that_nothing_would_read_is_named(declared: str, base: str) -> None:
    own = type("Own", (GallerySpider,), {"name": "own", declared: "a.th"})
    with pytest.raises(InputError, match=f"^Own declares {declared}, which only {base} reads: derive it from that$"):
        own.from_crawler(get_crawler(own))
    bases = (getattr(basespiders, base),)
    assert type("Own", bases, {"name": "own", declared: "a.th"}).from_crawler(get_crawler(own)).name == "own"
