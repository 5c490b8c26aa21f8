from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh misbehaving server on 127.0.0.1, gone after the test."""
    with Server() as running:
        yield running
