from __future__ import annotations

import json
import zlib

import pytest

from imgcrawl.frontier.packing import MARK, pack, unpack

PAGE = "https://www.pximg.com/topic/nvshen/page/3"
GALLERY = json.dumps(
    {"url": "https://www.pximg.com/meinv/39211.html", "callback": "parse_gallery", "errback": "gallery_failed",
     "headers": {"Referer": [PAGE]}, "meta": {"depth": 3, "page_url": PAGE}}, separators=(",", ":")
).encode()  # fmt: skip


def test_the_request_of_a_gallery_is_small() -> None:
    assert len(GALLERY) > 200
    assert len(pack(GALLERY)) < 60


@pytest.mark.parametrize("value", [GALLERY, b"{}", b"", '{"title":"你好"}'.encode(), bytes(range(256)), b"x" * 10_000])
def test_what_is_packed_is_unpacked(value: bytes) -> None:
    assert unpack(pack(value), 10_000) == value


@pytest.mark.parametrize(
    "value", [MARK, MARK + b"\xff\xff", MARK + GALLERY, b"\x80\x04pickle", pack(GALLERY)[:-9], b""]
)
def test_what_was_not_packed_here_is_left_as_it_is(value: bytes) -> None:
    assert unpack(value, 10_000) == value


def test_what_would_be_too_large_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = MARK + packer.compress(b"x" * 50_000_000) + packer.flush()
    assert unpack(bomb, 1_000_000) == bomb
