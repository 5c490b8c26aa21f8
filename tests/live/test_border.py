"""What was written by others is what it should be, or nothing; nothing raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.exceptions import InputError
from imgcrawl.live import border
from imgcrawl.live.control import own_server
from imgcrawl.live.entries import look_at, newest_crawl
from imgcrawl.live.folder import LiveFolder
from imgcrawl.live.view import nothing, shown

ODD: list[Any] = [
    None,
    True,
    -1,
    1e308,
    10**30,
    10**400,
    -(10**400),
    float("inf"),
    float("nan"),
    "x\x1b[2J" * 1000,
    [],
    [[]],
    [7] * 1000,
    {},
    {"": {}},
    {"\0": -1},
]


def same_kinds(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same_kinds(one[name], other[name]) for name in one.keys() & other.keys())
    return one is None or other is None or isinstance(one, type(other)) or isinstance(other, type(one))


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_odd_values_in_every_place_become_what_is_expected(value: Any) -> None:
    usual = border.snapshot({})
    for name in [*usual, "nothing"]:
        for odd in (value, [value], {"found": value}, {"refused": value}, [{"host": value, "url": value}]):
            found = border.snapshot({name: odd})
            assert found.keys() == usual.keys()
            assert same_kinds(found, usual)
            assert "\\u001b" not in json.dumps(found, allow_nan=False)
            assert len(json.dumps(found)) < 100_000
    for name in border.worker({}):
        assert same_kinds(border.worker({name: value}), border.worker({}))


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"[" * 100_000, b"\xff", b'"x"', b" " * (1 << 19) + b"{}"])
def test_what_is_no_object_is_an_empty_one(text: bytes) -> None:
    assert border.parsed(text) == {}


def test_a_folder_of_anybodys_is_not_trusted_and_the_oldest_crawls_are_forgotten(tmp_path: Path) -> None:
    folder = LiveFolder(tmp_path / "live")
    for number in range(30):
        entry = folder.open("odd, */name", f"host-{number}")
        entry.write({"spider": "odd, */name", "at": float(number + 1), "ended": 1.0})
        assert entry.is_alive()
        entry.close()
        assert not entry.is_alive()
    found = [*folder.entries("odd, */name")]
    assert len(found) == 21
    assert {entry.read()["spider"] for entry in found} == {"odd, */name"}
    assert (tmp_path / "live").stat().st_mode & 0o777 == 0o700
    (tmp_path / "live").chmod(0o777)
    with pytest.raises(InputError, match="anybody may write to"):
        LiveFolder(tmp_path / "live")


def test_without_a_home_or_in_one_that_is_closed_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_state_path", lambda _: Path("~/.local/state/imgcrawl"))
    with pytest.raises(InputError, match="LIVE_FOLDER is not set"):
        LiveFolder.from_settings(Settings())
    assert own_server(Settings(), "s") == ""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"is not to be had \(Not a directory\); expected"):
        LiveFolder(tmp_path / "file" / "live")


def test_of_two_crawls_the_same_is_looked_at_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = LiveFolder(tmp_path / "live")
    entries = [folder.open("s", name) for name in ("a", "b")]
    for now in (1e9, 5.0):  # the second word is of a clock that was set back
        for entry, started in zip(entries, (2.0, 3.0), strict=True):
            said = {"spider": "s", "group": entry.name, "folder": str(tmp_path / entry.name), "started": started}
            entry.write(said | {"at": now - started, "kind": "process"})
        assert {entry.read()["at"] for entry in entries} == {now - 2.0, now - 3.0}
        assert [entry.name for entry, *_ in newest_crawl([*map(look_at, entries)])] == ["b"]
        (tmp_path / "a").mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path / "a")
            assert [entry.name for entry, *_ in newest_crawl([*map(look_at, entries)])] == ["a"]
    entries[0].write({"spider": "s", "at": 6.0, "ended": 6.0})
    entries[0].write({"spider": "s", "at": 7.0})  # from a thread that was late
    assert entries[0].read()["ended"] == 6.0
    for entry in entries:
        entry.close()


@pytest.mark.parametrize(
    ("pages", "rate", "queue", "seconds"),
    [
        (20, 2.0, None, 10.0),
        (21, 2.0, None, None),  # one of them is no gallery
        (None, 2.0, None, None),  # the spider may name others
        (20, 0.0, None, None),
        (None, 2.0, {"queued": 15, "leased": 5}, 10.0),
        (None, 2.0, {"queued": 16, "leased": 5}, None),
    ],
)
def test_the_time_to_go_is_told_where_only_galleries_are_left(
    pages: int | None, rate: float, queue: dict[str, int] | None, seconds: float | None
) -> None:
    said = border.snapshot({"galleries": {"found": 30, "scraped": 9, "failed": 1, "not_reached": 20}, "pages": pages})
    row = border.worker({"gallery_rate": rate}) | {"age": 0.0}
    view = shown(nothing("s") | said | {"state": "running", "workers": [row], "queue": queue})
    assert view["remaining"] == seconds
    assert "pages" not in view


@pytest.mark.parametrize(
    ("pages", "queue", "seconds"),
    [
        (0, None, 25.0),
        (1, None, None),  # it may be a list page
        (None, {"queued": 0, "leased": 3}, 25.0),
        (None, {"queued": 1, "leased": 3}, None),
        (None, {"queued": 0, "leased": 3, "lists": 1}, None),  # it may name any number of galleries
    ],
)
def test_the_time_to_go_is_told_where_only_images_are_left(
    pages: int | None, queue: dict[str, int] | None, seconds: float | None
) -> None:
    galleries = {"found": 30, "scraped": 29, "failed": 1, "not_reached": 0}
    images = {"found": 100, "downloaded": 40, "uptodate": 0, "duplicate": 5, "refused": 2, "failed": 3}
    said = border.snapshot({"galleries": galleries, "images": images, "pages": pages})
    row = border.worker({"rate": 2.0, "gallery_rate": 0.0}) | {"age": 0.0}
    view = shown(nothing("s") | said | {"state": "running", "workers": [row], "queue": queue})
    assert view["remaining"] == seconds
