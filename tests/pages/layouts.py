"""Sites unlike each other: of each a list page, its address, the galleries on it, and how it goes on.

`galleries` is None where a person, too, would have to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

NAMES = [
    "misty-morning",
    "old-harbour",
    "city-lights",
    "quiet-forest",
    "red-canyon",
    "winter-sea",
    "night-market",
    "blue-hour",
    "salt-flats",
    "high-pass",
    "rain-on-glass",
    "paper-boats",
]


class Layout(NamedTuple):
    html: str
    path: str
    galleries: list[str] | None
    list_url: str = ""  # what is proposed for it
    following: str = ""  # the address of the next page, by a link


def many(count: int, make: Callable[[int, str], str]) -> str:
    return "".join(make(number, NAMES[(number - 1) % len(NAMES)]) for number in range(1, count + 1))


def site(body: str) -> str:
    return (
        "<!doctype html><html><head><title>A site</title></head><body><nav><a href=/>Home</a>"
        "<a href=/about>About us</a><a href=/contact>Contact us</a><a href=/galleries>Galleries</a></nav>"
        f"{body}<footer><a href=/privacy>Privacy policy</a><a href=/terms>Terms of use</a>"
        "<a href=https://social.example/x>Social</a></footer></body></html>"
    )


LAYOUTS: dict[str, Layout] = {
    "cards with authors and categories": Layout(
        site(
            '<main><div class="grid">'
            + many(
                12,
                lambda n, name: (
                    f'<div class="card card-{n}"><a href="/g/{name}"><img src="/t/{n}.jpg"></a><h3>'
                    f'<a href="/g/{name}">No {n}</a></h3>'
                    f'<a class="by" href="/user/u{n}"><img src="/a/{n}.png" width="32"></a>'
                    f'<a href="/category/c{n % 3}">Kind {n % 3}</a></div>'
                ),
            )
            + '</div><div class="pagination"><a href="?page=2">2</a><a href="?page=3">3</a></div></main>'
        ),
        "/list?page=1",
        [f"/g/{name}" for name in NAMES],
        list_url="/list?page={page}",
    ),
    "a table with thumbnails in another column": Layout(
        site(
            "<table>"
            + many(
                10,
                lambda n, _: (
                    f'<tr><td><img src="/t/{n}.jpg"></td><td><a href="/show.php?id={100 + n}">Album {n} of all</a></td>'
                    f'<td><a href="/member.php?u={n}">member{n}</a></td><td>{n}</td></tr>'
                ),
            )
            + '</table>Pages: <a href="/list.php?start=10">2</a> <a href="/list.php?start=20">3</a>'
        ),
        "/list.php",
        [f"/show.php?id={100 + n}" for n in range(1, 11)],
        list_url="/list.php?start={offset}",
    ),
    "a list of titles without images": Layout(
        site(
            '<div id="content"><h1>All sets</h1><ul class="sets">'
            + many(15, lambda n, _: f'<li><a href="/2024/{n:02}/set-{n}/">Set number {n} of many</a></li>')
            + '</ul><div class="wp-pagenavi"><a href="/page/2">2</a><a href="/page/3">3</a>'
            '<a href="/page/2">»</a></div></div>'
        ),
        "/",
        [f"/2024/{n:02}/set-{n}/" for n in range(1, 16)],
        following="/page/2",
    ),
    "figures, and a link that says rel=next": Layout(
        site(
            "<section>"
            + many(
                8,
                lambda n, name: (
                    f'<figure><a href="/essays/{name}.html"><picture>'
                    f'<source srcset="/t/{n}.webp"><img data-src="/t/{n}.jpg"></picture></a>'
                    f"<figcaption>Essay {n}</figcaption></figure>"
                ),
            )
            + '</section><a rel="next" href="/essays?cursor=abc">More</a>'
        ),
        "/essays",
        [f"/essays/{name}.html" for name in NAMES[:8]],
    ),
    "tiles with backgrounds": Layout(
        site(
            '<div class="wrap">'
            + many(
                9,
                lambda n, _: (
                    f'<div class="tile{" odd" * (n % 2)}"><a class="cover" href="/album/{n}" style="background-image: '
                    f'url(/t/{n}.jpg)"></a><span>Album {n}</span></div>'
                ),
            )
            + '</div><a class="btn next" href="/albums/2">Next page</a>'
        ),
        "/albums",
        [f"/album/{n}" for n in range(1, 10)],
        following="/albums/2",
    ),
    "articles, and more popular ones beside them": Layout(
        site(
            '<div class="main has-sidebar">'
            + many(
                6,
                lambda n, name: (
                    f'<article class="post post-{n}00 category-x{n}"><header><h2><a href="/{name}/">{name}</a>'
                    f'</h2></header><a href="/{name}/"><img src="/t/{n}.jpg"></a>'
                    f'<p>words <a href="/tag/t{n}">tag</a></p></article>'
                ),
            )
            + '<div class="nav-links"><a href="/page/2/">Older posts</a></div></div>'
            '<div class="sidebar"><h4>Popular</h4>'
            + many(10, lambda n, _: f'<div><a href="/pop-{n}/"><img src="/p/{n}.jpg">Popular {n}</a></div>')
            + "</div>"
        ),
        "/",
        [f"/{name}/" for name in NAMES[:6]],
        following="/page/2/",
    ),
    "whole cards as links, classes of a framework": Layout(
        site(
            '<main class="mx-auto md:flex"><ul class="grid grid-cols-2 md:grid-cols-4">'
            + many(
                12,
                lambda n, name: (
                    f'<li class="p-2 md:p-4"><a href="/gallery/{n * 37}-{name}" class="block hover:opacity-75">'
                    f'<img srcset="/t/{n}-s.jpg 300w, /t/{n}-l.jpg 900w"><div><p>Name {n}</p></div></a></li>'
                ),
            )
            + '</ul><a href="/galleries?p=2" aria-label="Next">›</a></main>'
        ),
        "/galleries",
        [f"/gallery/{n * 37}-{name}" for n, name in enumerate(NAMES, 1)],
        following="/galleries?p=2",
    ),
    "page numbers in file names": Layout(
        site(
            '<div class="list"><dl>'
            + many(
                10,
                lambda n, _: (
                    f'<dd><a href="/mm/{5000 + n}.html"><img src="/t/{n}.jpg"></a>'
                    f'<a href="/mm/{5000 + n}.html">图{n}</a></dd>'
                ),
            )
            + '</dl><div class="page"><a href="list_1_2.html">2</a><a href="list_1_3.html">3</a>'
            '<a href="list_1_2.html">下一页</a></div></div>'
        ),
        "/list_1_1.html",
        [f"/mm/{5000 + n}.html" for n in range(1, 11)],
        list_url="/list_1_{page}.html",
    ),
    "an old site without classes": Layout(
        '<html><body><table><tr><td><a href="index.html">Home</a><br><a href="links.html">Links</a></td><td><center>'
        + many(7, lambda n, _: f'<a href="trip{n}.html"><img src="tn{n}.gif" border=0></a> ')
        + "</center></td></tr></table></body></html>",
        "/pics/index.html",
        [f"/pics/trip{n}.html" for n in range(1, 8)],
    ),
    "a table that only arranges": Layout(
        site(
            "<table>"
            + many(
                4,
                lambda row, _: (
                    "<tr>"
                    + many(
                        3, lambda n, _: f'<td><a href="/a{row}{n}.htm"><img src="/t/{row}{n}.jpg"></a><br>No {n}</td>'
                    )
                    + "</tr>"
                ),
            )
            + "</table>"
        ),
        "/all",
        [f"/a{row}{n}.htm" for row in range(1, 5) for n in range(1, 4)],
    ),
    "the threads of a forum": Layout(
        site(
            '<div class="threads">'
            + many(
                20,
                lambda n, _: (
                    f'<div class="row {"sticky" * (n == 1)}"><div class="icon"><a href="/threads/t-{n}.{n}00/">'
                    f'<img src="/tn/{n}.jpg"></a></div><div class="t"><a href="/threads/t-{n}.{n}00/">Topic {n}</a>'
                    f'<div class="meta"><a href="/members/m{n}/">m{n}</a>'
                    f'<a href="/threads/t-{n}.{n}00/page-4">4</a></div>'
                    "</div></div>"
                ),
            )
            + '</div><div class="pageNav"><a href="/forums/pics.5/page-2">2</a><a href="/forums/pics.5/page-3">3</a>'
            '<a href="/forums/pics.5/page-2" class="pageNav-jump--next">Next</a></div>'
        ),
        "/forums/pics.5/",
        [f"/threads/t-{n}.{n}00/" for n in range(1, 21)],
        following="/forums/pics.5/page-2",
    ),
    "names of classes that say nothing": Layout(
        site(
            '<div class="css-1x9y7 e1"><div class="css-77aa1">'
            + many(
                10,
                lambda n, _: (
                    f'<div class="css-0"><div class="css-9k2{n}"><a href="./view/{n:04x}{n * 7919:x}">'
                    f"<div style=\"background-image:url('/t/{n}.jpg')\"></div></a></div></div>"
                ),
            )
            + "</div></div><button>Load more</button>"
        ),
        "/discover/",
        [f"/discover/view/{n:04x}{n * 7919:x}" for n in range(1, 11)],
    ),
    "advertisements among the galleries": Layout(
        site(
            '<div class="items">'
            + many(
                12,
                lambda n, name: (
                    f'<div class="item"><a href="{"/set/" + name if n % 4 else "https://ads.example/c"}">'
                    f'<img src="/t/{n}.jpg"></a></div>'
                ),
            )
            + '</div><a class="next" href="/new/2"><span>Next</span></a>'
        ),
        "/new",
        [f"/set/{name}" for n, name in enumerate(NAMES, 1) if n % 4],
        following="/new/2",
    ),
    "two lists alike": Layout(
        site(
            '<section id="latest">'
            + many(8, lambda n, _: f'<div><a href="/g/{n}"><img src="/t/{n}.jpg"></a></div>')
            + '</section><section id="picks">'
            + many(8, lambda n, _: f'<div><a href="/p/{n}"><img src="/t/p{n}.jpg"></a></div>')
            + "</section>"
        ),
        "/",
        None,
    ),
    "a blog made of widgets": Layout(
        site(
            '<div class="main section" id="main"><div class="widget Blog">'
            + many(
                4,
                lambda n, name: (
                    f'<div class="post hentry"><h3 class="post-title"><a href="/2026/{name}.html">{name}</a></h3>'
                    f'<div class="body"><a href="/s1600/{n}.jpg"><img src="/s320/{n}.jpg"></a></div></div>'
                ),
            )
            + '<a class="blog-pager-older-link" href="/search?max=4">Older Posts</a></div></div>'
            + '<div class="sidebar"><div class="widget Archive">'
            + many(9, lambda n, name: f'<li><a href="/2025/{name}.html">{name}</a></li>')
            + "</div></div>"
        ),
        "/",
        [f"/2026/{name}.html" for name in NAMES[:4]],
        following="/search?max=4",
    ),
    "rows in two colours": Layout(
        site(
            '<ul class="topics">'
            + many(
                5,
                lambda n, name: (
                    f'<li class="row bg{n % 2}"><dl><dt><a href="/show?t={n}" class="title">{name}</a> '
                    f'<a href="/member?u={n}" class="name">u{n}</a></dt>'
                    f'<dd><a href="/show?t={n}&amp;p=9">last</a></dd></dl></li>'
                ),
            )
            + "</ul>"
        ),
        "/forum",
        [f"/show?t={n}" for n in range(1, 6)],
    ),
    "photographs on the page itself": Layout(
        site(
            many(9, lambda n, _: f'<article><a href="/full/{n}.jpg"><img src="/t/{n}.jpg"></a><h2>{n}</h2></article>'),
        ),
        "/",
        None,
    ),
    "an article": Layout(site("<article><h1>Words</h1><p>Only <a href=/x>one link</a>.</p></article>"), "/words", None),
}
