"""The replica of a list of addresses, in every form that such lists come in."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any, ClassVar

from imgcrawl.demo.listsite import ListSite
from imgcrawl.demo.pictures import FORMATS
from imgcrawl.demo.scenes import SCENES
from imgcrawl.demo.site import Hosts, Options, SiteImage, csv_row

FILE = "urls.txt"
# What is to be told to the spider about each list, besides its name.
LISTS: dict[str, dict[str, str]] = {
    FILE: {},
    "urls.csv.gz": {"column": "address", "keep": ""},
    "urls.tsv.zip": {"column": "1", "keep": ""},
    "urls.jsonl": {"column": "image", "keep": ""},
    "urls-gbk.csv": {"column": "address", "encoding": "gb18030", "delimiter": ";", "keep": ""},
}
FORMAT_CYCLE = ("JPEG", "WEBP", "JPEG", "PNG", "JPEG", "AVIF", "GIF")
BEHAVIOURS = {3: "gone", 8: "broken-once", 12: "untyped", 15: "page"}


class Urls(ListSite):
    """autohome's list as SITES.md describes it. `galleries` is the number of addresses.

    The lists hold the same addresses on the same lines; the first line, and one in ten of the others, has none.
    """

    name = "urls"
    noun = "addresses"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 60, "width": 600}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self.galleries = []
        self._addresses: list[str | None] = [None]
        for number in range(options.galleries):
            if number % 10 == 6:
                self._addresses.append(None)
            image = self._again() if number == 9 else self._image(number)
            self._addresses.append(image.address)
            self.galleries.append(self.row(f"{FILE}:{len(self._addresses)}", (image,), ("",)))

    def lists(self) -> dict[str, bytes]:
        rows = [(f"车 {line}", address) for line, address in enumerate(self._addresses[1:], 2)]
        text = "".join(f"  {address} \n" if address else "# 空\n" for address in self._addresses)
        table = [csv_row(("name", "address")), *(csv_row((name, url)) if url else "" for name, url in rows)]
        tabbed = "".join(f"{name}\t{url}\tx\r\n" if url else "\r\n" for name, url in (("", None), *rows))
        lines = (json.dumps({"name": name, "image": url}) if url else "" for name, url in (("", None), *rows))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("urls.tsv"), tabbed)
        return {
            FILE: text.encode("utf-8-sig"),
            "urls.csv.gz": gzip.compress("\n".join(table).encode(), mtime=0),
            "urls.tsv.zip": packed.getvalue(),
            "urls.jsonl": "".join(f"{line}\n" for line in lines).encode(),
            "urls-gbk.csv": "\n".join(table).replace(",", ";").encode("gb18030"),
        }

    def _again(self) -> SiteImage:
        first = self.galleries[1].images[0]
        return SiteImage(
            *(first.address, first.clean, "", first.seed, first.format, first.width, "again"), stem=first.stem
        )

    def _image(self, number: int) -> SiteImage:
        form = FORMAT_CYCLE[number % len(FORMAT_CYCLE)]
        behaviour = BEHAVIOURS.get(number % 20, "good") if self.options.misbehave else "good"
        name = f"120x90_0_autohomecar__ChsEe{number:04}XQ6AOOH"
        path = f"/newsdfs/g{number % 30}/M0{number % 4}/35/A9/{name}.{FORMATS[form]}"
        host = self.hosts.image.removeprefix("http://").partition(":")[0]
        return SiteImage(
            f"https://www{number % 4 + 1}.autoimg.cn{path}",
            self.hosts.image + path,
            "",
            f"{list(SCENES)[number % len(SCENES)]}/urls/{self.options.seed}/{number}",
            form,
            self.options.width,
            behaviour,
            stem=f"urls/{host}/{name}",
        )
