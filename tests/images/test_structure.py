"""Less than decoding (IMAGES_VERIFY): what is whole to the eye is told as decoding tells it, all else is decoded."""

from __future__ import annotations

import random
import struct
import time
import zlib
from dataclasses import replace

import pytest

from imgcrawl.exceptions import ImageError
from imgcrawl.images import jpeg
from imgcrawl.images.structure import outline
from imgcrawl.images.verify import DEPTHS, Facts, examine
from tests.images.pictures import bare_gif, encoded, picture, samples, translucent

LESS = [depth for depth in DEPTHS if depth != "decode"]
SAMPLES = samples(61, 47)
# Whose parts are not known here.
DECODED = {"mpo", "avif animated", "jpeg 2000", "jpeg 2000 codestream", "ppm", "pgm", "pbm", "tga", "qoi"}


def told(source: bytes, depth: str, **options: int) -> Facts | tuple[str, str]:
    """The facts, or the reason and the sentence."""
    try:
        return examine(source, depth=depth, **options)
    except ImageError as error:
        return error.reason, error.detail


def refused(source: bytes, depth: str) -> str:
    """The reason."""
    with pytest.raises(ImageError) as caught:
        examine(source, depth=depth)
    return caught.value.reason


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("depth", LESS)
@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_whole_has_the_facts_that_decoding_gives(name: str, depth: str) -> None:
    source, format_, extension, frames = SAMPLES[name]
    facts = examine(source, depth=depth)
    assert facts == Facts(format_, 61, 47, frames, extension, (), "" if name in DECODED else depth)
    assert replace(facts, verified="") == examine(source)


@pytest.mark.parametrize("depth", LESS)
@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in DECODED])
def test_what_is_cut_is_told_as_decoding_tells_it(name: str, depth: str) -> None:
    source = SAMPLES[name][0]
    for length in random.Random(name).sample(range(12, len(source)), 25):
        cut = source[:length]
        assert told(cut, depth) == told(cut, "decode"), length
        found = outline(cut, thorough=True)
        assert found is None or (name, found.end) == ("bmp", length), length


@pytest.mark.parametrize("depth", LESS)
@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in DECODED])
def test_what_follows_the_end_is_told_as_decoding_tells_it(name: str, depth: str) -> None:
    source = SAMPLES[name][0] + b"\r\nfollows"
    found = told(source, depth)
    assert isinstance(found, Facts)
    assert replace(found, verified="") == examine(source)


def test_how_deep_a_look_is_shows_in_what_it_finds() -> None:
    png = SAMPLES["png"][0]
    nothing_within = png[:33] + chunk(b"IDAT", b"no rows") + png[-12:]
    assert refused(nothing_within, "decode") == "corrupt"
    assert told(nothing_within, "structure") == Facts("PNG", 61, 47, 1, ".png", (), "structure")
    wrong = bytearray(nothing_within)
    wrong[45] ^= 1  # and its checksum does not fit
    assert told(bytes(wrong), "structure") == told(bytes(wrong), "decode")
    assert told(bytes(wrong), "bytes") == Facts("PNG", 61, 47, 1, ".png", (), "bytes")
    jpeg = SAMPLES["jpeg"][0]
    middle = jpeg.index(b"\xff\xda") + 200
    other_end = jpeg[:middle] + b"\xff\xd8" + jpeg[middle:]
    assert told(other_end, "structure") == told(other_end, "decode")
    assert refused(other_end, "decode") == "corrupt"
    assert told(other_end, "bytes") == Facts("JPEG", 61, 47, 1, ".jpg", (), "bytes")
    thumbnail = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(jpeg)) + jpeg + jpeg[2 : len(jpeg) // 2]
    assert told(thumbnail, "bytes") == told(thumbnail, "decode")  # it ends within, but not behind its picture


@pytest.mark.parametrize("depth", LESS)
def test_bounds_of_pixels_hold_without_decoding(depth: str) -> None:
    before = time.thread_time()
    huge = SAMPLES["png"][0][:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 10_001, 10_000, 8, 0, 0, 0, 0))
    assert told(huge + chunk(b"IDAT", b"x") + SAMPLES["png"][0][-12:], depth) == (
        "too_many_pixels",
        "10001 x 10000, limit 100000000 pixels",
    )
    assert told(bare_gif(5000, 4000, 51), depth) == ("too_many_pixels", "an animation of more than 50 frames")
    assert told(bare_gif(5000, 4000, 50), depth) == Facts("GIF", 5000, 4000, 50, ".gif", (), depth)
    assert time.thread_time() - before < 0.5  # decoding takes seconds
    assert told(SAMPLES["png"][0], depth, min_width=62) == ("too_small", "61 x 47, wanted 62 x 0")
    assert told(SAMPLES["avif"][0], depth, min_height=48) == ("too_small", "61 x 47, wanted 0 x 48")


def test_a_heif_that_is_kept_is_looked_at_too() -> None:
    avif = SAMPLES["avif"][0]
    heif = avif.replace(b"avif", b"heic").replace(b"mif1", b"heic")
    assert refused(heif, "structure") == "unsupported_format"
    assert examine(heif, keep={"HEIF"}, depth="structure") == Facts("HEIF", 61, 47, 1, ".heic", (), "structure")
    assert examine(heif[:-9], keep={"HEIF"}, depth="structure").warnings == ("unverified",)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in DECODED])
def test_whatever_is_changed_there_are_facts_or_a_reason(name: str) -> None:
    chance = random.Random(name)
    for _ in range(60):
        source = bytearray(SAMPLES[name][0])
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(min(len(source), 400)) if chance.random() < 0.8 else chance.randrange(len(source))
            source[place] = chance.choice([0, 1, 2, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        for thorough in (True, False):
            found = outline(bytes(source), thorough=thorough)
            assert found is None or (found.width > 0 and found.height > 0 and 0 < found.end <= len(source))


def test_files_of_very_many_parts_are_given_up_soon() -> None:
    png, gif = SAMPLES["png"][0], SAMPLES["gif"][0]
    huge_tags = b"".join(struct.pack("<HHII", tag, 4, 2_000_000, 8) for tag in (273, 279) * 30_000)
    for source in (
        b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000,
        png[:33] + chunk(b"tEXt", b"") * 500_000 + png[33:],
        gif[:-1] + b"!\xfe" + b"\1a" * 2_000_000 + b"\0;",
        b"RIFF" + struct.pack("<I", 8 * 1_000_000 + 4) + b"WEBP" + b"JUNK\0\0\0\0" * 1_000_000,
        b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) + huge_tags + bytes(8_000_000),
        b"\0\0\0\x14ftypavif\0\0\0\0mif1" + b"\0\0\0\x08free" * 1_000_000,
    ):
        before = time.thread_time()
        assert outline(source, thorough=True) is None
        assert time.thread_time() - before < 0.5, source[:12]  # seen: 0.05


def test_a_transparent_animation_of_webp_is_known_by_its_frames() -> None:
    frames = [translucent(61, 47), translucent(61, 47).rotate(90), picture(61, 47, "RGBA", 5)]
    source = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], allow_mixed=True)
    assert examine(source, depth="structure") == replace(examine(source), verified="structure")
    assert examine(source).frames == 3


@pytest.mark.parametrize(
    ("source", "is_plain"),
    [
        (SAMPLES["jpeg"][0], True),
        (SAMPLES["jpeg grey"][0], True),
        (SAMPLES["jpeg rgb"][0], True),
        (encoded(picture(8, 8), "JPEG", subsampling=2, restart_marker_blocks=1), True),
        (SAMPLES["jpeg"][0] + b"follows", True),
        (encoded(picture(7, 80), "JPEG"), False),
        (SAMPLES["jpeg progressive"][0], False),
        (SAMPLES["jpeg cmyk"][0], False),
        (SAMPLES["mpo"][0], False),
        (SAMPLES["jpeg"][0][:-1], False),
        (SAMPLES["jpeg"][0][: len(SAMPLES["jpeg"][0]) // 2], False),
        (SAMPLES["jpeg"][0].replace(b"\xff\xc4", b"\xff\xfe"), True),  # the usual tables of codes count
    ],
)
def test_a_jpeg_like_most_is_decoded_without_a_look_at_its_metadata(
    source: bytes, is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = jpeg.headers(source)
    assert (headers is not None and jpeg.decodes(source, headers)) is is_plain
    as_it_is = told(source, "decode")
    monkeypatch.setattr(jpeg, "decodes", lambda *_: False)  # by Pillow's own way
    assert told(source, "decode") == as_it_is
