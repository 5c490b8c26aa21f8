"""The motifs of the replica's pictures, drawn with Pillow alone.

A scene is a function `(rng, width, height) -> Image` and draws the same picture for the same state of *rng*.
Soft things (skies, glows, clouds) are drawn at the final size, shapes at twice the size and then reduced, which
smooths their edges at a fraction of the cost of drawing everything large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Scene = Callable[[Random, int, int], Image.Image]

# Skies from the top down to the horizon; the last colour is also the light that falls on things.
SKIES = (
    "1b2a49 4b4e7a b56a7a f4a26b ffe2a8",
    "0f3057 2f6f8f 7fc1c1 f2e3b6 fff4d6",
    "2d1b4e 6b2d73 c3447a ff8c6b ffd08a",
    "27496d 6d9dc5 b7d7e8 fbe8d3 fff6e5",
    "3a1c40 93385f e5674e f9b15c fde8b0",
    "14363f 2a6b66 7fb58a dfe3a5 fdf5cf",
    "283c63 6f74ab b99bc9 f0c3cf fff0e6",
)
FIELDS = (
    "0b132b 1c2541 3a506b 5bc0be f4fffd",
    "2b1055 7597de f2a1c2 ffd6a5 fff8e7",
    "03045e 0077b6 00b4d8 90e0ef fdfcdc",
    "1f2421 216869 49a078 9cc5a1 f1f7e7",
    "3d0e3b 8e2a5b e0566f ffa07a ffe9c9",
    "132a13 31572c 4f772d 90a955 ecf39e",
    "001219 0a9396 94d2bd ee9b00 ae2012",
    "5f0f40 9a031e fb8b24 e36414 0f4c5c",
)
PETALS = (
    "7a1040 d63a6e ff9ab5 fff1d0",
    "4b1d7a 8a4fd3 d9b8ff fff3b0",
    "8a2b06 f0662b ffc15e 5b2a12",
    "0c3c78 3c86d6 b5dcff fff6c2",
    "9b1c1c ef4444 ffb4a2 ffe08a",
    "7c5c00 f2b705 fff0a3 7a3b00",
    "8f8fa8 e9e6f2 ffffff f7c948",
)


def palette(text: str) -> list[Colour]:
    return [(int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in text.split()]


def _mix(a: Colour, b: Colour, t: float) -> Colour:
    t = min(1.0, max(0.0, t))
    red, green, blue = (round(x + (y - x) * t) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _ramp(colours: Sequence[Colour], t: float) -> Colour:
    place = min(0.9999, max(0.0, t)) * (len(colours) - 1)
    return _mix(colours[int(place)], colours[int(place) + 1], place % 1)


def _sky(colours: Sequence[Colour], width: int, height: int) -> Image.Image:
    column = Image.new("RGB", (1, height))
    column.putdata([_ramp(colours, y / height) for y in range(height)])
    return column.resize((width, height), Image.Resampling.NEAREST)


def _tint(grey: Image.Image, colours: Sequence[Colour]) -> Image.Image:
    """*grey* with black to white replaced by *colours*, first to last."""
    table = [_ramp(colours, level / 255) for level in range(256)]
    return Image.merge("RGB", [grey.point([c[channel] for c in table]) for channel in range(3)])


def _clouds(rng: Random, width: int, height: int, cells: tuple[int, int], octaves: int) -> Image.Image:
    """Value noise: random cells, smoothly enlarged, each octave twice as fine and half as strong."""
    size = (max(8, width // 3), max(8, height // 3))
    total: Image.Image | None = None
    for octave in range(octaves):
        columns, rows = (max(2, n * 2**octave) for n in cells)
        cell = Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows))
        layer = cell.resize(size, Image.Resampling.BICUBIC)
        total = layer if total is None else Image.blend(total, layer, 0.5 / octave**0.8)
    assert total is not None  # noqa: S101  # octaves is 1 or more
    low, high = total.getextrema()
    spread = max(1, int(high) - int(low))  # type: ignore[arg-type]  # "L" has one (low, high) pair
    return total.point([int(max(0, min(255, (v - low) * 255 / spread))) for v in range(256)]).resize(  # type: ignore[operator]  # the same
        (width, height), Image.Resampling.BILINEAR
    )


def _glow(image: Image.Image, at: Point, radius: float, colour: Colour, strength: float) -> None:
    r = max(2, round(radius))
    falloff = [round(255 * strength * max(0.0, 1 - d / 181) ** 2) for d in range(256)]
    mask = Image.radial_gradient("L").point(falloff).resize((2 * r, 2 * r), Image.Resampling.BILINEAR)
    image.paste(colour, (round(at[0]) - r, round(at[1]) - r), mask)


def _twice(image: Image.Image) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """The same picture at twice the size, exactly undone by `reduce(2)`, and a pen for it."""
    large = image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)
    return large, ImageDraw.Draw(large)


def _ridge(rng: Random, width: int, base: float, height: float, rough: float, waves: float) -> list[Point]:
    """A mountain line from edge to edge: sines of growing pitch, the finer the flatter."""
    parts = [(waves * 1.9**k * rng.uniform(0.8, 1.25), rng.random() * math.tau, rough**k) for k in range(7)]
    scale = height / sum(p[2] for p in parts)
    step = max(4, width // 220)
    return [
        (x, base - scale * sum(a * math.sin(f * x / width * math.tau + p) for f, p, a in parts))
        for x in range(-step, width + 2 * step, step)
    ]


def _disc(draw: ImageDraw.ImageDraw, at: Point, radius: float, fill: Colour | tuple[int, ...]) -> None:
    draw.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill=fill)


def _land(draw: ImageDraw.ImageDraw, line: Sequence[Point], width: int, height: int, fill: Colour) -> None:
    draw.polygon([*line, (width + 9, height), (-9, height)], fill=fill)


def _pine(draw: ImageDraw.ImageDraw, foot: Point, height: float, colour: Colour) -> None:
    x, y = foot
    for tier in range(5):
        top, half = y - height * (1 - tier * 0.14), height * (0.06 + tier * 0.045)
        draw.polygon([(x, top), (x + half, top + height * 0.3), (x - half, top + height * 0.3)], fill=colour)
    draw.rectangle((x - height * 0.02, y - height * 0.2, x + height * 0.02, y + 2), fill=colour)


def hills(rng: Random, width: int, height: int) -> Image.Image:
    """Layered hills in the haze, a low sun, often pines in front."""
    colours = palette(rng.choice(SKIES))
    sun = (rng.uniform(0.15, 0.85) * width, rng.uniform(0.28, 0.5) * height)
    sky = _sky(colours, width, height)
    veil = _clouds(rng, width, height, (2, 7), 4).point([max(0, v - 150) for v in range(256)])
    sky.paste(_mix(colours[-1], (255, 255, 255), 0.3), (0, 0), veil)
    _glow(sky, sun, width * 0.5, colours[-1], 0.75)
    _glow(sky, sun, width * 0.13, (255, 250, 230), 0.9)
    image, draw = _twice(sky)
    w, h = width * 2, height * 2
    _disc(draw, (sun[0] * 2, sun[1] * 2), width * rng.uniform(0.05, 0.09), _mix(colours[-1], (255, 255, 255), 0.6))
    layers, dark = rng.randint(5, 7), _mix(colours[0], (4, 8, 16), 0.55)
    hue = _mix(colours[-2], colours[1], 0.35)
    for k in range(layers):
        t = (k + 0.4) / (layers - 0.6)
        base = h * (0.5 + 0.45 * (k / (layers - 1)) ** 1.15)
        line = _ridge(rng, w, base, h * rng.uniform(0.09, 0.17), 0.42 + 0.12 * rng.random(), rng.uniform(0.7, 1.5))
        colour = _mix(hue, dark, t)
        _land(draw, line, w, h, colour)
        if k == layers - 1 and rng.random() < 0.7:
            for x, y in rng.sample(line, min(len(line), rng.randint(25, 60))):
                _pine(draw, (x, y + 8), h * rng.uniform(0.05, 0.13), colour)
        elif k < layers - 1:
            mist = Image.linear_gradient("L").point([v // 3 for v in range(256)]).resize((w, round(h * 0.22)))
            image.paste(_mix(colour, colours[-1], 0.55), (0, round(base - h * 0.02)), mist)
    return image.reduce(2)


def flower(
    draw: ImageDraw.ImageDraw, rng: Random, at: Point, radius: float, colours: Sequence[Colour], turn: float
) -> None:
    """One blossom of several rings of petals, the outer ones darker."""
    petals, rings = rng.choice([5, 6, 8, 8, 12, 13]), rng.randint(2, 4)
    slim, point = rng.uniform(0.75, 1.25), rng.uniform(0.5, 1.3)
    for ring in range(rings):
        reach = radius * (1 - ring / (rings + 0.6))
        half = reach * math.tan(math.pi / petals) * slim
        for k in range(petals):
            angle = turn + (k + ring / 2) * math.tau / petals
            c, s = math.cos(angle), math.sin(angle)
            for part, size in enumerate((1.0, 0.86, 0.5)):
                colour = _mix(colours[0], _mix(colours[1], colours[2], ring / rings), (0.55, 0.92, 1.0)[part])
                colour = _mix(colour, colours[2], 0.35 if part == 2 else 0)
                outline = []
                for i in range(17):
                    t = i / 16 * math.pi
                    along = reach * size * (1 - math.cos(t)) / 2
                    across = half * size * math.sin(t) ** point * 1.4
                    outline.append((along, across * (0.35 + 0.65 * along / reach)))
                outline += [(x, -y) for x, y in reversed(outline)]
                draw.polygon([(at[0] + x * c - y * s, at[1] + x * s + y * c) for x, y in outline], fill=colour)
    _disc(draw, at, radius * 0.15, _mix(colours[3], colours[0], 0.35))
    for k in range(34):
        far, angle = radius * 0.14 * math.sqrt(k / 34), k * 2.39996
        _disc(draw, (at[0] + far * math.cos(angle), at[1] + far * math.sin(angle)), radius * 0.016, colours[3])


def flowers(rng: Random, width: int, height: int) -> Image.Image:
    """A meadow: blossoms on stems before soft light."""
    greens = palette(
        rng.choice(["0d2b1d 2c5f3a 7aa95c dfe8a8", "12303a 2f6b62 86b58a f3ecc0", "2b1f3d 4f4a78 8f9bb3 f6dfd0"])
    )
    image = _sky(list(reversed(greens)), width, height)
    for _ in range(26):
        spot = (rng.random() * width, rng.random() * height)
        _glow(image, spot, rng.uniform(0.03, 0.14) * width, _ramp(greens[1:], rng.random()), 0.8)
    image, draw = _twice(image)
    w, h, kinds = width * 2, height * 2, [palette(c) for c in rng.sample(PETALS, 3)]
    for k in range(n := rng.randint(9, 16)):
        near = (k + 1) / n
        radius = h * (0.05 + 0.12 * near) * rng.uniform(0.8, 1.15)
        x, y = rng.uniform(0.03, 0.97) * w, h * (0.28 + 0.5 * near) + rng.gauss(0, h * 0.07)
        bend, stem = rng.gauss(0, w * 0.03), _mix(greens[2], greens[0], 0.25 + near / 2)
        path = [(x + bend * (i / 9) ** 2, y + (h * 1.02 - y) * i / 9) for i in range(10)]
        draw.line(path, fill=stem, width=max(3, round(radius * 0.06)), joint="curve")
        flower(draw, rng, (x, y), radius, kinds[k % 3], rng.random() * 6)
    return image.reduce(2)


def _polar(at: Point, angle: float, step: float, far: float, by: float) -> Point:
    return at[0] + far * math.cos(angle + by * step), at[1] + far * math.sin(angle + by * step)


def mandala(
    draw: ImageDraw.ImageDraw, rng: Random, at: Point, radius: float, colours: Sequence[Colour], turn: float
) -> None:
    """Rings of petals, dots and arcs with one rotational symmetry."""
    fold = rng.choice([8, 10, 12, 16])
    _disc(draw, at, radius, _mix(colours[0], colours[1], 0.5))
    rings = 8
    for ring in range(rings):
        outer, inner = radius * (1 - ring / rings) * 0.985, radius * (1 - (ring + 1.35) / rings)
        inner = max(inner, radius * 0.03)
        tone, other = _ramp(colours, rng.random()), _ramp(colours, rng.random())
        _disc(draw, at, outer, _mix(colours[ring % 2], colours[2], 0.12 * ring))
        kind, offset = rng.randrange(4), turn + (ring % 2) * math.pi / fold
        number = fold * (2 if kind == 2 and ring < 4 else 1)
        step = math.tau / number
        for k in range(number):
            angle, mid = offset + k * step, (outer + inner) / 2
            polar = partial(_polar, at, angle, step)
            if kind == 0:
                draw.polygon([polar(inner, 0), polar(mid, -0.46), polar(outer, 0), polar(mid, 0.46)], fill=tone)
                _disc(draw, polar(mid, 0), (outer - inner) * 0.2, other)
            elif kind == 1:
                swell = [(math.sin(i / 12 * math.pi) ** 0.6, i / 12 - 0.5) for i in range(13)]
                draw.polygon([polar(inner + (outer - inner) * far, by) for far, by in swell], fill=tone)
                _disc(draw, polar(mid, 0), (outer - inner) * 0.17, other)
            elif kind == 2:
                _disc(draw, polar(mid, 0), min((outer - inner) * 0.32, mid * step * 0.42), tone)
                _disc(draw, polar(mid, 0), min((outer - inner) * 0.15, mid * step * 0.2), other)
            else:
                draw.polygon([polar(inner, -0.5), polar(outer, 0), polar(inner, 0.5)], fill=tone)
                draw.line([polar(inner, 0.5), polar(outer, 1)], fill=other, width=4)
    _disc(draw, at, radius * 0.07, colours[-1])


def ornament(rng: Random, width: int, height: int) -> Image.Image:
    """A mandala on a ground that glows behind it."""
    colours = palette(rng.choice(FIELDS))
    image = _sky([_mix(colours[0], (0, 0, 0), 0.3), colours[1]], width, height)
    _glow(image, (width / 2, height / 2), max(width, height) * 0.6, colours[2], 0.8)
    image, draw = _twice(image)
    mandala(draw, rng, (width, height), min(width, height) * 0.93, colours, rng.random())
    return image.reduce(2)


def marble(rng: Random, width: int, height: int) -> Image.Image:
    """Folded bands of colour, like agate or oil on water."""
    colours = palette(rng.choice(FIELDS))
    field = _clouds(rng, width, height, (rng.randint(2, 4), rng.randint(2, 3)), 2).filter(ImageFilter.BoxBlur(4))
    turns = rng.uniform(3, 6)
    bands = field.point([round(127.5 + 127.5 * math.sin(v / 255 * math.tau * turns)) for v in range(256)])
    return _tint(Image.blend(bands, field, 0.4).filter(ImageFilter.BoxBlur(1)), colours)


def ribbons(rng: Random, width: int, height: int, phase: float = 0.0) -> Image.Image:
    """Waves of colour, one before the other; *phase* (0 to 1) moves them, and 1 is 0 again."""
    colours = palette(rng.choice(FIELDS))
    image = Image.new("RGB", (width * 2, height * 2), colours[-1])
    draw = ImageDraw.Draw(image)
    w, h, n = width * 2, height * 2, rng.randint(9, 14)
    p, q, f, g = rng.random() * 9, rng.random() * 9, rng.uniform(0.7, 1.4), rng.uniform(1.6, 2.6)
    step, moved = max(4, w // 90), phase * math.tau
    for k in range(n):
        t = k / (n - 1)
        line = []
        for x in range(-step, w + 2 * step, step):
            u = x / w * math.tau
            lift = math.sin(u * f + p + k * 0.42 + moved) + 0.5 * math.sin(u * g + q - k * 0.6 - moved)
            line.append((x, h * (0.06 + t * 0.95) + lift * h * 0.055 * (1 + t)))
        tone = _ramp(colours, 1 - t)
        _land(draw, [(x, y - h * 0.012) for x, y in line], w, h, _mix(tone, (255, 255, 255), 0.35))
        _land(draw, line, w, h, tone)
    return image.reduce(2)


SCENES: dict[str, Scene] = {
    "hills": hills,
    "flowers": flowers,
    "ornament": ornament,
    "marble": marble,
    "ribbons": ribbons,
}
