"""What is proposed for sites that nobody has read."""

from __future__ import annotations

import time

import pytest
from parsel import Selector

from imgcrawl.pages.pagination import propose_pagination
from imgcrawl.pages.proposals import GalleryImages, UnsureError, propose_galleries, propose_images
from imgcrawl.pages.repeated import PagePlaces
from tests.pages.layouts import LAYOUTS, Layout, many, site

SITE = "https://site.example"


def places(html: str, path: str) -> PagePlaces:
    return PagePlaces(Selector(text=html, type="html"), SITE + path)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_galleries_and_pagination(layout: Layout) -> None:
    page = places(layout.html, layout.path)
    if layout.galleries is None:
        with pytest.raises(UnsureError, match=SITE):
            propose_galleries(page)
        return
    found = propose_galleries(page)
    assert list(found.addresses) == [SITE + path for path in layout.galleries]
    assert page.found_by(found.css) == set(found.addresses)
    following = propose_pagination(page)
    assert (following.list_url.removeprefix(SITE) if following else "") == layout.list_url
    link = following.next_link if following else ""
    nodes = page.page.xpath(link) if link.startswith("/") else page.page.css(link or "none")
    assert [node.attrib["href"] for node in nodes] == ([layout.following] if layout.following else [])


def test_a_link_of_very_many_digits_is_no_number_of_a_page() -> None:
    links = "".join(f'<a href="/l?page={text}">{text}</a>' for text in ("2", "3", "9" * 5000, "\u00b2", "\u0662"))
    following = propose_pagination(places(links, "/l?page=1"))
    assert following is not None
    assert following.list_url == f"{SITE}/l?page={{page}}"


RELATED = many(8, lambda n, name: f'<div class="rel"><a href="/g/{name}"><img src="/t/{name}.jpg"></a></div>')
FRAME = '<img src="/logo.png"><h1>{title}</h1>{images}<div class="more">' + RELATED + '</div><img src="/foot.png">'
GALLERIES = {
    "images by themselves": (
        '<div class="photos"><p><img src="/o/{k}{n}.jpg"></p></div>',
        GalleryImages("div.photos img"),
    ),
    "images with their captions": (
        '<figure class="shot"><img data-src="/o/{k}{n}.jpg" width=900><figcaption>c</figcaption></figure>',
        GalleryImages("figure.shot img"),
    ),
    "links to the originals": (
        '<a class="zoom" href="/full/{k}{n}.jpg"><img class="th" src="/o/{k}{n}.jpg"></a>',
        GalleryImages("img.th"),
    ),
    "links to the pages of the images": (
        '<li class="thumb"><a href="/photo/{k}{n}"><img src="/o/{k}{n}.jpg"></a></li>',
        GalleryImages(image_pages="li.thumb a"),
    ),
    "links that lie over the images": (
        '<div class="photo"><a class="over" href="/photo/{k}{n}"></a><img src="/o/{k}{n}.jpg"></div>',
        GalleryImages(image_pages="a.over"),
    ),
    "images with links to their authors": (
        '<figure class="shot"><img src="/o/{k}{n}.jpg"><a href="/by/{k}{n}">by {n}</a></figure>',
        GalleryImages("figure.shot img"),
    ),
    "tall and wide ones": (
        '<dt class="icon portrait"><a href="/photo/{k}{n}"><img src="/o/{k}{n}.jpg"></a></dt>',
        GalleryImages(image_pages="dt.icon a"),
    ),
    "styled": (
        '<div class="ph"><img style="width: 100%" src="/o/{k}{n}.jpg"></div>',
        GalleryImages("div.ph img"),
    ),
    "one image alone": ('<img class="only" src="/o/{k}1.jpg">', GalleryImages("img.only")),
    "nothing that is certain": (
        '<div class="a"><img src="/o/{k}{n}.jpg"></div><span class="b"><img src="/x/{k}{n}.jpg"></span>',
        GalleryImages(),
    ),
}


@pytest.mark.parametrize(("image", "expected"), GALLERIES.values(), ids=GALLERIES)
def test_images_of_galleries(image: str, expected: GalleryImages) -> None:
    pages = []
    for kind in "ab":
        images = "".join(image.format(k=kind, n=n) for n in range(1, 6 if "{n}" in image else 2))
        page = FRAME.format(title=f"Gallery {kind}", images=f"<main>{images}</main>")
        pages.append(places(site(page), f"/g/{kind}"))
    galleries = {node.root.get("href") for node in pages[0].page.css("div.rel a")}
    shown = {f"{SITE}/o/{kind}2.jpg" for kind in "ab"}  # on the list page
    found = propose_images(pages, {SITE + path for path in galleries}, shown)
    assert found == GalleryImages(expected.images, expected.image_pages, "h1")


PHOTOS = "".join(f'<p class="ph"><img src="/o/K{number}.jpg"></p>' for number in range(5))


@pytest.mark.parametrize(
    ("page", "images"),
    [
        (PHOTOS, "p.ph img"),
        (f'<div class="lead"><img src="/o/K-lead.jpg"></div>{PHOTOS}', ""),
        (
            '<p class="ph"><img src="/o/K1.jpg"><script>images = ["/o/K1.jpg","/o/K2.jpg","/o/K3.jpg"]</script>',
            "",
        ),
        ('<img class="mid" src="/m/K.jpg"><a class="big" href="/o/K.jpg">Original image</a>', "a.big"),
        ('<img class="mid" src="/m/K.jpg"><a href="/o/K.jpg">1600x1200</a>', "main > a"),
    ],
)
def test_no_images_are_lost_for_a_selector_that_finds_some(page: str, images: str) -> None:
    pages = [places(site(f"<main>{page.replace('K', kind)}</main>"), f"/g/{kind}") for kind in "ab"]
    assert propose_images(pages, (), ()).images == images


def test_a_page_of_many_links_is_read_in_time() -> None:
    cards = many(20_000, lambda n, _: f'<div class="c{n} card"><a href="/g/{n}"><img src="/t/{n}.jpg"></a></div>')
    start = time.process_time()
    assert propose_galleries(places(site(cards), "/")).css == "div.card a"
    assert time.process_time() - start < 20


def test_links_in_links_are_proposed_from_in_time() -> None:
    page = places("<a href=/1><b>" * 500 + "<i>x</i>" * 20_000 + "</b></a>" * 500, "/")
    start = time.process_time()
    assert propose_pagination(page) is None
    with pytest.raises(UnsureError):
        propose_galleries(page)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("<a href=/p/2>Older stories</a>", "//a[normalize-space()='Older stories']"),
        ("<a href=/p/2>Next tales »</a>", "//a[normalize-space()='Next tales »']"),
        ("<a href=/p/2>« Previous month</a>", "//a[normalize-space()='« Previous month']"),
        ("<a href=/p/2>Previous posts</a>", None),  # on some sites these are newer
        ("<a href=/p/2 class=pager__older>go on</a>", "a.pager__older"),
        ("<button class='btn load-more' data-url=/p/2>…</button>", "//button/@data-url"),
        ("<div data-url=/p/2>Load more</div>", "//div/@data-url"),
        ("<div class=grid data-next-url=/p/2><p>much text</p></div>", "//div/@data-next-url"),
        ("<a href=/p/2>Show more</a>", "//a[normalize-space()='Show more']"),
        ("<div data-url=/p/2>Open</div>", None),
        ("<a href=/p/2>older than time</a>", None),
        ("<a href=/p/2 class=news__newer>go on</a>", None),
    ],
)
def test_a_link_to_what_is_older_leads_to_the_next_page(link: str, expected: str | None) -> None:
    found = propose_pagination(PagePlaces(Selector(f"<body>{link}</body>"), "http://host/p", "utf-8"))
    assert (found.next_link if found else None) == expected


@pytest.mark.parametrize(
    "feed",
    [
        "<rss version='2.0'><channel><item><link>http://h/g/1</link></item></channel></rss>",
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link href='/g/1'/></entry></feed>",
        "<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url><loc>http://h/g/1</loc></url></urlset>",
    ],
)
@pytest.mark.parametrize("kind", ["xml", "html"])
def test_a_feed_is_told_to_be_one(feed: str, kind: str) -> None:
    with pytest.raises(UnsureError, match="-a sitemap=http://h/feed"):
        propose_galleries(PagePlaces(Selector(feed, type=kind), "http://h/feed"))


@pytest.mark.parametrize("tag", ["o:p", "p:hover", "b\x01", "a.b"])
def test_a_selector_names_no_element_that_selectors_cannot_name(tag: str) -> None:
    links = "".join(f"<{tag}><a href=/v/{n}.html><img src=/t/{n}.jpg></a></{tag}>" for n in range(9))
    page = places(f"<h1>t</h1><div>{links}</div><{tag} data-next-url=/l/2.html>Next</{tag}>", "/l/")
    assert page.page.css(propose_galleries(page).css)
    pagination = propose_pagination(page)
    assert pagination
    assert page.page.xpath(pagination.next_link).getall() == ["/l/2.html"]
