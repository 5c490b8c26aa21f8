"""What common viewers show is kept, with what is wrong beside it; what lacks pixels is not."""

from __future__ import annotations

import io
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from imgcrawl.exceptions import ImageError
from imgcrawl.images.costs import MAX_CHUNKS, cost_of
from imgcrawl.images.damage import WARNINGS, ends_where_it_should
from imgcrawl.images.formats import FOREIGN_EXTENSIONS
from imgcrawl.images.opening import opened
from imgcrawl.images.room import ROOM
from imgcrawl.images.verify import examine
from tests.images.pictures import encoded, picture


def chunk(name: bytes, body: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) if crc is None else crc)
    )


def jpeg(*, progressive: bool = False, mode: str = "RGB") -> bytes:
    return encoded(picture(75, 59, mode), "JPEG", progressive=progressive, quality=90)


PNG = encoded(picture(40, 30), "PNG")
GIF = encoded(picture(40, 30), "GIF")


@pytest.mark.parametrize(
    ("source", "warnings"),
    [
        (jpeg(), ()),
        (jpeg()[:-2], ("no_end",)),
        (jpeg()[:-1], ("no_end",)),
        (jpeg(progressive=True)[:-2], ("no_end",)),
        (jpeg(mode="L")[:-2], ("no_end",)),
        (jpeg() + bytes(300) + b"junk", ("trailing_bytes",)),
        (PNG, ()),
        (PNG[:-12], ("no_end",)),
        (PNG + b"\r\n", ("trailing_bytes",)),
        (PNG[:33] + chunk(b"tEXt", b"Comment\0hello", 1) + PNG[33:], ("bad_crc",)),
        (PNG[:33] + chunk(b"eXIf", b"MM\0*", 7) + chunk(b"pHYs", bytes(9), 9) + PNG[33:], ("bad_crc",)),
        (GIF[:-1], ("no_end",)),
        (GIF[:-1] + b"!\xfe\x02\0;\0", ("no_end",)),  # what looks like its end is in its last part
        (GIF + b"\n", ("trailing_bytes",)),
    ],
)
def test_small_damage_is_kept_and_told(source: bytes, warnings: tuple[str, ...]) -> None:
    assert examine(source).warnings == warnings
    assert set(warnings) <= set(WARNINGS)


def ended(source: bytes, share: float) -> bytes:
    return source[: int(len(source) * share)] + b"\xff\xd9"


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9, 0.95])
@pytest.mark.parametrize("source", [jpeg(), jpeg(mode="L"), encoded(picture(75, 59), "JPEG", restart_marker_rows=1)])
def test_a_jpeg_that_was_cut_and_given_an_end_is_truncated(source: bytes, share: float) -> None:
    """Decoders paint what is missing gray, and say nothing."""
    for cut in (ended(source, share), ended(source, share) + source[-20:]):
        with pytest.raises(ImageError, match="its data ends before its last rows") as caught:
            examine(cut)
        assert caught.value.reason == "truncated"


def png_of(rows: bytes, mode: str = "RGB") -> bytes:
    """40 x 30, with *rows* in place of its own."""
    whole = encoded(picture(40, 30, mode), "PNG")
    return whole[:33] + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("mode", "row"), [("RGB", 121), ("RGBA", 161), ("L", 41), ("1", 6)])
def test_a_png_whose_data_is_that_of_fewer_rows_is_truncated(mode: str, row: int) -> None:
    """Pillow leaves the others black, and says nothing."""
    rows = b"".join(b"\0" + bytes(n * 7 % 251 for n in range(1, row)) for _ in range(30))
    assert examine(png_of(rows, mode)).warnings == ()
    assert examine(png_of(rows[:-row] + bytes(row) + b"more", mode)).warnings == ()  # it is black
    for lacking in (row, 20 * row):  # of a row that is not whole Pillow hears
        with pytest.raises(ImageError, match="bytes of its rows are missing") as caught:
            examine(png_of(rows[:-lacking], mode))
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(75, 59), (16, 16), (5, 3)])
def test_a_picture_that_ends_in_that_gray_is_whole(size: tuple[int, int], mode: str, *, progressive: bool) -> None:
    source = encoded(Image.new("L", size, 128).convert(mode), "JPEG", progressive=progressive)
    assert examine(source).warnings == ()


def test_what_is_looked_at_twice_waits_for_no_room_that_it_has_itself() -> None:
    """Of two that each had room and waited for more, both waited for ever, and all others behind them."""
    source = encoded(Image.new("L", (1600, 1600), 128), "JPEG", progressive=True)
    with opened(source) as image:
        image.draft("L", (200, 200))
        cost = cost_of(image, source, whole=False)
    before = ROOM.size
    ROOM.size = cost * 3 // 2
    try:
        with ThreadPoolExecutor(4) as threads:
            done = [threads.submit(examine, source) for _ in range(8)]
            assert [each.result(60).warnings for each in done] == [()] * 8
    finally:
        ROOM.size = before


def test_a_progressive_jpeg_without_its_last_scans_is_kept_and_told() -> None:
    whole = jpeg(progressive=True)
    assert examine(whole).warnings == ()
    assert examine(ended(whole, 0.5)).warnings == ("no_detail",)
    assert examine(ended(whole, 0.5) + b"\n").warnings == ("no_detail", "trailing_bytes")


@pytest.mark.parametrize(
    "source", [jpeg(), PNG, GIF, *(encoded(picture(40, 30), kind) for kind in ("WEBP", "BMP", "AVIF"))]
)
def test_only_a_whole_file_ends_where_it_should(source: bytes) -> None:
    assert ends_where_it_should(source)
    assert not any(ends_where_it_should(source[:end]) for end in range(len(source)))
    fragment = struct.pack(">I", 16) + b"ftypmp42" + bytes(4) + struct.pack(">I", 8) + b"mdat"
    assert not ends_where_it_should(fragment)  # there may be more


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (PNG[:33] + chunk(b"tEXt", b"Comment\0hello", 1) + PNG[33:], "corrupt"),
        (jpeg()[:-2], "truncated"),
        (PNG[:-12], "truncated"),
        (GIF[:-1], "truncated"),
        (jpeg() + b"\n", "corrupt"),
        (PNG + b"\n", "corrupt"),
    ],
)
@pytest.mark.parametrize("depth", ["decode", "structure"])
def test_strictly_it_is_a_failure(source: bytes, reason: str, depth: str) -> None:
    with pytest.raises(ImageError) as caught:
        examine(source, strict=True, depth=depth)
    assert caught.value.reason == reason


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_is_cut_anywhere_passes_only_with_every_pixel(mode: str, progressive: bool) -> None:
    source = jpeg(mode=mode, progressive=progressive)
    with Image.open(io.BytesIO(source)) as image:
        whole = image.tobytes()
    passed = 0
    for length in range(len(source) - 1, 20, -1 if len(source) < 3000 else -3):
        try:
            examine(source[:length])
        except ImageError as error:
            assert error.reason in {"truncated", "corrupt", "not_an_image"}
        else:
            passed += 1
            with Image.open(io.BytesIO(source[:length] + b"\xff\xd9")) as image:
                assert image.tobytes() == whole, length
    assert 1 <= passed < 20


def test_a_bad_checksum_of_the_picture_itself_is_corrupt() -> None:
    damaged = bytearray(PNG)
    damaged[-20] ^= 255
    with pytest.raises(ImageError) as caught:
        examine(bytes(damaged))
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("SVG", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("HEIF", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)),
        ("JPEG XL", b"\xff\x0a" + bytes(99)),
        ("MP4", b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(99)),
        # Pillow knows the format, and not what is in here: 32 bits a channel; a cut header.
        ("PSD", struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 8, 8, 32, 3) + bytes(99)),
        ("PSD", struct.pack(">4sH6xHIIHH", b"8BPS", 2, 3, 8, 8, 8, 3) + bytes(99)),
    ],
)
def test_formats_that_are_to_be_kept_are_kept_by_their_signature(name: str, source: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        examine(source)
    assert caught.value.reason in ("unsupported_format", "corrupt")
    facts = examine(source, keep={name})
    assert (facts.format, facts.extension, facts.warnings) == (name, FOREIGN_EXTENSIONS[name], ("unverified",))


def many_scans(count: int) -> bytes:
    source = jpeg(progressive=True)
    start = source.rindex(b"\xff\xda")
    return source[:start] + source[start:-2] * count + b"\xff\xd9"


@pytest.mark.parametrize(
    "source",
    [
        PNG[:33] + chunk(b"IDAT", b"") * (MAX_CHUNKS + 1) + PNG[33:],
        PNG[:33] + chunk(b"tEXt", b"k\0v") * (10 * MAX_CHUNKS) + PNG[33:],
        many_scans(20_000),
        b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 273, 4, 10_000_000, 22) + bytes(4 + 40_000_000),
    ],
    ids=["chunks", "comments", "scans", "strips"],
)
def test_more_parts_than_any_image_needs_are_refused_at_once(source: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(ImageError):
        examine(source)
    assert time.thread_time() - start < 1
