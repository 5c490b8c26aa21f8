"""The replica of a list of douyin videos: `name, address`, each address a redirect to another host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from imgcrawl.demo.listsite import ListSite
from imgcrawl.demo.site import Hosts, Options, SiteImage, csv_row
from imgcrawl.demo.videos import CONTAINERS, video

FILE = "videos.csv"
# Names in the list, and what the file is to be called, but for its extension. That follows from the bytes.
NAMES = (
    ("卡特扣篮.mp4", "卡特扣篮"),
    ("跑, 跳.mp4", "跑, 跳"),
    ("a/b.mp4", "a_b"),
    ("没有扩展名", "没有扩展名"),
    ("../../../x.mp4", "_.._.._x"),
    ("重名.mp4", "重名"),
    ("重名.mp4", "重名"),
    ("第{}集.mp4", "第{}集"),
)
BEHAVIOURS = {3: "cut", 4: "page", 8: "gone", 9: "broken-once", 11: "slow"}


@dataclass(frozen=True)
class SiteVideo(SiteImage):
    """A video of the replica. Its *width* is that of its bytes: how many."""

    @property
    def content_type(self) -> str:
        return f"video/{CONTAINERS[self.format]}"

    @property
    def path(self) -> str:
        return f"{self.stem}.{CONTAINERS[self.format]}"

    def body(self) -> bytes:
        return video(self.seed, self.format, self.width)

    def facts(self) -> dict[str, Any]:
        return {"format": self.format}


class Douyin(ListSite):
    """A list as SITES.md describes it. `galleries` is the number of rows, `width` the length of a video in bytes."""

    name = "douyin"
    media = "video"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 16, "width": 2_000_000}

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, hosts)
        self.galleries = []
        lines: list[str] = []
        for number in range(options.galleries):
            name, stem = (text.format(number) for text in NAMES[number % len(NAMES)])
            if number >= len(NAMES):
                name, stem = (text.format(number) for text in NAMES[-1])
            film = self._video(number, f"douyin/{stem}")
            self.galleries.append(self.row(f"{FILE}:{len(lines) + 1}", (film,), (name,), name=name))
            # As in the list of the write-up: a space behind the comma.
            lines.append(f"{csv_row((name,))}, {film.address}")
        lines.append("没有地址.mp4")
        self.bad_rows = (len(lines),)
        self._table = "".join(f"{line}\n" for line in lines).encode()

    def arguments(self) -> dict[str, str]:
        return super().arguments() | {"base": self.hosts.page}

    def lists(self) -> dict[str, bytes]:
        return {FILE: self._table}

    def _video(self, number: int, stem: str) -> SiteVideo:
        path = f"/aweme/v1/playwm/?video_id=v0200f3d{number:04}"
        form = "WebM" if number % 5 == 1 else "MP4"
        return SiteVideo(
            f"https://aweme.snssdk.com{path}",
            self.hosts.page + path,
            "",
            f"{self.options.seed}/{number}",
            form,
            self.options.width + number,
            BEHAVIOURS.get(number % 16, "good") if self.options.misbehave else "good",
            f"{self.hosts.image}/cdn/{number:04}/video",
            stem=stem,
        )
