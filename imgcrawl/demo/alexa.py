"""The replica of many sites: a list of domains, each of which is an address of this machine."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from random import Random
from typing import Any, ClassVar

from aiohttp import web

from imgcrawl.demo.pictures import FORMATS
from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import SLOW, Hosts, Options, Site, SiteGallery, SiteImage

FILE = "top-1m.csv.zip"
# How a domain behaves; one that is not here answers well. And what a crawl must say of it.
BEHAVIOURS = {
    2: "silent",
    5: "moved",
    8: "gone",
    11: "gbk",
    14: "no-robots",
    17: "silent",
    20: "forbidden",
    23: "slow",
    26: "closed",
    29: "dead",
    32: "silent",
    35: "robots-moved",
    38: "robots-down",
    41: "not-a-page",
    44: "private",
    47: "partly-forbidden",
}
ERRORS = {
    "silent": "timeout",  # takes the connection and never answers
    "gone": "http_404",
    "forbidden": "robots",  # Disallow: /
    "closed": "connection",  # nobody listens there
    "dead": "dns",  # a name that nobody has
    "robots-down": "no_robots",  # RFC 9309, 2.3.1.4: robots.txt answers 503
    "not-a-page": "not_a_page",  # an image in place of a home page
    "private": "private_address",  # the list names an address behind our own firewall
}
TITLES = ("百度一下，你就知道", "Google", "YouTube", "Яндекс", "ヤフー", "例え & пример")


class Alexa(Site):
    """top-1m as alexa knows it. `galleries` is the number of domains, of which three in fifty never answer.

    A domain is a loopback address with the port of the page host, so that each is a host of its own, with limits
    and a robots.txt of its own; a few are not (`ERRORS`). Not for systems that have 127.0.0.1 alone (macOS).
    """

    name = "alexa"
    noun = "domains"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 100, "images": 4, "width": 400}
    settings: ClassVar[dict[str, Any]] = {
        "PRIVATE_HOSTS_ALLOWED": "127.0.0.0/8",
        "DOWNLOAD_IDLE_TIMEOUT": 5,
        "RETRY_DELAY": 0.2,
    }

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self._port = hosts.page.rpartition(":")[2]
        self._behaviours = {self.domain(rank): self.behaviour(rank) for rank in range(1, options.galleries + 1)}
        self.galleries = [self._site(rank) for rank in range(1, options.galleries + 1)]
        self._sites = {gallery.fields["domain"]: gallery for gallery in self.galleries}
        self.bad_rows = (options.galleries + 1, options.galleries + 2, options.galleries + 3)

    def behaviour(self, rank: int) -> str:
        """How the domain of *rank* behaves."""
        return BEHAVIOURS.get(rank % 50, "good") if self.options.misbehave else "good"

    def domain(self, rank: int) -> str:
        """The domain of *rank*."""
        behaviour = self.behaviour(rank)
        if behaviour == "private":
            return f"10.0.{rank // 250}.{rank % 250}"
        if behaviour == "dead":
            return f"site{rank}.invalid"  # a name that nobody can own (RFC 2606)
        return f"{_address(rank)}:{1 if behaviour == 'closed' else self._port}"

    # How it is crawled

    def arguments(self) -> dict[str, str]:
        return {"file": FILE}

    def more_hosts(self) -> list[str]:
        ranks = range(1, len(self.galleries) + 1)
        moved = (_address(rank, 100) for rank in ranks if self.behaviour(rank) in ("moved", "robots-moved"))
        return [*map(_address, ranks), *moved]

    def lists(self) -> dict[str, bytes]:
        rows = [f"{gallery.fields['rank']},{gallery.fields['domain']}\n" for gallery in self.galleries]
        rows += ["first,127.0.0.1:1\n", "7\n", "8,no domain at all\n"]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("top-1m.csv"), "".join(rows))
        return {FILE: packed.getvalue()}

    # ---- the sites ------------------------------------------------------------------------------------

    def _site(self, rank: int) -> SiteGallery:
        domain, behaviour = self.domain(rank), self.behaviour(rank)
        url = f"http://{domain}/"
        fields: dict[str, object] = {"domain": domain, "rank": rank}
        if behaviour in ERRORS:
            fields["error"] = ERRORS[behaviour]
            if behaviour in ("gone", "not-a-page"):
                fields |= {"final_url": url, "status": 404 if behaviour == "gone" else 200}
            return SiteGallery(url, "", fields=fields)
        final = f"http://{_address(rank, 100)}:{self._port}/home" if behaviour == "moved" else url
        images = self._images(rank, domain, final)
        fields |= {
            "final_url": final,
            "status": 200,
            "encoding": "gb18030" if behaviour == "gbk" else "utf-8",
            "links": 3,
            "image_pages": [final] * len(images),
        }
        return SiteGallery(url, TITLES[rank % len(TITLES)], images, fields=fields)

    def _images(self, rank: int, domain: str, final: str) -> tuple[SiteImage, ...]:
        images = []
        for index in range(self.options.images):
            form = ("JPEG", "WEBP", "PNG")[(rank + index) % 3]
            name = f"{('og', 'lazy', 'large', 'plain')[index % 4]}{index}"
            host, path = self.hosts.image, f"/{rank}/{name}.{FORMATS[form]}"
            if self.behaviour(rank) == "partly-forbidden" and index == 1:
                host, path = f"http://{domain}", f"/private/{name}.{FORMATS[form]}"
            images.append(
                SiteImage(
                    (host + path).removeprefix("http:") if index % 4 == 1 else host + path,
                    host + path,
                    final,
                    f"{Random(rank).choice(list(SCENES))}/alexa/{self.options.seed}/{rank}/{index}",
                    form,
                    self.options.width,
                    "private" if "private" in path else "gone" if rank % 17 == 4 and index == 2 else "good",
                    stem=f"alexa/{domain.replace(':', '_')}/{name}",
                )
            )
        return tuple(images)

    # ---- their hosts ----------------------------------------------------------------------------------

    def page(self, request: web.Request) -> web.Response | None:
        return None

    async def answer(self, request: web.Request, origin: str) -> web.StreamResponse | None:
        host = origin.removeprefix("http://")
        domain = re.sub(r"^127\.0\.1(\d\d)\.", lambda found: f"127.0.{int(found[1])}.", host)
        gallery, behaviour = self._sites.get(domain), self._behaviours.get(domain, "")
        if behaviour == "silent":
            await asyncio.Event().wait()
        if request.path == "/robots.txt":
            return self._robots(domain, behaviour, moved=host != domain)
        if gallery is None:
            return None
        if behaviour == "slow":
            await asyncio.sleep(SLOW)
        if behaviour == "moved" and host == domain:
            return web.Response(status=301, headers={"Location": gallery.fields["final_url"]})
        if request.path not in ("/", "/home") or behaviour == "gone":
            return None
        return _first_page(gallery, behaviour)

    def _robots(self, domain: str, behaviour: str, *, moved: bool) -> web.Response | None:
        if behaviour == "robots-down":
            return web.Response(status=503)
        if behaviour == "robots-moved" and not moved:
            there = _address(self._sites[domain].fields["rank"], 100)
            return web.Response(status=302, headers={"Location": f"http://{there}:{self._port}/robots.txt"})
        if behaviour in ("", "no-robots"):
            return None
        rules = "/" if behaviour == "forbidden" else "/private/"
        return web.Response(text=f"User-agent: *\nDisallow: {rules}\n")


def _address(rank: int, more: int = 0) -> str:
    """The address of the site of *rank*; *more* tells a second one from it."""
    return f"127.0.{more + 1 + rank // 250}.{rank % 250 + 1}"


def _first_page(gallery: SiteGallery, behaviour: str) -> web.Response:
    if behaviour == "not-a-page":
        return web.Response(body=b"\x89PNG\r\n\x1a\n" + bytes(64), content_type="image/png")
    shown = "".join(_shown(index, image) for index, image in enumerate(gallery.images))
    head = f'<meta property="og:image" content="{gallery.images[0].address}">' if gallery.images else ""
    text = f"""<!DOCTYPE html><html><head><title>{gallery.title}</title>{head}</head><body>{shown}
<a href="/about">about</a> <a href="/about#us">us</a> <a href="http://one.example/">one</a>
<a href=//other.example/>x</a> <a href="mailto:x@example.org">mail</a></body></html>"""
    charset = "gbk" if behaviour == "gbk" else "utf-8"
    return web.Response(
        body=text.encode(charset, "xmlcharrefreplace"), headers={"Content-Type": f"text/html; charset={charset}"}
    )


def _shown(index: int, image: SiteImage) -> str:
    if index % 4 == 0:
        return "" if index == 0 else f'<a href="{image.address}">photo</a>'
    return {
        1: f'<img class="lazy" src="/loading.gif" data-src="{image.address}">',
        2: f'<img src="{image.address}?w=200" srcset="{image.address}?w=200 200w, {image.address} 900w">',
        3: f"<img src={image.address}>",
    }[index % 4]
