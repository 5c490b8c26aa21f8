"""Rows of the table of attacks (`python -m tests.attacks`) that no other test has: no harm, within bounds of time and
memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.kinds import PATTERNS, PICTURES, PROXIES, SHOWN
from tests.attacks.neighbours import ADDRESSES
from tests.attacks.outward import REDIS
from tests.attacks.stage import MB, Stage, took
from tests.support.crawling import ROOT
from tests.support.server import Server

ATTACKS = {**PICTURES, **PROXIES, **SHOWN, **PATTERNS, **ADDRESSES, **REDIS}
SECONDS = 20  # of CPU; most take one


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_does_no_harm_within_bounds(name: str, server: Server, tmp_path: Path) -> None:
    stage = Stage(tmp_path, ROOT, server, most_megabytes=500)
    withstood, words = took(ATTACKS[name], stage)
    assert withstood, words
    assert stage.cpu < SECONDS
    assert stage.megabytes * MB < 400 * MB
