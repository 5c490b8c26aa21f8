"""Lists in Parquet from strangers: whatever they unpack to, reading them takes bounded memory, and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from imgcrawl.exceptions import InputError
from imgcrawl.rows import open_address_list
from tests.support.crawling import ROOT

MB = 1_000_000

READ = r"""
import json, re, resource, sys
from imgcrawl.exceptions import InputError
from imgcrawl.rows import open_address_list
for name in sys.argv[1:]:
    try:
        told = [getattr(row, "reason", None) for row in open_address_list(name)[0]][-1]
    except InputError as error:
        told = str(error)
    (ours,) = re.findall(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())
    print(json.dumps([name, told, int(ours), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def write(path: Path, **columns: pa.Array) -> None:
    parquet.write_table(pa.table(columns), path, compression="zstd")


def repeated(value: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), [value])


def of_lists(kind: pa.DataType, count: int) -> pa.Array:
    """One list of so many nothings."""
    return pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.nulls(count, kind))


def nested(depth: int) -> pa.Array:
    array = pa.array(["http://h/1"])
    for _ in range(depth):
        array = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), array)
    return array


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write(folder / "a page that unpacks", url=pa.array(["x" * 90 * MB]))
    write(folder / "a long value again and again", url=repeated("x" * 8 * MB, 1000))
    write(folder / "a list of very many", url=pa.array(["http://h/1"]), more=of_lists(pa.int8(), 10 * MB))
    write(folder / "very many rows", url=pa.nulls(2 * MB, pa.int8()))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system bounds no address space")
def test_what_a_small_file_unpacks_to_is_refused_before_it_is_in_memory(hostile: Path) -> None:
    files = sorted(map(str, hostile.iterdir()))
    assert max(os.path.getsize(file) for file in files) < MB  # noqa: PTH202 -- they are texts
    done = subprocess.run(
        [sys.executable, "-c", READ, *files], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    told = {Path(name).name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    assert len(told) == len(files), done.stderr
    for name, sentence in {
        "a list of very many": "the file is broken from here on: reading it takes more than 200 MB of memory",
        "a long value again and again": "a row of more than 1048576 bytes",
        "a page that unpacks": "the file is broken from here on: reading it takes more than 200 MB of memory",
        "very many rows": "the file is broken from here on: 2,000,000 rows in so small a file; expected 1,0",
    }.items():
        assert sentence in told[name][0], told[name]
    for _, ours, childs in told.values():
        assert ours < 200_000, "kilobytes"
        assert childs < 320_000, "kilobytes"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (b"", "magic bytes not found in footer"),
        (b"\xff\xff\xff\x7fPAR1", "footer"),
        (b"\x00\x00\x00\x00PAR1", ""),
        (b"\x00" * 4096 + b"\x00\x10\x00\x00PAR1", ""),
    ],
)
def test_a_file_without_its_footer_is_one_sentence(tmp_path: Path, end: bytes, reason: str) -> None:
    write(tmp_path / "list", url=pa.array(["http://h/1"]))
    (tmp_path / "list").write_bytes((tmp_path / "list").read_bytes()[:-30] + end)
    with pytest.raises(InputError, match=f"line 1: the file is broken from here on: .*{reason}") as refusal:
        open_address_list(tmp_path / "list")
    assert "\n" not in str(refusal.value)


def test_a_row_that_is_too_large_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "list", url=pa.array(["http://h/1", "x" * 2 * MB, "http://h/3"]))
    one, two, three = open_address_list(tmp_path / "list")[0]
    assert (one[:2], two[:2], three[:2]) == (
        (1, ["http://h/1"]), (2, "a row of more than 1048576 bytes"), (3, ["http://h/3"]),
    )  # fmt: skip


def test_lists_in_lists_are_read_or_refused(tmp_path: Path) -> None:
    write(tmp_path / "few", url=nested(1), more=nested(30))
    (row,) = open_address_list(tmp_path / "few", column="url")[0]
    assert row == (1, ["http://h/1"], row[2])
    write(tmp_path / "many", url=nested(1), more=nested(400))
    try:
        assert len(list(open_address_list(tmp_path / "many", column="url")[0])) == 1
    except InputError as refusal:
        assert "the file is broken from here on" in str(refusal)
