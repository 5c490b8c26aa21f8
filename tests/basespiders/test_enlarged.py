"""Galleries of thumbnails of which nothing is said: what the pages show that these are links to."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from parsel import Selector
from scrapy.http import HtmlResponse
from scrapy.utils.test import get_crawler

from imgcrawl.basespiders import enlarged
from imgcrawl.pages import proposals
from imgcrawl.pages.repeated import PagePlaces
from imgcrawl.pages.thumbnails import are_alike, are_larger, has_thumbnails, named_alike, thumbnails_on
from imgcrawl.spiders.gallery import AnySiteSpider
from tests.basespiders.test_every_gallery import add, add_galleries, gallery_crawl, links
from tests.basespiders.test_image_pages import shown
from tests.support.crawling import Crawl
from tests.support.server import Server, jpeg

LINE = "Galleries whose images are links to pages with others: "


def one_gallery(server: Server, folder: Path, path: str = "/g/1", **arguments: str) -> Crawl:
    given = {"list": "", "galleries": "", "gallery": server.url(path), **arguments}
    return gallery_crawl(server, folder, **given)


def thumbnails(name: str, numbers: range, page: str = "/p/{}", css: str = "t") -> str:
    pairs = [(f"{name}{n}", page.format(f"{name}{n}")) for n in numbers]
    return "".join(f'<a class={css} href="{link}"><img src=/t/{one}.jpg width=120></a>' for one, link in pairs)


def image_pages(server: Server, name: str, numbers: range, body: str = "<img id=large src=/i/{}.jpg>") -> None:
    strip = "<img src=/header.jpg><div class=strip>" + thumbnails(name, numbers) + "</div>"
    add(server, {f"/p/{name}{n}": strip + body.format(f"{name}{n}", 3 * chr(104 + n)) for n in numbers})


@pytest.mark.parametrize(
    "body",
    [
        "<img id=large src=/i/{0}.jpg>",
        "<img src=/m/{0}.jpg><p><a href=/i/{0}.jpg>Download original 4000 x 3000</a>",
        "<a href=/i/{0}.jpg><img src=/m/{0}.jpg></a>",
        "<img id=large src=/i/{0}.jpg><div class=related><img src=/next/{1}.jpg></div><img src=/ad/{1}.jpg>",
    ],
)
def test_what_the_page_of_a_thumbnail_shows_takes_its_place(server: Server, tmp_path: Path, body: str) -> None:
    add_galleries(server)
    add(server, {"/g/1": "<h1>One</h1><img src=/header.jpg><div>" + thumbnails("a", range(6)) + "</div>"})
    image_pages(server, "a", range(6), body)
    run = one_gallery(server, tmp_path)
    assert [each for each in shown(run)["1"] if each.startswith("a")] == [f"a{n}.jpg" for n in range(6)]
    assert all(f"/t/a{n}.jpg" not in "".join(run.items[0]["image_urls"]) for n in range(6))
    assert {server.url(f"/i/a{n}.jpg") for n in range(6)} <= set(run.items[0]["image_urls"])
    assert run.code == 0, run.log
    assert [server.count(f"/p/a{n}") for n in range(6)] == [1] * 6
    assert run.items[0]["image_pages"] == [server.url(f"/p/a{n}") for n in range(6)]
    assert "which are read, too: -a image_pages=a.t" in run.log


@pytest.mark.parametrize("tag", ["o:p", "p:hover", "b\x01", "a.b"])
def test_elements_whose_names_no_selector_may_have_lose_no_gallery(server: Server, tmp_path: Path, tag: str) -> None:
    add_galleries(server)
    within = "".join(f"<{tag}>{thumbnails('a', range(n, n + 1))}</{tag}>" for n in range(6))
    add(server, {"/g/1": f"<h1>One</h1><div>{within}</div>"})
    image_pages(server, "a", range(6))
    run = one_gallery(server, tmp_path)
    assert shown(run)["1"] == [f"a{n}.jpg" for n in range(6)]
    assert run.code == 0, run.log


def test_one_gallery_of_a_site_tells_of_all_and_a_thumbnail_stays_where_its_page_has_nothing(
    server: Server, tmp_path: Path
) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1", "/g/2", "/g/3") + "<a rel=next href=/list/2>more</a>"})
    add(server, {"/list/2": links("/g/4", "/g/5")})
    for name in "1234":
        more = f"<a rel=next href=/g/{name}?page=2>more</a>" if name == "2" else ""
        add(server, {f"/g/{name}": f"<h1>{name}</h1><div>{thumbnails(name, range(4))}</div>{more}"})
        image_pages(server, name, range(6 if name == "2" else 4))
    add(server, {"/g/2?page=2": f"<h1>2</h1><div>{thumbnails('2', range(4, 6))}</div><p><img src=/i/extra.jpg>"})
    for n in (2, 3):
        server.add(f"/t/3{n}.jpg", jpeg(colour=(50 * n, 2, 3)))
    server.add("/p/32", status=404)
    server.add("/p/33", b"<img src=/header.jpg>gone", headers={"Content-Type": "text/html"})
    # What else the selector finds: links of words, and to what is no image's page.
    more = "<img src=/i/4a.jpg><img src=/i/4b.jpg>" + links("/more/1", "/more/2", css="t")
    add(server, {"/g/4": f"<h1>4</h1>{more}", "/more/1": "<img src=/i/1.jpg>", "/more/2": "<img src=/i/2.jpg>"})
    add(server, {"/g/5": "<h1>5</h1><a class=t href=/set/a><img src=/i/5a.jpg></a><img src=/i/5b.jpg>"})
    add(server, {"/set/a": "".join(f"<img src=/i/set{n}.jpg>" for n in range(5))})
    run = gallery_crawl(server, tmp_path, "/list/1", CONCURRENT_REQUESTS="1")
    assert {name: sorted(images) for name, images in shown(run).items()} == {
        "1": [f"1{n}.jpg" for n in range(4)],
        "2": [*(f"2{n}.jpg" for n in range(6)), "extra.jpg"],
        "3": [f"3{n}.jpg" for n in range(4)],
        "4": ["4a.jpg", "4b.jpg"],
        "5": ["5a.jpg", "5b.jpg"],
    }
    assert "/g/5: images left out, which pages of its images show besides: 5, " in run.log
    (third,) = [item for item in run.items if item["title"] == "3"]
    assert sorted(third["image_urls"]) == sorted(map(server.url, ("/i/30.jpg", "/i/31.jpg", "/t/32.jpg", "/t/33.jpg")))
    assert {page["reason"] for page in third["failed_pages"]} == {"http_404", "no_image"}
    assert len({image["path"] for item in run.items for image in item["images"]}) == 19
    assert run.log.count("which are read, too") == 1
    assert server.count("/p/10") == 1
    assert run.code == 0, run.log


RELATED = "<div class=more>" + "".join(f"<a href=/g/{n}><img src=/t/{n}.jpg></a>" for n in range(20, 26)) + "</div>"


@pytest.mark.parametrize(
    ("gallery", "told", "asked"),
    [
        # Others beside its own image; albums, of which each shows several; pages of no kind of name.
        ("<img src=/i/own.jpg>" + thumbnails("b", range(4), "/album/{}"), True, 3),
        (thumbnails("c", range(4), "/albums/{}"), True, 3),
        (RELATED, True, 3),
        # What shows the same image, a place of its own, nothing, or what is no page.
        ("".join(f"<a href=/same/{n}><img src=/t/{n}.jpg></a>" for n in range(4)), False, 3),
        ("".join(f"<a href=/g/1><img src=/t/{n}.jpg></a>" for n in range(4)), False, 0),
        ("".join(f"<a href=/user/{n}><img class=avatar src=/t/{n}.jpg></a>" for n in range(4)), False, 0),
        ("".join(f"<a href=/i/{n}.jpg><img src=/t/{n}.jpg></a>" for n in range(4)), False, 0),
        ("".join(f"<a href=/empty/{n}><img src=/t/{n}.jpg></a>" for n in range(4)), False, 3),
    ],
    ids=["beside", "albums", "related", "same", "itself", "people", "files", "empty"],
)
def test_where_it_is_not_sure_the_images_of_the_page_are_those_of_the_gallery(
    server: Server, tmp_path: Path, gallery: str, *, told: bool, asked: int
) -> None:
    add_galleries(server)
    add(server, {"/g/1": f"<h1>1</h1>{gallery}"})
    add(server, {f"/album/b{n}": f"<img src=/i/b{n}.jpg>" for n in range(4)})
    add(server, {f"/albums/c{n}": "".join(f"<img src=/i/c{n}-{k}.jpg>" for k in range(4)) for n in range(4)})
    add(server, {f"/same/{n}": f"<img src=/t/{n}.jpg>" for n in range(4)})
    add(server, {f"/empty/{n}": "<p>nothing" for n in range(4)})
    run = one_gallery(server, tmp_path)
    assert not any("/i/b" in url or "/i/c" in url for url in run.items[0]["image_urls"])
    assert len(run.items[0]["image_urls"]) >= 4
    assert (LINE in run.log) == told
    assert sum(request.path.split("/")[1] not in ("t", "i") for request in server.requests) <= 2 + asked
    assert "failed_pages" not in run.items[0]


def test_photographs_that_link_to_pages_with_others_keep_their_place(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    for path in ("/top", "/g/2"):
        photographs = "".join(f"<a href=/castle/{n}><img src=/i/{n}.jpg width=1200></a>" for n in (path[-1] * 2, 7, 8))
        add(server, {path: f"<h1>Castles</h1><article>{photographs}</article>"})
    add(server, {f"/castle/{n}": f"<img src=/i/hall{n}.jpg width=600>" for n in ("pp", "22", 7, 8)})
    run = one_gallery(server, tmp_path, "/top")
    assert shown(run) == {"top": ["pp.jpg", "7.jpg", "8.jpg"]}
    assert not any(request.path.startswith("/castle") for request in server.requests)
    # Where small ones have made it sure, those in large stay beside what their pages show.
    add(server, {"/g/1": "<h1>Small</h1><article>" + thumbnails("a", range(4), css="''") + "</article>"})
    image_pages(server, "a", range(4))
    run = gallery_crawl(
        server, tmp_path / "two", list="", galleries="", gallery=f"{server.url('/g/1')},{server.url('/g/2')}"
    )
    assert {"22.jpg", "7.jpg", "8.jpg"} <= set(shown(run)["2"]), run.log
    assert set(shown(run)["1"]) == {f"a{n}.jpg" for n in range(4)}
    assert "/t/a" not in "".join(shown(run)["1"])


@pytest.mark.parametrize(("shown_here", "there", "taken"), [(400, 600, True), (400, 350, False), (200, 600, True)])
def test_what_has_no_more_pixels_takes_no_ones_place(
    server: Server, tmp_path: Path, shown_here: int, there: int, *, taken: bool
) -> None:
    add_galleries(server)
    add(server, {"/g/1": f"<h1>One</h1><div>{thumbnails('a', range(4))}</div>".replace(" width=120", "")})
    image_pages(server, "a", range(4))
    for n in range(4):
        server.add(f"/t/a{n}.jpg", jpeg(shown_here, shown_here, (50 * n, 2, 3)))
        server.add(f"/i/a{n}.jpg", jpeg(there, there, (50 * n, 99, 3)))
    run = one_gallery(server, tmp_path)
    assert run.items[0]["image_urls"] == [server.url(f"/{'i' if taken else 't'}/a{n}.jpg") for n in range(4)]
    assert (LINE in run.log) == (not taken)
    assert run.code == 0, run.log
    assert len([request for request in server.requests if request.path[:3] in ("/t/", "/i/")]) <= 4 + 1 + (
        shown_here > 300
    )


def places(html: str, url: str = "http://h/g/1") -> PagePlaces:
    return PagePlaces(Selector(f"<body>{html}</body>"), url)


@pytest.mark.parametrize(
    ("links", "thumbnails", "images", "expected"),
    [
        (["/p/1", "/p/2"], ["/t/1.jpg", "/t/2.jpg"], ["/i/1.jpg", "/i/2.jpg"], True),
        (["/p/1", "/p/2"], ["/t/x.jpg", "/t/y.jpg"], ["/i/1_o.jpg", "/i/2_o.jpg"], True),
        (["/a", "/b"], ["/t/DSC_0123s.jpg", "/t/DSC_0124s.jpg"], ["/i/DSC_0123.jpg", "/i/DSC_0124.jpg"], True),
        (["/p/1", "/p/2"], ["/t/1.jpg", "/t/2.jpg"], ["/i/2.jpg", "/i/1.jpg"], False),
        (["/p/1", "/p/2"], ["/t/1.jpg", "/t/2.jpg"], ["/i/a7.jpg", "/i/b8.jpg"], False),
        (["/p/1", "/p/2"], ["/t/1.jpg", "/t/2.jpg"], ["/i/1.jpg", "/ad/9.jpg"], False),
        (["/p/al", "/p/bo"], ["/t/x.jpg", "/t/y.jpg"], ["/al/1.jpg", "/bo/2.jpg"], False),
    ],
)
def test_images_are_those_of_thumbnails_by_their_names(
    links: list[str], thumbnails: list[str], images: list[str], *, expected: bool
) -> None:
    each = [[f"http://h{address}" for address in addresses] for addresses in (links, thumbnails, images)]
    assert all(named_alike(each[0], [[one] for one in each[1]], [[one] for one in each[2]])) == expected


def test_the_only_image_of_a_gallery_is_named_like_its_thumbnail() -> None:
    image, other = "http://h/i/12_o.jpg", "http://h/i/set.jpg"
    assert named_alike(["http://h/p/x.html"], [["http://h/t/12s.jpg"]], [[image, other]]) == [(image,)]
    assert named_alike([], [], []) == []


def test_a_smaller_copy_takes_no_ones_place() -> None:
    large, small = ["http://h/a.jpg"], ["http://h/a-300x200.jpg"]
    assert are_larger([small], [large])
    assert not are_larger([large], [small])


@pytest.mark.parametrize(
    ("gallery", "link", "expected"),
    [
        ("/g/1", "/g/2", True), ("/my-trip/", "/my-cat/", True), ("/2024/05/a", "/2023/11/b", True),
        ("/", "/a", True), ("/index.php?album=1", "/index.php?album=2", True), ("/trip.html", "/cat.html", True),
        ("/g/1", "/p/2", False), ("/g/1", "/g/1/2", False), ("/trip.html", "/trip-2.html", False),
        ("/index.php?album=1", "/index.php?image=2", False), ("/gallery.php?id=1", "/view.php?id=2", False),
        ("/wiki/Album", "/wiki/File:Lake.jpg", False), ("/wiki/Album", "/wiki/Other", True),
        ("/wiki/A.jpg", "/wiki/B.jpg", True),
    ],
)  # fmt: skip
def test_which_addresses_may_be_those_of_other_galleries(gallery: str, link: str, *, expected: bool) -> None:
    assert are_alike(f"http://h{gallery}", [f"http://h{link}"]) == expected


def test_thumbnails_may_stand_behind_many_other_images() -> None:
    flags = "".join(f"<img src=/flags/{n}.png>" for n in range(60))
    found = thumbnails_on(places(f"<nav>{flags}</nav><div>{thumbnails('a', range(4))}</div>"), ())
    assert found
    assert len(found.images) == 4
    assert thumbnails_on(places("".join(f"<a href=/i/{n}.jpg><img src=/t/{n}.jpg></a>" for n in range(9))), ()) is None


@pytest.mark.parametrize(
    "html",
    [
        "<div class=g>" * 6_000 + "<a class=t href=/p/1><img src=/t/1.jpg></a>" * 3_000,
        "".join(f"<a class=t href=/p/{n}><img src=/t/{n}.jpg>" for n in range(9_000)),
        "<div class=g>" * 3_000
        + "".join(f"<div><a class=t href=/p/{n}><img src=/t/{n}.jpg></a>" for n in range(2_000)),
    ],
    ids=["nested", "links in links", "deeper and deeper"],
)
def test_thumbnails_are_looked_for_in_bounded_time(html: str) -> None:
    started = time.process_time()
    thumbnails_on(places(html), ())
    assert time.process_time() - started < 5


def test_thumbnails_of_which_some_are_no_links_are_the_most_all_the_same() -> None:
    others = "".join(f"<p><img src=/i/{n}.jpg></p>" for n in range(5))
    alone = "".join(f"<a class=t><img src=/u/{n}.jpg></a>" for n in range(7))
    found = thumbnails_on(places(f"<div>{thumbnails('a', range(3))}{alone}</div>{others}"), ())
    assert found
    assert len(found.images) == 3


@pytest.mark.parametrize(
    "html",
    [
        f"<nav>{thumbnails('a', range(9))}</nav>",
        thumbnails("a", range(9), "http://other/{}"),
        thumbnails("a", range(3)) + "".join(f"<p><img src=/i/{n}.jpg>" for n in range(60)),
    ],
    ids=["menu", "elsewhere", "more others"],
)
def test_hardly_an_image_is_searched_where_none_may_be_a_thumbnail(monkeypatch: pytest.MonkeyPatch, html: str) -> None:
    searched: list[Selector] = []
    search = proposals.images_in
    monkeypatch.setattr(proposals, "images_in", lambda nodes, *place: searched.extend(nodes) or search(nodes, *place))
    assert thumbnails_on(places(html), ()) is None
    assert len(searched) <= 3


def test_one_thumbnail_is_enough_to_know_that_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Selector] = []
    search = proposals.images_in
    monkeypatch.setattr(proposals, "images_in", lambda nodes, *place: searched.extend(nodes) or search(nodes, *place))
    page = places("<a class=t href=/p/0><img width=120></a>" + thumbnails("a", range(60)))
    assert has_thumbnails(page, "a.t")
    assert len(searched) == 2
    assert not has_thumbnails(page, "a.u")


async def test_galleries_that_come_together_wait_for_what_the_first_ones_show(monkeypatch: pytest.MonkeyPatch) -> None:
    spider = AnySiteSpider.from_crawler(get_crawler(AnySiteSpider), gallery="http://h/g/1")
    looked_at: list[str] = []

    async def look_at(found: object, response: HtmlResponse, host: object) -> None:
        await asyncio.sleep(0)

    def noted(page: PagePlaces, galleries: tuple[str, ...]) -> object:
        looked_at.append(page.url)
        return thumbnails_on(page, galleries)

    monkeypatch.setattr(spider, "_look_at", look_at)
    monkeypatch.setattr(enlarged, "thumbnails_on", noted)
    pages = [HtmlResponse(f"http://h/g/{n}", body=thumbnails(f"x{n}", range(3)).encode()) for n in range(9)]
    await asyncio.gather(*map(spider._pages_of_images, pages))
    assert looked_at == [page.url for page in pages[: enlarged.TRIES]]


def test_all_galleries_in_doubt_are_counted(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/list/1": links(*(f"/g/{n}" for n in range(6)))})
    add(server, {f"/g/{n}": f"<h1>{n}</h1><img src=/i/own{n}.jpg>{thumbnails(f'x{n}', range(3))}" for n in range(6)})
    for n in range(6):
        image_pages(server, f"x{n}", range(3))
    run = gallery_crawl(server, tmp_path, "/list/1", VERDICT_MAX_FAILED="1")
    assert f"{LINE}6, as " in run.log
    asked = [request.path for request in server.requests if request.path.startswith("/p/")]
    assert len(asked) == 9, "of three galleries"


def test_each_gallery_may_have_a_place_of_its_own_for_its_thumbnails(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/list/1": links(*(f"/g/{n}" for n in range(8)))})
    for n in range(8):
        add(server, {f"/g/{n}": f"<h1>{n}</h1><div id=album-{n}>{thumbnails(f'{n}x', range(3), css=f't{n}')}</div>"})
        image_pages(server, f"{n}x", range(3))
    run = gallery_crawl(server, tmp_path, "/list/1")
    assert shown(run) == {str(n): [f"{n}x{k}.jpg" for k in range(3)] for n in range(8)}
    assert all("/i/" in url for item in run.items for url in item["image_urls"])
    assert all(server.count(f"/p/{n}x{k}") == 1 for n in range(8) for k in range(3))
