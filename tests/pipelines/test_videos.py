"""Videos through the same outcomes, written to disk as they come."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from imgcrawl.exceptions import ImageError
from imgcrawl.images.containers import examine_video
from tests.support.crawling import crawl
from tests.support.server import Server, redirect


def box(kind: bytes, payload: bytes = b"") -> bytes:
    return (8 + len(payload)).to_bytes(4, "big") + kind + payload


def mp4(size: int = 5000, brand: bytes = b"isom") -> bytes:
    return box(b"ftyp", brand + bytes(12)) + box(b"moov", bytes(100)) + box(b"mdat", b"\x07" * size)


def webm(size: int = 4000, *, live: bool = False) -> bytes:
    header = b"\x42\x82\x84webm"
    length = b"\x01" + (b"\xff" * 7 if live else size.to_bytes(7, "big"))
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(header)]) + header + b"\x18\x53\x80\x67" + length + b"\x11" * size


def flv() -> bytes:
    tag = b"\x09" + (50).to_bytes(3, "big") + bytes(7) + bytes(50) + (61).to_bytes(4, "big")
    return b"FLV\x01\x05\x00\x00\x00\x09" + bytes(4) + tag * 3


def ogg() -> bytes:
    return (b"OggS" + bytes(22) + b"\x02" + b"\x0a\x0b" + bytes(21)) * 2


WHOLE = {
    "MP4": mp4(),
    "QuickTime": mp4(brand=b"qt  "),
    "WebM": webm(),
    "FLV": flv(),
    "AVI": b"RIFF" + (500).to_bytes(4, "little") + b"AVI " + bytes(496),
    "Ogg": ogg(),
    "MPEG-TS": (b"\x47" + bytes(187)) * 6,
    "MPEG-PS": b"\x00\x00\x01\xba" + bytes(100),
}


@pytest.mark.parametrize("name", WHOLE)
def test_containers_are_known_by_their_signature(tmp_path: Path, name: str) -> None:
    file = tmp_path / "video"
    file.write_bytes(WHOLE[name])
    assert examine_video(file).format == name


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "MPEG-PS"])
@pytest.mark.parametrize("missing", [1, 20])
def test_a_container_that_ends_too_early_is_truncated(tmp_path: Path, name: str, missing: int) -> None:
    file = tmp_path / "video"
    file.write_bytes(WHOLE[name][:-missing])
    with pytest.raises(ImageError) as caught:
        examine_video(file)
    assert caught.value.reason == "truncated"


def test_a_live_recording_does_not_know_its_length(tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.write_bytes(webm(live=True))
    assert examine_video(file).extension == ".webm"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"  <!DOCTYPE html><html>", "html"),
        (b"\xff\xd8\xff\xe0 a photo", "not_a_video"),
        (box(b"ftyp", bytes(16)) + box(b"mdat", bytes(50)), "truncated"),
        (b"\x1a\x45\xdf\xa3", "truncated"),
        (b"\x1a\x45\xdf\xa3\x00\x00", "truncated"),
    ],
)
def test_what_is_no_video_is_told_apart(tmp_path: Path, body: bytes, reason: str) -> None:
    file = tmp_path / "video"
    file.write_bytes(body)
    with pytest.raises(ImageError) as caught:
        examine_video(file)
    assert caught.value.reason == reason


def test_videos_come_home_bit_for_bit_under_their_names(tmp_path: Path) -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        whole = mp4(3_000_000)
        server.add("/whole", whole)
        server.add("/play", redirect(server.url("/whole", host="127.0.0.2")))
        server.add("/cut", whole[:-5])
        server.add("/again", mp4(7), status=503, times=1)
        server.add("/again", mp4(7))
        server.add("/large", mp4(5_000_000))
        names = ["卡特扣篮.mp4", "cut.mp4", "again.avi", "page.mp4", "gone.mp4", "short.mp4", "../large.mp4"]
        paths = ["/play", "/cut", "/again", "/html.jpg", "/gone", "/short", "/large"]
        item = {"video_urls": [server.url(path) for path in paths], "video_names": names}
        server.add("/page", json.dumps([item]).encode(), headers={"Content-Type": "application/json"})
        settings = {
            "ITEM_PIPELINES": '{"imgcrawl.pipelines.VideosPipeline": 300}',
            "VIDEOS_MAXSIZE": "4000000",
            "VERDICT_MAX_FAILED": "0.9",
        }
        done = crawl(tmp_path, "videos", {"url": server.url("/page")}, **settings)
        assert done.code == 0, done.log
        videos = done.items[0]["videos"]
        assert [(v["status"], v.get("reason") or v["path"]) for v in videos] == [
            ("downloaded", "videos/卡特扣篮.mp4"),
            ("failed", "truncated"),
            ("downloaded", "videos/again.mp4"),
            ("failed", "html"),
            ("failed", "http_404"),
            ("failed", "truncated"),
            ("refused", "too_large"),
        ]
        assert done.files == {"videos/卡特扣篮.mp4": whole, "videos/again.mp4": mp4(7)}
        assert videos[0]["checksum"] == hashlib.sha256(whole).hexdigest()
        assert videos[0]["final_url"].endswith("/whole")
        assert videos[0]["bytes"] == len(whole)
        asked = len(server.requests)
        again = crawl(tmp_path, "videos", {"url": server.url("/page")}, **settings)
        assert [v["status"] for v in again.items[0]["videos"]][:3:2] == ["uptodate", "uptodate"]
        assert "/whole" not in [request.path for request in server.requests[asked:]]
        assert not list((tmp_path / "images" / ".incoming").glob("*/*"))
