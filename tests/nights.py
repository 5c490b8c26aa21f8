"""Night after night at pximg's replica, which changes: what each night asked for, and what its feed says.

`python -m tests.nights` crawls the whole replica, 80 galleries of which some images misbehave, then one that behaves,
and prints a table of each. Nothing in it is taken on trust: each number, each outcome, each path and each file is what
the replica's truth says that it has to be, or an AssertionError tells which is not.
"""

# ruff: noqa: T201 -- it is a script, too
from __future__ import annotations

import argparse
import asyncio
import hashlib
import math
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from imgcrawl.demo.pximg import Pximg
from imgcrawl.demo.server import Server
from imgcrawl.demo.site import BEHAVIOURS, Options, SiteGallery, SiteImage
from tests.commands.test_nights import command
from tests.support.crawling import Crawl, crawl

NEW_NAME = "{title}/{basename}"
NEW, CHANGED, MOVED, REMOVED, CUT = 10, 5, 5, 3, 2  # images; and of one a byte is changed
IN_A_ROW = 10
# A host that has once answered 503 is asked more slowly for a while; these nights need not be so considerate.
SETTINGS = {"AUTOTHROTTLE_MAX_DELAY": "0.05", "LIMITS_SPEEDUP": "1000", "HTTPCACHE_ENABLED": "True"}
# Requests for an image that is not here yet, where that is not one; and for one that was had before.
FIRST = {"private": 0, "broken-once": 2, "busy-once": 2, "limited-once": 2, "redirected": 2, "moved": 2}
AGAIN = {"redirected": 2, "moved": 2}
WITH_A_BODY = {"cut", "page"}  # of what fails


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class ChangingSite(Pximg):
    """pximg, whose galleries change from night to night. Its pages have an ETag."""

    def page(self, request: web.Request) -> web.Response | None:
        response = super().page(request)
        if response is None or response.text is None:
            return response
        tag = f'"{sha256(response.text.encode())[:16]}"'
        unchanged = request.headers.get("If-None-Match") == tag
        return web.Response(
            text=None if unchanged else response.text,
            status=304 if unchanged else 200,
            content_type="text/html",
            headers={"ETag": tag},
        )

    def texts(self) -> dict[str, str]:
        """What list pages and galleries show now."""
        numbers = range(1, math.ceil(len(self.galleries) / self.options.per_page) + 1)
        lists = {f"list {number}": self._list("nvshen", number) for number in numbers}
        found = lists | {gallery.url: self._detail(gallery) for gallery in self.galleries}
        return {name: str(response.text) for name, response in found.items() if response}

    def good(self) -> list[SiteImage]:
        """Images that answer at once, and whose bytes no other one has."""
        images = [image for gallery in self.galleries for image in gallery.images]
        seeds = Counter(image.seed for image in images)
        return [image for image in images if image.behaviour == "good" and seeds[image.seed] == 1]

    def add_galleries(self, count: int) -> None:
        """As many new galleries, each with one image, at the top of the list."""
        # Which pages have no <h2> goes by their place: ten more leave it as it was.
        assert count % 10 == len(self.galleries) % 10 == 0
        for number in range(len(self.galleries), len(self.galleries) + count):
            gallery = self._gallery(number)
            image = next(image for image in gallery.images if image.behaviour == "good")
            self.galleries.insert(number % 10, replace(gallery, images=(image,)))
        self._show(self.galleries)

    def change(self, new: dict[SiteImage, SiteImage]) -> None:
        """Show other images in the place of some."""
        self._show(
            [
                replace(gallery, images=tuple(new.get(image, image) for image in gallery.images))
                for gallery in self.galleries
            ]
        )

    def _show(self, galleries: list[SiteGallery]) -> None:
        self.galleries = galleries
        self._paths = {gallery.url.removeprefix(self.hosts.page): gallery for gallery in galleries}
        self.__dict__.pop("images", None)


class ChangingServer(Server):
    """Counts what it sends, and may be down."""

    def __init__(self, options: Options) -> None:
        super().__init__(ChangingSite, 0, options)
        self.is_down = False
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    async def _respond(self, request: web.Request, base: str) -> web.StreamResponse:
        if self.is_down:
            assert request.transport
            request.transport.abort()
            return web.Response()
        kind = "page" if request.path.endswith(".html") or "/topic/" in request.path else "image"
        response = await super()._respond(request, base)
        if request.path != "/robots.txt":
            self.asked[kind] += 1
            # One that breaks off is no web.Response.
            self.sent[kind] += response.status in (200, 201) and isinstance(response, web.Response)
        return response


@contextmanager
def changing_replica(options: Options) -> Iterator[tuple[ChangingServer, ChangingSite]]:
    """The server, in a thread of its own, and its site."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = ChangingServer(options)
    try:
        site = asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
        assert isinstance(site, ChangingSite)
        yield server, site
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass(frozen=True)
class Row:
    """A night of the table."""

    night: str
    code: int
    downloaded: int
    uptodate: int
    duplicate: int
    failed: int
    refused: int
    pages_asked: int
    pages_sent: int
    images_asked: int
    images_sent: int
    galleries: int
    images: int


class Nights:
    """Crawls of a replica that changes, in *folder*. Each is compared with what it has to be; *table* has them."""

    def __init__(self, folder: Path, server: ChangingServer, site: ChangingSite) -> None:
        self.folder, self.server, self.site = folder, server, site
        self.table: list[Row] = []
        self.paths: dict[str, str] = {}  # where each address is
        self._had: dict[str, str] = {}  # the checksum of what is stored of each address
        self._texts: dict[str, str] = {}  # what pages that were asked for showed
        self._name: dict[str, Any] = {}

    def all(self) -> list[Row]:
        """Every night, one after the other; the table."""
        self.night("first")
        before = dict(self.paths)
        self.night("unchanged")
        assert self.paths == before
        self.changed()
        self.down()
        self.lost()
        self.renamed()
        self.quiet("quiet, all tried", 0)
        self.quiet("quiet", 3)
        return self.table

    def changed(self) -> None:
        """New images, changed ones, and the same bytes at other addresses."""
        good, before = self.site.good(), dict(self.paths)
        changed, moved = good[:CHANGED], good[CHANGED : CHANGED + MOVED]
        old = {image.clean: self._file(image.clean).read_bytes() for image in changed}
        new = {image: replace(image, seed=f"{image.seed}/changed") for image in changed}
        new |= {image: _at_another_address(image) for image in moved}
        self.site.change(new)
        self.site.add_galleries(NEW)
        self.night("changed", expired=True, IMAGES_EXPIRES="0")
        for image in changed:  # what was there is not overwritten
            assert self.paths[image.clean] != before[image.clean]
            assert (self.folder / "images" / before[image.clean]).read_bytes() == old[image.clean]
        for image in moved:
            assert self.paths[new[image].clean] == before[image.clean]
        gone = {image.clean for image in (*changed, *moved)}
        assert {url: before[url] for url in before if url not in gone}.items() <= self.paths.items()

    def down(self) -> None:
        """A site that is down replaces no feed."""
        feed = (self.folder / "items.json").read_bytes()
        self.server.is_down = True
        done = self._crawl(ROBOTSTXT_WAIT="1", RETRY_TIMES="1")
        self.server.is_down = False
        assert (self.folder / "items.json").read_bytes() == feed
        assert "items.json is as it was" in done.log
        assert done.code == 1
        self.table.append(Row("down", done.code, *[0] * 9, len(done.items), len(done.images)))

    def lost(self) -> None:
        """Files that were removed, cut and changed come back, to where they were."""
        before, good = dict(self.paths), [image.clean for image in self.site.good()][-(REMOVED + CUT + 1) :]
        files = [self._file(url) for url in good]
        for removed in files[:REMOVED]:
            removed.unlink()
        for cut in files[REMOVED:-1]:
            cut.write_bytes(cut.read_bytes()[:-20])
        body = bytearray(files[-1].read_bytes())
        body[-5] ^= 1
        files[-1].write_bytes(body)
        self.night("lost", lost=good)
        assert self.paths == before

    def renamed(self) -> None:
        """Files that have their new names are not asked for."""
        stored = self._shown()
        told = command(self.folder, "rename", "pximg", "-s", f"IMAGES_NAME={NEW_NAME}")
        assert (told.returncode, told.stdout) == (0, ""), told.stderr
        assert told.stderr == f"{len(stored)} files renamed, 0 have their names already\n"
        self._name = {"IMAGES_NAME": NEW_NAME}
        self.night("renamed")
        left = {
            path.relative_to(self.folder / "images").as_posix()
            for path in (self.folder / "images").rglob("*")
            if path.is_file() and not path.relative_to(self.folder / "images").parts[0].startswith(".")
        }
        assert not self._shown() & stored
        assert len(left - self._shown()) == CHANGED  # what was there before, as it was

    def quiet(self, name: str, tries: int) -> None:
        """Of what is complete nothing is asked for. With *tries* less than these nights, what fails each time counts as
        complete, too."""
        opened, lists, row = [], 0, 0
        size = self.site.options.per_page
        for start in range(0, len(self.site.galleries), size):
            lists += 1
            for gallery in self.site.galleries[start : start + size]:
                is_complete = bool(tries) or all(_truth(image)[0] != "failed" for image in gallery.images)
                row = row + 1 if is_complete else 0
                opened += [] if is_complete else [gallery]
            if row >= IN_A_ROW:
                break
        else:
            lists += 1  # behind the last
        settings = {"GALLERIES_EXPIRES": "30", "GALLERIES_TRIES": str(tries)}
        if not tries:
            settings["VERDICT_MAX_FAILED"] = "1"  # what fails each night is most of what is opened
        done = self._crawl({"stop_at_known": str(IN_A_ROW)}, **settings)
        self._night(name, opened, lists, done, sent=0)

    def night(self, name: str, *, expired: bool = False, lost: Sequence[str] = (), **settings: Any) -> None:
        """A crawl of all, and what it has to be."""
        texts = self.site.texts()
        sent = sum(self._texts.get(each) != text for each, text in texts.items())
        lists = len(texts) - len(self.site.galleries) + 1  # one behind the last
        self._texts = texts
        self._night(name, self.site.galleries, lists, self._crawl(**settings), sent, expired=expired, lost=lost)

    def _crawl(self, arguments: dict[str, str] | None = None, **settings: Any) -> Crawl:
        self.server.asked.clear()
        self.server.sent.clear()
        given = {"base": self.site.hosts.page} | (arguments or {})
        cache = {"HTTPCACHE_DIR": str(self.folder / "pages")}
        return crawl(self.folder, "pximg", given, **SETTINGS, **cache, **self._name, **settings)

    def _night(
        self,
        name: str,
        galleries: Sequence[SiteGallery],
        lists: int,
        done: Crawl,
        sent: int,
        *,
        expired: bool = False,
        lost: Sequence[str] = (),
    ) -> None:
        assert done.code == 0, done.log
        assert "Traceback" not in done.log
        found = done.items if galleries else []  # a night without any leaves the feed as it was
        assert galleries or "items.json is as it was" in done.log
        assert Counter(item["url"] for item in found) == dict.fromkeys((each.url for each in galleries), 1)
        items = {item["url"]: item for item in found}
        asked = bodies = 0
        expected: defaultdict[str, Counter[str]] = defaultdict(Counter)  # which of two with the same bytes is first
        told: defaultdict[str, Counter[str]] = defaultdict(Counter)
        before, stored = dict(self._had), set(self._had.values())
        for gallery in galleries:
            item = items[gallery.url]
            assert item["title"] == gallery.title
            assert item["image_urls"] == [image.clean for image in gallery.images]
            for image, outcome in zip(gallery.images, item["images"], strict=True):
                status, reason = _truth(image)
                if status in ("failed", "refused"):
                    assert (outcome["url"], outcome["status"], outcome["reason"]) == (image.clean, status, reason)
                    asked += FIRST.get(image.behaviour, 1)
                    bodies += image.behaviour in WITH_A_BODY
                    continue
                checksum = sha256(image.body())
                known = before.get(image.clean)
                is_here = known == checksum and image.clean not in lost
                asked += (expired or not is_here) * (AGAIN if known else FIRST).get(image.behaviour, 1)
                bodies += not is_here
                is_new = checksum not in stored or image.clean in lost
                expected[checksum]["uptodate" if is_here else "downloaded" if is_new else "duplicate"] += 1
                stored.add(checksum)
                told[checksum][outcome["status"]] += 1
                assert outcome["url"] == image.clean
                file = self.folder / "images" / outcome["path"]
                assert sha256(file.read_bytes()) == outcome["checksum"] == checksum
                self._had[image.clean] = checksum
                self.paths[image.clean] = outcome["path"]
        assert told == expected
        counts = Counter(image["status"] for item in found for image in item["images"])
        row = Row(
            name, done.code, *(counts[field.name] for field in fields(Row)[2:7]),
            len(galleries) + lists, sent, asked, bodies, len(galleries), sum(len(each.images) for each in galleries),
        )  # fmt: skip
        was = self.server
        assert (was.asked["page"], was.sent["page"]) == (row.pages_asked, row.pages_sent), name
        assert (was.asked["image"], was.sent["image"]) == (row.images_asked, row.images_sent), name
        self.table.append(row)

    def _shown(self) -> set[str]:
        """The files of what the site shows now."""
        shown = {image.clean for gallery in self.site.galleries for image in gallery.images}
        return {path for url, path in self.paths.items() if url in shown}

    def _file(self, url: str) -> Path:
        return self.folder / "images" / self.paths[url]


def _truth(image: SiteImage) -> tuple[str, str | None]:
    return BEHAVIOURS.get(image.behaviour, ("downloaded", None))


def _at_another_address(image: SiteImage) -> SiteImage:
    name = image.clean.rpartition("/")[2]
    new = f"moved-{name}"
    return replace(image, clean=image.clean.replace(name, new), address=image.address.replace(name, new))


def nights(folder: Path, **options: Any) -> list[Row]:
    """The table of all nights at a replica with these options."""
    with changing_replica(Options(**options)) as (server, site):
        return Nights(folder, server, site).all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galleries", type=int, default=80, help="a multiple of ten")
    given = parser.parse_args()
    for misbehave in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            table = nights(Path(folder), galleries=given.galleries, misbehave=misbehave)
        names = [field.name.replace("_", " ") for field in fields(Row)]
        print(f"\n{'Some images misbehave' if misbehave else 'All images behave'}:\n")
        for line in (names, ["-" * len(name) for name in names], *map(astuple, table)):
            print("  ".join(f"{cell:>{len(name)}}" for cell, name in zip(line, names, strict=True)))


if __name__ == "__main__":
    main()
