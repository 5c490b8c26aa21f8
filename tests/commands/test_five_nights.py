"""Night after night at a site that changes, is down, and whose files are lost: outcomes, requests and feed of each."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from tests.commands.test_nights import command
from tests.support.crawling import Crawl, crawl
from tests.support.server import Answer, Exchange, Request, Server, jpeg

OLD, NEW = "{spider}/{title}/{index:03}", "{title}/{basename}"


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Site:
    """A list page, its galleries with five images each, and what these are today; each has an ETag."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.galleries: dict[str, list[str]] = {}
        self.bodies: dict[str, bytes] = {}
        self.is_down = False
        self.bodies_sent: Counter[str] = Counter()
        server.add("*", self._serve)

    def show(self, gallery: int, folder: str, colour: int) -> None:
        """Have *gallery* show five images below *folder*, of this *colour*."""
        paths = [f"/{folder}/{number}.jpg" for number in range(5)]
        self.galleries[f"/g{gallery}"] = paths
        self.bodies |= {path: jpeg(40 + number, 40 + colour) for number, path in enumerate(paths)}

    async def _serve(self, exchange: Exchange) -> None:
        if self.is_down and exchange.request.path != "/robots.txt":  # for which a crawl would wait
            exchange.reset()
        else:
            await exchange.answer(self._answer(exchange.request))

    def _answer(self, request: Request) -> Answer:
        html = {"Content-Type": "text/html"}
        if request.path == "/list":
            body = "".join(f'<a class="g" href="{each}">x</a>' for each in self.galleries).encode()
        elif paths := self.galleries.get(request.path):
            images = "".join(f'<img src="{path}">' for path in paths)
            body = f"<h2>{request.path[1:].upper()}</h2>{images}".encode()
        elif request.path in self.bodies:
            body, html = self.bodies[request.path], {}
        else:
            return Answer(b"", 404)
        tag = f'"{sha(body)[:8]}"'
        if request.headers.get("if-none-match") == tag:
            return Answer(b"", 304)
        self.bodies_sent["page" if html else "image"] += 1
        return Answer(body, headers={"ETag": tag, **html})


class Nights:
    """Crawls of *site*, whose feed is begun anew each time, in *folder*."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.table: dict[str, tuple[Any, ...]] = {}

    def crawl(self, night: str, **settings: Any) -> Crawl:
        """What the night was, in the table: exit code, outcomes, pages asked for and sent, images asked for and sent,
        galleries and images of the feed."""
        self.site.server.forget()
        self.site.bodies_sent.clear()
        arguments = {"list": self.site.server.url("/list"), "galleries": "a.g"}
        cache = {"HTTPCACHE_ENABLED": "True", "HTTPCACHE_DIR": str(self.folder / "pages")}
        done = crawl(self.folder, "gallery", arguments, RETRY_TIMES="0", **cache, **settings)
        paths = self.site.server.paths()
        if self.site.is_down:
            paths = sorted(set(paths))  # a connection in use that is reset is made once more
        images = sum(path.endswith(".jpg") for path in paths)
        outcomes = Counter(image["status"] for image in done.images)
        sent = self.site.bodies_sent
        asked = (len(paths) - images, sent["page"], images, sent["image"])
        self.table[night] = (done.code, dict(outcomes), *asked, len(done.items), len(done.images))
        return done

    def stored(self, done: Crawl) -> dict[str, str]:
        """The files of the feed, by the path of their address; each has the bytes that the site shows."""
        found = {}
        for item in done.items:
            shown = self.site.galleries[item["url"].removeprefix(self.site.server.url(""))]
            assert [image["url"] for image in item["images"]] == [self.site.server.url(path) for path in shown]
            for path, image in zip(shown, item["images"], strict=True):
                body = self.site.bodies[path]
                assert (self.folder / "images" / image["path"]).read_bytes() == body
                assert (image["checksum"], image["bytes"]) == (sha(body), len(body))
                found[path] = image["path"]
        return found


def test_each_of_six_nights_asks_for_what_is_new_and_tells_what_there_is(server: Server, tmp_path: Path) -> None:
    site = Site(server)
    nights = Nights(site, tmp_path)
    for gallery in range(6):
        site.show(gallery, f"a{gallery}", gallery)

    first = nights.stored(nights.crawl("first"))
    assert first == {
        f"/a{gallery}/{number}.jpg": f"gallery/G{gallery}/{number + 1:03}.jpg"
        for gallery in range(6)
        for number in range(5)
    }
    assert nights.stored(nights.crawl("unchanged")) == first

    for gallery in (6, 7):
        site.show(gallery, f"a{gallery}", gallery)  # ten new ones
    site.show(0, "a0", 20)  # five changed at their addresses
    site.show(1, "moved", 1)  # five with the same bytes at other addresses
    changed = nights.crawl("changed", IMAGES_EXPIRES="0")
    second = nights.stored(changed)
    kept = {path: file for path, file in first.items() if not path.startswith(("/a0/", "/a1/"))}
    new = {f"/a{gallery}/{n}.jpg": f"gallery/G{gallery}/{n + 1:03}.jpg" for gallery in (6, 7) for n in range(5)}
    moved = {f"/moved/{number}.jpg": f"gallery/G1/{number + 1:03}.jpg" for number in range(5)}
    other = {  # nothing is overwritten
        path: f"gallery/G0/{number + 1:03}-{sha(site.bodies[path])[:8]}.jpg"
        for number, path in enumerate(site.galleries["/g0"])
    }
    assert second == {**kept, **new, **moved, **other}

    feed = (tmp_path / "items.json").read_bytes()
    site.is_down = True
    down = nights.crawl("down")
    assert (tmp_path / "items.json").read_bytes() == feed
    assert "items.json is as it was" in down.log
    site.is_down = False

    files = [tmp_path / "images" / second[f"/a{gallery}/1.jpg"] for gallery in (2, 3, 4, 5, 6, 7)]
    for removed in files[:3]:
        removed.unlink()
    for cut in files[3:5]:
        cut.write_bytes(cut.read_bytes()[:-20])
    body = bytearray(files[5].read_bytes())
    body[-5] ^= 1
    files[5].write_bytes(body)
    assert nights.stored(nights.crawl("lost")) == second

    told = command(tmp_path, "rename", "gallery", "-s", f"IMAGES_NAME={NEW}")
    assert (told.returncode, told.stderr) == (0, "40 files renamed, 0 have their names already\n")
    renamed = nights.stored(nights.crawl("renamed", IMAGES_NAME=NEW))
    assert renamed == {
        path: f"{gallery[1:].upper()}/{Path(path).name}" for gallery, paths in site.galleries.items() for path in paths
    }
    left = {path.relative_to(tmp_path / "images").as_posix() for path in (tmp_path / "images").rglob("*.jpg")}
    assert left - set(renamed.values()) == {f"gallery/G0/{number:03}.jpg" for number in range(1, 6)}  # as they were

    # exit code, outcomes; pages asked for and sent, images asked for and sent; galleries and images in the feed
    assert nights.table == {
        "first": (0, {"downloaded": 30}, 7, 7, 30, 30, 6, 30),
        "unchanged": (0, {"uptodate": 30}, 7, 0, 0, 0, 6, 30),
        "changed": (0, {"downloaded": 15, "duplicate": 5, "uptodate": 20}, 9, 4, 40, 20, 8, 40),
        "down": (1, {"downloaded": 15, "duplicate": 5, "uptodate": 20}, 1, 0, 0, 0, 8, 40),  # the feed is as it was
        "lost": (0, {"downloaded": 6, "uptodate": 34}, 9, 0, 6, 6, 8, 40),
        "renamed": (0, {"uptodate": 40}, 9, 0, 0, 0, 8, 40),
    }
