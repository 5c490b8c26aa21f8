from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

import imgcrawl
from imgcrawl.demo.pictures import FORMATS, FRAMES, picture, reduced
from imgcrawl.demo.scenes import SCENES


def opened(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


@pytest.mark.parametrize("scene", SCENES)
def test_each_scene_fills_its_picture_with_something_to_see(scene: str) -> None:
    image = opened(picture(f"{scene}/0", "JPEG", 150))
    assert max(image.size) == 150
    assert max(ImageStat.Stat(image).stddev) > 8
    assert ImageChops.difference(
        image.resize((60, 60)), opened(picture(f"{scene}/1", "JPEG", 150)).resize((60, 60))
    ).getbbox()


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_what_it_is_called(form: str) -> None:
    image = opened(picture("hills/1", form, 120))
    assert image.format == ("JPEG" if form == "ROTATED" else form)
    assert getattr(image, "n_frames", 1) == (FRAMES if form == "GIF" else 1)


def test_a_png_is_transparent_and_a_gif_moves() -> None:
    assert opened(picture(1, "PNG", 120)).getchannel("A").getextrema() == (0, 255)
    animation = opened(picture(1, "GIF", 120))
    first = animation.convert("RGB")
    animation.seek(FRAMES // 2)
    assert ImageChops.difference(first, animation.convert("RGB")).getbbox()


def test_a_rotated_picture_lies_on_its_side_until_exif_is_applied() -> None:
    upright, lying = opened(picture("hills/3", "JPEG", 150)), opened(picture("hills/3", "ROTATED", 150))
    assert lying.getexif()[0x0112] == 6
    turned = ImageOps.exif_transpose(lying)
    assert turned.size == upright.size == lying.size[::-1]
    assert max(ImageStat.Stat(ImageChops.difference(upright, turned)).mean) < 4


@pytest.mark.parametrize("form", FORMATS)
def test_a_reduced_copy_is_a_small_upright_webp(form: str) -> None:
    copy = opened(reduced("hills/3", form, 150, 40))
    assert copy.format == "WEBP"
    assert max(copy.size) == 40
    original = ImageOps.exif_transpose(opened(picture("hills/3", form, 150)))
    assert (copy.width > copy.height) == (original.width > original.height)


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from imgcrawl.demo.pictures import FORMATS, picture\n"
        "print(*(hashlib.sha256(picture(f'{s}', f, 90)).hexdigest() for f in FORMATS for s in ('hills/1', 7)))"
    )
    root = Path(imgcrawl.__file__).parents[1]
    runs = {
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True).stdout for _ in "ab"
    }
    assert len(runs) == 1
    assert len(set(runs.pop().split())) == 2 * len(FORMATS)
