"""What is not wanted is refused by the first bytes that show it, and no more of it is read."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from itemadapter import ItemAdapter
from PIL import Image
from scrapy.settings import Settings

from imgcrawl.exceptions import InputError
from imgcrawl.images.filters import ImageFilters
from imgcrawl.pipelines.galleryfilters import GalleryFilters, day_of
from imgcrawl.pipelines.settings import PipelineSettings
from tests.support.crawling import crawl
from tests.support.server import Exchange, Misbehaviour, Server, jpeg

WHOLE = 2_000_000  # bytes that each body is announced to have
DRIP = 64  # bytes that follow its start from time to time


def picture(kind: str, width: int, height: int, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind, **options)
    return file.getvalue()


def test_the_rest_of_what_is_not_wanted_is_not_read(server: Server, tmp_path: Path) -> None:
    sent: dict[str, int] = {}

    def start_of(body: bytes, start: int) -> Misbehaviour:
        """*start* bytes of *body* and then little by little as much as is taken, of `WHOLE` bytes."""

        async def answer(exchange: Exchange) -> None:
            path = exchange.request.path
            sent[path] = 0
            await exchange.head(content_length=str(WHOLE), content_type="image/jpeg")
            await exchange.write(body[:start].ljust(start, b"\0"))
            sent[path] = start
            while sent[path] < WHOLE:
                await asyncio.sleep(0.02)
                await exchange.write(bytes(DRIP))
                sent[path] += DRIP

        return answer

    async def few(exchange: Exchange) -> None:
        await exchange.head(content_length="999", content_type="image/jpeg")
        sent[exchange.request.path] = 0
        await asyncio.sleep(60)

    exif = b"Exif\0\0" + bytes(20_000)
    starts = {
        "/narrow.jpg": ("too_small", picture("JPEG", 99, 300), 1100),
        "/flat.png": ("too_small", picture("PNG", 110, 105), 1100),  # in pixels
        "/wide.webp": ("too_large", picture("WEBP", 1200, 900), 1100),
        "/tall.jpg": ("aspect", picture("JPEG", 200, 900), 1100),
        "/moving.gif": ("format", picture("GIF", 300, 300), 1100),
        "/dense.png": ("too_many_pixels", picture("PNG", 999, 999), 1100),
        "/behind-metadata.jpg": ("too_large", picture("JPEG", 1200, 900, exif=exif), 24_000),
    }
    for path, (_, body, start) in starts.items():
        server.add(path, start_of(body, start))
    server.add("/few.jpg", few)
    good = jpeg(200, 150, comment="x" * 2000)
    server.add("/good.jpg", good)
    server.add("/good.avif", late := picture("AVIF", 99, 99))  # judged when it is there
    server.add("/old.jpg", good)
    server.add("/none.jpg", headers={"Content-Type": "image/jpeg"})
    urls = [server.url(path) for path in (*starts, "/few.jpg", "/good.avif", "/none.jpg", "/good.jpg", "/beyond.jpg")]
    rows = [
        {"title": "Birds of the sea", "date": "2026-03-01T10:00:00Z", "image_urls": urls},
        {"title": "Birds", "date": "Sun, 01 Mar 2020 10:00:00 GMT", "image_urls": [server.url("/old.jpg")]},
        {"title": "Cats", "date": "2026-03-01", "image_urls": [server.url("/old.jpg")]},
        {"title": "Birds, undated", "image_urls": [server.url("/good.jpg")]},
        {"title": "Birds, beyond", "image_urls": [server.url("/beyond.jpg")]},
    ]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "IMAGES_MIN_WIDTH": 100, "IMAGES_MAX_WIDTH": 1000, "IMAGES_MIN_PIXELS": 12_000, "IMAGES_MIN_BYTES": 1000,
        "IMAGES_MIN_ASPECT": 0.5, "IMAGES_FORMATS": "JPEG,PNG,WEBP,AVIF", "GALLERIES_TITLE": "^Birds",
        "GALLERIES_SINCE": "2021-01-01", "GALLERIES_UNTIL": "2026-03-01", "PRIVATE_HOSTS_ALLOWED": "127.0.0.1",
        "IMAGES_MIN_HEIGHT": 100, "IMAGES_MAX_PIXELS": 900_000, "IMAGES_RANGE": "1-5,6-11", "GALLERIES_RANGE": "-4",
    }  # fmt: skip
    assert len(late) < 1000
    done = crawl(tmp_path, "urls", {"file": "list.jsonl"}, **settings)
    items = {item["title"]: [image.get("reason", image["status"]) for image in item["images"]] for item in done.items}
    found = items.pop("Birds of the sea")
    assert found == [*(reason for reason, *_ in starts.values()), "too_small", "too_small", "empty", found[-2], "range"]
    assert {found[-2], *items.pop("Birds, undated")} == {"downloaded", "duplicate"}
    assert items == {"Birds": ["date"], "Cats": ["title"]}
    assert not {"/old.jpg", "/beyond.jpg"} & {*server.paths()}
    assert server.paths().count("/wide.webp") == 1  # it is not tried again
    for path, (_, _, start) in starts.items():
        assert start <= sent[path] < WHOLE / 10, path
    assert sent["/few.jpg"] == 0
    assert "refused" in done.log


def test_the_start_of_a_body_is_judged_once_it_says_enough() -> None:
    filters = ImageFilters(max_width=100)
    assert not filters.check_start(picture("JPEG", 50, 50)[:100])
    assert filters.check_start(picture("JPEG", 50, 50)[:400])
    assert filters.check_start(picture("BMP", 500, 50)[:400])  # judged as a whole
    assert not ImageFilters(min_bytes=5).look_within


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-01", "2026-03-01"),
        ("posted 2026/3/1 12:00", "2026-03-01"),
        ("2026年3月1日", "2026-03-01"),
        ("Sun, 01 Mar 2026 10:00:00 GMT", "2026-03-01"),
        ("20260301T101500Z", "2026-03-01"),
        ("Posted: Mar. 1st, 2026 at 10:00", "2026-03-01"),
        ("Sunday, 1 March 2026", "2026-03-01"),
        ("Sept. 3, 2026", "2026-09-03"),
        (datetime(2026, 3, 1, 23, tzinfo=UTC), "2026-03-01"),
        ("2026-13-41", "None"),
        ("31 February 2026", "None"),
        ("Maybe 3, 2026", "None"),
        ("1732579200", "None"),
        ("yesterday", "None"),
        (None, "None"),
        (20260301, "None"),
    ],
)
def test_dates_as_pages_state_them(text: object, day: str) -> None:
    assert str(day_of(text)) == day


def test_both_days_are_included() -> None:
    filters = GalleryFilters.from_settings(Settings({"GALLERIES_SINCE": "2026-03-01", "GALLERIES_UNTIL": "2026-03-02"}))
    reasons = [filters.reason(ItemAdapter({"date": f"2026-03-0{day}"})) for day in (1, 2, 3)]
    assert reasons == ["", "", "date"]


def test_formats_are_named_as_people_name_them() -> None:
    kept = {"IMAGES_KEEP": "heic, Svg,JXL,.mov , jpeg xl,PSD", "IMAGES_FORMATS": "jpg, Png,heif"}
    settings = PipelineSettings.from_settings(Settings(kept), "IMAGES_NAME")
    assert settings.keep == {"HEIF", "SVG", "JPEG XL", "MP4", "PSD"}
    assert settings.filters.formats == {"JPEG", "PNG", "HEIF"}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "GALLERIES_TITLE",
            "(",
            "GALLERIES_TITLE='(': missing ), unterminated subpattern at position 0; expected a reg",
        ),
        ("GALLERIES_SINCE", "1 May", "GALLERIES_SINCE='1 May': expected a day like 2026-11-26"),
        ("IMAGES_FORMATS", "jpgg", "IMAGES_FORMATS names 'jpgg'; expected some of JPEG, MPO, PNG"),
    ],
)
def test_bad_input_is_one_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        PipelineSettings.from_settings(Settings({name: value}), "IMAGES_NAME")
    assert str(refused.value).startswith(sentence)
