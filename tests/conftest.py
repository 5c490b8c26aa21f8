from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest

from tests.server import Server


@pytest.fixture(autouse=True)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lets tests run side by side, but for those that are marked `alone`: they measure what others would disturb."""
    alone = request.node.get_closest_marker("alone")
    folder = tmp_path_factory.getbasetemp().parent  # of all processes of this run
    with (folder / "machine.gate").open("wb") as gate, (folder / "machine.lock").open("wb") as lock:
        # Who waits to be alone stands in the gate, so that those behind cannot overtake for ever.
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh misbehaving server on 127.0.0.1, gone after the test."""
    with Server() as running:
        yield running
