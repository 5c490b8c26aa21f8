"""What is crawled: pictures made by code, and the pages that show them, in pximg's markup.

Pictures are drawn once and kept in the cache; each address gets bytes of its own by a comment inside the JPEG,
because images with the same bytes would be stored once.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

PER_LIST = 24  # galleries a list page
# The rules a site has that allows what is asked for: parsed and matched for every address.
ROBOTS = "User-agent: *\nDisallow: /admin/\nDisallow: /*?replytocom=\nAllow: /admin/ajax\n"
SIZES = (20, 28, 34, 40, 46, 50, 54, 60, 72, 127)  # KB: from 20 to 300 with `TAIL`, 53 KB on the average
TAIL = 300  # KB, of one picture in a hundred


def photo(seed: int, kilobytes: int) -> bytes:
    """A JPEG of about so many *kilobytes* that looks to a decoder like a photo: gradients, shapes and noise."""
    side = int((kilobytes * 1024 * 4.6) ** 0.5)
    return _jpeg(scene(seed, side * 5 // 4, side * 4 // 5), 85)


def large_photo(seed: int) -> bytes:
    """A JPEG of 24 megapixels."""
    return _jpeg(scene(seed, 1500, 1000).resize((6000, 4000), Image.Resampling.BICUBIC), 90)


def tiny_photo(seed: int) -> bytes:
    """A JPEG of about one kilobyte: what is counted is images, not bytes."""
    return _jpeg(scene(seed, 48, 32), 60)


def with_comment(jpeg: bytes, text: str) -> bytes:
    """The same picture in other bytes."""
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def scene(seed: int, width: int, height: int) -> Image.Image:
    chance = random.Random(seed)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, r = chance.randrange(width), chance.randrange(height), chance.randrange(4, max(width // 4, 5))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(chance.randrange(256) for _ in range(3)))
    grain = Image.effect_noise((width, height), 40).convert("RGB")
    return Image.blend(image.filter(ImageFilter.GaussianBlur(1.5)), grain, 0.14)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


@dataclass(frozen=True)
class Site:
    """A site of so many images, in galleries. *kind*: "photos", "large", "tiny", or "500kb" for as many kilobytes."""

    images: int
    kind: str = "photos"
    per_gallery: int = 20

    @property
    def galleries(self) -> int:
        return -(-self.images // self.per_gallery)

    @property
    def lists(self) -> int:
        return -(-self.galleries // PER_LIST)

    def paths(self) -> list[str]:
        """The path of every image, in order."""
        return [self.path(index) for index in range(self.images)]

    def path(self, index: int) -> str:
        return f"/{self.kind}/{index // 1000:04}/{index:07}.jpg"

    def index(self, path: str) -> int | None:
        """Which image *path* is the address of, None for another page."""
        stem = path.rpartition("/")[2].removesuffix(".jpg")
        return int(stem) if path.startswith(f"/{self.kind}/") and stem.isdecimal() else None

    def page(self, path: str) -> str | None:
        """The page at *path*, None if there is none. The topic `one` has one gallery with one image."""
        if path == "/robots.txt":
            return ROBOTS
        if path == "/topic/one/page/1":
            return _list_page([0])
        if path.startswith("/topic/nvshen/page/"):
            first = (int(path.rpartition("/")[2]) - 1) * PER_LIST
            galleries = range(first, min(first + PER_LIST, self.galleries))
            return _list_page([gallery + 1 for gallery in galleries]) if galleries else None
        if path.startswith("/gallery/"):
            number = int(path.rpartition("/")[2].removesuffix(".html"))
            first = (number - 1) * self.per_gallery
            indexes = range(first, min(first + self.per_gallery, self.images)) if number else range(1)
            return _gallery_page(number, [self.path(index) for index in indexes])
        return None

    def pages(self) -> list[str]:
        """The path of every page."""
        lists = [f"/topic/nvshen/page/{page + 1}" for page in range(self.lists)]
        galleries = [f"/gallery/{number}.html" for number in range(self.galleries + 1)]
        return ["/robots.txt", "/topic/one/page/1", *lists, *galleries]


def _list_page(galleries: list[int]) -> str:
    entries = "\n".join(
        f'<li><a class="itemimg" href="/gallery/{number}.html"><img src="/thumb/{number}.jpg"></a>'
        f'<div class="camLiCon"><div class="camLiTitleC hot"><p><a href="/gallery/{number}.html">'
        f"Gallery {number}</a></p></div></div></li>"
        for number in galleries
    )
    return f"<!DOCTYPE html><html><head><title>List</title></head><body><ul>{entries}</ul></body></html>"


def _gallery_page(number: int, paths: list[str]) -> str:
    entries = "\n".join(
        f'<li><a href="#"><img src="{path}?x-oss-process=image/resize,w_80"></a></li>' for path in paths
    )
    head = f"<!DOCTYPE html><html><head><title>Gallery {number}</title></head>"
    return f"{head}<body><h2>Gallery {number}</h2><ul>{entries}</ul></body></html>"


class Pictures:
    """The bytes of a site's images. Drawn once; kept in the folder *cache*."""

    def __init__(self, cache: Path, kind: str) -> None:
        self.kind = kind
        folder = cache / "pictures" / kind
        folder.mkdir(parents=True, exist_ok=True)
        recipes = {
            "photos": lambda seed: photo(seed, TAIL if seed == 99 else SIZES[seed % len(SIZES)]),
            "large": large_photo,
            "tiny": tiny_photo,
        }
        draw = recipes.get(kind) or (lambda seed: photo(seed, int(kind.removesuffix("kb"))))
        self.drawn: list[bytes] = []
        for seed in range({"photos": 100, "tiny": 10}.get(kind, 4)):
            file = folder / f"{seed}.jpg"
            if not file.exists():
                picture = draw(seed)
                file.with_suffix(".new").write_bytes(picture)
                file.with_suffix(".new").rename(file)
            self.drawn.append(file.read_bytes())

    def body(self, index: int) -> bytes:
        return with_comment(self.drawn[index % len(self.drawn)], f"{self.kind} {index}")


def write_static(site: Site, cache: Path) -> Path:
    """*site* as files for a static server. Returns their folder."""
    folder = cache / "static" / f"{site.kind}-{site.images}-{site.per_gallery}"
    done = folder / ".done"
    if done.exists():
        return folder
    for path in site.pages():
        _write(folder / path[1:], (site.page(path) or "").encode())
    pictures = Pictures(cache, site.kind)
    for index, path in enumerate(site.paths()):
        _write(folder / path[1:], pictures.body(index))
    done.touch()
    return folder


def _write(file: Path, body: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
