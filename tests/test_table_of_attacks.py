"""Rows of the table of attacks (`python -m tests.attacks`) that no other test has: no harm, within bounds of time and
memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.kinds import PATTERNS, PICTURES, PROXIES, SHOWN
from tests.attacks.lately import DISKS, ENLARGED, FRAMES, LATELY, PAGES, REQUESTS
from tests.attacks.latest import LATEST
from tests.attacks.neighbours import ADDRESSES
from tests.attacks.outward import REDIS
from tests.attacks.stage import MB, Stage, took
from tests.support.crawling import ROOT
from tests.support.server import Server

# The first of a kind, and what has done harm before.
FIRST = (
    *(next(iter(kind)) for kind in (PAGES, ENLARGED, FRAMES)), *REQUESTS,
    "id, role and style of 2 MB each around 5,000 images",
    "a feed of bz2 that is 700 MB", "a photograph of 8 MB of escapes", "a photograph within the page that is a bomb",
    "thumbnails that are JPEGs of fill", "pages of images of 15,000 images each", "300,000 placeholders told by others",
    "placeholders whose addresses are commands", "cells of captions that a spreadsheet would run",
    "a status of commands", "a header of 10 MB",
)  # fmt: skip
# Of what came later.
SECOND = ("50,000 links to style sheets", "data whose references fan out", "data of a million small objects")
LATE = {**DISKS, **{name: LATELY[name] for name in FIRST}, **{name: LATEST[name] for name in SECOND}}
ATTACKS = {**PICTURES, **PROXIES, **SHOWN, **PATTERNS, **ADDRESSES, **REDIS}
SECONDS = 20  # of CPU; most take one
STEP = 100  # ms of CPU of the event loop at a time, and rarely: few milliseconds are meant


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_does_no_harm_within_bounds(name: str, server: Server, tmp_path: Path) -> None:
    stage = Stage(tmp_path, ROOT, server, most_megabytes=500)
    withstood, words = took(ATTACKS[name], stage)
    assert withstood, words
    assert stage.cpu < SECONDS
    assert stage.megabytes * MB < 400 * MB


@pytest.mark.parametrize("name", LATE)
def test_a_late_attack_does_no_harm_within_bounds_nor_in_the_event_loop(
    name: str, server: Server, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, ROOT, server, most_megabytes=500, is_probed=True)
    withstood, words = took(LATE[name], stage)
    assert withstood, words
    assert stage.cpu < SECONDS
    assert stage.megabytes * MB < 400 * MB
    assert stage.longest < STEP, stage.longest_is
