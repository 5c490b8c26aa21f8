"""What a replica site is made of: galleries (pages, entries, rows …) and their images."""

from __future__ import annotations

import hashlib
import html
import io
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web
from PIL import Image

from imgcrawl.demo.pictures import FORMATS, picture, reduced
from imgcrawl.exceptions import InputError

ENDS = ("404", "empty", "first")
REDUCED = 480  # pixels of the longer side of a reduced copy
SLOW = 1.5  # seconds a slow image takes: noticed by a person, far from any timeout
CONTENT_TYPES = {"jpg": "image/jpeg"} | {ending: f"image/{ending}" for ending in ("png", "webp", "gif", "avif")}

# How an image can answer, and the outcome a crawl must report for it: (status, reason). One that is not here
# answers well.
BEHAVIOURS: dict[str, tuple[str, str | None]] = {
    "gone": ("failed", "http_404"),  # 404 for ever
    "unreachable": ("failed", "connection"),  # on a host where nobody listens
    "cut": ("failed", "truncated"),  # complete by its Content-Length, but the file itself ends too early
    "page": ("failed", "html"),  # an HTML page with status 200
    "private": ("refused", "robots"),  # its path is disallowed in robots.txt
    "broken-once": ("downloaded", None),  # the connection closes half way, once
    "busy-once": ("downloaded", None),  # 503, once
    "limited-once": ("downloaded", None),  # 429 with Retry-After: 1, once
    "slow": ("downloaded", None),  # SLOW seconds before the answer
    "gated": ("downloaded", None),  # 403 unless Referer is the gallery's page
    "redirected": ("downloaded", None),  # 302 to the page host
    "moved": ("downloaded", None),  # 301 to another path of its host, named without the host
    "created": ("downloaded", None),  # status 201, body and all
    "untyped": ("downloaded", None),  # Content-Type: application/octet-stream
    "twin": ("duplicate", None),  # the bytes of the image before it; which of the two comes first is open
    "again": ("duplicate", None),  # an address that an earlier gallery named, and that answers well
}
NOBODY = "http://127.0.0.1:1"  # where connections are refused


@dataclass(frozen=True)
class Options:
    """How large and how difficult the replica is. Raises InputError for a value out of range."""

    galleries: int = 80  # or what stands for them on a site: list pages with images, entries, rows, domains
    images: int = 7  # a gallery, on the average
    per_page: int = 24  # galleries a list page
    latency: float = 0.0  # seconds before each answer
    end: str = "404"  # what stands after the last list page, one of `ENDS`
    misbehave: bool = True  # some images answer as `BEHAVIOURS` says
    width: int = 900  # of a picture, in pixels
    seed: str = "imgcrawl"

    def __post_init__(self) -> None:
        for name, least in {"galleries": 1, "images": 1, "per_page": 1, "latency": 0, "width": 40}.items():
            if getattr(self, name) < least:
                raise InputError(f"The replica's {name} is {getattr(self, name)}, but must be {least} or more.")
        if self.end not in ENDS:
            raise InputError(f"The replica's end is {self.end!r}, but must be one of {', '.join(ENDS)}.")


@dataclass(frozen=True)
class Hosts:
    """Scheme, host and port of the two hosts, without a slash at the end."""

    page: str
    image: str


@dataclass(frozen=True)
class SiteImage:
    """An image of the replica. *address* stands in the page, *clean* is the absolute address of the original.

    *final_url* is where the original redirects to, if it does. One that is *gated* is given only to who comes
    from *page*. *stem* is the path, without extension, that a crawl must store the image at; empty where that
    is left open.
    """

    address: str
    clean: str
    page: str
    seed: str
    format: str
    width: int
    behaviour: str = "good"
    final_url: str = ""
    gated: bool = False
    stem: str = ""

    @property
    def content_type(self) -> str:
        """What the image host says of the file: by its name, where that has an ending."""
        ending = urlsplit(self.final_url or self.clean).path.rpartition(".")[2]
        return CONTENT_TYPES.get(ending, f"image/{FORMATS[self.format].replace('jpg', 'jpeg')}")

    @property
    def path(self) -> str:
        """`stem` with the extension that the bytes ask for."""
        return f"{self.stem}.{FORMATS[self.format]}"

    def body(self) -> bytes:
        """The complete picture."""
        return picture(self.seed, self.format, self.width)

    def served(self) -> bytes:
        """What a patient client gets in the end, where that is an image file at all."""
        return self.body()[: len(self.body()) * 3 // 5] if self.behaviour == "cut" else self.body()

    def reduced(self) -> bytes:
        """A small WebP of the picture, though larger than pages ask for: they are to be pleasant to look at."""
        return reduced(self.seed, self.format, self.width, REDUCED)

    def truth(self) -> dict[str, Any]:
        """What a crawl must say of this image. The facts of the file are those of the complete picture."""
        status, reason = BEHAVIOURS.get(self.behaviour, ("downloaded", None))
        body = self.body()
        return {
            "address": self.address,
            "clean": self.clean,
            "final_url": self.final_url or self.clean,
            "behaviour": self.behaviour,
            "status": status,
            "reason": reason,
            "sha256": hashlib.sha256(body).hexdigest(),
            "bytes": len(body),
            **self.facts(),
        }

    def facts(self) -> dict[str, Any]:
        """What can be read in the complete picture."""
        with Image.open(io.BytesIO(self.body())) as image:
            return {
                "format": image.format,
                "width": image.width,
                "height": image.height,
                "frames": getattr(image, "n_frames", 1),
            }


@dataclass(frozen=True)
class SiteGallery:
    """What becomes one item of a crawl: a detail page, a list page with images, an entry, a row, a domain.

    *title* is what a crawl must read there, empty where the item has none; *fields* are the other fields that
    the item must have, besides its images.
    """

    url: str
    title: str
    images: tuple[SiteImage, ...] = ()
    scene: str = ""
    topics: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


class Site(ABC):
    """A site of the replica: a file of its own beside this one, and a line in `server.SITES`.

    It makes its `galleries` when it is constructed, always the same for the same options, and answers for its
    pages. Its images answer by themselves, on both hosts, as their behaviour says; so do those in `others`,
    which no crawl may ask for (placeholders, reduced copies, badges).
    """

    name: ClassVar[str]  # of the spider, too
    noun: ClassVar[str] = "galleries"
    media: ClassVar[str] = "image"
    defaults: ClassVar[dict[str, Any]] = {}  # where those of `Options` do not suit the site
    settings: ClassVar[dict[str, Any]] = {}  # what its crawl needs, and what spares a demonstration long waits
    galleries: list[SiteGallery]
    others: tuple[SiteImage, ...] = ()
    bad_rows: tuple[int, ...] = ()  # lines of a list that a crawl must report and pass over

    def __init__(self, options: Options, hosts: Hosts) -> None:
        self.options = options
        self.hosts = hosts

    @abstractmethod
    def page(self, request: web.Request) -> web.Response | None:
        """The answer of the page host to *request*, None where the site has no such page."""

    def robots(self) -> str:
        """robots.txt of both hosts."""
        return "User-agent: *\nDisallow:\n"

    async def answer(self, request: web.Request, origin: str) -> web.StreamResponse | None:
        """The answer of *origin* (scheme, host, port) to a *request* that is not for an image."""
        if request.path == "/robots.txt":
            return web.Response(text=self.robots())
        return self.page(request) if origin == self.hosts.page else None

    def more_hosts(self) -> list[str]:
        """Addresses of this machine that the site has hosts at besides those two, with the port of the page host."""
        return []

    # How it is crawled

    def arguments(self) -> dict[str, str]:
        """The arguments of its spider; a `file` is one of `lists`."""
        return {"base": self.hosts.page}

    def lists(self) -> dict[str, bytes]:
        """The list files that its spider reads, by name."""
        return {}

    # What a crawl must find

    @cached_property
    def images(self) -> dict[str, SiteImage]:
        """Every image by each absolute address that serves it."""
        named = [image for gallery in self.galleries for image in gallery.images if image.behaviour != "again"]
        every = [*named, *self.others]
        return {image.clean: image for image in every} | {i.final_url: i for i in every if i.final_url}

    def truth(self) -> dict[str, Any]:
        """What `server.Replica.truth` tells."""
        stored = {
            (image.path, image.clean)
            for gallery in self.galleries
            for image in gallery.images
            if image.stem and BEHAVIOURS.get(image.behaviour, ("downloaded", None))[0] == "downloaded"
        }
        wanted = Counter(path for path, _ in stored)
        return {
            "site": self.name,
            "base": self.hosts.page,
            "image_base": self.hosts.image,
            "galleries": [self._gallery_truth(gallery, wanted) for gallery in self.galleries],
            "others": [image.clean for image in self.others],
            "bad_rows": list(self.bad_rows),
        }

    def _gallery_truth(self, gallery: SiteGallery, wanted: Counter[str]) -> dict[str, Any]:
        images = [image.truth() | {"paths": paths(image, wanted)} for image in gallery.images]
        title = {"title": gallery.title} if gallery.title else {}
        item = {"spider": self.name, "url": gallery.url, **title, **gallery.fields}
        item |= {f"{self.media}_urls": [image.clean for image in gallery.images]}
        return {
            "url": gallery.url,
            "title": gallery.title,
            "topics": list(gallery.topics),
            "images": images,
            "item": item,
        }


def paths(image: SiteImage, wanted: Counter[str]) -> list[str]:
    """Where a crawl may store *image*: one path, unless another image of the site wants the same."""
    status, _ = BEHAVIOURS.get(image.behaviour, ("downloaded", None))
    if not image.stem or status in ("failed", "refused"):
        return []
    checksum = hashlib.sha256(image.body()).hexdigest()[:8]
    stem, dot, ending = image.path.rpartition(".")
    return [image.path] + ([f"{stem}-{checksum}{dot}{ending}"] if wanted[image.path] > 1 else [])


def csv_row(values: Iterable[str]) -> str:
    """A line of a CSV file, with quotes where they are needed."""
    return ",".join(
        f'"{value.replace(chr(34), chr(34) * 2)}"' if set(value) & set(',"\n') else value for value in values
    )


def page(title: str, body: str, status: int = 200) -> web.Response:
    """An HTML page with the replica's style. *title* is escaped, *body* is not."""
    text = f"""<!DOCTYPE html>
<html lang="zh"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css"></head>
<body><header><p><a href="/">imgcrawl replica</a></p></header>
{body}
<footer><p>Every picture here is made by code. Nothing leaves this machine.</p></footer></body></html>"""
    return web.Response(text=text, content_type="text/html", status=status)
