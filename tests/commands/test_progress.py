"""What works for long says how far it is, below what it prints; what is quick says nothing."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

from tests.support.crawling import environment
from tests.support.processes import Process

WORK = """
import time
from imgcrawl.commands import progress
from imgcrawl.commands.base import say

progress.PATIENCE, progress._EVERY = 0.05, 0.01
count = 0
with progress.CommandProgress(lambda: f"{count} of 3"):
    pass
with progress.CommandProgress(lambda: f"{count} of 3"):
    for count in range(1, 4):
        time.sleep(0.2)
        say(f"line {count}")
"""


def test_a_line_below_what_is_printed_and_none_left_at_the_end(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    process = Process([sys.executable, "-c", WORK], cwd=tmp_path, env=environment(), stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:  # nobody writes there any more
        pass
    assert process.wait(timeout=30) == 0
    os.close(master)
    told = shown.decode()
    assert "0:00:00  1 of 3" in told
    # Each line begins where the picture was taken away, and nothing is left below the last one.
    assert [line.rpartition("\r")[2] for line in told.split("\r\n")] == ["line 1", "line 2", "line 3", ""]
    assert told.split("\r\n")[-1].strip() == ""


def test_every_command_whose_work_grows_with_what_there_is_says_how_far_it_is() -> None:
    commands = Path(__file__).parents[2] / "imgcrawl" / "commands"
    quick = {"completion", "config", "health", "hosts", "options"}  # they ask once, or print what they have
    own = {"crawl", "retry", "demo", "status", "watch"}  # they show a crawl as it is; Scrapy's own are as they are
    for file in commands.glob("*.py"):
        text = file.read_text("utf-8")
        if "class Command(" in text and "Command(Scrapys" not in text and file.stem not in quick | own:
            assert "CommandProgress(" in text or "stored_items(" in text, file.name
