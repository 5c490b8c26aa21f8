"""SIGKILL while a catalogue is written: it opens again, and has all that was acknowledged, whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imgcrawl.catalogue.galleries import items
from tests.catalogue.test_contract import opened
from tests.support.crawling import ROOT
from tests.support.postgres import PostgresServer

KILLS, IMAGES = 10, 20

# Notes galleries, each with its images, and says so when it is done.
WRITES = """
import sys
from tests.catalogue.test_contract import key, opened, outcome, put, record, visit
catalogue, first = opened(sys.argv[1]), int(sys.argv[2])
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
    for kill in range(KILLS):
        command = [sys.executable, "-c", WRITES, place, str(done + 1)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                done = int(line)
                if done % 13 == kill:
                    process.kill()
                    break
            done = max([done, *map(int, process.stdout.read().split())])  # told before it died
        catalogue = opened(place)
        known = {item["url"]: item for item in items(catalogue, "s")}
        assert set(known) >= {f"http://h/{number}" for number in range(done + 1)}
        assert all(len(item["images"]) == IMAGES for item in known.values())  # whole, or not at all
        assert all("path" in image for item in known.values() for image in item["images"])
        catalogue.close()
