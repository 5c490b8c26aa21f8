from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

import imgcrawl
from imgcrawl.demo.server import SITES, serve
from tests.support import processes

ROOT = Path(imgcrawl.__file__).parents[1]
DEMO = [sys.executable, "-m", "scrapy", "demo"]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return processes.run([*DEMO, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_crawl_and_the_same_again(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path), "--port", str(free_port())]
    first = demo(*arguments)
    assert first.returncode == 0, first.stderr
    galleries = json.loads((tmp_path / "images.json").read_bytes())
    outcomes = [image for gallery in galleries for image in gallery["images"]]
    paths = {image["path"] for image in outcomes if "path" in image}
    assert len(galleries) == 80
    assert Counter((image["status"], image.get("reason")) for image in outcomes) == {
        ("downloaded", None): 525,
        ("duplicate", None): 7,
        ("refused", "robots"): 7,
        ("failed", "http_404"): 7,
        ("failed", "html"): 7,
        ("failed", "truncated"): 7,
    }
    assert len(paths) == 525
    assert all((tmp_path / "images" / path).is_file() for path in paths)
    assert "525 of them sent just now, 525 bit for bit as sent" in first.stdout
    assert str(tmp_path / "images.json") in first.stdout

    second = demo(*arguments)
    assert second.returncode == 0, second.stderr
    assert "none had to be sent again" in second.stdout
    assert "532 uptodate" in second.stdout


def test_a_list_is_made_for_a_spider_of_lists(tmp_path: Path) -> None:
    result = demo("douyin", "--out", str(tmp_path), "--port", "0")
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "images.json").read_bytes())
    assert Counter((row["videos"][0]["status"], row["videos"][0].get("reason")) for row in rows) == {
        ("downloaded", None): 13,
        ("failed", "http_404"): 1,
        ("failed", "html"): 1,
        ("failed", "truncated"): 1,
    }
    assert f"file={tmp_path / 'videos.csv'}" in result.stdout
    assert "16 rows, 16 videos: 13 downloaded, 3 failed" in result.stdout
    assert "13 of them sent just now, 13 bit for bit as sent" in result.stdout


def test_it_names_its_sites() -> None:
    result = demo("--list")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(SITES)


def test_the_exit_code_is_the_crawls(tmp_path: Path) -> None:
    # A crawl whose own limit stops it before it has found anything.
    result = demo("--out", str(tmp_path), "--port", "0", "-s", "DOWNLOAD_MAXSIZE=10")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_it_serves_until_ctrl_c() -> None:
    with subprocess.Popen([*DEMO, "--serve", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        base = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        with urllib.request.urlopen(base) as response:  # noqa: S310  # our own server
            assert b"80 galleries, 560 pictures" in response.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nosuch"], f"There is no replica of 'nosuch'; there is one of: {', '.join(sorted(SITES))}."),
        (["pximg", "pximg"], "scrapy demo takes one site, not 2: pximg pximg"),
        (["--port", "99999"], "The replica's port is 99999, but must be 0 (any free one) to 65535."),
        (["--port", "0", "--out", "/dev/null/x"], "The folder /dev/null/x cannot be made: Not a directory."),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], sentence: str) -> None:
    result = demo(*arguments)
    assert (result.returncode, result.stderr.strip()) == (2, sentence)


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with serve(galleries=1, width=40) as other:
        port = other.base.rpartition(":")[2]
        result = demo("--port", port)
    assert result.returncode == 2
    assert result.stderr.strip() == f"The replica cannot use port {port} of 127.0.0.1: Address already in use."
