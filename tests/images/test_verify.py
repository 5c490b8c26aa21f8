from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from imgcrawl.exceptions import ImageError
from imgcrawl.images.costs import MAX_FRAMES
from imgcrawl.images.damage import WARNINGS
from imgcrawl.images.opening import opened
from imgcrawl.images.room import set_pixel_limit
from imgcrawl.images.verify import Facts, examine
from imgcrawl.items import REASONS
from tests.images.pictures import bare_fli, bare_gif, bare_tiff, black_png, encoded, icon, picture, samples

SAMPLES = samples()
SMALL = {name: sample[0] for name, sample in samples(24, 16).items()}


def reason(source: bytes, **sizes: int) -> str:
    with pytest.raises(ImageError) as caught:
        examine(source, **sizes)
    assert caught.value.reason in {*REASONS["failed"], *REASONS["refused"]}
    return caught.value.reason


def decodes(source: bytes) -> bool:
    """Say whether Pillow alone decodes all of *source*, at full size."""
    try:
        image = Image.open(io.BytesIO(source))
        first, frames = image.tell(), getattr(image, "n_frames", 1)
        for frame in range(first, first + frames):
            image.seek(frame)
            image.load()
    except Exception:  # whatever Pillow raises: it does not decode
        return False
    return True


@pytest.mark.parametrize("name", SAMPLES)
def test_facts(name: str) -> None:
    source, format_, extension, frames = SAMPLES[name]
    assert examine(source) == Facts(format_, 160, 120, frames, extension)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith(("webp", "avif"))])
def test_pixels_that_a_decoder_gives_as_a_whole_are_not_copied_into_an_image_that_nobody_sees(name: str) -> None:
    """At 24 megapixels such an image takes 100 MB besides what the decoder does."""
    source = SAMPLES[name][0]
    before = Image.core.get_stats()["new_count"]
    with Image.open(io.BytesIO(source)) as image:
        image.load()
    copied = Image.core.get_stats()["new_count"]
    examine(source)
    assert before < copied == Image.core.get_stats()["new_count"]


def test_size_is_the_headers_whatever_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = examine(encoded(picture(), "JPEG", exif=exif))
    assert (facts.width, facts.height) == (160, 120)


def test_icon() -> None:
    assert examine(icon(encoded(picture(32, 32), "PNG"))) == Facts("ICO", 32, 32, 1, ".ico")


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("percent", [5, 30, 50, 80, 95, 99])
def test_cut_is_truncated(name: str, percent: int) -> None:
    source = SAMPLES[name][0]
    assert reason(source[: len(source) * percent // 100]) == "truncated"


@pytest.mark.parametrize("name", SMALL)
def test_cut_anywhere_passes_only_if_complete(name: str) -> None:
    source = SMALL[name]
    outcomes = set()
    for length in range(1, len(source), max(1, len(source) // 300)):
        try:
            examine(source[:length], strict=True)
        except ImageError as error:
            outcomes.add(error.reason)
        else:
            assert decodes(source[:length]), length
    assert "truncated" in outcomes


@pytest.mark.parametrize("name", ["png", "png alpha", "png palette", "png interlaced", "apng"])
def test_damaged_in_the_middle_is_corrupt(name: str) -> None:
    source = bytearray(SAMPLES[name][0])
    middle = len(source) // 3
    source[middle : middle + 20] = bytes(20)
    assert reason(bytes(source)) == "corrupt"


def test_frames_that_are_announced_and_missing_are_truncated() -> None:
    assert examine(bare_fli(3, announced=3)).frames == 3
    assert reason(bare_fli(3, announced=4)) == "truncated"


def test_cause_is_kept() -> None:
    source = SAMPLES["jpeg"][0]
    with pytest.raises(ImageError) as caught:
        examine(source[:3000])
    assert isinstance(caught.value.__cause__, OSError)
    assert "truncated" in caught.value.detail


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><head><title>404</title>", "html"),
        (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "html"),
        (b"<!-- cached --><html>", "html"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "html"),
        (b"<script>location='/login'</script>", "html"),
        (b"<!--" * 3000, "html"),
        ("<html><body>Désolé".encode("utf-16"), "html"),
        (b"<html><body><svg></svg>", "html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (b"<?xml version='1.0'?>\n<!-- a --><!DOCTYPE svg [<!ENTITY a 'b'>]>\n<svg:svg>", "unsupported_format"),
        (b"<?xml version='1.0'?><!--" + b"-" * 9000 + b"--><svg>", "html"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported_format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_format"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "unsupported_format"),
        (b"\xff\x0a\xfa\x7f\x01\x90\x08\x06\x01\0", "unsupported_format"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "unsupported_format"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99), "unsupported_format"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not_an_image"),
        (b'{"error": "not found"}', "not_an_image"),
        (b"<\0\x9f\x12\x88", "not_an_image"),
        (b"\x89", "not_an_image"),
        (random.Random(1).randbytes(5000), "not_an_image"),
    ],
)
def test_not_an_image(source: bytes, expected: str) -> None:
    assert reason(source) == expected


def test_ghostscript_never_starts(tmp_path: Path) -> None:
    started = tmp_path / "started"
    fake = tmp_path / "gs"
    fake.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    fake.chmod(0o755)
    eps = tmp_path / "a.eps"
    eps.write_bytes(encoded(picture(8, 8), "EPS"))
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code, str(eps)], check=True, env=env, capture_output=True)

    source = "import sys; source = open(sys.argv[1], 'rb').read()\n"
    run(source + "from imgcrawl.images.verify import *\ntry: examine(source)\nexcept ImageError: pass")
    assert not started.exists()
    run("import sys; from PIL import Image\ntry: Image.open(sys.argv[1]).load()\nexcept Exception: pass")
    assert started.exists(), "Pillow alone would have started it: otherwise this test shows nothing"


def test_too_small_is_told_before_decoding() -> None:
    source = SAMPLES["png"][0]
    assert examine(source, min_width=160, min_height=120).width == 160
    assert reason(source, min_width=161) == "too_small"
    assert reason(source[:3000], min_height=121) == "too_small"


def test_bomb_is_refused_without_decoding(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(black_png(13_000, 13_000))
    code = """
import resource, sys
from imgcrawl.images.verify import ImageError, examine
def rss(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = open(sys.argv[1], 'rb').read()
before = rss()
try: examine(source)
except ImageError as error: print(error.reason, rss() - before)
"""
    done = subprocess.run([sys.executable, "-c", code, str(bomb)], check=True, capture_output=True, text=True)
    said, grown = done.stdout.split()
    assert said == "too_many_pixels"
    assert int(grown) < 4 * 1024  # KiB; the pixels would take 165,000
    assert not done.stderr


def test_pixel_limit_holds_for_header_frames_and_contents() -> None:
    set_pixel_limit(160 * 120)
    assert examine(SAMPLES["png"][0])
    assert reason(SAMPLES["apng"][0]) == "too_many_pixels"  # four copies of its canvas
    set_pixel_limit(160 * 120 - 1)
    for name in SAMPLES:
        assert reason(SAMPLES[name][0]) == "too_many_pixels", name
    with pytest.raises(ImageError) as caught:
        examine(icon(encoded(picture(200, 120), "PNG")))
    assert caught.value.reason == "too_many_pixels"
    assert isinstance(caught.value.__cause__, Image.DecompressionBombError), "decoded before it was refused"
    assert examine(icon(encoded(picture(32, 32), "PNG")))
    assert reason(bare_tiff([(10, 10), (200, 100)])) == "too_many_pixels"
    beyond_the_canvas = bytearray(bare_gif(10, 10, 1))
    at = beyond_the_canvas.index(b",") + 5
    beyond_the_canvas[at : at + 4] = b"\xff\xff\xff\xff"
    assert reason(bytes(beyond_the_canvas)) == "too_many_pixels"


def test_whole_animation_has_a_budget() -> None:
    set_pixel_limit(100_000)
    assert examine(bare_gif(100, 100, 100)).frames == 100
    assert reason(bare_gif(100, 100, 101)) == "too_many_pixels"
    assert reason(bare_gif(1, 1, MAX_FRAMES + 1)) == "too_many_pixels"


def test_what_is_decoded_in_python_may_have_fewer_pixels() -> None:
    set_pixel_limit(160 * 120 * 15)
    assert examine(SAMPLES["png"][0])
    assert reason(SAMPLES["qoi"][0]) == "too_many_pixels"


def test_pages_may_grow() -> None:
    sizes = [(1, 1), (100, 100), (200, 200), (300, 300), (5, 5)]
    assert examine(bare_tiff(sizes)) == Facts("TIFF", 1, 1, 5, ".tif")


def test_pixel_limit_must_be_a_number_of_pixels() -> None:
    with pytest.raises(ValueError, match="a limit of 0 pixels"):
        set_pixel_limit(0)


def test_no_warning_below_the_limit() -> None:
    # Warnings are errors here, and Pillow warns from half the limit on.
    set_pixel_limit(160 * 120)
    assert examine(SAMPLES["jpeg"][0])
    assert examine(SAMPLES["tiff pages"][0])


def test_truncated_images_are_not_loaded() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_threads_share_the_room() -> None:
    set_pixel_limit(200_000)
    outcomes: list[Facts] = []

    def in_a_thread(source: bytes) -> threading.Thread:
        thread = threading.Thread(target=lambda: outcomes.append(examine(source)), daemon=True)
        thread.start()
        return thread

    with opened(encoded(picture(400, 300), "PNG")):
        fits = in_a_thread(encoded(picture(200, 300), "PNG"))
        fits.join(10)
        assert [facts.width for facts in outcomes] == [200]
        waits = in_a_thread(encoded(picture(300, 400), "PNG"))
        waits.join(0.3)
        assert waits.is_alive()
        behind = in_a_thread(encoded(picture(30, 40), "PNG"))  # would fit, but the large one was first
        behind.join(0.3)
        assert behind.is_alive()
    waits.join(10)
    behind.join(10)
    assert {facts.width for facts in outcomes} == {200, 300, 30}


def test_icon_waits_for_the_whole_room() -> None:
    source = icon(encoded(picture(8, 8), "PNG"))  # its plugin decodes it before it tells a size
    with opened(SAMPLES["png"][0]):
        waits = threading.Thread(target=examine, args=(source,), daemon=True)
        waits.start()
        waits.join(0.3)
        assert waits.is_alive()
    waits.join(10)
    assert not waits.is_alive()


def test_many_threads_with_growing_pages_never_wait_for_each_other() -> None:
    set_pixel_limit(100_000)
    source = bare_tiff([(10, 10), (250, 250), (300, 300)])
    outcomes: list[int] = []
    threads = [
        threading.Thread(target=lambda: outcomes.extend(examine(source).frames for _ in range(20)), daemon=True)
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == [3] * 120


def mutations(count: int) -> Iterator[bytes]:
    chance = random.Random(20261121)
    names = list(SMALL)
    for _ in range(count):
        source = bytearray(SMALL[chance.choice(names)])
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(source) if chance.random() < 0.5 else min(len(source), 200))
            match chance.randrange(3):
                case 0:
                    source[at : at + 4] = bytes([chance.choice((0, 127, 255))]) * 4
                case 1:
                    source[at] = chance.randrange(256)
                case 2:
                    del source[at : at + chance.randrange(1, 30)]
        yield bytes(source)


def test_hostile_bytes_pass_exactly_where_pillow_decodes_them() -> None:
    passed = 0
    for source in mutations(2000):
        try:
            examine(source, strict=True)
        except ImageError as error:
            pillow_paints = "its data ends before" in str(error) or error.detail in WARNINGS.values()
            assert error.reason == "too_many_pixels" or pillow_paints or not decodes(source), (error, source)
        else:
            passed += 1
            assert decodes(source), source
    assert 100 < passed < 1900
