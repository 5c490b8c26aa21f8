"""SIGKILL while a catalogue is written: it opens again, and has all that was acknowledged, whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imgcrawl.catalogue.galleries import items
from tests.catalogue.test_contract import opened
from tests.support.crawling import ROOT
from tests.support.postgres import PostgresServer

KILLS, IMAGES = 10, 20

# For each number that it is given, a process that notes galleries from there on, each with its images, and says so when
# it is done; and when that process has ended.
WRITES = """
import os, sys
from tests.catalogue.test_contract import key, opened, outcome, put, record, visit
for line in sys.stdin:
    if child := os.fork():
        os.waitpid(child, 0)
        print("killed", flush=True)
        continue
    print(os.getpid(), flush=True)
    catalogue, first = opened(sys.argv[1]), int(line)
    for number in range(first, first + 1_000_000):
        numbers = range(number * 20, number * 20 + 20)
        put(catalogue, *map(record, numbers))
        catalogue.note([visit(*map(outcome, numbers), url=f"http://h/{number}")])
        print(number, flush=True)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ten_kills_lose_nothing_that_was_acknowledged(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = str(tmp_path / "catalogue")
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        place = server.url
    done = -1
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, place], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdin and process.stdout
        for kill in range(KILLS):
            process.stdin.write(f"{done + 1}\n")
            process.stdin.flush()
            writer = int(process.stdout.readline())
            is_killed = False
            while (line := process.stdout.readline()) != "killed\n":  # what it told before it died counts, too
                done = int(line)
                if done % 13 == kill and not is_killed:
                    os.kill(writer, signal.SIGKILL)
                    is_killed = True
            assert is_killed
            catalogue = opened(place)
            known = {item["url"]: item for item in items(catalogue, "s")}
            assert set(known) >= {f"http://h/{number}" for number in range(done + 1)}
            assert all(len(item["images"]) == IMAGES for item in known.values())  # whole, or not at all
            assert all("path" in image for item in known.values() for image in item["images"])
            catalogue.close()
        process.stdin.close()
