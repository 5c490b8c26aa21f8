"""The motifs of the replica's pictures, drawn with Pillow alone.

A scene is a function `(rng, width, height) -> Image` and draws the same picture for the same state of *rng*.
Soft things (skies, glows, clouds) are drawn at the final size, shapes at twice the size and then reduced, which
smooths their edges at a fraction of the cost of drawing everything large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

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
    "4d2a3b a04d4a dd8b5e f5c98b fff0cc",
)
FIELDS = (
    "0b132b 1c2541 3a506b 5bc0be f4fffd",
    "2b1055 7597de f2a1c2 ffd6a5 fff8e7",
    "03045e 0077b6 00b4d8 90e0ef fdfcdc",
    "1f2421 216869 49a078 9cc5a1 f1f7e7",
    "3d0e3b 8e2a5b e0566f ffa07a ffe9c9",
    "22223b 4a4e69 9a8c98 c9ada7 f2e9e4",
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
    return (
        round(a[0] + (b[0] - a[0]) * t),
        round(a[1] + (b[1] - a[1]) * t),
        round(a[2] + (b[2] - a[2]) * t),
    )


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


def _clouds(rng: Random, width: int, height: int, cells: tuple[int, int], octaves: int = 4) -> Image.Image:
    """Value noise: random cells, smoothly enlarged, each octave twice as fine and half as strong."""
    size = (max(8, width // 3), max(8, height // 3))
    total: Image.Image | None = None
    for octave in range(octaves):
        columns, rows = (max(2, n * 2**octave) for n in cells)
        cell = Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows))
        layer = cell.resize(size, Image.Resampling.BICUBIC)
        total = layer if total is None else Image.blend(total, layer, (0.5, 0.28, 0.16, 0.1, 0.06)[min(octave, 5) - 1])
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


def _veil(width: int, height: int) -> Image.Image:
    """A mask from nothing at the top to a third at the bottom."""
    column = Image.linear_gradient("L").point([v // 3 for v in range(256)]).resize((1, max(1, height)))
    return column.resize((width, max(1, height)), Image.Resampling.NEAREST)


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


def _birds(rng: Random, draw: ImageDraw.ImageDraw, width: int, height: int, colour: Colour) -> None:
    cx, cy = rng.uniform(0.2, 0.8) * width, rng.uniform(0.15, 0.4) * height
    for _ in range(rng.randint(3, 8)):
        x, y, s = (
            cx + rng.gauss(0, width / 14),
            cy + rng.gauss(0, height / 18),
            width * rng.uniform(0.006, 0.013),
        )
        wings = [(x + dx * s, y + dy * s) for dx, dy in ((-1, -0.5), (-0.3, -0.35), (0, 0), (0.3, -0.35), (1, -0.5))]
        draw.line(wings, fill=colour, width=3, joint="curve")


def _sunny_sky(rng: Random, colours: Sequence[Colour], width: int, height: int, sun: Point) -> Image.Image:
    image = _sky(colours, width, height)
    veil = _clouds(rng, width, height, (2, 7)).point([max(0, v - 150) for v in range(256)])
    image.paste(_mix(colours[-1], (255, 255, 255), 0.3), (0, 0), veil)
    _glow(image, sun, width * 0.5, colours[-1], 0.75)
    _glow(image, sun, width * 0.13, (255, 250, 230), 0.9)
    return image


def hills(rng: Random, width: int, height: int) -> Image.Image:
    """Layered hills in the haze, a low sun, birds or pines."""
    colours = palette(rng.choice(SKIES))
    sun = (rng.uniform(0.15, 0.85) * width, rng.uniform(0.28, 0.5) * height)
    image, draw = _twice(_sunny_sky(rng, colours, width, int(height * 0.8), sun).crop((0, 0, width, height)))
    w, h = width * 2, height * 2
    _disc(
        draw,
        (sun[0] * 2, sun[1] * 2),
        width * rng.uniform(0.05, 0.09),
        _mix(colours[-1], (255, 255, 255), 0.6),
    )
    _birds(rng, draw, w, h, _mix(colours[0], colours[2], 0.3))
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
            mist = _veil(w, round(h * 0.22))
            image.paste(_mix(colour, colours[-1], 0.55), (0, round(base - h * 0.02)), mist)
    return image.reduce(2)


def sea(rng: Random, width: int, height: int) -> Image.Image:
    """The sun over water, its light in strokes on the waves, a sail, islands."""
    colours = palette(rng.choice(SKIES))
    horizon = round(height * rng.uniform(0.5, 0.62))
    sun = (rng.uniform(0.25, 0.75) * width, horizon - height * rng.uniform(0.02, 0.2))
    image = Image.new("RGB", (width, height))
    image.paste(_sunny_sky(rng, colours, width, horizon, sun))
    water = [_mix(c, (8, 28, 54), 0.35 + 0.1 * k) for k, c in enumerate(reversed(colours))]
    image.paste(_sky(water, width, height - horizon), (0, horizon))
    image, draw = _twice(image)
    w, h, y0 = width * 2, height * 2, horizon * 2
    above = image.crop((0, 0, w, y0))
    _disc(ImageDraw.Draw(above), (sun[0] * 2, sun[1] * 2), w * 0.045, _mix(colours[-1], (255, 255, 255), 0.6))
    image.paste(above)
    for k in range(rng.randint(1, 3)):
        line = _ridge(rng, w, y0 + 2, h * 0.05, 0.5, rng.uniform(0.5, 1.4))
        draw.polygon(
            [(x, min(y, y0)) for x, y in line] + [(w, y0), (0, y0)],
            fill=_mix(colours[1], colours[-2], 0.5 - 0.22 * k),
        )
    for _ in range(650):
        depth = rng.random() ** 1.6
        y = y0 + 3 + depth * (h - y0)
        away = rng.gauss(0, 0.035 + 0.13 * depth) if rng.random() < 0.6 else rng.uniform(-1, 1)
        x, half = sun[0] * 2 + away * w, w * (0.006 + 0.035 * depth) * rng.uniform(0.4, 1.3)
        shine = math.exp(-abs(away) * 7)
        colour = _mix(_ramp(water, depth * 0.9), _mix(colours[-1], (255, 255, 255), 0.4), 0.1 + 0.85 * shine)
        draw.ellipse((x - half, y - 1 - 2.5 * depth, x + half, y + 1 + 2.5 * depth), fill=colour)
    for _ in range(rng.randint(0, 2)):
        x, y, s = rng.uniform(0.1, 0.9) * w, y0 + h * rng.uniform(0.02, 0.12), h * rng.uniform(0.05, 0.1)
        hull = _mix(colours[0], (0, 0, 0), 0.4)
        draw.polygon(
            [
                (x - s * 0.45, y - s * 0.1),
                (x + s * 0.5, y - s * 0.1),
                (x + s * 0.3, y + s * 0.06),
                (x - s * 0.3, y + s * 0.06),
            ],
            fill=hull,
        )
        draw.polygon([(x, y - s * 1.2), (x, y - s * 0.14), (x + s * 0.48, y - s * 0.16)], fill=(250, 246, 235))
        draw.polygon(
            [(x - s * 0.04, y - s), (x - s * 0.04, y - s * 0.14), (x - s * 0.38, y - s * 0.15)],
            fill=_mix(colours[-2], (255, 255, 255), 0.3),
        )
    return image.reduce(2)


def _starry(rng: Random, width: int, height: int, colours: Sequence[Colour]) -> Image.Image:
    image = _sky(colours, width, height)
    band = _clouds(rng, width, height, (4, 3), 5).point([max(0, v - 90) for v in range(256)])
    slope, fade = rng.uniform(-0.5, 0.5), Image.new("L", (60, 40))
    fade.putdata(
        [
            round(255 * math.exp(-(((y - 17) / 40 - slope * (x - 30) / 60) ** 2) * 45))
            for y in range(40)
            for x in range(60)
        ]
    )
    image.paste(
        _mix(colours[-1], (240, 230, 255), 0.5),
        (0, 0),
        ImageChops.multiply(band, fade.resize((width, height))),
    )
    large, draw = _twice(image)
    for _ in range(420):
        x, y, r = rng.random() * width * 2, rng.random() ** 1.2 * height * 2, rng.random() ** 6 * 4 + 0.8
        tone = _mix(rng.choice([(255, 255, 255), (200, 220, 255), (255, 232, 200)]), colours[0], rng.random() * 0.6)
        _disc(draw, (x, y), r, tone)
        if r > 3.6:
            draw.line([(x - r * 4, y), (x + r * 4, y)], fill=_mix(tone, colours[1], 0.4))
            draw.line([(x, y - r * 4), (x, y + r * 4)], fill=_mix(tone, colours[1], 0.4))
    return large


NIGHTS = ("050816 101b3f 27366b 5b5a93", "04121f 0b2c48 1d5a73 5aa7a0", "0d0620 2a1250 57307a b0648f")


def night(rng: Random, width: int, height: int) -> Image.Image:
    """Stars, a band of milk, a moon, mountains and pines as shadows."""
    colours = palette(rng.choice(NIGHTS))
    image = _starry(rng, width, height, colours)
    w, h = width * 2, height * 2
    if rng.random() < 0.75:
        moon, r = (rng.uniform(0.15, 0.85) * w, rng.uniform(0.15, 0.4) * h), h * rng.uniform(0.04, 0.08)
        _glow(image, moon, r * 5, (220, 225, 255), 0.5)
        draw = ImageDraw.Draw(image)
        _disc(draw, moon, r, (250, 246, 226))
        for _ in range(7):
            angle, far = rng.random() * math.tau, rng.random() * 0.7 * r
            _disc(
                draw,
                (moon[0] + far * math.cos(angle), moon[1] + far * math.sin(angle)),
                r * rng.uniform(0.06, 0.2),
                (232, 226, 204),
            )
    draw = ImageDraw.Draw(image)
    for k in range(3):
        line = _ridge(rng, w, h * (0.74 + 0.1 * k), h * (0.14 - 0.03 * k), 0.55, rng.uniform(0.8, 1.8))
        shade = _mix(colours[1], (3, 5, 10), 0.3 + 0.33 * k)
        _land(draw, line, w, h, shade)
    for x, y in rng.sample(line, min(len(line), 70)):
        _pine(draw, (x, y + 10), h * rng.uniform(0.06, 0.17), shade)
    return image.reduce(2)


def aurora(rng: Random, width: int, height: int) -> Image.Image:
    """Curtains of light over a lake that mirrors them."""
    shore = round(height * 0.7)
    image = _starry(rng, width, shore, palette("030814 06182b 0b2f3f 114a4a"))
    light = Image.new("RGB", (120, 66))
    greens = rng.choice(
        [
            ((90, 255, 170), (150, 80, 255)),
            ((60, 240, 220), (255, 90, 180)),
            ((160, 255, 110), (60, 120, 255)),
        ]
    )
    curtain = [(_mix(*greens, k / 32), max(0.0, 1 - k / 41) ** 1.7 * 0.8) for k in range(41)]
    pixels = [(0, 0, 0)] * (120 * 66)
    for _ in range(3):
        a, b, p, q, foot = (
            rng.uniform(3, 9),
            rng.uniform(1, 4),
            rng.random() * 9,
            rng.random() * 9,
            rng.uniform(30, 56),
        )
        for x in range(120):
            base = foot + a * math.sin(x / 23 + p) + b * math.sin(x / 7.5 + q)
            ray = 0.35 + 0.65 * abs(math.sin(x / 3.5 + 3 * math.sin(x / 11 + q)) * math.sin(x / 29 + p))
            for k, (tone, force) in enumerate(curtain):
                y = int(base) - k
                if 0 <= y < 66:
                    r, g, b_ = pixels[y * 120 + x]
                    shine = force * ray * min(1.0, 0.25 + k * 0.35)
                    pixels[y * 120 + x] = (
                        int(r + tone[0] * shine),
                        int(g + tone[1] * shine),
                        int(b_ + tone[2] * shine),
                    )
    pixels = [(min(255, r), min(255, g), min(255, b_)) for r, g, b_ in pixels]
    light.putdata(pixels)
    image = ImageChops.screen(image.reduce(2), light.resize((width, shore), Image.Resampling.BICUBIC))
    line = _ridge(rng, width * 2, shore * 1.86, shore * 0.28, 0.5, rng.uniform(0.8, 1.6))
    large, draw = _twice(image)
    _land(draw, line, width * 2, shore * 2, (4, 12, 20))
    whole = Image.new("RGB", (width, height), (3, 10, 18))
    whole.paste(large.reduce(2))
    mirror = whole.crop((0, 2 * shore - height, width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirror = mirror.resize((width, max(1, (height - shore) // 6))).resize(
        (width, height - shore), Image.Resampling.BICUBIC
    )
    whole.paste(Image.blend(mirror, Image.new("RGB", mirror.size, (3, 10, 22)), 0.35), (0, shore))
    return whole


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
                    along, across = (
                        reach * size * (1 - math.cos(t)) / 2,
                        half * size * math.sin(t) ** point * 1.4,
                    )
                    across *= 0.35 + 0.65 * along / reach
                    outline.append((along, across))
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
        for i in (4, 6):
            side = rng.choice([-1, 1]) * radius
            lx, ly = path[i]
            draw.polygon(
                [
                    (lx, ly),
                    (lx + side * 0.4, ly - radius * 0.45),
                    (lx + side, ly - radius * 0.5),
                    (lx + side * 0.6, ly - radius * 0.08),
                ],
                fill=_mix(stem, greens[2], 0.3),
            )
        flower(draw, rng, (x, y), radius, kinds[k % 3], rng.random() * 6)
    return image.reduce(2)


def mandala(
    draw: ImageDraw.ImageDraw,
    rng: Random,
    at: Point,
    radius: float,
    colours: Sequence[Colour],
    turn: float = 0,
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
        for k in range(fold * (2 if kind == 2 and ring < 4 else 1)):
            step = math.tau / (fold * (2 if kind == 2 and ring < 4 else 1))
            angle, mid = offset + k * step, (outer + inner) / 2

            def polar(far: float, by: float, angle: float = angle, step: float = step) -> Point:
                return at[0] + far * math.cos(angle + by * step), at[1] + far * math.sin(angle + by * step)

            if kind == 0:
                draw.polygon([polar(inner, 0), polar(mid, -0.46), polar(outer, 0), polar(mid, 0.46)], fill=tone)
                draw.polygon(
                    [
                        polar(mid * 0.96, 0),
                        polar(mid * 1.02, -0.2),
                        polar(outer * 0.97, 0),
                        polar(mid * 1.02, 0.2),
                    ],
                    fill=other,
                )
            elif kind == 1:
                arc = [
                    polar(inner + (outer - inner) * math.sin(i / 12 * math.pi) ** 0.6, i / 12 - 0.5) for i in range(13)
                ]
                draw.polygon(arc, fill=tone)
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


def bokeh(rng: Random, width: int, height: int) -> Image.Image:
    """Lights of a city out of focus."""
    colours = palette(rng.choice(FIELDS))
    lamps = [
        *palette(
            rng.choice(
                (
                    "ff9f1c ff4d6d ffd166",
                    "4cc9f0 7b2ff7 f72585",
                    "06d6a0 ffd166 ef476f",
                    "ffb703 fb8500 8ecae6",
                )
            )
        ),
        colours[3],
    ]
    image = _sky(
        [
            _mix(colours[0], (0, 0, 0), 0.6),
            _mix(colours[1], (0, 0, 0), 0.45),
            _mix(colours[0], (0, 0, 0), 0.5),
        ],
        width,
        height,
    )
    for layer in range(3):
        light = Image.new("RGB", (width, height))
        draw = ImageDraw.Draw(light)
        for _ in range(26):
            at = (rng.random() * width, rng.gauss(0.55, 0.22) * height)
            r, tone = width * rng.uniform(0.012, 0.03) * (1 + layer), _ramp(lamps, rng.random())
            draw.ellipse(
                (at[0] - r, at[1] - r, at[0] + r, at[1] + r),
                fill=_mix((0, 0, 0), tone, 0.45),
                outline=_mix((0, 0, 0), tone, 0.75),
                width=max(1, round(r / 11)),
            )
        image = ImageChops.screen(image, light.filter(ImageFilter.BoxBlur(1 + 2 * (2 - layer))))
    return image


def marble(rng: Random, width: int, height: int) -> Image.Image:
    """Folded bands of colour, like agate or oil on water."""
    colours = palette(rng.choice(FIELDS))
    field = _clouds(rng, width, height, (rng.randint(2, 4), rng.randint(2, 3)), 2).filter(ImageFilter.BoxBlur(4))
    turns = rng.uniform(3, 6)
    bands = field.point([round(127.5 + 127.5 * math.sin(v / 255 * math.tau * turns)) for v in range(256)])
    return _tint(Image.blend(bands, field, 0.4).filter(ImageFilter.BoxBlur(1)), colours)


def seigaiha(rng: Random, width: int, height: int) -> Image.Image:
    """The pattern of overlapping waves."""
    colours = palette(rng.choice(FIELDS))
    image = Image.new("RGB", (width * 2, height * 2), colours[0])
    draw = ImageDraw.Draw(image)
    r = width * rng.uniform(0.1, 0.17)
    field = _clouds(rng, 64, 64, (2, 2), 2)
    for row in range(-1, round(height * 4 / r) + 3):
        for column in range(-1, round(width / r) + 2):
            at = (column * 2 * r + (row % 2) * r, row * r * 0.5)
            light = field.getpixel(
                (min(63, max(0, int(at[0] / width * 31))), min(63, max(0, int(at[1] / height * 31))))
            )
            t = float(light) / 255  # type: ignore[arg-type]  # a grey image has one number a pixel
            for k in range(5):
                tone = (
                    _mix(_ramp(colours, t), colours[-1], 0.75)
                    if k % 2 == 0
                    else _mix(_ramp(colours[:4], t), colours[0], k * 0.08)
                )
                _disc(draw, at, r * (1 - k * 0.2) * 0.99, tone)
    return image.reduce(2)


def facets(rng: Random, width: int, height: int) -> Image.Image:
    """A landscape folded from paper triangles."""
    colours = palette(rng.choice(SKIES + FIELDS))
    image = Image.new("RGB", (width * 2, height * 2))
    draw = ImageDraw.Draw(image)
    columns, rows = rng.randint(14, 22), rng.randint(9, 14)
    dx, dy = width * 2 / columns, height * 2 / rows
    grid = [
        [((x + rng.uniform(-0.36, 0.36)) * dx, (y + rng.uniform(-0.36, 0.36)) * dy) for x in range(-1, columns + 3)]
        for y in range(-1, rows + 3)
    ]
    sun = (rng.random() * width * 2, rng.uniform(0.1, 0.5) * height * 2)
    for upper, lower in pairwise(grid):
        for (a, b), (c, d) in zip(pairwise(upper), pairwise(lower), strict=True):
            for corners in ((a, b, c), (b, d, c)) if rng.random() < 0.5 else ((a, b, d), (a, d, c)):
                x, y = (sum(p[i] for p in corners) / 3 for i in (0, 1))
                near = math.hypot(x - sun[0], y - sun[1]) / (width * 1.6)
                tone = _ramp(colours, 1 - near * 0.75 - 0.2 * y / height / 2 + rng.gauss(0, 0.06))
                draw.polygon(corners, fill=_mix(tone, (255, 255, 255), rng.random() * 0.12))
    return image.reduce(2)


def city(rng: Random, width: int, height: int) -> Image.Image:
    """A skyline at dusk with lit windows, mirrored in a river."""
    colours = palette(rng.choice(SKIES))
    shore = round(height * 0.72)
    image, draw = _twice(_sunny_sky(rng, colours, width, shore, (width * rng.uniform(0.2, 0.8), shore * 0.85)))
    w, h = width * 2, shore * 2
    for layer in range(3):
        tone, x = _mix(colours[2], (10, 12, 30), 0.35 + 0.3 * layer), -20.0
        while x < w:
            wide = w * rng.uniform(0.025, 0.065)
            tall = h * rng.betavariate(2, 3 + layer) * (0.95 - 0.12 * layer) + h * 0.06
            draw.rectangle((x, h - tall, x + wide, h), fill=tone)
            if rng.random() < 0.3:
                draw.polygon(
                    [
                        (x, h - tall),
                        (x + wide / 2, h - tall - wide * rng.uniform(0.4, 1.2)),
                        (x + wide, h - tall),
                    ],
                    fill=tone,
                )
            elif rng.random() < 0.3:
                draw.line([(x + wide / 2, h - tall), (x + wide / 2, h - tall - wide)], fill=tone, width=4)
            if layer:
                pane = w / 210
                for i in range(1, int(wide / pane / 1.7)):
                    for j in range(1, int(tall / pane / 2.2)):
                        if rng.random() < 0.4:
                            px, py = x + i * pane * 1.7, h - tall + j * pane * 2.2
                            draw.rectangle(
                                (px, py, px + pane * 0.7, py + pane),
                                fill=_mix(
                                    tone,
                                    rng.choice([(255, 220, 140), (255, 244, 214), (160, 210, 255)]),
                                    0.75,
                                ),
                            )
            x += wide * rng.uniform(0.95, 1.5)
    whole = Image.new("RGB", (width, height))
    whole.paste(image.reduce(2))
    river = whole.crop((0, 2 * shore - height, width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    river = river.filter(ImageFilter.BoxBlur(2))
    ripple = [
        (y, round(width * 0.006 * math.sin(y / 2.3) * (0.4 + y / river.height))) for y in range(0, river.height, 2)
    ]
    for y, by in ripple:
        strip = river.crop((0, y, width, y + 2))
        river.paste(ImageChops.offset(strip, by, 0), (0, y))
    whole.paste(Image.blend(river, Image.new("RGB", river.size, _mix(colours[0], (5, 10, 25), 0.5)), 0.35), (0, shore))
    return whole


def planet(rng: Random, width: int, height: int) -> Image.Image:
    """A banded planet with its ring and moons."""
    image = _starry(rng, width, height, palette(rng.choice(NIGHTS)))
    colours, w, h = palette(rng.choice(FIELDS)), width * 2, height * 2
    at, r = (
        (w * rng.uniform(0.35, 0.65), h * rng.uniform(0.42, 0.58)),
        round(min(w, h) * rng.uniform(0.2, 0.3)),
    )
    _glow(image, at, r * 2.0, colours[3], 0.55)
    tilt = rng.uniform(-28, 28)
    tones = [
        _mix(_ramp(colours[2:], rng.random()), (255, 255, 255), 0.2) for _ in range(22 if rng.random() < 0.7 else 0)
    ]

    def ring(half: float) -> None:
        draw, c, s = ImageDraw.Draw(image), math.cos(math.radians(-tilt)), math.sin(math.radians(-tilt))
        for k, tone in enumerate(tones):
            a = r * (2.2 - k * 0.035)
            arc = [
                (a * math.cos(half + i * math.pi / 60), a * 0.24 * math.sin(half + i * math.pi / 60)) for i in range(61)
            ]
            draw.line(
                [(at[0] + x * c - y * s, at[1] + x * s + y * c) for x, y in arc],
                fill=tone,
                width=max(2, r // 50),
            )

    ring(math.pi)
    bands = _clouds(rng, r, r, (1, 9), 4).rotate(tilt, Image.Resampling.BILINEAR, fillcolor=120)
    ball = _tint(bands, colours).resize((2 * r, 2 * r))
    side = rng.choice([-1, 1])
    shade = Image.new("L", (48, 48))
    shade.putdata(
        [
            round(255 * min(0.92, max(0.0, (math.hypot(x - 24 - side * 9, y - 15) - 8) / 30)))
            for y in range(48)
            for x in range(48)
        ]
    )
    ball.paste((3, 4, 14), (0, 0), shade.resize(ball.size, Image.Resampling.BICUBIC))
    mask = Image.new("L", ball.size)
    _disc(ImageDraw.Draw(mask), (r, r), r - 1, (255,))
    image.paste(ball, (round(at[0]) - r, round(at[1]) - r), mask)
    ring(0.0)
    for _ in range(rng.randint(1, 3)):
        moon, s = (rng.random() * w, rng.random() * h), h * rng.uniform(0.008, 0.03)
        draw = ImageDraw.Draw(image)
        _disc(draw, moon, s, _mix(colours[-1], (255, 255, 255), 0.3))
        _disc(
            draw,
            (moon[0] - side * s * 0.35, moon[1] + s * 0.3),
            s * 0.85,
            _mix(colours[2], (20, 20, 40), 0.5),
        )
    return image.reduce(2)


def ribbons(rng: Random, width: int, height: int, phase: float = 0.0) -> Image.Image:
    """Waves of colour, one before the other; *phase* (0 to 1) moves them, and 1 is 0 again."""
    colours = palette(rng.choice(FIELDS))
    image = Image.new("RGB", (width * 2, height * 2), colours[-1])
    draw = ImageDraw.Draw(image)
    w, h, n = width * 2, height * 2, rng.randint(9, 14)
    p, q, f, g = rng.random() * 9, rng.random() * 9, rng.uniform(0.7, 1.4), rng.uniform(1.6, 2.6)
    step = max(4, w // 90)
    for k in range(n):
        t = k / (n - 1)
        line = []
        for x in range(-step, w + 2 * step, step):
            u = x / w * math.tau
            lift = math.sin(u * f + p + k * 0.42 + phase * math.tau) + 0.5 * math.sin(
                u * g + q - k * 0.6 - phase * math.tau
            )
            line.append((x, h * (0.06 + t * 0.95) + lift * h * 0.055 * (1 + t)))
        tone = _ramp(colours, 1 - t)
        _land(draw, [(x, y - h * 0.012) for x, y in line], w, h, _mix(tone, (255, 255, 255), 0.35))
        _land(draw, line, w, h, tone)
    return image.reduce(2)


def blossom(rng: Random, width: int, height: int) -> Image.Image:
    """A branch in spring, petals in the wind."""
    ground = palette(
        rng.choice(["f7d9e3 fbeef0 fff9f2", "bcd9ea e6f1f5 fff7f0", "2a2440 574a6e b98aa0", "e8e0c9 f6f0e0 fffaf0"])
    )
    pinks = palette("c94f7c ee8fb0 ffd3e0 fff3f6")
    image = _sky(ground, width, height)
    _glow(image, (width * rng.random(), height * 0.3), width * 0.5, (255, 250, 240), 0.7)
    image, draw = _twice(image)
    w, h, tips, bark = width * 2, height * 2, [], (62, 40, 46)
    left = rng.random() < 0.5

    def grow(x: float, y: float, angle: float, length: float, thick: float) -> None:
        if thick < 2.2:
            tips.append((x, y))
            return
        for _ in range(3):
            angle += rng.gauss(0, 0.16)
            nx, ny = x + length / 3 * math.cos(angle), y + length / 3 * math.sin(angle)
            draw.line([(x, y), (nx, ny)], fill=bark, width=round(thick))
            _disc(draw, (nx, ny), thick / 2, bark)
            x, y, thick = nx, ny, thick * 0.94
            tips.append((x + rng.gauss(0, 6), y + rng.gauss(0, 6)))
        for side in (-1, 1):
            if rng.random() < 0.92:
                grow(
                    x,
                    y,
                    angle + side * rng.uniform(0.2, 0.62),
                    length * rng.uniform(0.68, 0.86),
                    thick * 0.66,
                )

    grow(
        -10 if left else w + 10,
        h * rng.uniform(0.45, 0.9),
        -0.35 if left else math.pi + 0.35,
        w * 0.2,
        h * 0.032,
    )
    for x, y in rng.sample(tips, min(len(tips), 150)) + [(rng.random() * w, rng.random() * h) for _ in range(24)]:
        r, turn, tone = h * rng.uniform(0.009, 0.021), rng.random() * 6, _ramp(pinks, rng.random())
        for k in range(5):
            a = turn + k * math.tau / 5
            _disc(
                draw,
                (x + r * 0.75 * math.cos(a), y + r * 0.75 * math.sin(a)),
                r * 0.6,
                _mix(tone, (255, 255, 255), 0.12 * (k % 3)),
            )
        _disc(draw, (x, y), r * 0.28, (214, 92, 118))
    return image.reduce(2)


def balloon(draw: ImageDraw.ImageDraw, at: Point, r: float, colours: Sequence[Colour]) -> None:
    """A striped hot-air balloon with its basket."""
    x, y = at
    stripes = 9
    for k in range(stripes):
        span = 1 - k / stripes * 2
        outline = []
        for i in range(25):
            t = i / 24
            half = (
                r * math.sqrt(max(0.0, 1 - (2 * t - 1) ** 2))
                if t < 0.55
                else r * 0.995 * (1 - ((t - 0.55) / 0.45) ** 1.4 * 0.78)
            )
            outline.append((half, y - r + t * r * 2.25))
        shape = [(x + half * span, v) for half, v in outline] + [
            (x + half * (span - 2 / stripes), v) for half, v in reversed(outline)
        ]
        draw.polygon(shape, fill=_mix(colours[k % len(colours)], (20, 10, 40), abs(k - 5) * 0.045))
    for side in (-0.16, 0.16):
        draw.line(
            [(x + side * r * 1.3, y + r * 1.22), (x + side * r * 0.8, y + r * 1.6)],
            fill=(70, 50, 40),
            width=3,
        )
    draw.rectangle((x - r * 0.15, y + r * 1.58, x + r * 0.15, y + r * 1.8), fill=(112, 74, 44))


def balloons(rng: Random, width: int, height: int) -> Image.Image:
    """Hot-air balloons over hills in the morning."""
    image, draw = _twice(hills(rng, width, height))
    for k in range(n := rng.randint(4, 8)):
        r = height * (0.03 + 0.16 * ((k + 1) / n) ** 2)
        at = (rng.uniform(0.06, 0.94) * width * 2, rng.uniform(0.12, 0.55) * height * 2)
        balloon(draw, at, r, palette(rng.choice(FIELDS + PETALS))[1:4])
    return image.reduce(2)


def strings(rng: Random, width: int, height: int) -> Image.Image:
    """One closed curve drawn again and again, each time a little turned and smaller: threads of light."""
    colours = palette(rng.choice(FIELDS))
    image = _sky([_mix(colours[0], (0, 0, 0), 0.65), _mix(colours[1], (0, 0, 0), 0.5)], width, height)
    _glow(image, (width / 2, height / 2), width * 0.5, colours[2], 0.4)
    image, draw = _twice(image)
    lobes, turns, twist, depth = (
        rng.randint(3, 9),
        rng.randint(40, 64),
        rng.uniform(0.4, 1.4),
        rng.uniform(0.15, 0.45),
    )
    second, shift = rng.choice([2, 3, 4]) * lobes, rng.random() * math.tau
    for k in range(turns):
        t = k / turns
        reach, turn = min(width, height) * (1.02 - 0.93 * t), shift + twist * t * 2
        curve = []
        for i in range(241):
            angle = i / 240 * math.tau
            far = (
                reach
                * (1 + depth * math.cos(lobes * (angle + turn)) + 0.08 * math.cos(second * (angle - turn)))
                / (1 + depth)
            )
            curve.append(
                (
                    width + far * 1.25 * math.cos(angle + turn / 3),
                    height + far * 0.93 * math.sin(angle + turn / 3),
                )
            )
        draw.line(curve, fill=_ramp(colours[1:], t), width=3, joint="curve")
    return image.reduce(2)


SCENES: dict[str, Scene] = {
    "hills": hills,
    "sea": sea,
    "night": night,
    "aurora": aurora,
    "flowers": flowers,
    "ornament": ornament,
    "bokeh": bokeh,
    "marble": marble,
    "seigaiha": seigaiha,
    "facets": facets,
    "city": city,
    "planet": planet,
    "ribbons": ribbons,
    "blossom": blossom,
    "balloons": balloons,
    "strings": strings,
}
