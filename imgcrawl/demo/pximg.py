"""The replica of pximg: list pages, detail pages, and images on a host of their own."""

from __future__ import annotations

import hashlib
import html
import math
import re
from random import Random

from aiohttp import web

from imgcrawl.demo.pictures import FORMATS
from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import Hosts, Options, Site, SiteGallery, SiteImage, page

REDUCED = "x-oss-process=image/resize,m_fill,w_80/quality,q_90/sharpen,100/format,webp"
TOPICS = {"nvshen": 1, "qingxin": 3}  # a topic shows every n-th gallery
TITLE_CLASSES = ("camLiTitleC hot", "camLiTitleC hot", "camLiTitleC", "camLiTitleC new", "top camLiTitleC hot")
TITLES = {
    "hills": ("晨雾中的群山", "远山如黛", "Hills before breakfast", "Ночь в горах", "أفق الجبال"),
    "flowers": ("花园小径", "樱花枝头", "Prairie fleurie", "春風", "벚꽃"),
    "ornament": ("曼陀罗", "万花筒", "ornamento № 5"),
    "marble": ("玛瑙纹", "水上油彩", "Agata"),
    "ribbons": ("彩带", "波の模様", "Onde", "Farbbänder"),
}
# Titles that a file system, a shell or a parser may stumble over. Some occur twice.
NASTY = (
    "山/水\\之间: 第1辑?",
    "🌸春🌸 <花> & \"风\" 'n' more",
    "../../../etc/passwd",
    "CON",
    "很长的标题" * 40,
    "Café",
    "Cafe\u0301",
    "结尾有点...",
    ".hidden",
    "重名",
    "重名",
    "%2e%2e%2f{title}{index:03}",
    "Abend",
    "ABEND",
    "👩‍👩‍👧‍👦" * 30,
    "-rf * ; $(reboot) | `id`",
    "\u202egnp.exe",
)
# One cycle each: every format occurs in 20 images in a row, every behaviour in 80.
FORMAT_CYCLE = (
    *("JPEG", "PNG", "JPEG", "WEBP", "JPEG", "GIF", "JPEG", "AVIF", "JPEG", "ROTATED"),
    *("JPEG", "JPEG", "PNG", "JPEG", "JPEG", "WEBP", "JPEG", "JPEG", "JPEG", "JPEG"),
)
BEHAVIOUR_CYCLE = {
    2: "gone",
    6: "broken-once",
    11: "redirected",
    16: "gated",
    22: "cut",
    27: "busy-once",
    33: "created",
    38: "limited-once",
    42: "page",
    48: "slow",
    53: "moved",
    59: "twin",
    62: "private",
    68: "untyped",
}
STYLE = """
:root{color-scheme:light dark;--ink:#1d2330;--soft:#6b7385;--ground:#f6f4ef;--card:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e9e6df;--soft:#9aa2b5;--ground:#12141b;--card:#1c2029}}
*{box-sizing:border-box}body{margin:0 auto;max-width:75rem;padding:1.5rem;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}a{color:inherit;text-decoration:none}header a{color:var(--soft)}
ul{list-style:none;padding:0;display:grid;gap:1.2rem;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr))}
li{background:var(--card);border-radius:.7rem;overflow:hidden;box-shadow:0 2px 10px #0001}
li img{display:block;width:100%;aspect-ratio:3/2;object-fit:cover}
.camLiCon{padding:.2rem 1rem}.camLiCon p{margin:.5rem 0;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.camLiInfo,footer{color:var(--soft);font-size:.85rem}
body>p a{text-decoration:underline}
h1,h2{font-weight:650;overflow-wrap:anywhere}nav a,nav b{margin-right:.8rem}.hot a::after{content:" ●";color:#e0566f}
"""


class Pximg(Site):
    """pximg as SITES.md describes it. Every gallery is a series of pictures of one scene."""

    name = "pximg"

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self._made = 0
        self.galleries = [self._gallery(number) for number in range(options.galleries)]
        self._paths = {gallery.url.removeprefix(hosts.page): gallery for gallery in self.galleries}

    def robots(self) -> str:
        return "User-agent: SomeOtherBot\nDisallow: /\n\nUser-agent: *\nDisallow: /wp-content/uploads/private/\n"

    def page(self, request: web.Request) -> web.Response | None:
        path = request.path
        if path == "/":
            return self._index()
        if path == "/style.css":
            return web.Response(text=STYLE, content_type="text/css")
        if gallery := self._paths.get(path):
            return self._detail(gallery)
        found = re.fullmatch(r"/topic/(\w+)(?:/page/([1-9]\d{0,8}))?/?", path)
        if found and found[1] in TOPICS:
            return self._list(found[1], int(found[2] or 1))
        return None

    # ---- the galleries --------------------------------------------------------------------------------

    def _gallery(self, number: int) -> SiteGallery:
        rng = Random(f"{self.options.seed}/{number}")
        scene = list(SCENES)[number * 7 % len(SCENES)]
        url = f"{self.hosts.page}/{39211 + number * 3}.html"
        title = f"{rng.choice(TITLES[scene])} {number + 1}"
        if self.options.misbehave and number % 4 == 3:
            title = NASTY[number // 4 % len(NASTY)]
        if self._without_h2(number):
            title = f"{title} - pximg"
        spread = (0, -1, 1, -2, 2)[number % 5] if self.options.images > 3 else 0
        images: list[SiteImage] = []
        for index in range(self.options.images + spread):
            images.append(self._image(rng, f"{scene}/{self.options.seed}/{number}/{index}", url, images))
        topics = tuple(topic for topic, every in TOPICS.items() if number % every == 0)
        return SiteGallery(url, title, tuple(images), scene, topics)

    @staticmethod
    def _without_h2(number: int) -> bool:
        return number % 10 == 4

    def _image(self, rng: Random, seed: str, url: str, before: list[SiteImage]) -> SiteImage:
        number, self._made = self._made, self._made + 1
        form = FORMAT_CYCLE[number % len(FORMAT_CYCLE)]
        behaviour = BEHAVIOUR_CYCLE.get(number % 80, "good") if self.options.misbehave else "good"
        if behaviour == "twin":
            if before and before[-1].behaviour == "good":
                seed, form = before[-1].seed, before[-1].format
            else:
                behaviour = "good"
        name = hashlib.sha256(seed.encode() + bytes([behaviour == "twin"])).hexdigest()[:15]
        # Now and then a WebP or PNG is called .jpg, as on real sites.
        ending = "jpg" if number % 40 in (12, 15) else FORMATS[form]
        folder = "private/" if behaviour == "private" else ""
        path = f"/wp-content/uploads/{folder}2018/{rng.randint(1, 12):02}/{name}.{ending}"
        # One in twelve on the page's own host, named by its path alone; one in six without a scheme.
        host = self.hosts.page if number % 12 == 7 else self.hosts.image
        clean = host + path
        address = path if number % 12 == 7 else clean.removeprefix("http:") if number % 6 == 3 else clean
        if number % 9 != 8:
            address += f"?{REDUCED}"
        final = {"redirected": f"{self.hosts.page}/mirror{path}", "moved": f"{host}/mirror{path}"}.get(behaviour, "")
        return SiteImage(address, clean, url, seed, form, self.options.width, behaviour, final)

    # ---- the pages ------------------------------------------------------------------------------------

    def _entry(self, gallery: SiteGallery, number: int) -> str:
        path = gallery.url.removeprefix(self.hosts.page)
        link = (gallery.url, path, gallery.url.removeprefix("http:"), f"../../..{path}")[number % 4]
        title, thumb = html.escape(gallery.title), html.escape(self._cover(gallery))
        return f"""<li><a class="itemimg" href="{link}"><img src="{thumb}" alt=""></a><div class="camLiCon">
<div class="{TITLE_CLASSES[number % 5]}"><p><a href="{link}" title="{title}">{title}</a></p></div>
<div class="camLiInfo"><p>{len(gallery.images)} 张</p></div></div></li>"""

    @staticmethod
    def _cover(gallery: SiteGallery) -> str:
        # No cut-out: it would be cropped to the shape of a card.
        shown = next(
            (image for image in gallery.images if image.behaviour != "gone" and image.format != "PNG"),
            gallery.images[0],
        )
        return f"{shown.clean}?{REDUCED}"

    def _list(self, topic: str, number: int) -> web.Response | None:
        shown = [gallery for gallery in self.galleries if topic in gallery.topics]
        size = self.options.per_page
        last = math.ceil(len(shown) / size)
        if number > last:
            if self.options.end == "404":
                return None
            number = 1 if self.options.end == "first" else number
        here = shown[(number - 1) * size : number * size]
        entries = "\n".join(self._entry(gallery, k) for k, gallery in enumerate(here))
        pages = " ".join(
            f"<b>{n}</b>" if n == number else f'<a href="/topic/{topic}/page/{n}">{n}</a>' for n in range(1, last + 1)
        )
        return page(f"{topic} - 第{number}页 - pximg", f"<h1>{topic}</h1>\n<ul>\n{entries}\n</ul>\n<nav>{pages}</nav>")

    def _detail(self, gallery: SiteGallery) -> web.Response:
        number = self.galleries.index(gallery)
        heading = "" if self._without_h2(number) else f"<h2>\n  {html.escape(gallery.title)} </h2>"
        title = gallery.title if self._without_h2(number) else f"{gallery.title} - 女神 - pximg"
        shown = "\n".join(
            f'<li><a href="{html.escape(image.clean)}"><img src="{html.escape(image.address)}"></a></li>'
            for image in gallery.images
        )
        following = self.galleries[(number + 1) % len(self.galleries)]
        onward = f'<p><a href="{following.url}"><img src="{self._cover(following)}" width="120" alt=""></a></p>'
        return page(title, f"{heading}\n<ul>\n{shown}\n</ul>\n{onward}")

    def _index(self) -> web.Response:
        size = self.options.per_page
        topics = " ".join(f'<a href="/topic/{topic}/page/1">{topic}</a>' for topic in TOPICS)
        images = sum(len(gallery.images) for gallery in self.galleries)
        covers = "\n".join(
            f'<li><a href="{g.url}"><img src="{self._cover(g)}" alt=""></a>'
            f'<div class="camLiCon"><p>{html.escape(g.title)}</p></div></li>'
            for g in self.galleries[:size]
        )
        return page(
            "pximg replica",
            f"<h1>{len(self.galleries)} galleries, {images} pictures</h1>\n<p>To crawl without troubling anybody: "
            f'<a href="/_replica/truth">what a crawl must find</a>, '
            f'<a href="/_replica/stats">what was asked so far</a>.</p>\n<nav>{topics}</nav>\n<ul>{covers}</ul>',
        )
