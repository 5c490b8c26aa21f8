"""A short soak: `python -m tests.soak --minutes 60` is a long one."""

from __future__ import annotations

from pathlib import Path

from tests.soak import soak


def test_faults_of_every_kind_at_once_cost_nothing(tmp_path: Path) -> None:
    outcome = soak(7, tmp_path, pages=24, seconds=4)
    assert outcome.is_good(), outcome
