"""The replica of doutula: images on the list pages themselves, loaded lazily, some of them animated."""

from __future__ import annotations

import html
from typing import Any, ClassVar

from aiohttp import web

from imgcrawl.demo.pictures import FORMATS
from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import NOBODY, Hosts, Options, Site, SiteGallery, SiteImage, page

# What an image is called (`alt`), and what its file is to be called. An empty one gives way to the address.
ALTS = (
    ("你说什么？", "你说什么"),
    ("你说什么！!", "你说什么"),
    ("哈*哈。。。", "哈哈"),
    ("a/b: c", "a_b_ c"),
    ("呵呵, 好的.", "呵呵, 好的"),
    ("……？？？", "……"),
    ("真香", "真香"),
    ('"引号" <标签>', "_引号_ _标签_"),
    ("", ""),
    ("CON", "CON_"),
    ("笑死我了，哈哈", "笑死我了哈哈"),
)
FORMAT_CYCLE = ("JPEG", "GIF", "JPEG", "GIF", "PNG", "JPEG", "WEBP", "GIF")
BEHAVIOURS = {3: "gone", 7: "broken-once", 9: "unreachable", 12: "page", 14: "slow", 17: "redirected"}


class Doutula(Site):
    """doutula as SITES.md describes it. `galleries` is the number of list pages, `images` that on each."""

    name = "doutula"
    noun = "pages"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 5, "images": 24, "width": 500}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self.galleries = [self._gallery(number) for number in range(1, options.galleries + 1)]
        badges = (f"{hosts.image}/static/{name}" for name in ("gif.png", "loader.gif"))
        self.others = tuple(
            SiteImage(url, url, hosts.page, url[-9:], "GIF" if url[-3:] == "gif" else "PNG", 40) for url in badges
        )

    def page(self, request: web.Request) -> web.Response | None:
        if request.path == "/":
            return self._list(1)
        number = request.query.get("page", "")
        if request.path == "/photo/list/" and number.isdecimal() and 0 < len(number) < 9:
            return self._list(int(number))
        return None

    def _gallery(self, number: int) -> SiteGallery:
        url = f"{self.hosts.page}/photo/list/?page={number}"
        images = []
        names: list[str] = []
        for index in range(self.options.images):
            image, name = self._image(number, index, url, names)
            images.append(image)
            names.append(name)
        return SiteGallery(url, f"第{number}页 - 最新表情包 - 斗图啦", tuple(images), fields={"image_names": names})

    def _image(self, number: int, index: int, url: str, before: list[str]) -> tuple[SiteImage, str]:
        made = (number - 1) * self.options.images + index
        form = FORMAT_CYCLE[made % len(FORMAT_CYCLE)]
        behaviour = BEHAVIOURS.get(made % 20, "good") if self.options.misbehave else "good"
        scene = list(SCENES)[made % len(SCENES)]
        name = f"2020{number:02}{index:02}"
        # The suffix belongs to the address and not to the file's name.
        path = f"/production/uploads/{name}.{FORMATS[form]}{'!dta' if index % 3 == 0 else ''}"
        host = NOBODY if behaviour == "unreachable" else self.hosts.image
        alt, wanted = ALTS[made % len(ALTS)]
        said = alt.translate(dict.fromkeys(map(ord, "?？.，。！!*"))).strip() or name
        wanted = wanted or name
        same = before.count(said)
        image = SiteImage(
            (host + path).removeprefix("http:") if index % 4 == 1 else host + path,
            host + path,
            url,
            f"{scene}/doutula/{self.options.seed}/{number}/{index}",
            form,
            self.options.width,
            behaviour,
            f"{self.hosts.page}/moved/{name}.{FORMATS[form]}" if behaviour == "redirected" else "",
            stem=f"doutula/{wanted}" + (f"-{same + 1}" if same else ""),
        )
        return image, said

    def _list(self, number: int) -> web.Response | None:
        if number > len(self.galleries):
            if self.options.end == "404":
                return None
            number = 1 if self.options.end == "first" else number
        gallery = self.galleries[number - 1] if number <= len(self.galleries) else None
        shown = "\n".join(self._entry(k, image) for k, image in enumerate(gallery.images)) if gallery else ""
        pages = " ".join(f'<a href="/photo/list/?page={n}">{n}</a>' for n in range(1, len(self.galleries) + 1))
        title = (gallery and gallery.title) or "斗图啦"
        return page(title, f'<div class="page-content text-center"><div>\n{shown}\n</div></div>\n<nav>{pages}</nav>')

    def _entry(self, index: int, image: SiteImage) -> str:
        number = (int(image.page.rpartition("=")[2]) - 1) * self.options.images + index
        alt = html.escape(ALTS[number % len(ALTS)][0])
        loader, badge = (other.clean for other in reversed(self.others))
        mark = f'<img class="gif" src="{badge}" data-original="{badge}" alt="GIF">' if image.format == "GIF" else ""
        if alt.isalnum():  # as sloppy as the real one: attributes without quotes, a link never closed
            shown = f"<img class=img-responsive src={loader} data-original={image.address} alt={alt}>"
            return f"<a class=col-xs-6 href=/photo/{number}>{shown}{mark}<p>{alt}</p>"
        shown = (
            f'<img src="{loader}" style="width:100%" data-original="{html.escape(image.address)}" alt="{alt}"'
            ' class="img-responsive lazy image_dta" data-backup="" />'
        )
        return f'<a class="col-xs-6" href="/photo/{number}">{shown}{mark}<p>{alt}</p></a>'
