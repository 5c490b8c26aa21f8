"""Galleries without list pages: from the command line, from a list, from a sitemap; and with a page for each image."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scrapy.http import HtmlResponse
from scrapy.utils.test import get_crawler

from imgcrawl.spiders.gallery import AnySiteSpider
from tests.support.crawling import crawl
from tests.support.server import Answer, Request, Server, jpeg, redirect

HTML = {"Content-Type": "text/html; charset=utf-8"}
XML = {"Content-Type": "application/xml"}
NAMESPACES = (
    'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
)


def site() -> Callable[[Request], Answer]:
    """Every /g/NAME is a gallery with one image, which is another for each name; nothing else is there."""

    def answer(request: Request) -> Answer:
        name = request.path.rpartition("/")[2]
        if request.path.startswith("/g/"):
            return Answer(f"<title>T {name}</title><img src=/i/{name}.jpg>".encode(), 200, HTML)
        if request.path.startswith("/i/"):
            return Answer(jpeg(width=40 + sum(map(ord, name)) % 200), 200)
        return Answer(b"no", 404)

    return answer


def test_galleries_from_the_command_line_and_from_a_list_need_no_declarations(server: Server, tmp_path: Path) -> None:
    server.add("*", site())
    (tmp_path / "one").mkdir()
    server.add("/g/moved", redirect("/g/a"))
    given = {"gallery": ", ".join(map(server.url, ("/g/moved", "/g/a", "/g/b?x=1,2")))}
    run = crawl(tmp_path / "one", "gallery", given, VERDICT_MAX_FAILED="1")
    assert run.code == 0, run.log
    assert {item.get("title", item.get("error")): len(item["images"]) for item in run.items} == {
        "T a": 1, "T b?x=1,2": 1, "redirected": 0,
    }  # fmt: skip

    # The column is told by what is in it; the others stay with the gallery, also with one that fails.
    rows = [
        "id,cover,page,url note,images,caption,label",
        *(f"{n},http://site.example/c{n}.jpg,//site.example/g/{n},-,{n},said {n},Red Fox" for n in range(1, 4)),
        "4,,none,,,,", "5,http://site.example/c.jpg,http://site.example/no,,,said 5,",
    ]  # fmt: skip
    (tmp_path / "galleries.csv").write_text("\n".join(rows))
    given = {"file": "galleries.csv", "base": server.url("").rstrip("/")}
    settings = {"IMAGES_NAME": "{label}/{id}"}
    run = crawl(tmp_path, "gallery", given, VERDICT_MAX_FAILED="1", RETRY_TIMES="0", **settings)
    assert sorted(item.get("error") or item["title"] for item in run.items) == ["T 1", "T 2", "T 3", "http_404"]
    assert "galleries.csv, line 5: no address: 'none'" in run.log
    assert run.code == 0, run.log
    by_id = {item["id"]: item for item in run.items}
    assert {n: by_id[n]["caption"] for n in "1235"} == {n: f"said {n}" for n in "1235"}
    assert [by_id["1"][name] for name in ("row_images", "cover", "url note")] == [
        "1",
        "http://site.example/c1.jpg",
        "-",
    ]
    assert sorted(run.files) == ["Red Fox/1.jpg", "Red Fox/2.jpg", "Red Fox/3.jpg"]


def test_a_list_of_galleries_may_be_an_array_in_json_and_say_what_a_gallery_is_called(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server.add("*", site())
    rows = [
        {"url": "http://site.example/g/1", "title": "Mine", "tags": ["a"]},
        {"url": "http://site.example/g/2"},
        {"url": ["http://site.example/g/3", "none"]},
    ]
    (tmp_path / "list").write_text(json.dumps(rows))
    spider = AnySiteSpider.from_crawler(
        get_crawler(AnySiteSpider), file=str(tmp_path / "list"), base=server.url("").rstrip("/")
    )
    first, second, third = spider.named_requests()
    assert [request.url for request in (first, second, third)] == [server.url(f"/g/{n}") for n in (1, 2, 3)]
    assert spider.crawler.stats.get_value("row/bad") == 1, "the third row has one address that is none"
    assert "line 3: no address: 'none'" in caplog.text
    item = spider.gallery_item(HtmlResponse(first.url, body=b"<h1>Theirs</h1>", request=first))
    spider.read_page(item, HtmlResponse(first.url, body=b"<h1>Theirs</h1>", request=first))
    assert (item["title"], item["row_tags"]) == ("Mine", ["a"])
    assert "row_facts" not in second.meta


def test_an_address_in_a_list_leads_to_public_hosts_only(server: Server, tmp_path: Path) -> None:
    server.add("*", site())
    (tmp_path / "galleries.txt").write_text(server.url("/g/1"))
    run = crawl(tmp_path, "gallery", {"file": "galleries.txt"})
    assert [item["error"] for item in run.items] == ["private_address"]
    assert server.requests == []


def test_a_sitemap_with_an_index_gzip_and_images(server: Server, tmp_path: Path) -> None:
    server.add("*", site())
    server.add("/robots.txt", f"Sitemap: {server.url('/index.xml')}".encode(), headers={"Content-Type": "text/plain"})
    locs = "".join(f"<sitemap><loc>{server.url(path)}</loc></sitemap>" for path in ("/1.xml.gz", "/2.txt", "/no.xml"))
    server.add(
        "/index.xml", f"<?xml version='1.0'?><sitemapindex {NAMESPACES}>{locs}</sitemapindex>".encode(), headers=XML
    )
    images = "".join(
        f"<image:image><image:loc>{server.url(p)}</image:loc></image:image>" for p in ("/i/a.jpg", "/i/z.jpg")
    )
    urls = (
        f"<!DOCTYPE u [<!ENTITY x 'y'>]><urlset {NAMESPACES}><url><loc> {server.url('/g/a')} </loc>{images}</url>"
        f"<url><loc>{server.url('/about')}</loc></url><url><loc>/g/b&x;</loc></url><url><loc>{server.url('/g/c')}</loc>"
    )
    server.add("/1.xml.gz", gzip.compress(urls.encode()), headers={"Content-Type": "application/x-gzip"})
    server.add("/2.txt", f"{server.url('/g/d')}\nno address\n".encode(), headers={"Content-Type": "text/plain"})

    given = {"sitemap": server.url("/robots.txt"), "only": "/g/"}
    run = crawl(tmp_path, "gallery", given, RETRY_TIMES="0", PRIVATE_HOSTS_ALLOWED="127.0.0.1")

    shown = {item["title"]: [url.rpartition("/")[2] for url in item["image_urls"]] for item in run.items}
    assert {title: shown[title] for title in ("T a", "T c", "T d")} == {
        "T a": ["a.jpg", "z.jpg"], "T c": ["c.jpg"], "T d": ["d.jpg"],
    }  # fmt: skip
    assert "/no.xml: the sitemap could not be read (http_404)" in run.log
    assert "2 list pages could not be had" in run.log, "that is not there, and that breaks off"
    assert server.count("/about") == 0
    assert run.code == 1


def test_thumbnails_that_link_to_pages_with_the_images(server: Server, tmp_path: Path) -> None:
    server.add("*", site())
    thumbs = "".join(f'<a class=t href="/file/{n}"><img src="/thumb/{n}.jpg"></a>' for n in range(1, 21))
    server.add("/album", f"<h1>Album</h1><img src=/logo.png>{thumbs}<a class=t href=/i/direct>".encode(), headers=HTML)
    for number in range(1, 21):
        neighbours = f'<img src="/thumb/{number}.jpg"><img src="/thumb/{number % 20 + 1}.jpg"><img src="/foot.png">'
        page = f'<img src=/logo.png><img src="/i/big{number}.jpg">{neighbours}'
        server.add(f"/file/{number}", page.encode(), headers=HTML)
    server.add("/file/7", status=403)

    given = {"gallery": server.url("/album"), "image_pages": "a.t"}
    run = crawl(tmp_path, "gallery", given, RETRY_TIMES="0", VERDICT_MAX_FAILED="1")

    (item,) = run.items
    numbers = [number for number in range(1, 21) if number != 7]
    pages = [*(server.url(f"/file/{number}") for number in numbers), server.url("/album")]
    assert item["image_urls"] == [*(server.url(f"/i/big{number}.jpg") for number in numbers), server.url("/i/direct")]
    assert item["image_pages"] == pages
    assert item["failed_pages"] == [{"url": server.url("/file/7"), "reason": "http_403"}]
    assert {r.headers["referer"] for r in server.requests if r.path.startswith("/i/big")} == set(pages[:-1])
    assert run.code == 0, run.log
