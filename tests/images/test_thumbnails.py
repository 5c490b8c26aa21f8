from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from imgcrawl.exceptions import ImageError
from imgcrawl.images.room import set_pixel_limit
from imgcrawl.images.thumbnails import thumbnail
from tests.images.pictures import encoded, picture, samples, translucent

SAMPLES = samples()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def made(source: bytes, size: tuple[int, int] = (80, 80)) -> tuple[Image.Image, str]:
    data, extension = thumbnail(source, size)
    image = Image.open(io.BytesIO(data))
    assert {"JPEG": ".jpg", "PNG": ".png"}[image.format or ""] == extension
    image.load()
    return image, extension


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of the pixels of two images, each made as large as the first."""
    other = other.convert(one.mode).resize(one.size, Image.Resampling.LANCZOS)
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "png 16 bits"])
def test_every_format(name: str) -> None:
    image, extension = made(SAMPLES[name][0])
    alpha = name in {"png alpha", "webp lossless"}
    assert image.size == (80, 60)
    assert extension == (".png" if alpha else ".jpg")
    if name != "pbm":
        assert difference(image.convert("L"), picture(mode="L") if not alpha else translucent()) < 10


def test_never_larger() -> None:
    assert made(SAMPLES["png"][0], (1000, 1000))[0].size == (160, 120)
    assert made(encoded(picture(400, 2), "PNG"), (40, 40))[0].size == (40, 1)


def quarters(mode: str = "RGB") -> Image.Image:
    """Return an image that shows which way is up: red, green above blue, white."""
    image = Image.new("RGB", (2, 2))
    for at, colour in {(0, 0): "red", (1, 0): "lime", (0, 1): "blue", (1, 1): "white"}.items():
        image.putpixel(at, Image.new("RGB", (1, 1), colour).getpixel((0, 0)) or 0)
    return image.resize((200, 100), Image.Resampling.NEAREST).convert(mode)


UNDO: dict[int, Any] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", UNDO)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_upright(format_: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, _ = made(encoded(quarters().transpose(UNDO[orientation]), format_, exif=exif), (100, 30))
    assert image.size == (60, 30)
    assert difference(image, quarters()) < 12
    assert image.getexif().get(0x0112, 1) == 1


def test_broken_exif_is_no_matter() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40
    assert made(encoded(picture(), "JPEG", exif=exif))[0].size == (80, 60)


def test_metadata_is_left_behind() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    image, _ = made(encoded(picture(), "JPEG", exif=exif, comment=b"who I am", xmp=b"<x/>"))
    assert not {"exif", "comment", "xmp"} & set(image.info)


def test_profile_is_kept_where_it_still_fits() -> None:
    for format_ in ("JPEG", "PNG", "WEBP"):
        assert made(encoded(picture(), format_, icc_profile=SRGB))[0].info["icc_profile"] == SRGB
    assert made(encoded(translucent(), "PNG", icc_profile=SRGB))[0].info["icc_profile"] == SRGB
    assert "icc_profile" not in made(encoded(picture(mode="L"), "JPEG", icc_profile=SRGB))[0].info
    assert "icc_profile" not in made(encoded(picture(mode="CMYK"), "JPEG", icc_profile=b"broken" * 30))[0].info


def test_16_bits_are_scaled_not_clipped() -> None:
    for format_ in ("PNG", "TIFF"):
        ramp = Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16")
        image, _ = made(encoded(ramp, format_), (64, 64))
        assert difference(image, Image.linear_gradient("L")) < 3


def test_floats_are_stretched() -> None:
    ramp = Image.linear_gradient("L").convert("F").point(lambda value: value * 1000 + 5)
    assert difference(made(encoded(ramp, "TIFF"), (64, 64))[0], Image.linear_gradient("L")) < 3
    nothing = Image.new("F", (9, 9), float("nan"))
    assert made(encoded(nothing, "TIFF"))[0].size == (9, 9)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGBA", {}),
        ("LA", {}),
        ("P", {"transparency": 0}),
        ("P", {"transparency": bytes([0]) + bytes([255]) * 200}),
        ("L", {"transparency": 0}),
        ("1", {"transparency": 0}),
        ("I;16", {"transparency": 0}),
        ("RGB", {"transparency": (0, 0, 0)}),
    ],
)
def test_transparency_is_kept(mode: str, options: dict[str, Any]) -> None:
    image = Image.new("L", (100, 100), 0)
    image.paste(255, (50, 0, 100, 100))
    if mode in {"RGBA", "LA"}:
        image.putalpha(image.copy())
    elif mode == "P":
        image.putpalette([0, 0, 0] * 255 + [255, 255, 255])
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257)
    if mode not in {"L", "P"}:
        image = image.convert(mode)
    small, extension = made(encoded(image, "PNG", **options), (50, 50))
    assert extension == ".png"
    alpha = small.getchannel("A")
    assert (alpha.getpixel((5, 25)), alpha.getpixel((45, 25))) == (0, 255)
    assert small.convert("RGB").getpixel((45, 25)) != (0, 0, 0)


def test_opaque_alpha_needs_no_png() -> None:
    assert made(encoded(picture(mode="RGBA"), "PNG"))[1] == ".jpg"


@pytest.mark.parametrize(
    ("source", "reason"), [(b"", "empty"), (b"<html>", "html"), (SAMPLES["jpeg"][0][:2000], "truncated")]
)
def test_errors_are_reasons(source: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        thumbnail(source, (80, 80))
    assert caught.value.reason == reason


def test_pixel_limit_holds() -> None:
    set_pixel_limit(160 * 120 - 1)
    with pytest.raises(ImageError, match="too_many_pixels"):
        thumbnail(SAMPLES["png"][0], (80, 80))
