"""What costs more than its size says: told before it is decoded, or decoded where it can be ended."""

from __future__ import annotations

import os
import re
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from imgcrawl.exceptions import ImageError
from imgcrawl.images import process as process_module
from imgcrawl.images.containers import examine_video
from imgcrawl.images.costs import LARGEST_IN_THREADS
from imgcrawl.images.headers import facts_of_header
from imgcrawl.images.process import MEMORY, DecoderProcess, NotStartedError, OutOfTimeError
from imgcrawl.images.room import DEFAULT_PIXEL_LIMIT, CostlyError, set_pixel_limit
from imgcrawl.images.thumbnails import thumbnail
from imgcrawl.images.verify import examine
from tests.images import hostile
from tests.images.pictures import bare_gif, encoded, icon, picture, samples
from tests.images.test_damage import chunk
from tests.test_large_bodies import peak_rss

MB = 1_000_000
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    process = DecoderProcess(DEFAULT_PIXEL_LIMIT, seconds=0.5)
    yield process
    process.close()


@pytest.fixture
def _threads() -> None:
    set_pixel_limit(DEFAULT_PIXEL_LIMIT, 24_000_000)


def pid_of(decoder: DecoderProcess) -> int:
    assert decoder._process is not None
    return decoder._process.pid


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(ImageError) as caught:
        work()
    return caught.value.reason


def test_it_says_what_threads_would(decoder: DecoderProcess, tmp_path: Path) -> None:
    for name, (source, *_) in samples(32, 24).items():
        assert decoder.examine(source) == examine(source), name
    jpeg = encoded(picture(80, 60), "JPEG")
    assert decoder.examine(jpeg[:-2]).warnings == ("no_end",)
    assert refusal(lambda: decoder.examine(jpeg[:-2], strict=True)) == "truncated"
    assert refusal(lambda: decoder.examine(jpeg, min_width=81)) == "too_small"
    assert decoder.examine(b"\xff\x0a" + bytes(99), keep=["JPEG XL"]).warnings == ("unverified",)
    file = tmp_path / "1"
    file.write_bytes(jpeg)
    assert decoder.examine(file).width == 80
    assert decoder.thumbnail(file, (20, 20)) == thumbnail(jpeg, (20, 20))
    assert refusal(lambda: decoder.examine(tmp_path / "none")) == "error"
    for name, (source, *_) in samples(32, 24).items():
        file.write_bytes(source)
        assert decoder.facts_of_header(file) == facts_of_header(file), name
    file.write_bytes(bare_gif(8, 8, 1_000_000))
    with pytest.raises(OutOfTimeError):
        decoder.facts_of_header(file)
    assert refusal(lambda: decoder.facts_of_header(tmp_path / "none")) == "error"


@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xda", b"\xff\xd9"])
def test_fill_bytes_without_end_take_no_time_and_nothing_of_the_picture(
    decoder: DecoderProcess, marker: bytes, tmp_path: Path
) -> None:
    plain, filled = hostile.jpeg_of_fill(0, marker), hostile.jpeg_of_fill(10_000_000, marker)
    file = tmp_path / "filled.jpg"
    file.write_bytes(filled)
    # Each in half a second of CPU time, by its bound.
    assert decoder.examine(file) == decoder.examine(filled) == examine(plain)
    assert decoder.thumbnail(filled, (64, 64)) == thumbnail(plain, (64, 64))


@pytest.mark.parametrize(
    "made",
    [
        lambda: hostile.jpeg_of_junk(17_000_000),
        lambda: hostile.jpeg_of_comments(4_000_000),
        lambda: hostile.im_of_lines(8_000_000),
    ],
    ids=["junk", "comments", "header"],
)
@pytest.mark.usefixtures("_threads")
def test_what_takes_long_is_given_up_where_no_thread_is_taken(
    decoder: DecoderProcess, made: Callable[[], bytes]
) -> None:
    source = made()
    with pytest.raises(CostlyError):
        examine(source)
    before = time.thread_time()
    with pytest.raises(OutOfTimeError) as caught:
        decoder.examine(source)
    assert caught.value.reason == "too_many_pixels"
    assert time.thread_time() - before < 0.3, "the time of this process"
    assert decoder.examine(encoded(picture(8, 8), "PNG")).format == "PNG", "the next one has another process"


@pytest.mark.parametrize(
    ("made", "most"),
    [
        (lambda: hostile.plain_webp(9900, 10_000), 40),
        (lambda: hostile.plain_jpeg2000(9900, 9900, "L", num_resolutions=1), 120),
        (lambda: hostile.progressive_jpeg(9000, 8000), 40),
        (lambda: hostile.tiff_of_a_large_tile(11_000), 40),
        (lambda: hostile.icns_of(hostile.plain_jpeg2000(9900, 10_000, "L")), 480),
        (lambda: icon(encoded(Image.new("L", (20_000, 10_000)), "PNG")), 40),
    ],
    ids=["webp", "jpeg 2000", "progressive", "tile", "icns", "ico"],
)
def test_what_takes_much_memory_is_refused_within_it(made: Callable[[], bytes], most: int) -> None:
    source = made()
    process = DecoderProcess(DEFAULT_PIXEL_LIMIT, seconds=20)
    try:
        process.examine(encoded(picture(8, 8), "PNG"))
        before = peak_rss(pid_of(process))
        assert refusal(lambda: process.examine(source)) in {"too_many_pixels", "corrupt"}
        assert peak_rss(pid_of(process)) - before < most * MB
    finally:
        process.close()


@pytest.mark.usefixtures("_threads")
def test_a_grid_of_very_many_tiles_is_decoded_within_bounds() -> None:
    """And boxes of which there is no end: AVIF is read by a library that looks for each among all others."""
    assert examine(hostile.avif_grid(16, 16)).width == 1024
    boxes = b"\0\0\0\x08free" * 1_000_000
    grid, many = hostile.avif_grid(60, 60), hostile.avif_grid(255, 255)
    around = grid[:28] + boxes + grid[28:]
    for source in (grid, many, around):
        with pytest.raises(CostlyError):
            examine(source)
    process = DecoderProcess(DEFAULT_PIXEL_LIMIT, seconds=1.0)
    try:
        assert process.examine(grid).width == 3840
        assert refusal(lambda: process.examine(around)) in {"corrupt", "truncated", "too_many_pixels"}
        assert process.examine(grid).width == 3840
        assert peak_rss(pid_of(process)) < 30 * MB + MEMORY
        with pytest.raises(ImageError) as caught:
            process.examine(many)
        assert caught.value.reason == "too_many_pixels"
    finally:
        process.close()


def test_large_photos_are_examined_within_little_memory() -> None:
    process = DecoderProcess(DEFAULT_PIXEL_LIMIT, seconds=20)
    photo = Image.new("RGB", (8000, 6000))
    files = {
        "webp": encoded(photo, "WEBP", method=0),
        "avif": encoded(photo, "AVIF", speed=10),
        "png": encoded(photo, "PNG", compress_level=1),
        "jpeg": encoded(photo, "JPEG", progressive=True),
        "jpeg 2000": encoded(photo.resize((5000, 4000)), "JPEG2000"),
    }
    try:
        for name, source in files.items():
            assert process.examine(source).width == (5000 if name == "jpeg 2000" else 8000), name
            cut = source[: len(source) // 2] if name != "jpeg" else source[: len(source) // 3]
            assert refusal(lambda cut=cut: process.examine(cut)) in {"truncated", "corrupt"}, name
        png = files["png"]
        row = zlib.compress(b"\5" + bytes(24_000), 1)
        assert refusal(lambda: process.examine(png[:33] + chunk(b"IDAT", row) + png[-12:])) == "corrupt"
        assert refusal(lambda: process.examine(png[:60] + b"x" + png[61:])) == "corrupt"
        assert (
            refusal(lambda: process.examine(png[:33] + chunk(b"IDAT", zlib.compress(b"")) + png[-12:])) == "truncated"
        )
        behind = zlib.compress(b"".join(b"\0" + bytes(24_000) for _ in range(6000)) + b"\7more", 1)
        one_chunk = png[:33] + chunk(b"IDAT", behind) + png[-12:]
        assert process.examine(one_chunk).width == 8000, "what follows the last row is nobody's"
        noise = Image.effect_noise((5500, 5000), 90).convert("RGB").tobytes()
        rows = zlib.compress(b"".join(b"\0" + noise[at : at + 16_500] for at in range(0, len(noise), 16_500)), 0)
        large = png[:16] + (5500).to_bytes(4, "big") + (5000).to_bytes(4, "big") + png[24:29]
        large += zlib.crc32(large[12:]).to_bytes(4, "big") + chunk(b"IDAT", rows) + png[-12:]
        assert process.examine(large).width == 5500, "82 MB in one chunk"
        assert refusal(lambda: process.examine(files["avif"][:-10])) == "truncated"
        no_end = encoded(Image.new("RGB", (6000, 4000)), "JPEG")[:-2]
        assert process.examine(no_end).warnings == ("no_end",)
        assert peak_rss(pid_of(process)) < 30 * MB + MEMORY
        assert refusal(lambda: process.examine(files["webp"], min_width=8001)) == "too_small"
    finally:
        process.close()


def test_a_large_image_takes_what_the_settings_say_and_gives_it_back(decoder: DecoderProcess) -> None:
    assert decoder.examine(encoded(Image.new("RGBA", (6000, 6000)), "PNG", compress_level=1)).frames == 1
    status = Path(f"/proc/{pid_of(decoder)}/status").read_text("ascii")
    now = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024
    assert peak_rss(pid_of(decoder)) < 4 * 36 * MB + 40 * MB
    assert now < 40 * MB


def test_a_decoder_that_crashes_takes_one_image_with_it(decoder: DecoderProcess) -> None:
    source = encoded(picture(8, 8), "PNG")
    decoder.examine(source)
    os.kill(pid_of(decoder), signal.SIGSEGV)
    while decoder._process is not None and decoder._process.poll() is None:
        time.sleep(0.01)
    assert decoder.examine(source).format == "PNG", "what ended before has nothing to do with it"
    os.kill(pid_of(decoder), signal.SIGSTOP)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid_of(decoder), signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    assert decoder.examine(source).format == "PNG", "one that is ended from outside is tried again"
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert decoder.examine(source).format == "PNG"


def test_a_decoder_that_cannot_be_started_says_nothing_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "PIL.py").write_text("raise ImportError('broken')")
    monkeypatch.setattr(process_module, "import_path", lambda: {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    process = DecoderProcess(DEFAULT_PIXEL_LIMIT)
    with pytest.raises(NotStartedError, match="no process could be started to decode it: it ended with 1"):
        process.examine(encoded(picture(8, 8), "PNG"))
    monkeypatch.undo()
    assert process.examine(encoded(picture(8, 8), "PNG")).format == "PNG"
    process.close()


def test_what_libraries_print_is_not_seen(decoder: DecoderProcess, capfd: pytest.CaptureFixture[str]) -> None:
    source = hostile.loud_tiff()
    said = decoder.examine(source)
    assert capfd.readouterr() == ("", "")
    assert examine(source) == said
    assert "TIFF" in capfd.readouterr().err, "otherwise this test shows nothing"


def test_the_boxes_of_a_video_are_walked_in_constant_memory_and_not_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.write_bytes(hostile.mp4_of_boxes(1_000_000))
    with pytest.raises(CostlyError):
        examine_video(file, 20_000)
    process = DecoderProcess(DEFAULT_PIXEL_LIMIT, seconds=-499.5)  # a walk may take 500 s more
    try:
        with pytest.raises(OutOfTimeError):
            process.examine_video(file)
        file.write_bytes(hostile.mp4_of_boxes(30_000))
        assert refusal(lambda: process.examine_video(file)) == "truncated"
        assert peak_rss(pid_of(process)) < 100 * MB
    finally:
        process.close()


@pytest.mark.usefixtures("_threads")
def test_what_the_web_is_made_of_is_decoded_in_threads() -> None:
    for name, (source, format_, *_) in samples().items():
        if format_ in {*LARGEST_IN_THREADS, "MPO"}:
            assert examine(source).format == format_, name
        else:
            with pytest.raises(CostlyError):
                examine(source)
    with pytest.raises(CostlyError):
        examine(hostile.plain_dds(100))
    photo = encoded(Image.new("RGB", (6000, 4000)), "JPEG")
    assert examine(photo + bytes(12 * MB)).width == 6000
    with pytest.raises(CostlyError):
        thumbnail(encoded(Image.new("RGB", (3000, 3000)), "PNG", compress_level=1), (50, 50))
