"""The replica of a table of weibo posts, whose tenth column is a list of addresses as some program printed it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from imgcrawl.demo.listsite import ListSite
from imgcrawl.demo.pictures import FORMATS
from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import Hosts, Options, SiteImage, csv_row

FILE = "weibo.csv"
FORMAT_CYCLE = ("JPEG", "JPEG", "GIF", "JPEG", "WEBP", "JPEG", "PNG")
BEHAVIOURS = {4: "gone", 9: "busy-once", 13: "broken-once", 17: "page", 22: "cut", 26: "redirected", 30: "limited-once"}
# How a post's addresses are printed: "{}" stands for them, with what is around each and between two of them.
PRINTED = (
    ("[{}]", "'{}'", ", "),
    ("[{}]", '"{}"', ", "),
    ("[ {} ]", "'{}'", " ,  "),
    ("[{}]", "'{}'", ","),
    ("[{}]", "u'{}'", ", "),
    ("{}", "{}", ", "),
    ("［{}］", "‘{}’", "，"),
)
# What stands in the column of a post without images.
NOTHING = ("[]", "", "[ ]", "None", "['']")
# Rows that cannot be read; the last one opens a quote that nobody closes.
BROKEN = (
    "4460009001,短,2020-01-01",
    "4460009002,作者,2020-01-01,文字,1,2,3,来自,0,\"['https://wx3.sinaimg.cn/large/lost1.jpg', 'https://wx3.sinaimg.cn\",x",
    "4460009003,作者,2020-01-01,文字,1,2,3,来自,0,no addresses at all,x",
    "4460009004,作者\udcff\udcfe,2020-01-01,文字,1,2,3,来自,0,['https://wx3.sinaimg.cn/large/lost2.jpg'],x",
    "4460009005,作者,2020-01-01,\"文字,1,2,3,来自,0,['https://wx3.sinaimg.cn/large/lost3.jpg'],x",
)


class Weibo(ListSite):
    """A table of posts as SITES.md describes it. `galleries` is the number of posts, `images` the most of a post."""

    name = "weibo"
    noun = "posts"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 60, "images": 5, "width": 600}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self._made = 0
        self._named: list[SiteImage] = []
        self.galleries = []
        lines: list[str] = []
        bad: list[int] = []
        for number in range(options.galleries):
            if options.misbehave and number % 7 == 3:
                bad.append(1 + sum(line.count("\n") + 1 for line in lines))
                lines.append(BROKEN[number // 7 % len(BROKEN)])
            place = f"{FILE}:{1 + sum(line.count(chr(10)) + 1 for line in lines)}"
            images = () if number % 6 == 5 else self._images(number)
            self.galleries.append(self.row(place, images, ("",) * len(images)))
            lines.append(_line(number, images))
        self.bad_rows = tuple(bad)
        self._table = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

    def lists(self) -> dict[str, bytes]:
        return {FILE: self._table}

    def _images(self, number: int) -> tuple[SiteImage, ...]:
        images = [self._image() for _ in range(number % self.options.images + 1)]
        if number % 10 == 6:
            images.append(_again(self._named[number]))
        return tuple(images)

    def _image(self) -> SiteImage:
        made, self._made = self._made, self._made + 1
        form = FORMAT_CYCLE[made % len(FORMAT_CYCLE)]
        behaviour = BEHAVIOURS.get(made % 34, "good") if self.options.misbehave else "good"
        scene = list(SCENES)[made % len(SCENES)]
        # On two of the real hosts, and in two folders, there may be files of the same name.
        name = f"006{made:05}gy1" if made % 12 else "thumb180"
        path = f"/large/{made // 12 if made % 12 == 0 else 'mw690'}/{name}.{FORMATS[form]}"
        image = SiteImage(
            f"https://wx{made % 4 + 1}.sinaimg.cn{path}",
            self.hosts.image + path,
            "",
            f"{scene}/weibo/{self.options.seed}/{made}",
            form,
            self.options.width,
            behaviour,
            f"{self.hosts.page}/cdn{path}" if behaviour == "redirected" else "",
            stem=f"weibo/{name}",
        )
        self._named.append(image)
        return image


def _again(image: SiteImage) -> SiteImage:
    answers = image.behaviour in ("good", "busy-once", "broken-once", "redirected", "limited-once")
    return SiteImage(
        image.address,
        image.clean,
        image.page,
        image.seed,
        image.format,
        image.width,
        "again" if answers else image.behaviour,
        image.final_url,
        stem=image.stem,
    )


def _line(number: int, images: tuple[SiteImage, ...]) -> str:
    whole, each, between = PRINTED[number % len(PRINTED)]
    printed = whole.format(between.join(each.format(image.address) for image in images))
    text = ("今天天气不错", "两行\n文字", 'said "hello", then left', "转发微博")[number % 4]
    values = (
        *(f"{4460000000 + number}", f"作者{number}", "2020-01-01", text, "1", "2", "3", "来自 iPhone", "0"),
        *(printed if images else NOTHING[number // 6 % len(NOTHING)], json.dumps({"id": number})),
    )
    return csv_row(values)
