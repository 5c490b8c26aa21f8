"""Further members of each kind of attack: other codings, other containers, other keys, other places of a text."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import asyncio
import json
import struct
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from threading import Event, Thread
from typing import Any

from PIL import Image

from tests.attacks.neighbours import PAGE, PREFIX, said, told, written
from tests.attacks.sites import bomb, declared, image, judged, page, text
from tests.attacks.stage import MB, Attack, Outcome, Stage
from tests.images.pictures import encoded
from tests.images.test_damage import chunk
from tests.support.server import Exchange, redirect
from tests.test_lines import HOSTILE as TEXT

# ---- bodies that are more than they seem

BOMB = 600 * MB
ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def bomb_of_gzip(size: int = BOMB) -> bytes:
    return bomb(size)


def brotli(size: int = BOMB) -> bytes:
    packer = import_module("brotli").Compressor(quality=5)
    return b"".join(packer.process(bytes(MB)) for _ in range(size // MB)) + bytes(packer.finish())


def zstd(size: int = BOMB) -> bytes:
    packer = import_module(ZSTD).ZstdCompressor(level=1)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + bytes(packer.flush())


def deflate(size: int = BOMB) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()


def coded(coding: str, kind: str = "text/html") -> dict[str, str]:
    return {"Content-Type": kind, "Content-Encoding": coding}


CODERS: dict[str, Callable[..., bytes]] = {"gzip": bomb_of_gzip, "br": brotli, "zstd": zstd, "deflate": deflate}


def coded_image(coding: str) -> Attack:
    def attack(stage: Stage) -> Outcome:
        stage.server.add("/i/bad", CODERS[coding](), headers=coded(coding, "image/jpeg"))
        return judged(
            stage.crawl("gallery", stage.site(b"<title>bad</title><img src=/i/bad>") | {"images": "//img/@src"})
        )

    return attack


def robots(body: Callable[[], bytes], coding: str) -> Attack:
    def attack(stage: Stage) -> Outcome:
        arguments = stage.site(PAGE)
        stage.server.add("/robots.txt", body(), headers=coded(coding, "text/plain"))
        done = stage.crawl("gallery", arguments, ROBOTSTXT_OBEY="True", ROBOTSTXT_WAIT="0")
        return done.is_clean, told(done)

    return attack


def sitemap(body: Callable[[], bytes], headers: Mapping[str, str], name: str = "/sitemap.xml") -> Attack:
    def attack(stage: Stage) -> Outcome:
        stage.server.add(name, body(), headers=dict(headers))
        done = stage.crawl("gallery", {"sitemap": stage.server.url(name), "images": "//img/@src"})
        return done.is_clean, told(done)

    return attack


def remote_list(name: str, body: Callable[[], bytes], headers: Mapping[str, str]) -> Attack:
    def attack(stage: Stage) -> Outcome:
        stage.server.add(f"/{name}", body(), headers=dict(headers))
        done = stage.crawl("urls", {"file": stage.server.url(f"/{name}")})
        return done.is_clean, told(done)

    return attack


BODIES: dict[str, Attack] = {
    **{f"a page of {coding}, 600 MB": page(make, coded(coding)) for coding, make in CODERS.items()},
    **{f"an image of {coding}, 600 MB": coded_image(coding) for coding in CODERS},
    **{f"a robots.txt of {coding}, 600 MB": robots(make, coding) for coding, make in CODERS.items()},
    **{f"a sitemap of {coding}, 600 MB": sitemap(make, coded(coding, "text/xml")) for coding, make in CODERS.items()},
    "a sitemap.xml.gz of 600 MB": sitemap(CODERS["gzip"], {"Content-Type": "application/gzip"}, "/sitemap.xml.gz"),
    "a page of gzip in gzip in gzip": page(lambda: zlib.compress(zlib.compress(deflate())), coded("deflate, deflate, deflate")),
    **{f"a list from a server of {coding}, 600 MB": remote_list("l.csv", make, coded(coding, "text/csv")) for coding, make in CODERS.items()},
    "a list .gz from a server, 600 MB": remote_list("l.csv.gz", CODERS["gzip"], {"Content-Type": "application/gzip"}),
    "a list of JSON from a server, of one text of 300 MB": remote_list("l.json", lambda: b'[{"url":"' + b"a" * 60 * MB, {"Content-Type": "application/json"}),
}  # fmt: skip

# ---- pictures in pictures


def animated(format: str, count: int, side: int) -> bytes:
    frames = [Image.new("RGB", (side, side), (n % 256, 0, 0)) for n in range(2)] * (count // 2)
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=10)


def apng(width: int, height: int, frames: int) -> bytes:
    """Frames of one pixel on a canvas that is very much larger."""
    row = zlib.compress(bytes(2))
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = zlib.compress(bytes((width + 1) * height), 9)
    parts = [ihdr, chunk(b"acTL", struct.pack(">II", frames, 0))]
    parts += [chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 100, 0, 0)), chunk(b"IDAT", data)]
    for n in range(1, frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * n - 1, 1, 1, 0, 0, 1, 100, 0, 0)))
        parts.append(chunk(b"fdAT", struct.pack(">I", 2 * n) + row))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def bare_webp(width: int, height: int, frames: int) -> bytes:
    """A canvas with very many frames of one pixel."""
    one = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = bytes(6) + bytes(6) + b"\x0a\0\0" + b"\0" + one
    anmf = b"ANMF" + struct.pack("<I", len(frame)) + frame
    vp8x = (
        b"VP8X"
        + struct.pack("<I", 10)
        + b"\x02\0\0\0"
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    content = b"WEBP" + vp8x + b"ANIM" + struct.pack("<I", 6) + bytes(6) + anmf * frames
    return b"RIFF" + struct.pack("<I", len(content)) + content


def icons(count: int, side: int) -> bytes:
    """An ICO of very many PNGs, all in the same place."""
    picture = encoded(Image.new("L", (side, side)), "PNG")
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(picture), 6 + 16 * count)
    return struct.pack("<HHH", 0, 1, count) + entry * count + picture


def icns_in_icns(depth: int) -> bytes:
    content = encoded(Image.new("RGBA", (1024, 1024)), "PNG")
    for _ in range(depth):
        block = b"ic10" + struct.pack(">I", len(content) + 8) + content
        content = b"icns" + struct.pack(">I", len(block) + 8) + block
    return content


def avif_says(width: int, height: int) -> bytes:
    """An AVIF whose header says another size than its picture has."""
    plain = encoded(Image.new("RGB", (64, 64)), "AVIF")
    return plain.replace(
        b"ispe\0\0\0\0" + struct.pack(">II", 64, 64), b"ispe\0\0\0\0" + struct.pack(">II", width, height)
    )


def jpeg2000(width: int, height: int, tile: int, **options: Any) -> bytes:
    return encoded(Image.new("L", (width, height)), "JPEG2000", tile_size=(tile, tile), **options)


PICTURES: dict[str, Attack] = {
    "an APNG of 9000 x 9000 with 3,000 frames": image(lambda: apng(9000, 9000, 3_000)),
    "an APNG of 3000 x 3000 with 100,000 frames": image(lambda: apng(3000, 3000, 100_000)),
    "a WebP of 9000 x 9000 with 3,000 frames": image(lambda: bare_webp(9000, 9000, 3_000)),
    "a WebP of 16,000 x 16,000 with two frames": image(lambda: bare_webp(16_000, 16_000, 2)),
    "a WebP of 100 x 100 with 200,000 frames": image(lambda: bare_webp(100, 100, 200_000)),
    "an animated AVIF of 2000 x 2000": image(lambda: animated("AVIF", 20, 2000)),
    "an AVIF that says 30,000 x 30,000": image(lambda: avif_says(30_000, 30_000)),
    "an ICO of 60,000 PNGs in one place": image(lambda: icons(60_000, 1000)),
    "an ICNS in an ICNS, 200 deep": image(lambda: icns_in_icns(200)),
    "a JPEG 2000 of 22,500 tiles": image(lambda: jpeg2000(4800, 4800, 32, num_resolutions=1)),
    "a JPEG 2000 of 9000 x 9000 in one tile": image(lambda: encoded(Image.new("L", (9000, 9000)), "JPEG2000")),
    "a TIFF in JPEG of 9000 x 9000 in one strip": image(lambda: encoded(Image.new("RGB", (9000, 9000)), "TIFF", compression="jpeg")),
    "an MPO of 2,000 pictures": image(lambda: encoded(Image.new("RGB", (1500, 1500)), "JPEG") * 300),
}  # fmt: skip

# ---- a proxy that misbehaves

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-A: " + b"a" * 1000 + b"\r\n")
        await writer.drain()


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _commands(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 407 \x1b]0;owned\x07\xc2\x9b31m\r\nProxy-Authenticate: \x1b[31mBasic\r\nContent-Length: 0\r\n\r\n"
    )
    await writer.drain()
    writer.close()


async def _junk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x1b]0;owned\x07" + bytes(range(256)) * 100)
    await writer.drain()
    writer.close()


@contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """The port of a server that answers by *serve*."""
    port: list[int] = []
    started, stop = Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        listening = await asyncio.start_server(_harmless(serve), "127.0.0.1", 0)
        loops.append(asyncio.get_running_loop())
        port.append(listening.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        listening.close()

    thread = Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    started.wait()
    yield port[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


def through(serve: Serve, scheme: str) -> Attack:
    """A crawl whose proxy answers by *serve*."""

    def attack(stage: Stage) -> Outcome:
        with serving(serve) as port:
            proxy = f"http://me:s3cret@127.0.0.1:{port}"
            arguments = {"list": f"{scheme}://public.example/list", "galleries": "a"}
            done = stage.crawl(
                "gallery", arguments, env={"http_proxy": proxy, "https_proxy": proxy}, DOWNLOAD_TIMEOUT="5"
            )
        return said(stage, done, "s3cret")

    return attack


def _harmless(serve: Serve) -> Serve:
    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.wait_for(serve(reader, writer), 30)
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()

    return serves


PROXIES: dict[str, Attack] = {
    f"a proxy {what}, {scheme}": through(serve, scheme)
    for what, serve in {"whose headers never end": _endless, "that says nothing": _silent, "that says commands": _commands, "of junk": _junk}.items()
    for scheme in ("http", "https")
}  # fmt: skip

# ---- texts in other places, and in the output of other commands


def header_texts() -> dict[str, str]:
    text = "\x1b]0;owned\x07\xc2\x9b31m"
    return {"ETag": f'"{text}"', "Last-Modified": text, "Content-Disposition": f'attachment; filename="{text}.jpg"', "X-Robots-Tag": text, "Retry-After": text, "Link": f"<{text}>; rel=next", "Server": text}  # fmt: skip


async def _status_of_commands(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 404 \x1b]0;owned\x07\xc2\x9b31m\r\nContent-Length: 0\r\n\r\n")


def shown_by(*command: str) -> Attack:
    """What *command* says after a crawl of a page that has `TEXT` wherever it can."""

    def attack(stage: Stage) -> Outcome:
        escaped = TEXT.replace("\0", "").replace("\r", "&#13;").replace("\n", "&#10;")
        html = f"<title>{TEXT}</title><meta name=author content='{escaped}'><img src='/i/{escaped}.jpg' alt='{escaped}'><img src=/gone><img src=/to><img src=/i/good.jpg>"
        arguments = stage.site(html.encode(), {"Content-Type": "text/html; charset=utf-8"})
        links = f"<a class=g href='/bad'>a</a><a class=g href='/{escaped}'>{escaped}</a><a class=g href=/good>a</a>"
        stage.server.add("/list", links.encode(), headers={"Content-Type": "text/html; charset=utf-8"})
        stage.server.add("/gone", _status_of_commands)
        stage.server.add("/to", redirect("/\xc2\x9b31m\x1b]0;owned\x07"))
        stage.server.add("/i/good.jpg", encoded(Image.new("RGB", (64, 64)), "JPEG"), headers=header_texts())
        crawled = said(stage, stage.crawl("gallery", arguments, LOG_LEVEL="DEBUG", IMAGES_NAME="{title}/{basename}"))
        if not crawled[0]:
            return crawled
        names = [path.name for path in (stage.folder / "images").rglob("*") if not path.name.isprintable()]
        if names:
            return False, f"a file is called {names[0]!r}"
        words = [stage.server.url("/bad") if word == "URL" else word for word in command]
        return said(stage, stage.scrapy(*words))

    return attack


SHOWN: dict[str, Attack] = {
    f"what {command[0]} says of a hostile page": shown_by(*command)
    for command in (
        ("failures", "gallery"), ("galleries", "items.json"), ("report", "-o", "report.html"), ("newsite", "mine", "URL"), ("failed", "items.json"), ("catalogue",), ("audit",), ("fetch", "URL", "--headers", "--nolog"),
    )
}  # fmt: skip

# ---- keys of ours in Redis that hold something else

LONG = b"x" * 100 * MB


KEYS = ("run", "dead", "live", "live:at", "seen", "limits:notes", "limits:host:127.0.0.1", "limits:waiting:127.0.0.1", "queue:0:evil", "hosts", "leases", "workers", "samples", "stats", "dupefilter")  # fmt: skip
KINDS: dict[str, Callable[[Any, str], object]] = {
    "text": lambda client, key: client.set(key, "theirs"),
    "list": lambda client, key: client.rpush(key, "theirs"),
    "set": lambda client, key: client.sadd(key, "theirs"),
    "hash": lambda client, key: client.hset(key, "theirs", "theirs"),
    "sorted set": lambda client, key: client.zadd(key, {"theirs": 1}),
    "stream": lambda client, key: client.xadd(key, {"theirs": "theirs"}),
}


def all_of(kind: str, names: tuple[str, ...] = KEYS) -> Callable[[Any], object]:
    return lambda client: [KINDS[kind](client, f"{PREFIX}{name}") for name in names]


NEIGHBOURS: dict[str, Attack] = {
    **{f"a {kind} under each of our keys but the run": written(all_of(kind, KEYS[1:])) for kind in KINDS},
    **{f"a {kind} as what is fed": written(lambda client, put=put: put(client, "gallery:start_urls")) for kind, put in KINDS.items()},
    "start_urls of 100 MB": written(lambda client: client.rpush("gallery:start_urls", LONG)),
    "notes of 100 MB": written(lambda client: client.hset(f"{PREFIX}limits:notes", "robots:http://127.0.0.1", LONG)),
    "a run of 100 MB": written(lambda client: client.hset(f"{PREFIX}run", mapping={"id": LONG, "state": LONG, "arguments": LONG})),
    "a host's limits of 100 MB": written(lambda client: client.hset(f"{PREFIX}limits:host:127.0.0.1", mapping={"paced": LONG, "last": LONG})),
    "live rows of 100 MB, looked at": written(lambda client: (client.zadd(f"{PREFIX}live:at", {"w": 9e15}), client.hset(f"{PREFIX}live", "w", LONG)), "status", "gallery", "--once"),
    "pages given up of 100 MB, looked at": written(lambda client: client.rpush(f"{PREFIX}dead", LONG), "queue", "gallery", "--dead"),
    "live rows that are commands, looked at": written(lambda client: (client.zadd(f"{PREFIX}live:at", {TEXT: 9e15}), client.hset(f"{PREFIX}live", TEXT, json.dumps({"state": TEXT, "host": TEXT}))), "status", "gallery", "--once"),
}  # fmt: skip

# ---- regular expressions of the user's, and what was made for them

EVIL, MADE_FOR_IT = "(a+)+$|good|bad", "a" * 60 + "!"


def pattern(setting: str, evil: str = EVIL) -> Attack:
    """Titles and addresses of images that take *evil* for ever."""
    html = f"<title>{MADE_FOR_IT}</title><img src='/i/{'a' * 800}!.jpg'><img src=/i/good.jpg>".encode()
    return lambda stage: judged(stage.crawl("gallery", stage.site(html), **{setting: evil}))


def sitemap_pattern(stage: Stage) -> Outcome:
    arguments = stage.site(PAGE)
    long_ones = "".join(f"<url><loc>{stage.server.url(f'/{n}/' + 'a' * 800 + '!')}</loc></url>" for n in range(300))
    good = "".join(f"<url><loc>{stage.server.url(f'/{name}')}</loc></url>" for name in ("bad", "good"))
    stage.server.add(
        "/sitemap.xml", f"<urlset>{good}{long_ones}</urlset>".encode(), headers={"Content-Type": "text/xml"}
    )
    return judged(
        stage.crawl(
            "gallery",
            {"sitemap": stage.server.url("/sitemap.xml"), "only": EVIL, "images": "img"}
            | {k: v for k, v in arguments.items() if k not in ("list", "galleries")},
        )
    )


PATTERNS: dict[str, Attack] = {
    "titles made for a pattern of the user's (GALLERIES_TITLE)": pattern("GALLERIES_TITLE"),
    "addresses made for a pattern of placeholders": pattern("IMAGES_PLACEHOLDERS", "(a+)+[yz]"),
    "a sitemap made for -a only": sitemap_pattern,
    "a page made for re:test in a selector": declared(
        "images", "//img[re:test(@src, '(a+)+$|good')]/@src", text(f"<title>bad</title><img src={MADE_FOR_IT}>")
    ),
}

FURTHER: dict[str, Attack] = {**PATTERNS, **BODIES, **PICTURES, **PROXIES, **SHOWN, **NEIGHBOURS}
