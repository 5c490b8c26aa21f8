"""What a replica site is made of: galleries, their images, and how an image answers."""

from __future__ import annotations

import asyncio
import hashlib
import html
import io
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web
from PIL import Image

from imgcrawl.demo.pictures import picture, reduced
from imgcrawl.exceptions import InputError

ENDS = ("404", "empty", "first")
REDUCED = 480  # pixels of the longer side of a reduced copy
SLOW = 1.5  # seconds a slow image takes: noticed by a person, far from any timeout
CONTENT_TYPES = {"jpg": "image/jpeg"} | {ending: f"image/{ending}" for ending in ("png", "webp", "gif", "avif")}

# How an image can answer, and the outcome a crawl must report for it: (status, reason). One that is not here
# answers well.
BEHAVIOURS: dict[str, tuple[str, str | None]] = {
    "gone": ("failed", "http_404"),  # 404 for ever
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
}


@dataclass(frozen=True)
class Options:
    """How large and how difficult the replica is. Raises InputError for a value out of range."""

    galleries: int = 80
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
    """An image of the replica. *address* stands in the page, *clean* is the absolute address of the original."""

    address: str
    clean: str
    page: str
    seed: str
    format: str
    width: int
    behaviour: str = "good"
    final_url: str = ""

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
        with Image.open(io.BytesIO(body)) as image:
            facts = {
                "format": image.format,
                "width": image.width,
                "height": image.height,
                "frames": getattr(image, "n_frames", 1),
            }
        return {
            "address": self.address,
            "clean": self.clean,
            "final_url": self.final_url or self.clean,
            "behaviour": self.behaviour,
            "status": status,
            "reason": reason,
            "sha256": hashlib.sha256(body).hexdigest(),
            "bytes": len(body),
            **facts,
        }


@dataclass(frozen=True)
class SiteGallery:
    """A detail page of the replica. *title* is what a crawl must read there."""

    url: str
    title: str
    images: tuple[SiteImage, ...]
    scene: str = ""
    topics: tuple[str, ...] = field(default=())

    def truth(self) -> dict[str, Any]:
        """What a crawl must say of this gallery and of its images, in their order."""
        images = [image.truth() for image in self.images]
        return {"url": self.url, "title": self.title, "topics": list(self.topics), "images": images}


class Site(ABC):
    """A site of the replica: a file of its own beside this one, and a line in `server.SITES`.

    It makes its `galleries` when it is constructed, always the same for the same options, and answers for its
    pages. Its images answer by themselves, on both hosts, as their behaviour says.
    """

    name: ClassVar[str]
    galleries: list[SiteGallery]

    def __init__(self, options: Options, hosts: Hosts) -> None:
        self.options = options
        self.hosts = hosts

    @abstractmethod
    def page(self, request: web.Request) -> web.Response | None:
        """The answer of the page host to *request*, None where the site has no such page."""

    @abstractmethod
    def robots(self) -> str:
        """robots.txt of both hosts."""

    @cached_property
    def images(self) -> dict[str, SiteImage]:
        """Every image by each absolute address that serves it."""
        every = [image for gallery in self.galleries for image in gallery.images]
        return {image.clean: image for image in every} | {i.final_url: i for i in every if i.final_url}


def page(title: str, body: str, status: int = 200) -> web.Response:
    """An HTML page with the replica's style. *title* is escaped, *body* is not."""
    text = f"""<!DOCTYPE html>
<html lang="zh"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css"></head>
<body><header><p><a href="/">imgcrawl replica</a></p></header>
{body}
<footer><p>Every picture here is made by code. Nothing leaves this machine.</p></footer></body></html>"""
    return web.Response(text=text, content_type="text/html", status=status)


async def answer(  # noqa: PLR0911  # one return a behaviour, as a table would have rows
    request: web.Request, image: SiteImage, url: str, asked: int
) -> web.StreamResponse:
    """The answer of *image* to *request* for its address *url*, which it gets for the *asked*-th time."""
    behaviour = image.behaviour if url == image.clean else "good"
    if behaviour == "gone":
        return page("404 Not Found", "<h1>404</h1>", 404)
    if behaviour == "page":
        return page("Please wait", "<p>Your request is being checked.</p>")
    if behaviour == "gated" and request.headers.get("Referer") != image.page:
        return web.Response(text="hotlinking forbidden", status=403)
    if behaviour in ("redirected", "moved"):
        here = behaviour == "moved"
        target = urlsplit(image.final_url).path if here else image.final_url
        return web.Response(status=301 if here else 302, headers={"Location": target})
    if behaviour == "limited-once" and asked == 1:
        return web.Response(status=429, headers={"Retry-After": "1"})
    if behaviour == "busy-once" and asked == 1:
        return web.Response(status=503)
    if behaviour == "slow":
        await asyncio.sleep(SLOW)
    body = await asyncio.to_thread(image.served)
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    ending = urlsplit(url).path.rpartition(".")[2]
    headers = {
        "Content-Type": "application/octet-stream" if behaviour == "untyped" else CONTENT_TYPES[ending],
        "ETag": etag,
        "Last-Modified": "Thu, 12 Apr 2018 08:00:00 GMT",
    }
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    if behaviour == "broken-once" and asked == 1:
        return await _broken(request, body, headers)
    return web.Response(body=body, status=201 if behaviour == "created" else 200, headers=headers)


async def _broken(request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
