"""example.org of the documentation: what its commands are run against."""

from __future__ import annotations

from tests.support.server import Answer, Request, Server, jpeg

ALBUMS, PER_PAGE = 12, 6
CSV = "id,url,caption,label\n" + "".join(
    f"{n},https://img.example.org/img/{n}-1.jpg,bird {n},{'red' if n % 2 else 'blue'}\n" for n in range(1, 5)
)
COOKIES = "# Netscape HTTP Cookie File\nexample.org\tFALSE\t/\tFALSE\t0\tsession\tabc\n"


def add_example(server: Server) -> None:
    """Albums on list pages (the second is `rel=next` of the first), the same for members, and a sitemap."""
    for n in range(1, ALBUMS + 1):
        images = "".join(
            f'<figure><img src="/img/{n}-{k}.jpg"><figcaption>{n}-{k}</figcaption></figure>' for k in (1, 2)
        )
        server.add(f"/album/{n}", lambda _, n=n, images=images: page(f"Album {n}", f"<article>{images}</article>"))
        for k in (1, 2):
            server.add(f"/img/{n}-{k}.jpg", jpeg(400, 300, (n * 20, k * 90, 40)))
    pages = ALBUMS // PER_PAGE
    for number in range(1, pages + 1):
        albums = range((number - 1) * PER_PAGE + 1, number * PER_PAGE + 1)
        links = "".join(
            f'<div class="card"><a class="album" href="/album/{n}"><img src="/img/{n}-1.jpg">Album {n}</a></div>'
            for n in albums
        )
        more = f'<a rel="next" href="/albums?page={number + 1}">next</a>' if number < pages else ""
        body = page("Albums", f"<main>{links}</main>{more}")
        server.add(f"/albums?page={number}", lambda _, body=body: body)
        server.add(f"/members?page={number}", lambda request, body=body: members_only(request, body))
        if number == 1:
            server.add("/albums", lambda _, body=body: body)
    server.add("/sitemap.xml", sitemap(server), headers={"Content-Type": "application/xml"})


def members_only(request: Request, body: Answer) -> Answer:
    return (
        body
        if "session=abc" in request.headers.get("cookie", "")
        else page("Log in", '<form><input type="password"></form>')
    )


def page(title: str, body: str) -> Answer:
    html = f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>"
    return Answer(html.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def sitemap(server: Server) -> bytes:
    urls = "".join(f"<url><loc>{server.url(f'/album/{n}')}</loc></url>" for n in range(1, ALBUMS + 1))
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'.encode()
