"""The replica of mzitu: a gallery shows one image on each of its sub-pages, and the image host looks at the Referer."""

from __future__ import annotations

import html
import math
import re
from random import Random
from typing import Any, ClassVar

from aiohttp import web

from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import Hosts, Options, Site, SiteGallery, SiteImage, page

# What is wrong with a gallery, in turn.
QUIRKS = ("", "too-large", "too-small", "broken-page", "no-image", "bad-images", "", "gone")
# Titles, and what a file system that takes any name is to see of them.
TITLES = (
    ("晨雾中的群山 第{}期", "晨雾中的群山 第{}期"),
    ("山/水: 之间 <{}>", "山_水_ 之间 _{}_"),
    ("重名", "重名"),
    ("重名", "重名"),
    ("../../湖边/{}...", "_.._湖边_{}"),
    ("“樱花” & 春風 {}", "“樱花” & 春風 {}"),
)
FORMAT_CYCLE = ("JPEG", "JPEG", "JPEG", "WEBP", "JPEG", "PNG", "JPEG", "JPEG", "ROTATED", "JPEG", "AVIF")
CLAIMED = 30  # sub-pages more than there are


class Mzitu(Site):
    """mzitu as SITES.md describes it. `images` is the number of sub-pages of a gallery, give or take a few."""

    name = "mzitu"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 12, "images": 18, "per_page": 5, "width": 600}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self.sizes = [options.images + (0, 2, -1)[number % 3] for number in range(options.galleries)]
        self.galleries = [self._gallery(number) for number in range(options.galleries)]
        lazy = f"{hosts.image}/static/lazy.png"
        self.others = (
            SiteImage(lazy, lazy, hosts.page, "lazy", "PNG", 40),
            *map(self._thumb, range(options.galleries)),
        )

    def page(self, request: web.Request) -> web.Response | None:
        if request.path in ("/", "/page/1"):
            return self._list(1)
        if found := re.fullmatch(r"/page/([1-9]\d{0,8})/?", request.path):
            return self._list(int(found[1]))
        found = re.fullmatch(r"/(\d{6})(?:/([1-9]\d{0,8}))?/?", request.path)
        number = int(found[1]) - 221000 if found else -1
        if found and 0 <= number < len(self.galleries):
            return self._subpage(number, int(found[2] or 1))
        return None

    # ---- the galleries --------------------------------------------------------------------------------

    def quirk(self, number: int) -> str:
        """What is wrong with gallery *number*."""
        return QUIRKS[number % len(QUIRKS)] if self.options.misbehave else ""

    def address(self, number: int, part: int = 1) -> str:
        """Sub-page *part* of gallery *number*."""
        return f"{self.hosts.page}/{221000 + number}" + (f"/{part}" if part > 1 else "")

    def _gallery(self, number: int) -> SiteGallery:
        quirk, url = self.quirk(number), self.address(number)
        if quirk == "gone":
            return SiteGallery(url, "", fields={"error": "http_404"})
        title, folder = (text.format(number) for text in TITLES[number % len(TITLES)])
        scene = list(SCENES)[number * 3 % len(SCENES)]
        lost = {"broken-page": (3, "http_500"), "no-image": (2, "no_image")}.get(quirk, (0, ""))
        shown = [part for part in range(1, self.sizes[number] + 1) if part != lost[0]]
        fields = {
            "image_names": [str(part) for part in shown],
            "image_pages": [self.address(number, part) for part in shown],
            "failed_pages": [{"url": self.address(number, lost[0]), "reason": lost[1]}] if lost[0] else [],
        }
        images = tuple(self._image(number, part, scene, folder) for part in shown)
        return SiteGallery(url, title, images, scene, fields=fields)

    def _image(self, number: int, part: int, scene: str, folder: str) -> SiteImage:
        form = FORMAT_CYCLE[(number * 3 + part) % len(FORMAT_CYCLE)]
        behaviour = "good"
        if self.quirk(number) == "bad-images":
            behaviour = {1: "gone", 2: "broken-once", 4: "cut", 5: "unreachable", 6: "busy-once"}.get(part, "good")
        # As on the real site every file is called .jpg, whatever it is.
        path = f"/2020/{Random(scene).randint(1, 12):02}/{number:02}c{part:02}.jpg"
        clean = f"http://127.0.0.1:1{path}" if behaviour == "unreachable" else self.hosts.image + path
        return SiteImage(
            clean if part % 3 else clean.removeprefix("http:"),
            clean,
            self.address(number, part),
            f"{scene}/{self.options.seed}/{number}/{part}",
            form,
            self.options.width,
            behaviour,
            gated=True,
            stem=f"mzitu/{folder}/{part}",
        )

    def _thumb(self, number: int) -> SiteImage:
        clean = f"{self.hosts.image}/thumb/{number:02}_236.jpg"
        scene = self.galleries[number].scene or "hills"
        return SiteImage(clean, clean, self.hosts.page, f"{scene}/thumb/{number}", "JPEG", 236)

    # ---- the pages ------------------------------------------------------------------------------------

    def _list(self, number: int) -> web.Response | None:
        size, every = self.options.per_page, len(self.galleries)
        last = math.ceil(every / size)
        if number > last and self.options.end == "404":
            return None
        number = 1 if number > last and self.options.end == "first" else number
        here = "\n".join(self._entry(k) for k in range(every)[(number - 1) * size : number * size])
        pages = " ".join(f'<a class="page-numbers" href="/page/{n}">{n}</a>' for n in range(1, last + 1))
        return page(
            f"第{number}页 - mzitu", f'<div class="postlist"><ul id="pins">\n{here}\n</ul></div>\n<nav>{pages}</nav>'
        )

    def _entry(self, number: int) -> str:
        title, link = html.escape(self.galleries[number].title or "不见了"), self.address(number)
        thumb = f"{self.hosts.image}/thumb/{number:02}_236.jpg"
        return f"""<li><a href="{link}" target="_blank"><img class='lazy' src='{self.hosts.image}/static/lazy.png'
 data-original='{thumb}' alt='{title}' width='236' height='354'></a><span><a href="{link}">{title}</a></span>
<span class="time">2020-01-{number % 28 + 1:02}</span></li>"""

    def _subpage(self, number: int, part: int) -> web.Response | None:
        gallery, quirk, size = self.galleries[number], self.quirk(number), self.sizes[number]
        if part > size or quirk == "gone":
            return None
        if quirk == "broken-page" and part == 3:
            return page("500 Internal Server Error", "<h1>500</h1>", 500)
        url = self.address(number, part)
        image = next((image for image in gallery.images if image.page == url), None)
        following = self.address(number, part + 1) if part < size else self.address((number + 1) % len(self.galleries))
        shown = f'<a href="{following}"><img src="{image.address}" alt="" width="728"></a>' if image else "图片已删除"
        title = html.escape(gallery.title)
        return page(
            f"{gallery.title} - mzitu",
            f"""<h2 class="main-title">{title}</h2>
<div class="main-meta"><span>分类：<a href="/" rel="category tag">{gallery.scene}</a></span>
<span>发布于 2020-01-12 22:29</span></div>
<div class="main-image"><p>{shown}</p></div>
<div class="pagenavi">{self._navigation(number, part)}</div>""",
        )

    def _navigation(self, number: int, part: int) -> str:
        size, quirk = self.sizes[number], self.quirk(number)
        # One that is too small says so until its reader is there.
        said = size + CLAIMED if quirk == "too-large" else min(size, part + 1) if quirk == "too-small" else size
        links = [f'<a href="{self.address((number - 1) % len(self.galleries))}"><span>«上一组</span></a>']
        for other in sorted({1, part - 1, part, part + 1, said}):
            if other == part:
                links.append(f"<span>{other}</span>")
            elif 1 <= other <= said and (other <= size or other == said):
                links.append(f'<a href="{self.address(number, other)}"><span>{other}</span></a>')
        if part < size:
            links.append(f'<a href="{self.address(number, part + 1)}"><span>下一页»</span></a>')
        return "\n".join(links)
