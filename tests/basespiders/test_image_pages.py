"""Galleries that go on on further pages, and pages that offer their image in several sizes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from parsel import Selector
from scrapy.http import HtmlResponse

from imgcrawl.basespiders.imagepages import ImagePagesGallerySpider
from imgcrawl.pages.continued import continues, goes_on, offset_in, renumbers
from imgcrawl.pages.versions import offered_versions
from tests.basespiders.test_every_gallery import add, add_galleries, gallery_crawl, links
from tests.support.crawling import Crawl
from tests.support.server import Server, redirect

NEXT = '<a rel=next href="{}">more</a>'


def shown(run: Crawl) -> dict[str, list[str]]:
    """The last parts of the addresses of each gallery's images."""
    names = {item["url"]: [url.rpartition("/")[2] for url in item["image_urls"]] for item in run.items}
    return {url.rpartition("/")[2]: found for url, found in names.items()}


def test_a_gallery_that_goes_on_on_further_pages_is_one_item(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    pages = {
        "/list/1": links(*(f"/g/{name}" for name in ("a", "b", "c.html", "d", "e", "f"))),
        "/g/f": "<h2>f</h2><img src=/i/f1><p><a href=/g/f/page/2>2</a> <a href=/g/f/3>3</a>",
        "/g/f/page/2": "<h2>f</h2><img src=/i/f2><a href=/g/f>1</a>",
        "/g/a": "<h2>a</h2><img src=/logo.png><img src=/i/a1>" + NEXT.format("?page=2"),
        "/g/a?page=2": "<h2>a</h2><img src=/logo.png><img src=/i/a2><img src=/i/a3>" + NEXT.format("/g/a?page=3"),
        "/g/a?page=3": "<h2>a</h2><img src=/i/a4>" + NEXT.format("/g/a?page=4"),
        "/g/a?page=4": "<h2>a</h2><img src=/i/a4>" + NEXT.format("/g/a?page=5"),  # the last one again
        "/g/b": "<h2>b</h2><img src=/i/b1>" + NEXT.format("/g/a"),  # the next gallery
        "/g/c.html": "<h2>c</h2><img src=/i/c1>" + NEXT.format("/g/c_2.html"),
        "/g/c_2.html": "<h2>c</h2><img src=/i/c2>" + NEXT.format("/g/c_2.html"),
        "/g/d": "<h2>d</h2><img src=/i/d1>" + NEXT.format("/g/d/2"),
    }
    add(server, {"/g/a?page=3": "", "/g/f/page/2": "<p>Rate limit exceeded"}, times=1)
    add(server, pages)
    server.add("/g/d/2", status=404)
    run = gallery_crawl(server, tmp_path)
    assert shown(run) == {
        "a": ["logo.png", "a1", "a2", "a3", "a4"], "b": ["b1"], "c.html": ["c1", "c2"], "d": ["d1"], "e": ["e"],
        "f": ["f1", "f2"],
    }  # fmt: skip
    items = {item["title"]: item for item in run.items}
    assert items["d"]["failed_pages"] == [{"url": server.url("/g/d/2"), "reason": "http_404"}]
    assert items["a"]["image_pages"][2:] == [server.url(f"/g/a?page={n}") for n in (2, 2, 3)]
    assert server.count("/g/a?page=5") == 0
    assert [request.headers["referer"] for request in server.requests if request.path == "/i/a3"] == [
        server.url("/g/a?page=2")
    ]


def test_of_several_sizes_on_an_images_page_the_largest_is_stored(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    thumbs = "".join(f"<a class=t href=/view/{n}><img src=/t/{n}.jpg></a>" for n in (1, 2))
    thumbs2 = "".join(f"<a class=t href=/view/{n}><img src=/t/{n}.jpg></a>" for n in (3, 4))
    views = {
        1: "<img src=/m/1.jpg><a href=/o/1-big.jpg>Download original (4 MB)</a>",
        2: "<img src=/m/2.jpg><a href=/s/2.jpg>800 x 600</a><a href=/o/2.jpg>1920&times;1440</a>",
        3: "<img src=/m/3.jpg><img src=/m/3b.jpg>",
        4: "<a href=/o/4.jpg><img src=/m/4.jpg></a>",
    }
    add(server, {f"/view/{n}": f"<img src=/logo.png>{body}" for n, body in views.items()})
    add(server, {"/list/1": links("/g/1"), "/g/1": thumbs + "<a class=more href=/g/second>&gt;</a>"})
    add(server, {"/g/second": thumbs2 + "<a class=more href=/g/1>&lt;</a>"})
    run = gallery_crawl(server, tmp_path, image_pages="a.t", gallery_next="a.more")
    assert shown(run) == {"1": ["1-big.jpg", "2.jpg", "3.jpg", "3b.jpg", "4.jpg"]}
    assert "/o/2.jpg" in run.items[0]["image_urls"][1]


def test_a_page_of_words_in_a_gallery_is_not_its_end_if_it_leads_on(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    words = {number: "words" + NEXT.format(f"/g/1/{number + 1}") for number in range(2, 9)}
    shown_on = {number: f"<img src=/i/{number}>" + NEXT.format(f"/g/1/{number + 1}") for number in (1, 4)}
    pages = {f"/g/1/{number}": body for number, body in (words | shown_on).items()}
    add(server, pages | {"/g/1": shown_on[1], "/list/1": links("/g/1")})
    run = gallery_crawl(server, tmp_path)
    assert shown(run) == {"1": ["1", "4"]}
    assert run.code == 0, run.log
    assert [server.count(f"/g/1/{number}") for number in range(2, 9)] == [1, 1, 1, 1, 1, 1, 0], "three more, and no end"


def test_images_that_their_gallery_shows_itself_are_the_images_of_their_pages(server: Server, tmp_path: Path) -> None:
    add_galleries(server)

    def thumbs(name: str, *pairs: tuple[str, str]) -> str:
        links = "".join(f"<a class=t {name} href={page}><img src={image}></a>" for page, image in pairs)
        return f"<img src=/logo.png>{links}"

    add(server, {"/list/1": links("/g/full", "/g/files", "/g/gone")})
    add(server, {"/g/full": thumbs("", *((f"/view/{n}", f"/i/{n}.jpg") for n in (1, 2, 3)))})
    add(server, {f"/view/{n}": f"<img src=/logo.png><img src=/i/{n}.jpg>" for n in (1, 2, 3)})
    # A link to an image that a script shows large: the page's own image, too.
    add(server, {"/g/files": thumbs("rel=lightbox", *((f"/i/f{n}", f"/t/f{n}.jpg") for n in (1, 2)))})
    add(server, {"/g/gone": thumbs("", *((f"/see/{n}", f"/t/s{n}.jpg") for n in (1, 2, 3)))})
    add(server, {"/see/2": "<img src=/logo.png><p>deleted<a href=/see/1><img src=/t/s1.jpg></a>"})
    add(server, {f"/see/{n}": f"<img src=/logo.png><img src=/i/s{n}.jpg><img src=/t/s2.jpg>" for n in (1, 3)})
    run = gallery_crawl(server, tmp_path, image_pages="a.t")
    assert shown(run) == {"full": ["1.jpg", "2.jpg", "3.jpg"], "files": ["f1", "f2"], "gone": ["s1.jpg", "s3.jpg"]}
    (failed,) = [item["failed_pages"] for item in run.items if item["failed_pages"]]
    assert failed == [{"url": server.url("/see/2"), "reason": "no_image"}]


def test_pages_of_images_that_show_more_of_their_own_and_two_links_to_one(server: Server, tmp_path: Path) -> None:
    add_galleries(server)

    def thumbs(*pairs: tuple[str, str]) -> str:
        return "<img src=/logo.png>" + "".join(f"<a class=t href={page}><img src={image}></a>" for page, image in pairs)

    add(server, {"/list/1": links("/g/full", "/g/twice", "/g/gone")})
    add(server, {"/g/full": thumbs(*((f"/view/{n}", f"/i/{n}.jpg") for n in (1, 2, 3)))})
    add(server, {"/view/1": "<img src=/logo.png><img src=/i/1.jpg>"})
    add(server, {f"/view/{n}": f"<img src=/logo.png><img src=/i/{n}.jpg><img src=/by/{n}x.jpg>" for n in (2, 3)})
    # By its title, too, and by an address of another form; two that are gone show the same.
    see = "<a class=t href=/see/{0}><img src=/t/{0}.jpg></a><a class=t href=/see/{0}?from=title>{0}</a>"
    add(
        server, {"/g/twice": "<img src=/logo.png>" + see.format(7) + see.format(8) + "<a class=t href=/see/8-cat>8</a>"}
    )
    server.add("/see/8-cat", redirect("/see/8"))
    for n in (7, 8):
        add(server, dict.fromkeys((f"/see/{n}", f"/see/{n}?from=title"), f"<img src=/logo.png><img src=/i/s{n}.jpg>"))
    add(server, {"/g/gone": thumbs(*((f"/was/{n}", f"/t/w{n}.jpg") for n in (1, 2, 3)))})
    add(
        server,
        {"/was/1": "<img src=/i/w1.jpg>", "/was/2": "<img src=/removed.jpg>", "/was/3": "<img src=/removed.jpg>"},
    )
    run = gallery_crawl(server, tmp_path, image_pages="a.t")
    found = {name: sorted(images) for name, images in shown(run).items()}
    # What else stands on a page with an image of the gallery may be one, too.
    assert found == {
        "full": ["1.jpg", "2.jpg", "2x.jpg", "3.jpg", "3x.jpg"], "twice": ["s7.jpg", "s8.jpg"], "gone": ["w1.jpg"],
    }  # fmt: skip
    failed = [page["url"] for item in run.items for page in item["failed_pages"]]
    assert failed == [server.url("/was/2"), server.url("/was/3")]


def test_of_image_pages_that_show_thumbnails_too_each_failure_is_told_and_what_is_left_out(
    server: Server, tmp_path: Path
) -> None:
    add_galleries(server)

    def gallery(path: str, pages: list[str], body: str = "<img src=/removed.jpg>") -> str:
        add(server, {f"{path}/{name}": body.format(name) for name in pages})
        return "".join(f"<a class=t href={path}/{name}><img src=/t/{name}.jpg></a>" for name in pages)

    add(server, {"/list/1": links("/g/7", "/g/8", "/g/2026", "/g/sizes")})
    add(server, {"/g/7": gallery("/g/7", ["sunrise", "sunset"])})  # the only number is that of the gallery
    add(server, {"/g/8": "".join(f"<a class=t href=/of/{n}>x</a>" for n in ("8", "8?from=title", "8-cat", "9"))})
    add(server, {f"/of/{n}": f"<img src=/i/of{n[0]}.jpg>" for n in ("8", "8?from=title", "8-cat", "9")})
    add(server, {"/g/2026": gallery("/v/11/27", ["a", "b", "c", "d"])})  # it is a day
    sizes = gallery("/see", list("12345"), "<img src=/t/{0}.jpg><img src=/i/{0}.jpg>")
    add(server, {"/g/sizes": sizes + gallery("/see", ["6"], "<img src=/t/6.jpg>")})
    run = gallery_crawl(server, tmp_path, image_pages="a.t")
    failed = {item["url"].rpartition("/")[2]: [page["reason"] for page in item["failed_pages"]] for item in run.items}
    assert failed == {"7": ["no_image"] * 2, "8": [], "2026": ["no_image"] * 4, "sizes": ["no_image"]}
    assert sorted(shown(run)["8"]) == ["of8.jpg", "of9.jpg"]
    assert shown(run)["sizes"] == [f"{n}.jpg" for n in range(1, 6)]
    told = "images left out as thumbnails, for its own pages and one image's page show them: 6, "
    assert f"{server.url('/g/sizes')}: {told}{server.url('/t/1.jpg')}, " in run.log


def test_pages_of_images_that_load_others_too_show_their_own(server: Server, tmp_path: Path) -> None:
    """The next one, so that it is there at once; all, in a strip; what is on one page alone may be an advertisement."""
    add_galleries(server)
    add(server, {"/list/1": links("/g/next", "/g/strip")})
    for name in ("next", "strip"):
        thumbs = "".join(f"<a class=t href=/view/{name}-{n}><img src=/t/{name}-{n}.jpg></a>" for n in range(1, 6))
        add(server, {f"/g/{name}": thumbs})
    for n in range(1, 6):
        ahead = f"<link rel=preload as=image href=/i/next-{n + 1}.jpg>" if n < 5 else ""
        if n != 4:
            add(server, {f"/view/next-{n}": f"{ahead}<img src=/theme/logo.png><img src=/i/next-{n}.jpg>"})
        strip = "".join(f"<img src=/i/strip-{k}.jpg>" for k in range(1, 6))
        add(server, {f"/view/strip-{n}": f"<img src=/theme/logo.png><img src=/ad/{chr(96 + n)}.jpg>{strip}"})
    run = gallery_crawl(server, tmp_path, image_pages="a.t")
    found = shown(run)
    assert {*found["next"]} == {f"next-{n}.jpg" for n in range(1, 6)}
    assert {*found["strip"]} == {f"strip-{n}.jpg" for n in range(1, 6)} | {f"{ad}.jpg" for ad in "abcde"}


def test_the_page_of_an_image_that_is_json_or_asks_to_log_in(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    thumbs = "".join(
        f"<a class=t href=/view/{name}><img src=/t/{name}.jpg></a>" for name in ("json", "login", "page", "odd")
    )
    form = "<img src=/logo.png><form action=/login method=post><input name=user><input type=password name=p></form>"
    add(server, {"/list/1": links("/g/1"), "/g/1": f"<img src=/logo.png>{thumbs}", "/view/login": form})
    # One that is named as decoration is.
    odd = form.replace("/logo.png>", "/logo.png><img src=/i/banner_1.jpg>")
    add(server, {"/view/page": "<img src=/i/page.jpg>", "/view/odd": odd})
    server.add("/view/json", b'{"photo": {"url": "/i/json.jpg"}}', headers={"Content-Type": "application/json"})
    run = gallery_crawl(server, tmp_path, image_pages="a.t")
    assert shown(run) == {"1": ["json.jpg", "page.jpg", "banner_1.jpg"]}
    failed = [{"url": server.url(f"/view/{name}"), "reason": "login"} for name in ("login", "odd")]
    assert run.items[0]["failed_pages"] == failed
    run = gallery_crawl(server, tmp_path / "declared", image_pages="a.t", images="img::attr(src)")
    assert shown(run) == {"1": ["page.jpg", "banner_1.jpg"]}
    assert run.items[0]["failed_pages"][1:] == failed


def test_pages_of_galleries_as_sites_count_and_name_them(server: Server, tmp_path: Path) -> None:
    """From 0, by links that say "next" in a class or a word, by how many images were before, and in a header."""
    add_galleries(server)
    numbers = '<b>1</b> <a href="?page=1">2</a> <a href="?page=2">3</a>'
    pages = {
        "/list/1": links(*(f"/g/{name}" for name in ("zero", "rel", "class", "word", "offset", "other", "header")))
        + links("/g/wp", "/g/thread-7-1-1.html", "/g/piwigo", "/g/smf?topic=12.0"),
        "/g/zero": f"<h2>zero</h2><img src=/i/z0>{numbers}",
        "/g/zero?page=1": '<img src=/i/z1><a href="?page=0">1</a> <a href="?page=2">3</a>',
        "/g/zero?page=2": '<img src=/i/z2><a href="?page=0">1</a> <a href="?page=1">2</a>',
        "/g/rel": "<h2>rel</h2><img src=/i/r0><a href='?page=2'>last</a>" + NEXT.format("?page=1"),
        "/g/rel?page=1": "<img src=/i/r1>" + NEXT.format("?page=2"),
        "/g/rel?page=2": "<img src=/i/r2>",
        "/g/class": "<h2>class</h2><img src=/i/c1><ul><li class=next><a href=/g/class/2></a></ul>",
        "/g/class/2": "<img src=/i/c2>",
        "/g/word": "<h2>word</h2><img src=/i/w1><a href=/g/word/2>:: Next ::</a>",
        "/g/word/2": "<img src=/i/w2>",
        "/g/offset": "<h2>offset</h2><img src=/i/o1>" + NEXT.format("?start=24"),
        "/g/offset?start=24": "<img src=/i/o2>" + NEXT.format("?start=48"),
        "/g/offset?start=48": "<img src=/i/o3>",
        "/g/wp": "<h2>wp</h2><img src=/i/p1>Pages: <span>1</span> <a href=/g/wp/2/><span>2</span></a>",
        "/g/wp/2/": "<img src=/i/p2>",
        "/g/thread-7-1-1.html": "<h2>t</h2><img src=/i/t1><a class=nxt href=thread-7-2-1.html>下一页</a>"
        "<a href=thread-8-1-1.html>下一篇</a>",
        "/g/thread-7-2-1.html": "<img src=/i/t2><a class=nxt href=thread-7-3-1.html>下一页</a>",
        "/g/thread-7-3-1.html": "<img src=/i/t3>",
        "/g/piwigo": "<h2>w</h2><img src=/i/a1>" + NEXT.format("/g/piwigo/start-15"),
        "/g/piwigo/start-15": "<img src=/i/a2>" + NEXT.format("/g/piwigo/start-30"),
        "/g/piwigo/start-30": "<img src=/i/a3>",
        "/g/smf?topic=12.0": "<h2>s</h2><img src=/i/s1><a href=?topic=12.15>»</a>"
        "<a rel=next href=?topic=13.0>next topic</a>",
        "/g/smf?topic=12.15": "<img src=/i/s2>",
        "/g/other": "<h2>other</h2><img src=/i/other1><a class=next href=/g/zero>Next</a><a href=/g/other/best>›</a>",
    }
    add(server, pages)
    header = {"Content-Type": "text/html", "Link": '</g/header/2>; rel="next"'}
    server.add("/g/header", b"<h2>header</h2><img src=/i/h1>", headers=header)
    add(server, {"/g/header/2": "<img src=/i/h2>"})
    run = gallery_crawl(server, tmp_path)
    assert shown(run) == {
        "zero": ["z0", "z1", "z2"], "rel": ["r0", "r1", "r2"], "class": ["c1", "c2"], "word": ["w1", "w2"],
        "offset": ["o1", "o2", "o3"], "other": ["other1"], "header": ["h1", "h2"],
        "wp": ["p1", "p2"], "thread-7-1-1.html": ["t1", "t2", "t3"], "piwigo": ["a1", "a2", "a3"],
        "smf?topic=12.0": ["s1", "s2"],
    }  # fmt: skip
    assert run.code == 0, run.log


class Site(ImagePagesGallerySpider):
    name = "site"


def next_on(page: str, url: str = "http://h/album/7", number: int = 2) -> list[str]:
    response = HtmlResponse(url, body=page.encode(), encoding="utf-8")
    gallery = "http://h/album/7" if number > 2 else url
    found = Site().next_of_gallery(response, number, gallery)
    return [link.removeprefix("http://h/album/") for link in found[:1]]


@pytest.mark.parametrize(
    ("page", "following"),
    [
        ("<a href=?page=2>2</a><a href=?page=10>10</a><a class=next href=?page=11>다음</a>", ["7?page=2"]),
        ("<a href=?page=2>2</a><a href=?page=3>3</a><a href=?page=40>»</a>", ["7?page=2"]),
        ("<a class=next href=?start=40>››</a><a class=next href=?start=20>›</a>", ["7?start=20"]),
        ("<a href=?full=1>Show more</a><a href=?page=2>2</a>", ["7?page=2"]),
        ("<a href=?cp=3>Older Comments</a><a href='?lang=2'>More</a><a href=7/page/2>2</a>", ["7/page/2"]),
        ("<select><option value=/album/7>1<option value=/album/7/2>2<option value=/album/7/3>3</select>", ["7/2"]),
        ("<select><option value=?page=1>Page 1<option value=?page=2>Page 2</select>", ["7?page=2"]),
        ("<select><option value=7.html>1<option value=7_2.html>2</select>", ["7_2.html"]),
        ("<select><option value=1>1<option value=2>2</select>", []),
        ("<a href=?cpage=2>2</a><a rel=next href=?cpage=2>›</a><a class=next href=?start=20>›</a>", ["7?start=20"]),
        ("<a href=?comments_page=2>2</a><a href=?page=2>2</a>", ["7?page=2"]),
        ("<select><option value=?lang=1>1<option value=?lang=2>2</select>", []),
        ("<select><option value=?sort=2>Next<option value=/album/8>2<option value=/album/7/2/fr>Next</select>", []),
        ("<a href=?page=1#comments>2</a><a href=?page=2>2</a>", ["7?page=2"]),
        ("<a class=next href=/album/7/1>›</a><a href=?full=1>More</a><a class=next href=/album/7-1>Next</a>", []),
        ("<li class='next disabled'><a href=?page=0>Next</a></li>", []),
        ("<a class=next href='?start=20&a=" + "b" * 3_000 + "'>›</a>", []),
        ("<a href=/album/7/more>Load more</a><a href=/album/8/more>Load more</a>", ["7/more"]),
        ("<a href=7/rest>Show 20 more photos</a><a href=/about>See more</a><a href=7>Show more</a>", ["7/rest"]),
        ("<a href=/album/7/comments>Show more</a><a href=/album/7/b>More</a>", []),
        ("<a href=/album/7/a>See more</a><a href=/album/7/b>See more</a><a href=http://x/album/7/c>Load more</a>", []),
    ],
)
def test_a_link_that_says_next_and_jumps_does_not_take_the_place_of_the_next_page(
    page: str, following: list[str]
) -> None:
    assert next_on(page) == following


def test_where_next_leads_back_on_later_pages() -> None:
    """On sites from right to left, and by offsets."""
    page = "<a href=?page=1>»</a><a href=?page=1>1</a><a href=?page=3>3</a><a href=?page=3>«</a>"
    assert next_on(page, "http://h/album/7?page=2", 3) == ["7?page=3"]
    page = "<a class=next href=?start=20>›</a><a class=next href=?start=40>›</a>"
    assert next_on(page, "http://h/album/7?start=20", 3) == ["7?start=40"]


def test_links_in_links_are_read_in_linear_time() -> None:
    page = "<a href=/1><b>" * 1_000 + "<i></i>" * 20_000 + "</b></a>" * 1_000
    started = time.process_time()
    assert next_on(page) == []
    address = "http://h/album/7?" + "&".join(f"a{number}" for number in range(2_000))
    assert next_on("".join(f"<a class=next href='?b{number}'>x</a>" for number in range(490)), address) == []
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("other", "number"),
    [
        ("/album/7/2", 2), ("/album/7/page/3", 3), ("/album/7/page-3/", 3), ("/album/7?page=2", 2),
        ("/album/7/?p=2", 2), ("/album/7_2", 2), ("/album/7/p2.html", 2),
        ("/album/8", None), ("/album/72", None), ("/album/7/2", None), ("/album/7?sort=2", None),
        ("/album/7?page=2", None), ("//other/album/7/2", None), ("/album/7/comments", None),
    ],
)  # fmt: skip
def test_an_address_with_the_number_of_its_page_continues_another(other: str, number: int | None) -> None:
    other = f"http:{other}" if other.startswith("//") else f"http://host{other}"
    assert continues("http://host/album/7", other, number or 4) == (number is not None)


def test_what_a_link_to_the_next_page_goes_on_with() -> None:
    assert offset_in("http://h/index.php?/category/5", "http://h/index.php?/category/5/start-15") == 15
    assert offset_in("http://h/a/7?sort=x", "http://h/a/7?sort=x&offset=40") == 40
    others = (
        "http://h/a/8",
        "http://h/a/7s2",
        "http://h/a/72",
        "http://h/a/7?a=1&b=2",
        "http://h/a/7/best",
        "http://i/a/7?page=2",
    )
    assert not any(goes_on("http://h/a/7", other, 2) or offset_in("http://h/a/7", other) for other in others)
    assert not offset_in("http://h/?topic=7.0", "http://h/?topic=8.0")
    assert renumbers("http://h/thread-7-1-1.html", "http://h/thread-7-2-1.html", 2)
    assert not renumbers("http://h/thread-7-1-1.html", "http://h/thread-8-1-1.html", 2)
    assert not renumbers("http://h/g/1.html", "http://h/g/2.html", 2), "of one number nobody knows whose it is"


def test_queries_that_are_not_pages_stay_as_they_are() -> None:
    assert continues("http://host/show.php?id=7", "http://host/show.php?id=7&page=2", 2)
    assert continues("http://host/show.php?id=7&page=2", "http://host/show.php?page=3&id=7", 3)
    assert not continues("http://host/show.php?id=7", "http://host/show.php?id=8&page=2", 2)
    assert not continues("http://host/show.php?id=7", "http://host/show.php?page=2", 2)


def test_where_links_do_not_say_which_size_is_the_largest_none_is_taken_for_it() -> None:
    page = "<a href=a.jpg>original</a><a href=b.jpg>original</a><a href=c.jpg>see also</a><a href=/d>original</a>"
    assert offered_versions(Selector(page), "http://host/", "utf-8") == []
    page = "<a href=a.jpg>1920x1080</a><a href=b.jpg title='full size'>b</a><a href=/d download>original</a>"
    assert offered_versions(Selector(page.partition("<a href=/d")[0]), "http://host/", "utf-8") == [
        "http://host/b.jpg", "http://host/a.jpg",
    ]  # fmt: skip
    behind = "<a href=/x>x</a>" * 1_000 + "<a href=/o.jpg download>Original</a>"
    assert offered_versions(Selector(behind), "http://host/", "utf-8") == ["http://host/o.jpg"]
