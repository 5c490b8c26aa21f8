"""Feeds that are made of segments at the end: each format, added to what is there, and written again."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.kept import KeptParts
from imgcrawl.feeds.merge import Segments
from imgcrawl.feeds.output import OutputWriter
from tests.support.crawling import project_settings

GZIP = ["scrapy.extensions.postprocessing.GzipPlugin"]


def segment(folder: Path, *items: tuple[str, str]) -> Path:
    """Lines as workers write them: each with its lease."""
    path = folder / f"{len(list(folder.glob('*.segment')))}.segment"
    path.write_text("".join(json.dumps({"url": url, "_lease": lease}) + "\n" for lease, url in items))
    return path


async def write(feeds: dict[str, dict[str, Any]], *segments: Path, kept: KeptParts | None = None) -> None:
    settings = project_settings()
    settings.set("FEEDS", feeds)
    with Segments(segments) as items:
        writer = OutputWriter(settings, "pximg", {"topic": "x"})
        writer.write_files(items, kept)
        await writer.write_others(items)


def urls(path: Path) -> list[str]:
    """Of a feed in any of the formats."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".jsonl" in path.name:
        return [json.loads(line)["url"] for line in data.splitlines()]
    if ".csv" in path.name:
        return [row["url"] for row in csv.DictReader(data.decode().splitlines())]
    return [item["url"] for item in json.loads(data)]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_every_feed_that_scrapy_knows_is_written(tmp_path: Path, capfdbinary: Any) -> None:
    part = segment(tmp_path, ("a-1", "1"), ("b-1", "2"), ("b-1", "2"), ("c-1", "2"))
    feeds: dict[str, dict[str, Any]] = {
        "a.json": {"format": "json"},
        "a.json.gz": {"format": "json", "postprocessing": GZIP},
        "a.jsonl": {"format": "jsonl"},
        "a.jsonl.gz": {"format": "jsonl", "postprocessing": GZIP},
        "a.csv": {"format": "csv"},
        "a.csv.gz": {"format": "csv", "postprocessing": GZIP},
        "a.xml": {"format": "xml"},
        "a.pickle": {"format": "pickle"},
        "%(name)s-%(topic)s-%(batch_id)d.json": {"format": "json", "batch_item_count": 2},
    }
    await write(
        {str(tmp_path / name): options for name, options in feeds.items()} | {"stdout:": {"format": "jsonl"}}, part
    )
    for name in ("a.json", "a.json.gz", "a.jsonl", "a.jsonl.gz", "a.csv", "a.csv.gz"):
        assert urls(tmp_path / name) == ["1", "2", "2"], name
    assert (tmp_path / "a.xml").read_text().count("<url>2</url>") == 2
    pickles = io.BytesIO((tmp_path / "a.pickle").read_bytes())
    assert [pickle.load(pickles)["url"] for _ in range(3)] == ["1", "2", "2"]  # noqa: S301 -- written above
    assert [urls(tmp_path / f"pximg-x-{number}.json") for number in (1, 2)] == [["1", "2"], ["2"]]
    assert [json.loads(line)["url"] for line in capfdbinary.readouterr().out.splitlines()] == ["1", "2", "2"]
    names = names_in(tmp_path)
    assert not [name for name in names if name.startswith(".")]
    assert not [name for name in names if name != part.name and b"_lease" in (tmp_path / name).read_bytes()]


async def test_a_feed_stays_where_there_is_nothing_to_take_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a night on which the site was down."""
    (old := tmp_path / "old.json").write_text('[{"url": "1"}]')
    feeds = {
        str(tmp_path / name): {"format": name.partition(".")[2], "overwrite": True} for name in ("old.json", "new.csv")
    }
    await write(feeds, segment(tmp_path))
    assert (urls(old), urls(tmp_path / "new.csv")) == (["1"], [])
    assert [record.getMessage() for record in caplog.records] == [
        f"Feed {old} is as it was: this crawl has brought no item to take its place."
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.jsonl.gz"])
async def test_what_is_written_again_leaves_what_is_not_ours(tmp_path: Path, name: str) -> None:
    feed, kept = tmp_path / name, KeptParts(tmp_path / "kept")
    options: dict[str, Any] = {"format": name.split(".")[1]} | ({"postprocessing": GZIP} if ".gz" in name else {})
    first, other = segment(tmp_path, ("a-1", "1"), ("b-1", "2")), segment(tmp_path, ("x-1", "1"), ("y-1", "2"))
    earlier = segment(tmp_path, ("e-1", "1"))
    await write({str(feed): options}, earlier)  # another crawl's
    await write({str(feed): options}, first, kept=kept)
    assert urls(feed) == ["1", "1", "2"]
    await write({str(feed): options}, first, segment(tmp_path, ("c-1", "3")), kept=kept)
    assert urls(feed) == ["1", "1", "2", "3"]
    await write({str(feed): options}, other)  # meanwhile
    await write({str(feed): options}, first, segment(tmp_path, ("c-1", "4")), kept=kept)
    assert urls(feed) == ["1", "1", "2", "1", "2", "4"]
    # A feed that was edited is not known again: rather twice than lost.
    await write({str(feed): options | {"overwrite": True}}, other)
    await write({str(feed): options}, first, kept=kept)
    assert urls(feed) == ["1", "2", "1", "2"]


async def test_the_first_part_of_an_array_may_be_ours(tmp_path: Path) -> None:
    feed, kept = tmp_path / "a.json", KeptParts(tmp_path / "kept")
    ours, other = segment(tmp_path, ("a-1", "1")), segment(tmp_path, ("x-1", "x"))
    for parts, expected in ((ours, ["1"]), (other, ["1", "x"]), (ours, ["x", "1"])):
        await write({str(feed): {"format": "json"}}, parts, kept=kept if parts is ours else None)
        assert urls(feed) == expected


async def test_a_kill_between_the_note_and_the_feed_counts_nothing_twice(tmp_path: Path) -> None:
    feed, kept = tmp_path / "a.jsonl", KeptParts(tmp_path / "kept")
    first = segment(tmp_path, ("a-1", "1"))
    await write({str(feed): {"format": "jsonl"}}, first, kept=kept)
    before, more = feed.read_bytes(), segment(tmp_path, ("b-1", "2"))
    await write({str(feed): {"format": "jsonl"}}, first, more, kept=kept)
    feed.write_bytes(before)
    await write({str(feed): {"format": "jsonl"}}, first, more, kept=kept)
    assert urls(feed) == ["1", "2"]


@pytest.mark.parametrize(
    ("uri", "options", "sentence"),
    [
        ("a.json", {"format": "yaml"}, r"^Feed a\.json: the format is 'yaml'; expected one of csv, jl, json, "),
        ("a.json", {"format": "json", "item_classes": ["x"]}, r"^Feed a\.json: expected no item_classes"),
        ("%(worker)s.json", {"format": "json"}, r"^Feed %\(worker\)s\.json: one feed is written of all workers"),
        ("%(colour)s.json", {"format": "json"}, r"^Feed %\(colour\)s\.json: nothing is known here for colour$"),
        (
            "ftp://me:secret@/a.json",
            {"format": "json"},
            r"^Feed ftp:///a\.json cannot be written: .*without a hostname",
        ),
        ("gopher://b/a.json", {"format": "json"}, r"^Feed gopher://b/a\.json: expected an address of "),
        ("there.xml", {"format": "xml"}, r"there\.xml: nothing can be added to it; -O replaces it$"),
    ],
)
async def test_a_feed_that_cannot_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, options: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.xml").write_text("<items/>")
    settings = project_settings()
    settings.set("FEEDS", {uri: options})
    with pytest.raises(InputError, match=sentence):
        OutputWriter(settings)
