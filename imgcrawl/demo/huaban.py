"""The replica of a table of huaban pictures: `id,name,address`. Names hold anything, addresses have no extension."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any, ClassVar

from imgcrawl.demo.listsite import ListSite
from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import Hosts, Options, SiteImage, csv_row

FILE = "huaban.csv"
# Names, and what a file is to be called after them, where that differs. Some occur twice.
NAMES: tuple[tuple[str, str | None], ...] = (
    ("Hush", None),
    ("卩丬My㊊伴er彎", None),
    ("“西辞”", None),
    ("妮玛士珍多", None),
    ("Jennah·", None),
    ("っ思忆゜♪", None),
    ("花姑凉~", None),
    ("陈勇敢❤", None),
    ("C-CLong", None),
    ("v", None),
    ("V2.0.1", None),
    ("../../etc/passwd", "_.._etc_passwd"),
    ("CON", "CON_"),
    ("a/b\\c:d", "a_b_c_d"),
    ("*?|<>", "_____"),
    ('"引号", 逗号', "_引号_, 逗号"),
    ("结尾有点...", "结尾有点"),
    (".hidden", "hidden"),
    ("Cafe\u0301", "Caf\u00e9"),
    ("\u202egnp.exe", "gnp.exe"),
    ("👩\u200d👩\u200d👧\u200d👦 一家", None),
    ("假扩展名.jpg", "假扩展名"),
    ("-rf *", "-rf _"),
    ("%2e%2e%2f{name}", None),
    ("重名", None),
    ("重名", None),
    ("   ", ""),
    ("白驹过隙丶梨花泪う", None),
)
FORMAT_CYCLE = ("JPEG", "PNG", "JPEG", "WEBP", "GIF", "JPEG", "AVIF", "JPEG", "ROTATED")
BEHAVIOURS = {5: "gone", 11: "untyped", 18: "busy-once", 30: "broken-once", 36: "cut", 43: "redirected"}
REPEATED = {24: 0, 28: 2, 48: 2}  # rows that name the address of an earlier one


class Huaban(ListSite):
    """A table as SITES.md describes it. `galleries` is the number of its rows."""

    name = "huaban"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 51, "width": 600}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self.galleries = []
        lines: list[str] = []
        for number in range(options.galleries):
            name, wanted = NAMES[number % len(NAMES)]
            if number >= len(NAMES) and wanted is None and name != "重名":
                name = f"{name} {number}"
            elif number >= len(NAMES):
                name, wanted = f"第{number}号", None
            image = self._image(number, name, name if wanted is None else wanted)
            identity = f"{Random(number).randrange(800_000, 31_100_000)}"
            place = f"{FILE}:{number + 1}"
            self.galleries.append(self.row(place, (image,), (name.strip(),), id=identity, name=name.strip()))
            lines.append(csv_row((identity, name, image.address)))
        self._table = "".join(f"{line}\n" for line in lines).encode()

    def lists(self) -> dict[str, bytes]:
        return {FILE: self._table}

    def _image(self, number: int, name: str, wanted: str) -> SiteImage:
        if number in REPEATED:
            first = self.galleries[REPEATED[number]].images[0]
            return SiteImage(
                *(first.address, first.clean, "", first.seed, first.format, first.width, "again"), stem=first.stem
            )
        form = FORMAT_CYCLE[number % len(FORMAT_CYCLE)]
        behaviour = BEHAVIOURS.get(number % 51, "good") if self.options.misbehave else "good"
        seed = f"{list(SCENES)[number % len(SCENES)]}/huaban/{self.options.seed}/{number}"
        key = hashlib.sha256(seed.encode()).hexdigest()
        path = f"/{key[:48]}-{key[48:54]}"
        return SiteImage(
            f"https://hbimg.huabanimg.com{path}",
            self.hosts.image + path,
            "",
            seed,
            form,
            self.options.width,
            behaviour,
            f"{self.hosts.page}/cdn{path}" if behaviour == "redirected" else "",
            stem=f"huaban/{wanted or path[1:]}",
        )
