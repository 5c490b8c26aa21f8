"""What works for long says how far it is, below what it prints; what is quick says nothing."""

from __future__ import annotations

import os
import pty
import re
import socket
import sys
from pathlib import Path

import pytest

from imgcrawl.demo.server import serve
from tests.support.crawling import FAST, crawl_command, environment
from tests.support.processes import Process

IMPATIENT = """
import sys, time
from imgcrawl.commands import progress
from imgcrawl.commands.base import say

progress.PATIENCE, progress._EVERY = 0.05, 0.001
"""
WORK = """
count = 0
with progress.CommandProgress(lambda: f"{count} of 3"):
    pass
with progress.CommandProgress(lambda: f"{count} of 3"):
    for count in range(1, 4):
        time.sleep(0.2)
        say(f"line {count}")
"""
WITHIN = """
with progress.CommandProgress(lambda: "outside"):
    time.sleep(0.3)
    with progress.CommandProgress(lambda: "inside"):
        time.sleep(0.3)
    with progress.no_progress():
        time.sleep(0.1)
        sys.stderr.write("<")
        time.sleep(0.3)
        sys.stderr.write(">")
    time.sleep(0.3)
"""
COMMAND = """
from scrapy.cmdline import execute

progress.PATIENCE = 0  # what a crawl does before its display may be done in a moment
execute(["scrapy", *sys.argv[1:]])
"""


def in_terminal(folder: Path, script: str, *arguments: str) -> tuple[int, str]:
    """The exit code of *script*, and what its terminal was sent."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", IMPATIENT + script, *arguments]
    process = Process(command, cwd=folder, env=environment() | {"TERM": "xterm"}, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:  # nobody writes there any more
        pass
    os.close(master)
    return process.wait(timeout=30), shown.decode()


def test_a_line_below_what_is_printed_and_none_left_at_the_end(tmp_path: Path) -> None:
    code, told = in_terminal(tmp_path, WORK)
    assert code == 0
    assert "0:00:00  1 of 3" in told
    # Each line begins where the picture was taken away, and nothing is left below the last one.
    assert [line.rpartition("\r")[2] for line in told.split("\r\n")] == ["line 1", "line 2", "line 3", ""]
    assert told.split("\r\n")[-1].strip() == ""


def test_one_within_another_takes_its_place_and_one_may_say_nothing(tmp_path: Path) -> None:
    _, told = in_terminal(tmp_path, WITHIN)
    told = re.sub(r"0:00:\d\d|\s", "", told)
    assert re.fullmatch(r"(outside)+(inside)+<>(outside)+", told), told


def test_every_command_that_takes_long_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a Redis that does not answer
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        code, told = in_terminal(tmp_path, COMMAND, "status", "pximg", "-s", f"REDIS_URL={url}")
    assert code == 2
    assert "\r0:00:02  working" in told


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_a_crawl_says_what_it_does_before_and_after_its_display(tmp_path: Path, workers: tuple[str, ...]) -> None:
    with serve("pximg", galleries=3, images=2, width=40, misbehave=False) as replica:
        command = crawl_command("pximg", *workers, "-O", "x.json", arguments={"base": replica.base}, settings=FAST)
        code, told = in_terminal(tmp_path, COMMAND, *command[3:], "-s", "PROGRESS_INTERVAL=0")
    assert code == 0, told
    begins, shown, ends = (told.find(text) for text in (" begin", " galleries, ", "the feeds are written"))
    assert 0 < begins < shown < ends, told
    assert "the feeds" not in told[told.index("images found") :]


def test_every_command_whose_work_grows_with_what_there_is_says_how_far_it_is() -> None:
    commands = Path(__file__).parents[2] / "imgcrawl" / "commands"
    quick = {"completion", "config", "health", "hosts", "options"}  # they ask once, or print what they have
    own = {"crawl", "retry", "demo", "status", "watch"}  # they show a crawl as it is; Scrapy's own are as they are
    for file in commands.glob("*.py"):
        text = file.read_text("utf-8")
        if "class Command(" in text and "Command(Scrapys" not in text and file.stem not in quick | own:
            assert "CommandProgress(" in text or "stored_items(" in text, file.name
