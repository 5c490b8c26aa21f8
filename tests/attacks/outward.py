"""What reports about the libraries that are used here tell of, and what else a site, or a list, may be: names, frames of
messages, numbers, documents within documents."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from importlib import import_module

from PIL import Image

from tests.attacks.kinds import remote_list, robots, serving, sitemap
from tests.attacks.neighbours import PAGE, said
from tests.attacks.sites import bomb, image, judged, listed, page, text
from tests.attacks.stage import HTML, MB, Attack, Outcome, Stage
from tests.images.pictures import encoded
from tests.images.test_damage import chunk
from tests.support import server as sent
from tests.support.server import Exchange, jpeg

GOOD = "<title>t</title><img src=/i/good.jpg>"
XML = {"Content-Type": "text/xml"}

# ---- messages


async def two_answers(exchange: Exchange) -> None:
    """A second answer behind the first: whoever asks next on this connection must not take it for his."""
    forged = b"<title>forged</title><img src=/i/forged.jpg>"
    await exchange.head(content_type="text/html", content_length=str(len(PAGE)))
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(forged), forged)
    await exchange.write(PAGE + answer * 3)


def unasked(stage: Stage) -> Outcome:
    """The same while nobody asks, on connections that are kept for the next request."""

    async def later(exchange: Exchange) -> None:
        await exchange.head(content_type="text/html", content_length=str(len(PAGE)))
        await exchange.write(PAGE)
        await asyncio.sleep(0.3)
        await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nforged")

    settings = {"DOWNLOAD_DELAY": "1", "CONCURRENT_REQUESTS_PER_DOMAIN": "1"}
    return judged(stage.crawl("gallery", stage.site(later), **settings))


async def extensions(exchange: Exchange) -> None:
    await exchange.head(transfer_encoding="chunked", content_type="text/html")
    for _ in range(300):
        await exchange.write(b"1;" + b"a" * 100_000)
    await exchange.write(b"\r\na\r\n0\r\n\r\n")


async def trailers(exchange: Exchange) -> None:
    await exchange.head(transfer_encoding="chunked", content_type="text/html")
    await exchange.write(b"1\r\na\r\n0\r\n")
    while True:
        await exchange.write(b"X-A: b\r\n" * 10_000)


async def many_cookies(exchange: Exchange) -> None:
    """Of the longest that there are, for this host and for everybody."""
    lines = b"".join(b"Set-Cookie: n%d=%s; Domain=0.1\r\n" % (n, b"v" * 400) for n in range(60))
    await exchange.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%sContent-Length: %d\r\n\r\n%s" % (lines, len(PAGE), PAGE)
    )


def cookie(value: str) -> Attack:
    return lambda stage: judged(
        stage.crawl("gallery", stage.site(GOOD.encode(), HTML | {"Set-Cookie": value}), COOKIES_ENABLED="True")
    )


async def growing(exchange: Exchange) -> None:
    """Leads on to an address that is longer each time."""
    await exchange.head(302, location=f"{exchange.request.path}{'a' * 3_000}", content_length="0")


def leads_on(stage: Stage) -> Outcome:
    arguments = stage.site(b"<title>bad</title><img src=/grow/a>") | {"images": "//img/@src"}
    stage.server.add("*", growing)
    return judged(stage.crawl("gallery", arguments))


MESSAGES: dict[str, Attack] = {
    "two answers to one request": page(lambda: two_answers),
    "an answer that nobody has asked for": unasked,
    "chunk extensions of 30 MB": page(lambda: extensions),
    "trailers without an end": page(lambda: trailers),
    "60 cookies for everybody": page(lambda: many_cookies),
    "a cookie that expires on a day of 60,000 blanks": cookie("b=c; Expires=1-c-1" + " " * 60_000 + "!"),
    "a cookie of 60,000 backslashes": cookie('b="' + "\\" * 60_000 + '"'),
    "a Content-Type of 60,000 semicolons": page(text(GOOD), {"Content-Type": "text/html" + ";a= " * 15_000}),
    "redirects to ever longer addresses": leads_on,
}  # fmt: skip

# ---- pages


def foreign_hosts(count: int, *, each_another: bool) -> Callable[[], bytes]:
    """Images on so many hosts of 5,000 characters that are all different: Punycode takes as long as their square."""
    name = "".join(chr(0x4E00 + n) for n in range(5_000))

    def make() -> bytes:
        images = (f"<img src=http://{n if each_another else 0}{name}.example/a.jpg>" for n in range(count))
        return (GOOD + "".join(images)).encode()

    return make


PAGES: dict[str, Attack] = {
    "600 images on a host of 5,000 different characters": page(foreign_hosts(600, each_another=False)),
    "600 images on hosts of 5,000 different characters": page(foreign_hosts(600, each_another=True)),
    "900,000 times <meta that does not end": page(text(GOOD + "<meta " * 900_000)),
    "3 million attributes without a value": page(lambda: (b"<p " + b" ".join(b"a%d" % n for n in range(450)) + b">") * 4_700),
    "a page of 2.4 million end tags": page(lambda: b"</p>" * 2_400_000),
    "a page of 1.4 million comments": page(lambda: b"<!---->" * 1_400_000),
    "a DOCTYPE of 8 MB": page(lambda: b"<!DOCTYPE " + b"[<!ENTITY a 'b'>" * 500_000),
    "a page of 300,000 titles": page(lambda: b"<title>t</title>" * 300_000),
    "a page that drips": page(lambda: sent.drip),
    "a page of 9 million ampersands": page(text(f"<title>{'&' * 9 * MB}</title>{GOOD}")),
    "an attribute of 9 MB of entities": page(text(f"<img alt='{'&lt;' * 2_000_000}' src=/i/good.jpg>{GOOD}")),
    "50,000 elements whose styles are images, unclosed": page(text(GOOD + "<p style='background:url(url(url(" * 50_000)),
    "a gallery in JSON in attributes, 100,000 deep": page(text(GOOD + "<div data-gallery='" + '{"a":' * 100_000 + "'></div>")),
    "documents within documents (srcdoc)": page(text(GOOD + "<iframe srcdoc=\"<iframe srcdoc='" * 50_000)),
    "600 headings, figures and captions in each other": page(text("<title>bad</title>" + "<figure><figcaption>a" * 600 + "<img src=/i/good.jpg alt='a b c'>" * 3_000)),
    "a page that is JSON, 5 million brackets": page(lambda: b"[" * 5 * MB, {"Content-Type": "application/json"}),
    "a page that is JSON, a million names": page(lambda: json.dumps({f"n{n}": "/i/good.jpg" for n in range(400_000)}).encode(), {"Content-Type": "application/json"}),
    "robots.txt of 7,000 rules of stars": robots(lambda: b"User-agent: *\n" + b"Disallow: /*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b$\n" * 9_000, "identity"),
}  # fmt: skip

SITEMAPS: dict[str, Attack] = {
    "a sitemap with a million attributes in one element": sitemap(lambda: b"<urlset><url " + b"".join(b"a%d='' " % n for n in range(1_000_000)) + b"><loc>http://a.invalid/</loc></url></urlset>", XML),
    "a sitemap with 300,000 namespaces": sitemap(lambda: b"<urlset " + b"".join(b"xmlns:a%d='b%d' " % (n, n) for n in range(300_000)) + b"><url><loc>http://a.invalid/</loc></url></urlset>", XML),
    "a sitemap 200,000 deep": sitemap(lambda: b"<urlset>" + b"<url>" * 200_000 + b"<loc>http://a.invalid/</loc>", XML),
    "a sitemap of gzip in gzip": sitemap(lambda: gzip.compress(bomb(900 * MB)), {"Content-Type": "application/gzip"}, "/sitemap.xml.gz"),
}  # fmt: skip

# ---- pictures


def tiff_that_leads_to_itself() -> bytes:
    tags = [
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 200),
        (278, 4, 1, 8),
        (279, 4, 1, 64),
        (330, 4, 1, 8),
        (34665, 4, 1, 8),
        (34853, 4, 1, 8),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (b"II*\0\x08\0\0\0" + directory + struct.pack("<I", 8)).ljust(200, b"\0") + bytes(64)


def exif_of(entries: int) -> bytes:
    """A JPEG whose metadata has so many entries, each of all of its bytes, and leads to itself."""
    directory = struct.pack("<H", entries) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    directory += b"".join(struct.pack("<HHII", 0x100 + n, 2, 60_000, 8) for n in range(entries - 1))
    exif = (b"Exif\0\0II*\0\x08\0\0\0" + directory)[:65_000].ljust(65_000, b"\0")
    plain = encoded(Image.new("RGB", (64, 64)), "JPEG")
    return plain[:2] + (b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif) * 20 + plain[2:]


def png_of_texts(count: int, size: int) -> bytes:
    plain = encoded(Image.new("RGB", (8, 8)), "PNG")
    packed = zlib.compress(bytes(size), 9)
    parts = chunk(b"iCCP", b"a\0\0" + packed) + chunk(b"zTXt", b"a\0\0" + packed) * count
    return plain[:33] + parts + chunk(b"iTXt", b"a\0\1\0\0\0" + packed) * count + plain[33:]


def jpeg_of_restarts() -> bytes:
    """A marker behind each block of a large picture."""
    return encoded(Image.new("L", (6000, 6000)), "JPEG", restart_marker_blocks=1)


def fits_of_gzip() -> bytes:
    def card(name: str, value: str) -> bytes:
        return f"{name:<8}= {value:>20}".ljust(80).encode()

    primary = card("SIMPLE", "T") + card("BITPIX", "8") + card("NAXIS", "0") + b"END".ljust(80)
    cards = [
        b"XTENSION= 'BINTABLE'".ljust(80),
        card("BITPIX", "8"),
        card("NAXIS", "2"),
        card("NAXIS1", "8"),
        card("NAXIS2", "1"),
        card("ZIMAGE", "T"),
        b"ZCMPTYPE= 'GZIP_1  '".ljust(80),
        card("ZBITPIX", "8"),
        card("ZNAXIS", "2"),
        card("ZNAXIS1", "64"),
        card("ZNAXIS2", "64"),
        b"END".ljust(80),
    ]
    extension = b"".join(cards)
    return primary.ljust(2880) + extension.ljust(2880) + bytes(8) + bomb(600 * MB)


def programs(name: str) -> bytes:
    """A PostScript program that would write a file, as it is, and within other formats."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%BeginBinary: -60\n(/tmp/imgcrawl-pwned) (w) file closefile\nshowpage\n%%EOF\n"
    if name == "in IPTC":
        return b"\x1c\x03\x3c\0\x01\x01" + b"\x1c\x08\x0a" + struct.pack(">H", len(program)) + program
    return (
        struct.pack("<IIIIIIIH", 0xC6D3D0C5, 30, len(program), 0, 0, 0, 0, 0xFFFF) + program
        if name == "in DOS"
        else program
    )


PICTURES: dict[str, Attack] = {
    "a TIFF whose directories lead to themselves": image(tiff_that_leads_to_itself),
    "a JPEG of 20 metadata that lead to themselves": image(lambda: exif_of(5_000)),
    "a PNG of 60 texts and a profile, 100 MB each": image(lambda: png_of_texts(60, 100 * MB)),
    "a JPEG of 560,000 restart markers": image(jpeg_of_restarts),
    "a FITS of gzip, 600 MB": image(fits_of_gzip),
    **{f"a program of PostScript, {name}": image(lambda name=name: programs(name)) for name in ("alone", "in DOS", "in IPTC")},
    "a TGA of runs that never end": image(lambda: struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 9_000, 9_000, 24, 0) + b"\xff\1\2\3" * 400_000),
    "a PSD of 30,000 layers": image(lambda: b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 9_000, 9_000, 8, 3) + bytes(8) + struct.pack(">II", 3 * MB, 2 * MB) + struct.pack(">h", 30_000) + bytes(3 * MB)),
}  # fmt: skip

# ---- names

NAMES = ("CON", "nul.txt", "..", "...", "~", "\u202egpj.exe", "e\u0301" * 300, "\U0001f468\u200d" * 90, "a" * 300 + ".jpg", "\ufeff", "\u2028log", "aux.", "-rf *", "$(touch pwned)", "http://a/b", "\ud800")  # fmt: skip


def titled(stage: Stage) -> Outcome:
    """Galleries with such titles, in folders of their titles."""
    links = "".join(f"<a class=g href=/t/{n}>{n}</a>" for n in range(len(NAMES)))
    arguments = stage.site(PAGE)
    stage.server.add("/list", f"{links}<a class=g href=/bad>a</a><a class=g href=/good>b</a>".encode(), headers=HTML)
    for n, name in enumerate(NAMES):
        html = f"<title>{name}</title><img src='/j/{n}/{name.replace('/', '%2f')}'>".encode("utf-8", "replace")
        stage.server.add(f"/t/{n}", html, headers={"Content-Type": "text/html; charset=utf-8"})
    stage.server.add("*", jpeg())
    done = said(stage, stage.crawl("gallery", arguments, IMAGES_NAME="{title}/{basename}"))
    files = [
        path for path in (stage.folder / "images").rglob("*") if not path.name.startswith((".catalogue", ".incoming"))
    ]
    parts = {part for path in files for part in path.relative_to(stage.folder / "images").parts}
    stems = {part.partition(".")[0].upper() for part in parts}
    bad = [
        part for part in parts if not part.isprintable() or len(part.encode()) > 255 or part.startswith(("-", "~", "."))
    ]
    bad += list(stems & {"CON", "NUL", "AUX", "PRN"})
    if bad or (stage.folder / "pwned").exists():
        return False, f"a file is called {bad[0][:40]!r}" if bad else "a command was run"
    return done


# ---- lists


def parquet_of_one_value() -> bytes:
    """A hundred million rows of one address, in some kilobytes."""
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    content = io.BytesIO()
    column = arrow.DictionaryArray.from_arrays(
        arrow.array([0] * 5_000_000, arrow.int32()), arrow.array(["http://a.invalid/" + "a" * 2_000])
    )
    parquet.write_table(arrow.table({"url": column}), content, compression="zstd")
    return content.getvalue()


def json_seq(make: Callable[[], bytes]) -> Attack:
    return listed("l.json", make)


LISTS: dict[str, Attack] = {
    "a Parquet of 5 million times one address of 2 KB": listed("l.parquet", parquet_of_one_value),
    "a list that is one object of 300,000 names": json_seq(lambda: json.dumps({f"n{n}": n for n in range(300_000)}).encode()),
    "a list with a row of 50 MB": listed("l.jsonl", lambda: b'{"url":"http://a.invalid/1.jpg","t":"' + b"a" * 50 * MB + b'"}\n'),
    "a list of CSV with a million columns": listed("l.csv", lambda: b"url" + b",a" * 1_000_000 + b"\nhttp://a.invalid/1.jpg\n"),
    "a list from a server whose lines never end": remote_list("l.csv", lambda: b"url\nhttp://a.invalid/" + b"a" * 200 * MB, {"Content-Type": "text/csv"}),
}  # fmt: skip

# ---- what is no Redis


def redis_that_says(said_each: bytes) -> Attack:
    """A crawl whose Redis answers each line with *said_each*."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100_000):
            writer.write(said_each)
            await writer.drain()

    def attack(stage: Stage) -> Outcome:
        arguments = stage.site(PAGE)
        with serving(serve) as port:
            done = stage.crawl("gallery", arguments, env={"REDIS_URL": f"redis://:s3cret@127.0.0.1:{port}/0"})
        is_told, words = said(stage, done, "s3cret")
        return is_told and done.code == 2, words

    return attack


REDIS: dict[str, Attack] = {
    "a Redis whose answers are arrays in arrays": redis_that_says(b"*1\r\n" * 100_000),
    "a Redis that speaks HTTP": redis_that_says(b"HTTP/1.1 400 \x1b]0;owned\x07\r\n\r\n"),
    "a Redis whose errors are commands": redis_that_says(b"-ERR \x1b]0;owned\x07\x1b[31m\r\n"),
}  # fmt: skip

PATIENT: dict[str, Attack] = {  # each is waited for
    "a Redis that announces 3 billion entries": redis_that_says(b"*3333333333\r\n" + b":1\r\n" * 1_000_000),
    "a Redis that announces a TB": redis_that_says(b"$1000000000000\r\n" + b"a" * 10 * MB),
}

OUTWARD: dict[str, Attack] = {
    **MESSAGES, **PAGES, **SITEMAPS, **PICTURES, "titles that are names of devices, programs and options": titled, **LISTS, **REDIS, **PATIENT,
}  # fmt: skip
