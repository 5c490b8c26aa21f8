"""Which process runs which test, and when: first what measures, one after the other with nothing beside it, then what
takes long, then the rest, function by function, so that no process has one long file left when the others are done."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

import pytest
from xdist.scheduler import LoadScopeScheduling

# What is marked `alone`: a file, or one test of it. One that is missing here is alone, too, but waits for all that has
# begun.
ALONE = {
    "basespiders/test_domains.py::test_hosts_that_never_answer_are_waited_for_together",
    "commands/test_duplicates.py::test_what_costs_much_is_looked_at_within_the_bounds_of_a_crawl",
    "frontier/test_crawls.py::test_the_event_loop_is_free_with_redis_20_ms_away",
    "limits/test_crawls.py",
    "limits/test_limiter.py::test_four_workers_at_one_host_are_as_fast_as_one",
    "pipelines/test_large.py::test_a_gallery_of_a_hundred_thousand_images_is_counted_as_it_comes_and_ends_in_seconds",
    "test_attacks.py::test_all_of_it_together_leaves_room_and_threads_for_good_images",
    "test_attacks.py::test_each_takes_bounded_time_and_memory",
    "test_large_bodies.py",
    "test_promises.py::test_the_event_loop_stays_free_while_24_megapixel_images_come_in",
    "test_stopping.py::test_sigterm_ends_crawls_in_time_and_the_same_commands_go_on",
}
# Files whose tests have something in common that takes a while to make (a fixture of scope "module").
TOGETHER = {
    "commands/test_export.py",
    "commands/test_newsite.py",
    "demo/test_server.py",
    "images/test_process.py",
    "packaging/test_scrapyd.py",
    "packaging/test_wheel.py",
    "test_benchmarks.py",
    "test_docs.py",
    "test_parquet.py",
    "test_rules.py",
}


class Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        """The name of what one process runs in one go."""
        function = nodeid.partition("[")[0].removeprefix("tests/")
        file = function.partition("::")[0]
        if {file, function} & ALONE:
            return "alone"
        return file if file in TOGETHER else function


class Machine:
    """The machine, that tests share or have for themselves. *folder* is that of all processes of a run."""

    def __init__(self, folder: Path) -> None:
        self._gate: IO[bytes] = (folder / "machine.gate").open("wb")
        self._lock: IO[bytes] = (folder / "machine.lock").open("wb")
        self._is_mine = False

    def close(self) -> None:
        self._gate.close()
        self._lock.close()

    def take(self, *, alone: bool) -> None:
        if self._is_mine and alone:
            return
        # Who waits to be alone stands in the gate, so that those behind cannot overtake for ever.
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        fcntl.flock(self._lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        self._is_mine = alone

    def give(self, following: pytest.Item | None) -> None:
        """*following*: the next test of this process, for which it is kept if that is to be alone, too."""
        if not (self._is_mine and following and following.get_closest_marker("alone")):
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._is_mine = False
