"""A crawl and its process that decodes: what is done to the one, and what becomes of the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from imgcrawl.exitcodes import ExitCode
from tests.images import hostile
from tests.images.pictures import encoded
from tests.support.crawling import start, until
from tests.support.processes import children_of
from tests.support.server import Answer, Server, jpeg


@pytest.fixture
def site(server: Server) -> Server:
    """A gallery with an image that takes a while in the process, and another gallery, which comes later."""
    pages = {"/list": "<a class=g href=/large>l</a><a class=g href=/small>s</a>"}
    pages |= {
        "/large": "<title>large</title><img src=/large.png>",
        "/small": "<title>small</title><img src=/small.jpg>",
    }
    for path, page in pages.items():
        server.add(path, page.encode(), headers={"Content-Type": "text/html"})
    server.add("/large.png", encoded(Image.new("RGBA", (6000, 6000)), "PNG", compress_level=1))
    server.add("/small.jpg", lambda _: Answer(jpeg(), delay=0.5))
    return server


def decoders_of(process: subprocess.Popen[str]) -> set[int]:
    """Those that have begun."""
    return {pid for pid in children_of(process.pid) if b"imgcrawl.images.decoder" in command_of(pid)}


def command_of(pid: int) -> bytes:
    """Empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def crawl_with_a_frozen_decoder(site: Server, folder: Path) -> tuple[subprocess.Popen[str], int]:
    arguments = {"list": site.url("/list"), "galleries": "a.g", "images": "img"}
    process = start(folder, "gallery", arguments)
    until(lambda: decoders_of(process))
    (decoder,) = decoders_of(process)
    os.kill(decoder, signal.SIGSTOP)
    return process, decoder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_somebody_ends_takes_nothing_with_it(site: Server, tmp_path: Path, number: signal.Signals) -> None:
    process, decoder = crawl_with_a_frozen_decoder(site, tmp_path)
    os.kill(decoder, number)
    os.kill(decoder, signal.SIGCONT)
    log, _ = process.communicate(timeout=120)
    items = json.loads((tmp_path / "items.json").read_text("utf-8"))
    assert [image["status"] for item in items for image in item["images"]] == ["downloaded"] * 2
    assert (process.returncode, "Traceback" in log) == (ExitCode.DONE, False), log


def test_one_that_is_ended_again_and_again_fails_its_image_by_name(site: Server, tmp_path: Path) -> None:
    site.add("/large.png", hostile.jpeg_of_junk(17_000_000))  # seconds of work
    process, decoder = crawl_with_a_frozen_decoder(site, tmp_path)
    os.kill(decoder, signal.SIGKILL)
    until(lambda: decoders_of(process) - {decoder})
    (second,) = decoders_of(process) - {decoder}
    os.kill(second, signal.SIGKILL)
    log, _ = process.communicate(timeout=120)
    items = json.loads((tmp_path / "items.json").read_text("utf-8"))
    images = {item["title"]: item["images"][0] for item in items}
    assert images["small"]["status"] == "downloaded"
    assert (images["large"]["status"], images["large"]["reason"]) == ("failed", "error")
    assert "Traceback" not in log


def test_ctrl_c_ends_a_crawl_that_waits_for_it(site: Server, tmp_path: Path) -> None:
    site.add("/large.png", hostile.jpeg_of_junk(17_000_000))
    process, decoder = crawl_with_a_frozen_decoder(site, tmp_path)
    assert os.getpgid(decoder) != os.getpgid(process.pid), "the terminal's signal is for the crawl alone"
    process.send_signal(signal.SIGINT)
    log, _ = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in log) == (ExitCode.STOPPED, False), log
    with pytest.raises(ProcessLookupError):
        os.kill(decoder, 0)
