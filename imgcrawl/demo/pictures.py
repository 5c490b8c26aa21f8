"""Pictures made by code: the same seed gives the same bytes."""

from __future__ import annotations

import io
from functools import lru_cache
from random import Random

from PIL import ExifTags, Image, ImageDraw

from imgcrawl.demo.scenes import FIELDS, PETALS, SCENES, flower, mandala, palette, ribbons

# How a picture can be encoded, and the usual ending of its name. "ROTATED" is a JPEG whose pixels lie on their
# side until EXIF's orientation is applied.
FORMATS = {"JPEG": "jpg", "ROTATED": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif"}
SHAPES = ((3, 2), (3, 2), (16, 9), (4, 3), (1, 1), (2, 3))  # width to height
FRAMES = 10  # of an animated GIF


@lru_cache(maxsize=2048)
def picture(seed: int | str, format: str, width: int = 900) -> bytes:
    """The picture of *seed*, encoded as *format* (a key of `FORMATS`), about *width* pixels wide.

    A seed like ``"hills/7"`` names the scene (a key of `scenes.SCENES`), any other seed draws one by lot. PNGs
    are cut-outs on transparent ground, GIFs are animations of 10 frames at 0.4 of the width.
    """
    rng = Random(f"{seed}")
    named = f"{seed}".partition("/")[0]
    scene = SCENES[named if named in SCENES else rng.choice(list(SCENES))]
    across, down = rng.choice(SHAPES)
    size = (width, round(width * down / across)) if across >= down else (round(width * across / down), width)
    # Two seeds may draw the same picture, at small sizes above all, but must not give the same bytes.
    exif, out = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.ImageDescription] = ascii(seed)
    if format == "PNG":
        _cutout(rng, round(width * 0.6)).save(out, "PNG", compress_level=4, exif=exif)
    elif format == "GIF":
        first, *others = _animation(rng, round(width * 0.4))
        first.save(out, "GIF", save_all=True, append_images=others, duration=90, loop=0, comment=ascii(seed))
    elif format == "WEBP":
        scene(rng, *size).save(out, "WEBP", quality=78, method=1, exif=exif)
    elif format == "AVIF":
        scene(rng, *size).save(out, "AVIF", quality=60, speed=10, max_threads=1, exif=exif)
    else:
        image = scene(rng, *size)
        if format == "ROTATED":
            exif[ExifTags.Base.Orientation] = 6
            image = image.transpose(Image.Transpose.ROTATE_90)
        image.save(out, "JPEG", quality=rng.choice((80, 85, 90)), progressive=rng.random() < 0.3, exif=exif)
    return out.getvalue()


@lru_cache(maxsize=2048)
def reduced(seed: int | str, format: str, width: int, to: int) -> bytes:
    """`picture(seed, format, width)` as a still WebP at most *to* pixels wide and high, upright."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture(seed, format, width))) as image:
        image.draft("RGB", (2 * to, 2 * to))
        upright = image.convert("RGBA" if format == "PNG" else "RGB")
        if format == "ROTATED":
            upright = upright.transpose(Image.Transpose.ROTATE_270)
        upright.thumbnail((to, to))
        upright.save(out, "WEBP", quality=80, method=0)
    return out.getvalue()


def _cutout(rng: Random, width: int) -> Image.Image:
    image = Image.new("RGBA", (width * 2, width * 2))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        mandala(draw, rng, (width, width), width * 0.96, palette(rng.choice(FIELDS)), rng.random())
    else:
        flower(draw, rng, (width, width), width * 0.8, palette(rng.choice(PETALS)), rng.random() * 6)
    return image.reduce(2)


def _animation(rng: Random, width: int) -> list[Image.Image]:
    key = rng.random()
    frames = [ribbons(Random(key), width, width * 2 // 3, step / FRAMES) for step in range(FRAMES)]
    shared = frames[0].quantize(64)
    return [frame.quantize(palette=shared, dither=Image.Dither.NONE) for frame in frames]
