"""The replica of douban: ten pages of entries, each with facts and one poster; no default user agents, please."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from random import Random
from typing import Any, ClassVar

from aiohttp import web

from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import NOBODY, Hosts, Options, Site, SiteGallery, SiteImage, page

# What libraries call themselves, if nobody tells them otherwise.
LIBRARIES = re.compile(r"$|(python|scrapy|curl|wget|aiohttp|httpx|go-http-client|java|okhttp|libwww)", re.IGNORECASE)
# Titles (what a file is to be called), and the other titles.
TITLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("群山的救赎", "群山的救赎", ("The Hills Redemption", "月黑风高(港)", "刺激1995(台)")),
    ("霸王别湖", "霸王别湖", ()),
    ("阿甘/正传", "阿甘_正传", ("Forrest & Gump",)),
    ("这个画家不太冷", "这个画家不太冷", ("Léon", "杀手莱昂")),
    ("千与千寻？", "千与千寻？", ("千と千尋の神隠し", "Spirited Away", "神隐少女(台)")),
    ("海上钢琴师: 终章", "海上钢琴师_ 终章", ("La leggenda del pianista",)),
    ("<V字> 仇杀队", "_V字_ 仇杀队", ("V for Vendetta",)),
)
QUOTES = ("希望让人自由。", "风华绝代 & 永远。", "  一部美国近现代史。 ", "怪蜀黍和小萝莉不得不说的故事。")
BEHAVIOURS = {6: "gone", 13: "busy-once", 19: "unreachable", 31: "broken-once", 44: "cut"}
PER_PAGE, PAGES = 25, 10


class Douban(Site):
    """douban as SITES.md describes it. `galleries` is the number of entries, 250 at the most."""

    name = "douban"
    noun = "entries"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 250, "width": 300}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        entries = [self._entry(rank) for rank in range(1, min(options.galleries, PER_PAGE * PAGES) + 1)]
        self.galleries = [gallery for gallery, _ in entries]
        self._shown = [shown for _, shown in entries]
        self.others = tuple(
            SiteImage(i.address, i.address, g.url, f"{i.seed}/small", "WEBP", 100)
            for g in self.galleries
            for i in g.images
            if i.behaviour != "unreachable"
        )

    async def answer(self, request: web.Request, origin: str) -> web.StreamResponse | None:
        if LIBRARIES.match(request.headers.get("User-Agent", "")):
            return page("403 Forbidden", "<h1>403</h1>", 403)
        return await super().answer(request, origin)

    def page(self, request: web.Request) -> web.Response | None:
        start = request.query.get("start", "0" if request.path == "/" else "")
        if request.path not in ("/", "/top250") or not start.isdecimal() or len(start) > 6:
            return None
        shown = "\n".join(self._shown[int(start) : int(start) + PER_PAGE])
        links = " ".join(f'<a href="?start={n * PER_PAGE}&amp;filter=">{n + 1}</a>' for n in range(PAGES))
        return page("豆瓣电影 Top 250", f'<ol class="grid_view">\n{shown}\n</ol>\n<nav class="paginator">{links}</nav>')

    def _entry(self, rank: int) -> tuple[SiteGallery, str]:
        """The entry of *rank*, and how it stands in the list."""
        rng = Random(f"{self.options.seed}/douban/{rank}")
        title, wanted, others = TITLES[rank % len(TITLES)]
        rating = round(9.8 - rank / 100, 1)
        votes, quote = rng.randrange(90_000, 1_700_000), QUOTES[rank % len(QUOTES)] if rank % 6 else ""
        fields: dict[str, Any] = {"rank": rank, "rating": rating, "votes": votes, "other_titles": list(others)}
        if quote:
            fields["quote"] = quote.strip()
        page_url = f"{self.hosts.page}/top250?start={(rank - 1) // PER_PAGE * PER_PAGE}&filter="
        images = self._poster(rank, page_url, wanted) if rank % 25 != 17 else ()
        if images:
            fields["image_pages"] = [page_url]
        gallery = SiteGallery(f"{self.hosts.page}/subject/{1292000 + rank}/", title, images, fields=fields)
        return gallery, _shown(gallery, rank, others, quote)

    def _poster(self, rank: int, page_url: str, wanted: str) -> tuple[SiteImage, ...]:
        scene = list(SCENES)[rank % len(SCENES)]
        behaviour = BEHAVIOURS.get(rank % 50, "good") if self.options.misbehave else "good"
        host = NOBODY if behaviour == "unreachable" else self.hosts.image
        small, large = (f"{host}/view/photo/{size}_ratio_poster/public/p{480747000 + rank}.webp" for size in "sl")
        seed, form = f"{scene}/douban/{self.options.seed}/{rank}", "JPEG" if rank % 5 == 0 else "WEBP"
        stem = f"douban/{rank:03} {wanted}"
        return (SiteImage(small, large, page_url, seed, form, self.options.width, behaviour, stem=stem),)


def _shown(gallery: SiteGallery, rank: int, others: Iterable[str], quote: str) -> str:
    title, fields = html.escape(gallery.title), gallery.fields
    first, *more = [html.escape(other) for other in others] or [""]
    titles = f'<span class="title">{title}</span>'
    titles += f'<span class="title">&nbsp;/&nbsp;{first}</span>' if first else ""
    titles += f'<span class="other">&nbsp;/&nbsp;{"  /  ".join(more)}</span>' if more else ""
    poster = f'<img width="100" alt="{title}" src="{gallery.images[0].address}" class="">' if gallery.images else ""
    said = f'<p class="quote"><span class="inq">{html.escape(quote)}</span></p>' if quote else ""
    shown = f"""<li><div class="item"><div class="pic"><em class="">{rank}</em>
<a href="{gallery.url}">{poster}</a></div>
<div class="info"><div class="hd"><a href="{gallery.url}" class="">{titles}</a>
<span class="playable">[可播放]</span></div>
<div class="bd"><p class="">导演: 无名氏<br>1994 / 美国 / 犯罪 剧情</p><div class="star"><span class="rating5-t"></span>
<span class="rating_num" property="v:average">{fields["rating"]:.1f}</span>
<span property="v:best" content="10.0"></span>
<span>{fields["votes"]}人评价</span></div>{said}</div></div></div></li>"""
    # Now and then without the quotes, where HTML lets them be left out.
    return re.sub(r'="([\w:/.-]+)"', r"=\1", shown) if rank % 4 == 3 else shown
