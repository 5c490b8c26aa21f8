from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.options import check_settings, leases_from_settings
from imgcrawl.frontier.outbox import BATCH, BATCH_BYTES, OUTBOX_LIMIT, OUTBOX_LIMIT_BYTES, Outbox
from tests.support import processes


def boxed(*sizes: int) -> Outbox:
    out = Outbox()
    for size in sizes:
        out.add(("c", b"", "", b"x" * (size - 1)))
    return out


def emptied(out: Outbox) -> list[int]:
    counts = []
    while batch := out.batch():
        counts.append(len(batch))
        out.sent(len(batch))
    assert (len(out), out.reported) == (0, sum(counts))
    return counts


KB = 1024


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([10], [1]),
        ([10] * (2 * BATCH + 1), [BATCH, BATCH, 1]),
        ([100 * KB] * 5, [2, 2, 1]),
        ([128 * KB] * 4, [2, 2]),
        ([10, 1024 * KB, 10, 10], [1, 1, 2]),
        ([1024 * KB] * 3, [1, 1, 1]),
        ([BATCH_BYTES, 1], [1, 1]),
    ],
)
def test_a_batch_is_bounded_by_its_bytes_too(sizes: list[int], batches: list[int]) -> None:
    assert emptied(boxed(*sizes)) == batches


def test_a_batch_is_what_comes_next_until_it_was_sent() -> None:
    out = boxed(200 * KB, 100 * KB, 5)
    assert [len(op[3]) + 1 for op in out.batch()] == [200 * KB]
    assert [len(op[3]) + 1 for op in out.batch()] == [200 * KB]
    out.add(("done", b"token", ""))
    out.sent(1)
    assert [op[0] for op in out.batch()] == ["c", "c", "done"]


def test_what_waits_is_bounded_by_its_bytes_too() -> None:
    assert boxed(*[10] * OUTBOX_LIMIT).has_room()
    assert not boxed(*[10] * (OUTBOX_LIMIT + 1)).has_room()
    out = boxed(*[BATCH_BYTES] * (OUTBOX_LIMIT_BYTES // BATCH_BYTES + 1))
    assert not out.has_room()
    out.sent(1)
    assert out.has_room()
    assert out.has_batch()
    out.clear()
    assert not out.has_batch()
    assert (len(out), out.batch()) == (0, [])
    assert boxed(*[10] * BATCH).has_batch()
    assert not boxed(*[10] * (BATCH - 1)).has_batch()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCHEDULER_IDLE_BEFORE_CLOSE", "abc"),
        ("SCHEDULER_IDLE_BEFORE_CLOSE", -1),
        ("FRONTIER_PER_HOST", "x"),
        ("FRONTIER_PER_HOST", 0),
        ("FRONTIER_PREFETCH", "nan"),
        ("SCHEDULER_PERSIST", "maybe"),
        ("SCHEDULER_FLUSH_ON_START", "x"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name}={value!r}: expected"):
        check_settings(Settings({name: value}))


@pytest.mark.parametrize(
    "setting",
    ["REDIS_PARAMS={bad", "SCHEDULER_IDLE_BEFORE_CLOSE=abc", "FRONTIER_PER_HOST=x", "SCHEDULER_PERSIST=maybe"],
)
def test_a_bad_setting_is_one_sentence_and_no_traceback(tmp_path: Path, setting: str) -> None:
    command = [sys.executable, "-m", "scrapy", "crawl", "pximg", "-s", setting, "-s", "REDIS_URL=redis://127.0.0.1:1/0"]
    done = processes.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stderr
    assert setting.partition("=")[0] in done.stderr.splitlines()[-1]
    assert "expected" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("total", "per_domain", "per_host"), [(16, 8, 8), (64, 8, 16), (0, 8, 16), (1, 8, 1), (4, 8, 2)]
)
def test_one_host_never_has_more_than_half_of_a_worker(total: int, per_domain: int, per_host: int) -> None:
    settings = Settings({"CONCURRENT_REQUESTS": total, "CONCURRENT_REQUESTS_PER_DOMAIN": per_domain})
    assert leases_from_settings(settings)._per_host == per_host
    settings.set("FRONTIER_PER_HOST", 30)
    assert leases_from_settings(settings)._per_host == 30
