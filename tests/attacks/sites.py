"""What a site, or a list of addresses, may send."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from PIL import Image

from tests.attacks.stage import HTML, MB, Attack, Done, Outcome, Stage
from tests.images import hostile
from tests.images.pictures import bare_gif, bare_tiff, black_png, encoded, icon
from tests.images.test_damage import chunk, many_scans
from tests.support import server as sent
from tests.support.server import Exchange, Misbehaviour
from tests.test_large_bodies import large
from tests.test_linear import long

Body = bytes | Misbehaviour


def text(html: str) -> Callable[[], bytes]:
    return html.encode


def judged(done: Done) -> Outcome:
    """Whether the good gallery came home, and no traceback."""
    bad, good = done.items.get("bad", {}), done.items.get("good", {})
    statuses = [image.get("status") for image in good.get("images", ())]
    reasons = [str(image.get("reason") or image.get("status")) for image in bad.get("images", ())]
    told = bad.get("error") or (", ".join(sorted(set(reasons))) if reasons else "no image" if bad else "no item")
    is_home = len(statuses) == 1 and statuses[0] in ("downloaded", "duplicate")
    words = f"told: {told}"
    if not is_home:
        words += "; the good gallery is lost"
    if not done.is_clean:
        words += f"; a traceback, exit code {done.code}"
    return is_home and done.is_clean and bool(bad), words


def page(make: Callable[[], Body], headers: Mapping[str, str] = HTML) -> Attack:
    return lambda stage: judged(stage.crawl("gallery", stage.site(make(), headers)))


def declared(option: str, query: str, make: Callable[[], bytes]) -> Attack:
    """What *query*, that the user has declared, finds on a page of two megabytes or so."""

    def attack(stage: Stage) -> Outcome:
        arguments = stage.site(make()) | {option: query}
        return judged(stage.crawl("gallery", arguments))

    return attack


def image(make: Callable[[], bytes]) -> Attack:
    def attack(stage: Stage) -> Outcome:
        stage.server.add("/i/bad", make())
        arguments = stage.site(b"<title>bad</title><img src=/i/bad>") | {"images": "//img/@src"}
        return judged(stage.crawl("gallery", arguments))

    return attack


def listed(name: str, make: Callable[[], bytes]) -> Attack:
    def attack(stage: Stage) -> Outcome:
        (stage.folder / name).write_bytes(make())
        done = stage.crawl("urls", {"file": name})
        is_told = done.is_clean and done.code in (0, 1, 2)
        return is_told, f"exit code {done.code}: {done.last_line if done.is_clean else 'a traceback'}"

    return attack


def video(make: Callable[[], bytes]) -> Attack:
    def attack(stage: Stage) -> Outcome:
        stage.server.add("/v", make(), headers={"Content-Type": "video/mp4"})
        (stage.folder / "list.csv").write_text(f"name,{stage.server.url('/v')}\n")
        done = stage.crawl("douyin", {"file": "list.csv"}, PRIVATE_HOSTS_ALLOWED="127.0.0.1")
        videos = [video for item in done.items.values() for video in item.get("videos", ())]
        return done.is_clean, ", ".join(str(each.get("reason") or each.get("status")) for each in videos) or "none"

    return attack


def many_files() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("list.csv", "url\nhttp://a.example/1.jpg\n")
        for number in range(150_000):
            archive.writestr(f"{number}.bin", "")
    return content.getvalue()


def png_of_chunks() -> bytes:
    plain = encoded(Image.new("RGB", (8, 8)), "PNG")
    return plain[:33] + chunk(b"tEXt", b"a\0b") * 300_000 + plain[33:]


def strips(count: int) -> bytes:
    """A TIFF that says it has so many strips, and has their places."""
    start = 8 + 2 + 12 * 8 + 4
    tags = [(256, 4, 1, 8), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, count, start), (278, 4, 1, 1), (279, 4, count, start + 4 * count)]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + directory + bytes(4) + struct.pack("<I", 8) * 2 * count


async def early_hints(exchange: Exchange) -> None:
    while True:
        await exchange.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" * 100)


async def small_chunks(exchange: Exchange) -> None:
    await exchange.head(transfer_encoding="chunked", content_type="text/html")
    for _ in range(200):
        await exchange.write(b"1\r\na\r\n" * 10_000)
    await exchange.write(b"0\r\n\r\n")


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()


GZIP = {"Content-Type": "text/html", "Content-Encoding": "gzip"}


def numbered(html: str, count: int) -> Callable[[], bytes]:
    return lambda: "".join(html.format(n) for n in range(count)).encode()


def linked_data(json: str) -> Callable[[], bytes]:
    return text(f"<title>t</title><img src=/i/good.jpg><script type=application/ld+json>{json}</script>")


TIME: dict[str, Attack] = {
    "a page of 40,000 attributes in one tag": page(text("<img src=/a.jpg " + " ".join(f"a{n}" for n in range(40_000)) + ">")),
    "2,000 forms in each other around 400,000 fields": page(lambda: b"<form>" * 2_000 + b"<input>" * 400_000),
    "2,000 links in each other around 400,000 elements": page(lambda: b"<a href=/b><b>" * 1_000 + b"<i></i>" * 400_000),
    "the same of one that ends in no >": page(text("<img src=/a.jpg><p " + "a=1 " * 400_000)),
    "a page of 3 million elements": page(lambda: b"<title>t</title>" + b"<p>" * 3_000_000),
    "JSON-LD of 900,000 brackets": page(linked_data("[" * 900_000)),
    "JSON-LD of a number of 5,000 digits": page(linked_data('{"@type": "ImageObject", "contentUrl": "/a.jpg", "width": ' + "9" * 5000 + "}")),
    "JSON-LD whose names are lists": page(linked_data('{"@type": "Photograph", "@id": ["a"], "image": {"@id": ["x"]}, "keywords": [{"name": []}]}')),
    "JSON-LD of open comments": page(linked_data('{"a": ' + long("/*x")[:900_000])),
    "a srcset of 50,000": page(text('<img srcset="' + ",".join(f"{n}.jpg {n}w" for n in range(50_000)) + '">')),
    "a declared union": declared("images", "img, a.h", lambda: b"<img class=g src=/x.jpg>" * 90_000),
    "declared descendants": declared("images", "p img, div div div img", lambda: b"<div>" * 250 + b"<img src=/x.jpg>" * 90_000),
    "declared siblings": declared("title", "img ~ img", lambda: b"<img src=/i/good.jpg>" * 60_000),
    "declared texts of what is in each other": declared("title", "//*[contains(., 'x')]", lambda: b"<div>" * 250 + b"<i></i>" * 3_000 + b"word " * MB),
    "a declared union of a million": declared("images", "//img | //a", lambda: b"<img>" * 990_000),
    "a declared union on a small page": declared("images", "p img, div div img", lambda: b"<div>" * 250 + b"<img src=a>" * 2_800),
    "100,000 base tags": page(numbered("<base href=http://b{}.example/>", 100_000)),
    "200 images, each a thousand times": page(lambda: numbered("<img src=/none/{}.jpg>", 200)() * 1000),
    "a class of a million characters around 4,000 images": page(text(f'<a class="{long("lightbox")}iframe" href="/x">{"<img src=b>" * 4_000}')),
    "an address of a million characters": page(text(f'<img src="/{long("_blank1")}y.jpg">')),
    "encoding punycode": page(text(f"<title>t</title>{long('a-')}<img src=/i/good.jpg>"), {"Content-Type": "text/html; charset=punycode"}),
    "encoding hex": page(text("<title>t</title><img src=/i/good.jpg>"), {"Content-Type": "text/html; charset=hex"}),
    "encoding idna": page(text(f"<title>t</title>{long('a')}<img src=/i/good.jpg>"), {"Content-Type": "text/html; charset=idna"}),
    "headers that never end": page(lambda: sent.endless_headers),
    "an answer that never comes": page(lambda: sent.never),
    "a header Link of 60 KB": page(text("<title>t</title><img src=/i/good.jpg>"), HTML | {"Link": "<" * 60_000}),
    "Content-Encoding: gzip, 500 times": page(lambda: gzip.compress(b"<title>t</title>"), HTML | {"Content-Encoding": ", ".join(["gzip"] * 500)}),
    "a Set-Cookie of 60 KB": page(text("<title>t</title><img src=/i/good.jpg>"), HTML | {"Set-Cookie": "a=b; expires=" + "1 " * 30_000}),
    "103 Early Hints without an end": page(lambda: early_hints),
    "2 million chunks of one byte": page(lambda: small_chunks),
    "a header Retry-After of 60,000 digits": page(lambda: sent.too_many_requests("1" * 60_000)),
    "a JPEG of junk between segments, 17 MB": image(lambda: hostile.jpeg_of_junk(17 * MB)),
    "a JPEG of 4 million comments": image(lambda: hostile.jpeg_of_comments(4_000_000)),
    "a JPEG of 20,000 scans": image(lambda: many_scans(20_000)),
    "a GIF whose comment has 60 MB in pieces": image(lambda: hostile.gif_of_comments(60 * MB)),
    "a GIF of 1,000,000 frames": image(lambda: bare_gif(1000, 1000, 1_000_000)),
    "a PNG of 300,000 chunks": image(png_of_chunks),
    "an IM of 8 MB of header": image(lambda: hostile.im_of_lines(8 * MB)),
    "a TIFF of a million strips": image(lambda: strips(1_000_000)),
    "a TIFF of 30,000 pages": image(lambda: bare_tiff([(1, 1)] * 30_000)),
    "a DDS of 25 million pixels, decoded in Python": image(lambda: hostile.plain_dds(5000)),
    "a list of JSON Lines, nested": listed("l.jsonl", lambda: b'{"url":' + b"[" * 500_000 + b'\n{"url":"http://a.invalid/1.jpg"}\n'),
    "a list of one array, nested": listed("l.json", lambda: b'[{"url":"http://a.invalid/1.jpg"},' + b"[" * 5 * MB),
    "a list with a number of 5,000 digits": listed("l.jsonl", lambda: b'{"url":"http://a.invalid/1.jpg","n":' + b"9" * 5000 + b"}\n"),
}  # fmt: skip

MEMORY: dict[str, Attack] = {
    "a title of 99 MB": page(lambda: large(b"<!doctype html><title>", 99 * MB)),
    "300,000 links": page(numbered('<a class=g href="/l/{}">l</a>', 300_000)),
    "a page of gzip that is 2 GB": page(lambda: bomb(2000 * MB), GZIP),
    "a body that never ends": page(lambda: sent.endless),
    "an announced TiB": page(lambda: sent.huge_length),
    "a WebP of 9900 x 10,000": image(lambda: hostile.plain_webp(9900, 10_000)),
    "a JPEG 2000 of 9900 x 9900": image(lambda: hostile.plain_jpeg2000(9900, 9900, "L", num_resolutions=1)),
    "a progressive JPEG of 9000 x 8000": image(lambda: hostile.progressive_jpeg(9000, 8000)),
    "a TIFF of 16 x 16 in a tile of 11,000 x 11,000": image(lambda: hostile.tiff_of_a_large_tile(11_000)),
    "an ICNS with a JPEG 2000 of 9900 x 10,000": image(lambda: hostile.icns_of(hostile.plain_jpeg2000(9900, 10_000, "L"))),
    "an ICO with a PNG of 20,000 x 10,000": image(lambda: icon(encoded(Image.new("L", (20_000, 10_000)), "PNG"))),
    "a PNG of 30,000 x 30,000": image(lambda: black_png(30_000, 30_000)),
    "an AVIF of 9900 x 9900": image(lambda: encoded(Image.new("RGB", (9900, 9900)), "AVIF", speed=10)),
    "a video of 2 million boxes": video(lambda: hostile.mp4_of_boxes(2_000_000)),
    "a video of 400,000 tags": video(lambda: b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + (b"\x08" + bytes(10) + b"\0\0\0\x0b") * 400_000),
    "a list in gzip that is 1 GB": listed("l.csv.gz", lambda: gzip.compress(b"url\nhttp://a.invalid/1.jpg\n") + bomb(1000 * MB)),
    "a list in a zip of 150,000 files": listed("l.zip", many_files),
    "a list whose quote is never closed": listed("l.csv", lambda: b'url,t\nhttp://a.invalid/1.jpg,"' + b"a\n" * 10_000_000),
}  # fmt: skip
