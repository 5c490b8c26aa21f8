"""A site of what is large: pages of megabytes, images and pages of 100 MB, a gallery of 100,000 images, 24 megapixels.

`python -m benchmarks.heavy --port PORT --cache FOLDER`. `/list/KIND/COUNT` links to COUNT galleries of a kind, and
to up to `BESIDE` ordinary pages of 1 MB where the kind is one that takes memory. `dense500` are pages of 500 KB.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from PIL import Image

from benchmarks.server import free_port, in_a_process
from benchmarks.site import scene, tiny_photo, with_comment

MB = 1_000_000
HUGE = 100 * MB
BESIDE = 30
SHOWN = 40  # images that a dense page shows, again and again
PIECE = bytes(256 * 1024)
ROBOTS = b"User-agent: *\nDisallow: /admin/\n"
FORMATS = {"jpg": ("JPEG", {"quality": 90}), "png": ("PNG", {"compress_level": 1}), "webp": ("WEBP", {"method": 0})}


def dense_page(number: int, size: int) -> str:
    """Nothing but cards, each with a link, an image in several sizes, and words."""
    cards = []
    for card in range(size // 420):
        image = f"/i/{number}-{card % SHOWN}"
        cards.append(
            f'<div class="card"><a class="more" href="/{number}/{card}.html?from=page&amp;at={card}">'
            f'<img class="lazy" width="300" height="200" alt="An image of {card}" src="{image}-300x200.jpg" '
            f'srcset="{image}-300x200.jpg 300w, {image}-600x400.jpg 600w, {image}.jpg 1200w"></a>'
            f"<h3>Number {card}</h3><p>Some <b>words</b> about what can be seen here, and a few more.</p></div>\n"
        )
    return f"<!doctype html><html><head><title>Page {number}</title></head><body>{''.join(cards)}</body></html>"


def gallery_of(count: int, address: str) -> str:
    images = "".join(f'<img src="{address}/{number}.jpg">' for number in range(count))
    return f"<!doctype html><html><head><title>{count} images</title></head><body>{images}</body></html>"


def list_of(kind: str, count: int) -> str:
    links = [f"/{kind}/{number}.html" for number in range(count)]
    beside = BESIDE if kind == "huge" else BESIDE * count // 32 if kind == "hugepage" else 0
    links += [f"/dense1000/{number}.html" for number in range(beside)]
    return "<html><body>" + "".join(f'<a class="g" href="{link}">a gallery</a>' for link in links) + "</body></html>"


class Heavy:
    """What stands at each path: type and body, or the size of a body that nobody wants to have in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "heavy"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tiny = tiny_photo(1)
        self.page = cache(self._page)
        self.large = cache(self._large)
        for ending in FORMATS:
            self.large(ending)

    def answer(self, path: str) -> tuple[str, bytes, int]:
        """Content type, body, and how many zeros follow it."""
        kind, _, name = path.strip("/").partition("/")
        ending = name.rpartition(".")[2]
        if path == "/robots.txt":
            return "text/plain", ROBOTS, 0
        if kind == "hugepage":
            return "text/html", b"<!doctype html><html><title>far too large</title>", HUGE
        if kind == "100mb":
            return "image/jpeg", with_comment(self.tiny, path), HUGE
        if kind == "24mp":
            return f"image/{ending}", self.large(ending) + path.encode(), 0
        if ending == "jpg":
            return "image/jpeg", with_comment(self.tiny, path), 0
        return "text/html; charset=utf-8", self.page(path), 0

    def _page(self, path: str) -> bytes:
        kind, _, name = path.strip("/").partition("/")
        number = name.removesuffix(".html").rpartition("/")[2]
        pages: dict[str, Callable[[], str]] = {
            "list": lambda: list_of(name.partition("/")[0], int(number)),
            "huge": lambda: gallery_of(32, "/100mb"),
            "many": lambda: gallery_of(100_000, "/t"),
            "refused": lambda: gallery_of(20_000, "ftp://nowhere.invalid/t"),
            "photos": lambda: "".join(
                f'<img src="/24mp/{number}-{one}.{ending}">' for one in range(4) for ending in FORMATS
            ),
        }
        if kind.startswith("dense"):
            return dense_page(int(number), int(kind.removeprefix("dense")) * 1000).encode()
        return pages.get(kind, lambda: "<!doctype html><title>A page that a card links to</title>")().encode()

    def _large(self, ending: str) -> bytes:
        file = self.folder / f"24mp.{ending}"
        if not file.exists():
            name, options = FORMATS[ending]
            drawn = io.BytesIO()
            scene(1, 1500, 1000).resize((6000, 4000), Image.Resampling.BICUBIC).save(drawn, name, **options)
            file.write_bytes(drawn.getvalue())
        return file.read_bytes()


def heavy_site(folder: Path) -> AbstractContextManager[str]:
    """The site in a process of its own; pictures are kept in *folder*. Its address."""
    port = free_port()
    return in_a_process("benchmarks.heavy", port, "--port", str(port), "--cache", str(folder))


async def requests_of(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            yield head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]


async def serve(port: int, folder: Path) -> None:
    heavy = Heavy(folder)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            async for path in requests_of(reader):
                kind, body, more = heavy.answer(path)
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body) + more}\r\n\r\n"
                writer.write(head.encode() + body)
                for start in range(0, more, len(PIECE)):
                    await writer.drain()
                    writer.write(PIECE[: more - start])
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heavy")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where pictures are kept")
    given = parser.parse_args()
    os.nice(10)  # a site is on a machine of its own: here it has what the crawl leaves of two cores
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(given.port, given.cache))


if __name__ == "__main__":
    main()
