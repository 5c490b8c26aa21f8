"""What is aimed at how pages are read for series, thumbnails and photographs within them, at feeds that are added to,
at what workers tell each other of placeholders, and at disks that fill up."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import random
import struct
from collections.abc import Callable
from typing import Any

from PIL import Image

from tests.attacks.kinds import remote_list, robots, sitemap
from tests.attacks.neighbours import PAGE, PREFIX, said, told
from tests.attacks.outward import GOOD, XML, bomb
from tests.attacks.sites import image, judged, listed, page, text
from tests.attacks.stage import HTML, MB, Attack, Outcome, Stage
from tests.images import hostile
from tests.images.pictures import bare_gif, encoded
from tests.support.disk import small_disk
from tests.support.server import Answer, Exchange, Request, Server, jpeg, redirect
from tests.test_lines import HOSTILE as TEXT

# ---- pages


def photograph(body: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"


def within(*bodies: bytes, kind: str = "jpeg") -> bytes:
    return (GOOD + "".join(f"<img src='{photograph(body, kind)}'>" for body in bodies)).encode()


def series(count: int, between: str = ",") -> str:
    return "<script>a=[" + between.join(f'"/i/{n}.jpg"' for n in range(count)) + "]</script>"


def thumbnails(count: int, href: str = "/v/{}", more: str = "") -> str:
    return "".join(f"<a href='{href.format(n)}'{more}><img src=/t/{n}.jpg></a>" for n in range(count))


LONG = "c " * MB
PAGES: dict[str, Attack] = {
    "a class of 2 MB around 5,000 linked images": page(text(f"<title>t</title><div class='{LONG}'>{thumbnails(5_000)}</div>")),
    "id, role and style of 2 MB each around 5,000 images": page(text(f"<title>t</title><div id='{LONG}' role='{LONG}' style='{LONG}'>{'<img src=/i/good.jpg>' * 5_000}</div>")),
    "a class of 2 MB around 5,000 links": page(text(f"{GOOD}<div class='{LONG}'>{''.join(f'<a href=/n/{n}>{n}</a>' for n in range(5_000))}</div>")),
    "200,000 addresses in a series": page(text(GOOD + series(200_000))),
    "3,000 scripts with a name that the page shows": page(text(GOOD + '<script>a=["/i/good.jpg","/i/b.jpg"]</script>' * 3_000)),
    "2 MB of addresses with blanks between them": page(text(GOOD + series(40_000, " " * 40))),
    "a series of addresses of 500 characters": page(text(GOOD + "<script>" + ("/i/good.jpg?" + "a" * 488 + ",") * 8_000 + "</script>")),
    "a photograph of 8 MB within the page": page(lambda: within(jpeg() + bytes(6 * MB))),
    "900 photographs of 8 KB within the page": page(lambda: within(*(jpeg(comment=str(n)) + bytes(6_000) for n in range(900)))),
    "a photograph of 8 MB of escapes": page(text(f"{GOOD}<img src='data:image/jpeg,{'%41' * 2_700_000}'>")),
    "a photograph within the page that is a bomb": page(lambda: within(hostile.progressive_jpeg(9000, 8000))),
    "a GIF of 300,000 frames within the page": page(lambda: within(bare_gif(100, 100, 300_000), kind="gif")),
    "photographs in links, sources, posters and JSON": page(text(GOOD + "".join(part.format(photograph(jpeg() + bytes(6_000))) for part in ("<a href='{0}'><img src='{0}'></a>", "<picture><source srcset='{0} 2x'><img src='{0}'></picture>", "<video poster='{0}'></video>", "<p style='background:url({0})'>", "<meta property=og:image content='{0}'>")) * 30)),
    "links in links around 5,000 images": page(text("<title>t</title>" + "<a href=/v/1>" * 200 + thumbnails(5_000))),
    "thumbnails whose pages are the gallery itself": page(text("<title>t</title>" + thumbnails(300, "/bad?{}"))),
}  # fmt: skip


def enlarged(show: Callable[[int], bytes], most: int, thumbnail: Callable[[], bytes] = jpeg, count: int = 60) -> Attack:
    """A gallery whose images link to pages that show *show*; the site is asked for no more than *most* pages and
    images."""

    def attack(stage: Stage) -> Outcome:
        arguments = stage.site(f"<title>bad</title><ul>{thumbnails(count)}</ul>".encode())
        small = thumbnail()
        colours = ((n % 256, n // 256 % 256, 9) for n in range(65_536))

        def answer(request: Request) -> Answer:
            name = request.path.rpartition("/")[2]
            if request.path.startswith("/v/"):
                return Answer(show(int(name.partition("?")[0])), 200, HTML)
            return Answer(small if request.path.startswith("/t/") else jpeg(400, 300, next(colours)))

        stage.server.add("*", answer)
        is_good, words = judged(stage.crawl("gallery", arguments))
        asked = len(stage.server.requests)
        return is_good and asked <= most, f"{asked} requests; {words}"

    return attack


def leads_on(number: int) -> bytes:
    return f"<title>{number}</title>{thumbnails(60, f'/v/{number}{{}}')}<a rel=next href=/v/{number}9>next</a>".encode()


ENLARGED: dict[str, Attack] = {
    "pages of images that lead to more pages of images": enlarged(leads_on, 200),
    "pages of images of 15,000 images each": enlarged(lambda n: (f"<img src=/l/{n}.jpg>" + "".join(f"<img src=/z/{n}/x-{m}.jpg>" for m in range(15_000))).encode(), 100, count=8),
    "pages of images of 300 images each": enlarged(lambda n: "".join(f"<img src=/l/{n}-{m}.jpg>" for m in range(300)).encode(), 4_000, count=12),
    "pages of images that are 5 MB": enlarged(lambda n: f"<title>t</title><img src=/l/{n}.jpg>{'<p>' * 1_000}{'a ' * 2 * MB}".encode(), 300, count=12),
    "thumbnails that are GIFs of 40,000 frames": enlarged(lambda n: f"<img src=/l/{n}.jpg>".encode(), 300, lambda: bare_gif(2000, 2000, 40_000), 6),
    "thumbnails that are JPEGs of fill": enlarged(lambda n: f"<img src=/l/{n}.jpg>".encode(), 300, lambda: jpeg()[:2] + b"\xff" * 900_000 + jpeg()[2:], 6),
    "thumbnails that are TIFFs of pages without end": enlarged(lambda n: f"<img src=/l/{n}.jpg>".encode(), 300, lambda: b"II*\0\x08\0\0\0" + (struct.pack("<H", 1) + struct.pack("<HHII", 256, 3, 1, 1)) * 60_000, 6),
}  # fmt: skip


def third_host(make: Callable[[str], str], most: int) -> Attack:
    """What a page makes us ask of a host that has nothing to do with it."""

    def attack(stage: Stage) -> Outcome:
        own = stage.stack.enter_context(Server(("127.0.0.2",)))
        for server in (own, stage.server):
            server.add("*", lambda request: Answer(jpeg() if ".jpg" in request.path else b"<img src=/x.jpg>", 200))
        arguments = stage.site(f"<title>bad</title>{make(own.url().rstrip('/'))}".encode())
        is_good, words = judged(stage.crawl("gallery", arguments))
        return is_good and len(own.requests) <= most, f"{len(own.requests)} requests to another host; {words}"

    return attack


def signed(stage: Stage) -> Outcome:
    """Addresses that are signed anew with each look at their page, and always have expired."""
    looks = [0]

    def bad(_: Request) -> Answer:
        looks[0] += 1
        names = "".join(f"<img src='/s/{n}.jpg?Expires={looks[0]}&Signature={looks[0]}x{n}'>" for n in range(200))
        return Answer(f"<title>bad</title>{names}".encode(), 200, HTML)

    arguments = stage.site(PAGE)
    stage.server.add("/bad", bad)
    stage.server.add("*", lambda _: Answer(b"expired", 403))
    is_good, words = judged(stage.crawl("gallery", arguments))
    asked = len(stage.server.requests)
    return is_good and looks[0] < 10 and asked < 1_000, f"{looks[0]} looks, {asked} requests; {words}"


def leads_to(location: str) -> Attack:
    """A gallery whose thumbnails lead to pages that lead there, as do its images, and its next page."""

    def attack(stage: Stage) -> Outcome:
        more = f"<img src=/l/1><link rel=next href=/next><meta http-equiv=refresh content='0; url={location}'>"
        arguments = stage.site(f"<title>bad</title><base href='{location}'>{thumbnails(6)}{more}".encode())
        stage.server.add("*", redirect(location))
        return judged(stage.crawl("gallery", arguments))

    return attack


REQUESTS: dict[str, Attack] = {
    "pages and images that lead to a photograph within": leads_to(photograph(jpeg() + bytes(6_000))),
    "pages and images that lead to a file": leads_to("file:///etc/passwd"),
    "pages and images that lead to no port": leads_to("http://127.0.0.1:99999/x"),
    "300 links to pages of another host around thumbnails": third_host(lambda base: thumbnails(4) + thumbnails(300, base + "/v/{}"), 310),
    "300 preconnects, frames, styles and scripts of another host": third_host(lambda base: "".join(f"<link rel=preconnect href={base}/{n}><iframe src={base}/f/{n}></iframe><script src={base}/{n}.js></script>" for n in range(300)), 10),
    "one page of another host as 300 images": third_host(lambda base: f"<img src={base}/x.jpg>" * 300, 2),
    "one image of another host with 300 fragments": third_host(lambda base: "".join(f"<img src={base}/x.jpg#{n}>" for n in range(300)), 2),
    "signed addresses that always have expired": signed,
}  # fmt: skip

# ---- feeds, and disks that fill up


def added_to(name: str, content: Callable[[], bytes], plugin: str) -> Attack:
    """A crawl that adds to a compressed feed."""
    feeds = {name: {"format": "jsonlines", "postprocessing": [f"scrapy.extensions.postprocessing.{plugin}"]}}

    def attack(stage: Stage) -> Outcome:
        (stage.folder / name).write_bytes(content())
        done = stage.crawl("gallery", stage.site(PAGE), options=(), FEEDS=json.dumps(feeds))
        return done.is_clean and done.code in (0, 2), told(done)

    return attack


def xz_of(size: int) -> bytes:
    packer = lzma.LZMACompressor(preset=1)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()


def bz2_of(size: int) -> bytes:
    packer = bz2.BZ2Compressor(9)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()


FEEDS: dict[str, Attack] = {
    "a feed of gzip that is 3 GB": added_to("items.jsonl.gz", lambda: bomb(3_000 * MB), "GzipPlugin"),
    "a feed of bz2 that is 700 MB": added_to("items.jsonl.bz2", lambda: bz2_of(700 * MB), "Bz2Plugin"),
    "a feed of xz that is 2 GB": added_to("items.jsonl.xz", lambda: xz_of(2_000 * MB), "LZMAPlugin"),
    "a feed of 300,000 gzip files": added_to("items.jsonl.gz", lambda: gzip.compress(b"{}\n") * 300_000, "GzipPlugin"),
    "a feed of xz whose dictionary has 1.5 GB": added_to("items.jsonl.xz", lambda: lzma.compress(b"{}\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1_500 * MB, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 10}]), "LZMAPlugin"),
}  # fmt: skip


def on_full_disk(size: str, options: tuple[str, ...] = ("-O", "items.json"), **settings: Any) -> Attack:
    """What is written there, in a *disk* of *size*, by a crawl of 400 galleries."""

    def attack(stage: Stage) -> Outcome:
        with small_disk(stage.folder / "disk", size) as is_mounted:
            if not is_mounted:
                return True, "not tried: no disk can be mounted here"
            links = "".join(f"<a class=g href=/g/{n}>{n}</a>" for n in range(400))
            stage.server.add("/list", links.encode(), headers=HTML)

            def answer(request: Request) -> Answer:
                title = random.Random(request.path).randbytes(200).hex()  # which no gzip makes small
                return Answer(
                    jpeg() if "jpg" in request.path else f"<title>{title}</title><img src=/i.jpg>".encode(), 200, HTML
                )

            stage.server.add("*", answer)
            arguments = {"list": stage.server.url("/list"), "galleries": "a.g"}
            slow = {"CONCURRENT_REQUESTS_PER_DOMAIN": "1"}
            done = stage.crawl("gallery", arguments, options=options, **slow, **settings)
            files = [stage.folder / "disk" / "log"]
            logged = "".join(file.read_text("utf-8", "replace") for file in files if file.is_file())
        is_told = done.is_clean and "Traceback" not in logged
        return is_told and ("full" in done.said or "No space left" in done.said), f"{told(done)}: {done.last_line}"

    return attack


DISKS: dict[str, Attack] = {
    "JOBDIR on a disk that fills up": on_full_disk("32k", JOBDIR="disk/job"),
    "JOBDIR on a disk that is full": on_full_disk("4k", JOBDIR="disk/job"),
    "LOG_FILE on a disk that fills up": on_full_disk("32k", LOG_FILE="disk/log", LOG_LEVEL="DEBUG"),
    "the feed on a disk that fills up": on_full_disk("64k", ("-O", "disk/items.json")),
    "a feed of gzip on a disk that fills up": on_full_disk("8k", (), FEEDS=json.dumps({"disk/i.jsonl.gz": {"format": "jsonlines", "postprocessing": ["scrapy.extensions.postprocessing.GzipPlugin"]}})),
    "the images on a disk that fills up": on_full_disk("128k", IMAGES_STORE="disk/images"),
    "the summary on a disk that is full": on_full_disk("4k", RUN_SUMMARY="disk/summary.json"),
}  # fmt: skip

# ---- names, and what is read besides

OURS = (".catalogue.sqlite3", ".incoming", ".imgcrawl", "items.json", ".items.json.journal", "imgcrawl.toml", "scrapy.cfg", "log", ".items.json.tmp", "con.jpg", "..%2f..%2fx.jpg", "%2e%2e%5cx.jpg", "a%00.jpg", "a%0a.jpg")  # fmt: skip


def called_like_ours(stage: Stage) -> Outcome:
    """Images, galleries and pages whose addresses are the names of our files."""
    images = "".join(f"<img src='/i/{name}'>" for name in OURS)
    arguments = stage.site(f"<title>.incoming</title>{images}".encode())
    colours = ((n % 256, 9, 9) for n in range(1_000))
    stage.server.add("*", lambda _: Answer(jpeg(60, 50, next(colours))))
    before = {path.name for path in stage.folder.iterdir()}
    done = stage.crawl("gallery", arguments, IMAGES_STORE=".", IMAGES_NAME="{basename}")
    again = stage.crawl("gallery", arguments, IMAGES_STORE=".", IMAGES_NAME="{basename}")
    new = {path.name for path in stage.folder.iterdir()} - before
    bad = [name for name in new if not name.isprintable() or name in ("..", ".")]
    if bad or not (stage.folder / ".catalogue.sqlite3").read_bytes().startswith(b"SQLite"):
        return False, f"a file is called {bad or 'as the catalogue'}"
    paths = [[image.get("path") for item in each.items.values() for image in item["images"]] for each in (done, again)]
    return sorted(paths[0]) == sorted(paths[1]) and again.is_clean, told(again)


async def raw(exchange: Exchange, answer: bytes) -> None:
    await exchange.write(answer)
    exchange.close()


def answers(*parts: bytes) -> Attack:
    async def misbehave(exchange: Exchange) -> None:
        await raw(exchange, b"".join(parts))

    return page(lambda: misbehave)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
FRAMES: dict[str, Attack] = {
    "images, galleries and pages called like our files": called_like_ours,
    "100,000 headers": answers(OK, b"a: b\r\n" * 100_000, b"\r\n", PAGE),
    "a header of 10 MB": answers(OK, b"X-A: " + b"a" * 10 * MB, b"\r\n\r\n", PAGE),
    "300 KB of folded header": answers(OK, b"X-A: a" + b"\r\n a" * 80_000, b"\r\n\r\n", PAGE),
    "two lengths that differ": answers(OK, b"Content-Length: 5\r\nContent-Length: 41\r\n\r\n", PAGE),
    "a length of 4,000 digits": answers(OK, b"Content-Length: " + b"9" * 4_000 + b"\r\n\r\n", PAGE),
    "a length with a sign, chunked besides": answers(OK, b"Content-Length: +5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk of 2**64 bytes": answers(OK, b"Transfer-Encoding: chunked\r\n\r\n1" + b"0" * 16 + b"\r\n", PAGE),
    "a switch of protocols": answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" + PAGE),
    "a status of commands": answers(b"HTTP/1.1 200 \x1b]0;owned\x07\x1b[31m\r\nContent-Length: 0\r\n\r\n"),
    "an answer that is HTTP/0.9": answers(PAGE),
    "an answer that is HTTP/2": answers(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    "Link: of 200 KB, 10,000 of them": page(text(GOOD), HTML | {"Link": ", ".join(f"</a{n}>; rel=next" for n in range(3_000))}),
}  # fmt: skip

READ: dict[str, Attack] = {
    "robots.txt of 30 MB of rules": robots(lambda: b"User-agent: *\n" + b"Disallow: /a\n" * 2_300_000, "identity"),
    "robots.txt of 400,000 agents": robots(lambda: b"".join(b"User-agent: a%d\n" % n for n in range(400_000)) + b"Disallow: /", "identity"),
    "robots.txt of 400,000 sitemaps": robots(lambda: b"User-agent: *\nDisallow:\n" + b"".join(b"Sitemap: http://a.invalid/%d\n" % n for n in range(400_000)), "identity"),
    "a sitemap of a million images in one entry": sitemap(lambda: b"<urlset><url><loc>http://a.invalid/</loc>" + b"<image:image><image:loc>http://a.invalid/1.jpg</image:loc></image:image>" * 300_000 + b"</url></urlset>", XML),
    "a sitemap of text, one line of 20 MB": sitemap(lambda: b"http://a.invalid/" + b"a" * 20 * MB, {"Content-Type": "text/plain"}, "/sitemap.txt"),
    "a feed of 300,000 enclosures": sitemap(lambda: b"<rss><channel>" + b"<item><enclosure url='http://a.invalid/1.jpg' type='image/jpeg'/></item>" * 300_000 + b"</channel></rss>", XML),
    "a list of JSON, 400,000 times one name": listed("l.json", lambda: b'[{"url":"http://a.invalid/1.jpg",' + b",".join(b'"a":%d' % n for n in range(400_000)) + b"}]"),
    "a list of CSV of 20 million quotes": listed("l.csv", lambda: b"url\n" + b'"' * 20 * MB),
    "a list of CSV of NULs": listed("l.csv", lambda: b"url,a\nhttp://a.invalid/1.jpg,\0\n" * 1_000 + bytes(20 * MB)),
    "a list of commands and formulas from a server": remote_list("l.csv", lambda: f"url,=cmd|'/c calc'!A1\n{TEXT},@SUM(1)\nhttp://a.invalid/{TEXT},+1\n".encode("utf-8", "replace"), {"Content-Type": "text/csv"}),
    "a JPEG of 50 MB of fill": image(lambda: hostile.jpeg_of_fill(25 * MB, b"\xff\xda")),
    "a progressive JPEG of 8000 x 6000 and 50 MB of fill": image(lambda: encoded(Image.new("RGB", (8000, 6000)), "JPEG", progressive=True)[:-2] + b"\xff" * 50 * MB),
}  # fmt: skip


def cookies(make: Callable[[], bytes]) -> Attack:
    def attack(stage: Stage) -> Outcome:
        (stage.folder / "cookies.txt").write_bytes(make())
        done = stage.crawl("gallery", stage.site(PAGE), COOKIES_FILE="cookies.txt")
        is_good, words = said(stage, done)
        return is_good and done.code in (0, 2), words

    return attack


def formulas(name: str, **settings: Any) -> Attack:
    """A feed whose cells a spreadsheet would run, from each text that a page has."""

    def attack(stage: Stage) -> Outcome:
        html = "".join(
            f"<a href='/=1+{n}'><figure><img src='/i/good.jpg?=1' alt='{mark}SUM(1) of all things'><figcaption>{mark}cmd|A1 and more</figcaption></figure></a>"
            for n, mark in enumerate("=@+-\t\r")
        )
        done = stage.crawl(
            "gallery",
            stage.site(f"<title>=HYPERLINK(1)</title>{html}".encode()),
            options=("-O", name),
            CAPTIONS="True",
            **settings,
        )
        cells = (stage.folder / name).read_text("utf-8").replace("\n", ",").replace("\t", ",").split(",")
        run = [cell for cell in cells if cell.strip('"')[:1] in tuple("=@+-\r")]
        return done.is_clean and not run, f"a cell is {run[0]}" if run else told(done)

    return attack


TOLD: dict[str, Attack] = {
    "a file of 400,000 cookies": cookies(lambda: b"127.0.0.1\tFALSE\t/\tFALSE\t0\tn\tv\n" * 400_000),
    "a file of cookies that are commands": cookies(lambda: f"127.0.0.1\tFALSE\t/\tFALSE\t0\tn\t{TEXT}\n".encode("utf-8", "replace")),
    "a file of one cookie of 20 MB": cookies(lambda: b"127.0.0.1\tFALSE\t/\tFALSE\t0\tn\t" + b"a" * 20 * MB),
    "cells of captions that a spreadsheet would run": formulas("i.csv"),
    "the same, a row for each image": formulas("i.csv", FEED_ROWS="images"),
}  # fmt: skip


# ---- Redis


def amid(write: Callable[[Any, str], object], *, most: int = 2) -> Attack:
    """A crawl with a Redis where others *write* for its run while it is under way."""

    def attack(stage: Stage) -> Outcome:
        server = stage.redis()
        arguments = stage.site(PAGE)

        def bad(_: Request) -> Answer:
            with server.client() as client:
                write(client, f"{PREFIX}stats:{(client.hget(f'{PREFIX}run', 'id') or b'').decode()}")
            return Answer(PAGE, 200, HTML)

        stage.server.add("/bad", bad)
        done = stage.crawl("gallery", arguments, env={"REDIS_URL": server.url}, LOG_LEVEL="DEBUG")
        is_said, words = said(stage, done)
        return is_said and done.code in (0, 1, 2), words

    return attack


def lessons(of: Callable[[int], str], count: int, value: Any = 1) -> Callable[[Any, str], object]:
    def write(client: Any, key: str) -> None:
        for start in range(0, count, 10_000):
            client.hset(key, mapping={of(n): value for n in range(start, min(count, start + 10_000))})

    return write


REDIS: dict[str, Attack] = {
    "300,000 placeholders told by others": amid(lessons(lambda n: f"placeholder/{n:064x} http://a/{n}", 300_000)),
    "placeholders whose addresses are commands": amid(lessons(lambda n: f"placeholder/{n:064x} http://a/\x1b]0;owned\x07\x1b[31m{n}", 100)),
    "placeholders of 8 KB": amid(lessons(lambda n: f"placeholder/{n:064x} {'a' * 8_000}", 3_000)),
    "placeholders of 5 MB": amid(lessons(lambda n: f"placeholder/{n:064x} {'a' * 5 * MB}", 3)),
    "placeholders that are counted 5,000 digits": amid(lessons(lambda n: f"placeholder/{n:064x}", 10, "9" * 5_000)),
    "sums that are no numbers": amid(lessons(lambda n: f"image/{('found', 'downloaded', 'failed/x')[n % 3]}", 3, "nan")),
    "sums below zero": amid(lessons(lambda n: f"image/{('downloaded', 'duplicate', 'failed')[n % 3]}", 3, -(10**15))),
    "100,000 reasons that there are not": amid(lessons(lambda n: f"image/failed/\x1b[31m{n}", 100_000)),
    "100,000 workers that have reported": amid(lambda client, key: client.hset(f"{key}:workers", mapping={f"w{n}\x1b[31m": "x" for n in range(100_000)})),
    "100,000 ends": amid(lambda client, key: [client.delete(f"{key}:ends"), client.hset(f"{key}:ends", mapping={f"{n}\x1b[31m": "{[" for n in range(100_000)})]),
}  # fmt: skip

LATELY: dict[str, Attack] = {**PAGES, **ENLARGED, **REQUESTS, **FEEDS, **DISKS, **FRAMES, **READ, **TOLD, **REDIS}
