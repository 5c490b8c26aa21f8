"""What the workers of a run learn of its site: each tells it with its counts, and hears it with the answer to these."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from imgcrawl.digits import whole
from imgcrawl.frontier.leases import Page
from imgcrawl.frontier.run import RunState, SharedRun

_MOST = 1_000  # who can write to Redis can say anything


class SharedLessons:
    """`learned`, in the order in which they were heard of, are the stats by which workers of *run* tell it."""

    def __init__(self, run: SharedRun) -> None:
        self._run = run
        self.learned: dict[str, None] = {}
        self._behind = 0.0  # the clock here, of the server's, seconds

    def hear(self, told: Iterable[bytes], clock: float) -> None:
        """Note what workers have *told*, some of it again, as the server's *clock* shows this Unix time."""
        self._behind = max(0.0, clock - time.time())
        for each in told:
            if len(self.learned) < _MOST:
                self.learned.setdefault(each.decode("utf-8", "replace"))

    @property
    def since_if_done(self) -> float | None:
        """When the run began, a Unix time, if all its pages are done; else None. Nobody's clock is right for certain:
        it is the earlier one of the server's and ours."""
        began = whole(self._run.id.partition("-")[0])  # lua/workers.lua
        return began / 1000 - self._behind if began and self._run.state is RunState.DONE else None

    @property
    def page(self) -> Page | None:
        """The page that is counted for here, to be given to `anew`."""
        return self._run.counted.page

    def anew(self, page: Page | None) -> AbstractContextManager[None]:
        """What is counted inside is of what was counted for *page* before."""
        return self._run.counted.anew(page)

    def count_beside(self, of_all: Mapping[str, int], own: Mapping[str, int]) -> None:
        """Have the run count *of_all*, of which *own* stands in the stats of this worker."""
        for name in {*of_all, *own}:
            self._run.counted.by_pages[name] -= of_all.get(name, 0) - own.get(name, 0)
