from __future__ import annotations

from collections.abc import Iterator

import pytest

from imgcrawl.images.room import DEFAULT_PIXEL_LIMIT, set_pixel_limit


@pytest.fixture(autouse=True)
def _default_limit() -> Iterator[None]:
    # pytest puts its own warning filters in place of the module's: they are set again here.
    set_pixel_limit(DEFAULT_PIXEL_LIMIT)
    yield
    set_pixel_limit(DEFAULT_PIXEL_LIMIT)
