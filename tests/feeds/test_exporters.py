"""Feeds: real crawls, killed, repeated, crowded and short of disk, and what a reader sees meanwhile."""

from __future__ import annotations

import bz2
import contextlib
import csv
import functools
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest
from scrapy import Spider
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from imgcrawl.exceptions import ImgcrawlError, InputError
from imgcrawl.feeds.atomic import signature_of
from imgcrawl.feeds.exporters import (
    CsvItemExporter,
    JsonLinesItemExporter,
    XmlItemExporter,
    encode_item,
    with_apostrophes,
    without_apostrophes,
)
from imgcrawl.feeds.files import FeedFile, LinesFile
from imgcrawl.feeds.journal import JsonFile
from imgcrawl.feeds.packed import check_packed
from imgcrawl.feeds.storage import FileFeedStorage
from tests.support.processes import Process


@pytest.fixture(autouse=True)
def large_fields() -> Iterator[None]:
    """Lets this module read back what it wrote; the limit is the process's."""
    limit = csv.field_size_limit(1 << 30)
    yield
    csv.field_size_limit(limit)


COMPONENTS = {
    "FEED_STORAGES": {
        "": "imgcrawl.feeds.storage.FileFeedStorage",
        "file": "imgcrawl.feeds.storage.FileFeedStorage",
        "stdout": "imgcrawl.feeds.storage.StdoutFeedStorage",
    },
    "FEED_EXPORTERS": {
        "json": "imgcrawl.feeds.exporters.JsonItemExporter",
        "jsonl": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
        "jsonlines": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
        "jl": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
        "csv": "imgcrawl.feeds.exporters.CsvItemExporter",
    },
}

# Yields items without asking for anything; `handled` gets a line for each item whose item_scraped was handled.
SPIDER = """
import asyncio
import os
import resource

import scrapy
from scrapy import signals


class FeedSpider(scrapy.Spider):
    name = "feed"
    run, count, size, every, big, pause, limit, hold, many = "r", "5", "20", "0", "0", "0", "0", "", "0"

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.opened, signals.spider_opened)
        return spider

    def opened(self):
        # Connected after the feed exporter, so called after it.
        self.crawler.signals.connect(self.handled, signals.item_scraped)
        if int(self.limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(self.limit), int(self.limit)))

    def handled(self, item):
        self.log_fd = getattr(self, "log_fd", None) or os.open("handled", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(self.log_fd, (item["id"] + "\\n").encode())

    async def start(self):
        for number in range(int(self.count)):
            big = int(self.every) and number % int(self.every) == 0
            text = ('"ä,\\n' * int(self.big) if big else '"ä,\\n' + "x" * int(self.size))
            images = {"images": [{"url": f"ä{n}"} for n in range(int(self.many))]} if big and int(self.many) else {}
            yield {"id": f"{self.run}-{number}", "text": text, **images}
            await asyncio.sleep(float(self.pause))
        while self.hold and not os.path.exists(self.hold):
            await asyncio.sleep(0.01)
"""


def write_project(folder: Path, components: dict[str, Any], **settings: Any) -> None:
    settings = {"FEED_EXPORT_ENCODING": "utf-8", "TELNETCONSOLE_ENABLED": False} | components | settings
    settings["REMOTE_CONTROL_ENABLED"] = False
    (folder / "feed_settings.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    (folder / "feed.py").write_text(SPIDER)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path, COMPONENTS)
    return tmp_path


def start(project: Path, *options: str, stdout: int = subprocess.DEVNULL, **arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scrapy", "runspider", "feed.py", *options]
    for name, value in arguments.items():
        command += ["-a", f"{name}={value}"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(project)])
    environment = {**os.environ, "SCRAPY_SETTINGS_MODULE": "feed_settings", "PYTHONPATH": path}
    with (project / "log").open("w") as log:
        return Process([*command, "-L", "INFO"], cwd=project, env=environment, text=True, stdout=stdout, stderr=log)


def crawl(project: Path, *options: str, **arguments: Any) -> tuple[str, str]:
    """What a crawl wrote to stdout and to its log."""
    process = start(project, *options, stdout=subprocess.PIPE, **arguments)
    output, _ = process.communicate(timeout=60)
    return output, (project / "log").read_text()


def handled(project: Path) -> list[str]:
    file = project / "handled"
    return file.read_text().split() if file.exists() else []


def ids(items: list[dict[str, str]]) -> list[str]:
    return [item["id"] for item in items]


def numbered(run: str, count: int) -> list[str]:
    return [f"{run}-{number}" for number in range(count)]


def load(file: Path) -> list[dict[str, str]]:
    return json.loads(file.read_bytes())  # type: ignore[no-any-return]  # Any is what json promises


def read_lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows, strict=True))


def hidden(project: Path) -> list[str]:
    return sorted(file.name for file in project.iterdir() if file.name.startswith("."))


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)


@functools.cache
def statistics() -> StatsCollector:
    return get_crawler().stats


class Reader:
    """Reads a JSON file over and over; every reading must parse and hold no less than the one before."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.readings = 0
        self.lengths = {0}

    def look(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            length = len(load(self.file))
            assert length >= max(self.lengths)
            self.lengths.add(length)
            self.readings += 1

    def watch(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            self.look()
            time.sleep(0.002)
        self.look()


# ---- As in Scrapy --------------------------------------------------------------------------------------


def test_bytes_are_those_of_scrapy(tmp_path: Path) -> None:
    feeds = {
        "plain.json": {"format": "json"},
        "dense.json": {"format": "json", "indent": None},
        "wide.json": {"format": "json", "indent": 2},
        "ascii.json": {"format": "json", "encoding": None},
        "latin.json": {"format": "json", "encoding": "latin-1"},
        "items.jsonl": {"format": "jsonl"},
        "items.csv": {"format": "csv"},
        "part.csv": {"format": "csv", "fields": {"text": "Text", "id": "Id"}, "item_export_kwargs": {"delimiter": ";"}},
        "items.xml": {"format": "xml"},
        "deep/er/items.json": {"format": "json"},
    }
    for name, components in (("ours", COMPONENTS), ("stock", {})):
        (tmp_path / name).mkdir()
        write_project(tmp_path / name, components, FEEDS=feeds)
        crawl(tmp_path / name)
    for feed in feeds:
        expected = (tmp_path / "stock" / feed).read_bytes()
        assert expected and (tmp_path / "ours" / feed).read_bytes() == expected, feed
    assert hidden(tmp_path / "ours") == []
    # Once more, into the same files.
    crawl(tmp_path / "ours", run="s")
    both = numbered("r", 5) + numbered("s", 5)
    for feed in ("plain.json", "dense.json", "wide.json", "ascii.json", "deep/er/items.json"):
        assert ids(load(tmp_path / "ours" / feed)) == both, feed
    assert ids(read_lines(tmp_path / "ours" / "items.jsonl")) == both
    assert ids(read_rows(tmp_path / "ours" / "items.csv")) == both
    assert (tmp_path / "ours" / "part.csv").read_bytes().count(b"Text;Id") == 1


def test_a_value_that_json_does_not_know_loses_no_item(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    with path.open("wb") as file:
        exporter = JsonLinesItemExporter(file, encoding="utf-8")
        exporter.export_item(
            {"of": frozenset([1]), "raw": b"\xffa", "by": Path("a/b"), "set": {2}, "cost": Decimal("1.5")}
        )
        JsonLinesItemExporter(file, default=repr).export_item({"by": 1j})  # as a project says it
    assert read_lines(path) == [{"of": [1], "raw": "\ufffda", "by": "a/b", "set": [2], "cost": "1.5"}, {"by": "1j"}]


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"encoding": "latin-1"}])
def test_xml_can_be_read_whatever_strangers_call_things(options: dict[str, Any]) -> None:
    """An address as a key, as in image_facts, was the name of an element: no reader took the feed."""
    facts = {"http://example.test/a.jpg?b=1&c": {"caption": "a <b>"}, 'x><y z="': "\x0b\ud800!", "1a": 1, "a:b": 2}
    item = {"url": "http://example.test/", "image_facts": facts, "标题": "title", "two words": [1, {"": 3}]}
    file = io.BytesIO()
    exporter = XmlItemExporter(file, **options)
    exporter.start_exporting()
    exporter.export_item(item)
    exporter.finish_exporting()
    (read,) = ET.fromstring(file.getvalue())  # noqa: S314 -- our own
    assert read.findtext("url") == item["url"]
    assert [part.get("name") for part in read.findall("image_facts/value")] == [*facts]
    assert read.findtext("image_facts/value/caption") == "a <b>"
    assert read.findtext("image_facts/value[2]") == "\ufffd\ufffd!"
    by_name = {part.get("name") or part.tag: part for part in read}
    assert by_name["标题"].text == "title"
    assert by_name["two words"].findtext("value/value") == "3"


ITEMS: list[dict[str, Any]] = [
    {"images": [{"url": f"ä{n}", "n": n, "list": [n, [n]]} for n in range(1_234)], "title": "ä, \u2028"},
    {"a": 1, "urls": [f"{n}]" for n in range(1_000)], "b": None, "images": [None] * 501, "few": [1, {}]},
    {"urls": ["half a pair: \ud800"] * 600},
    {"urls": ["a"] * 500},
    {},
]


@pytest.mark.parametrize("options", [{}, {"encoding": "utf-8"}, {"encoding": "latin-1"}, {"indent": 2}])
@pytest.mark.parametrize("item", ITEMS)
def test_an_item_with_very_many_values_is_the_bytes_that_one_with_few_would_be(
    options: dict[str, Any], item: dict[str, Any]
) -> None:
    exporter = JsonLinesItemExporter(io.BytesIO(), **options)
    whole = exporter.encoder.encode(item)
    try:
        expected = whole.encode(options.get("encoding") or "utf-8")
    except UnicodeEncodeError:
        expected = json.dumps(item).encode()
    assert encode_item(exporter, item) == expected


class Slow(FeedFile):
    """Takes its time for what is large."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, statistics())
        self.had: list[bytes] = []

    def _append(self, data: Any) -> None:
        if len(data) > 1_000:
            time.sleep(0.2)
        self.had.append(bytes(data[:9]))


async def test_a_large_item_is_waited_for_and_what_comes_after_it_stays_behind_it(tmp_path: Path) -> None:
    file = Slow(tmp_path / "a.jsonl")
    file.is_waited_for = True
    exporter = JsonLinesItemExporter(file)
    large = {"a": 2, "urls": ["x"] * 600}
    exporter.export_item({"a": 1})
    assert file.written() is None
    assert file.had == [b'{"a": 1}\n']
    exporter.export_item(large)
    exporter.export_item({"a": 3})
    assert len(file.had) == 1, "the loop did not wait"
    written = file.written()
    assert written is not None
    await written
    assert file.had == [b'{"a": 1}\n', b'{"a": 2, ', b'{"a": 3}\n']
    assert file.written() is None
    exporter.export_item({**large, "b": {(1, 2): 3}})  # no JSON can be made of it
    written = file.written()
    assert written is not None
    await written
    assert file.lost == 1


def test_stdout_pipes_batches_and_compressed_feeds(project: Path) -> None:
    output, _ = crawl(project, "-o", "-:json")
    assert ids(json.loads(output)) == numbered("r", 5)

    write_project(
        project,
        COMPONENTS,
        FEEDS={
            "batch%(batch_id)d.json": {"format": "json", "batch_item_count": 2},
            "/dev/stdout": {"format": "json"},
            "items.json.gz": {"format": "json", "postprocessing": ["scrapy.extensions.postprocessing.GzipPlugin"]},
        },
    )
    (project / "batch3.json").write_text("nonsense")
    (project / "batch1.json").write_text('[{"id": "old"}]')
    output, log = crawl(project, count=6)
    assert ids(json.loads(output)) == numbered("r", 6)
    assert ids(json.loads(gzip.decompress((project / "items.json.gz").read_bytes()))) == numbered("r", 6)
    assert ids(load(project / "batch1.json")) == ["old", *numbered("r", 2)]
    assert ids(load(project / "batch2.json")) == numbered("r", 4)[2:]
    # A later batch that cannot be written is told and counted, the others go on.
    assert (project / "batch3.json").read_text() == "nonsense"
    assert "batch3.json holds no JSON array" in log
    assert "'feed/lost': 2" in log
    assert "Traceback" not in log
    assert not (project / "batch4.json").exists()
    assert hidden(project) == []


def test_no_items(project: Path) -> None:
    feeds = {
        "new.json": {"format": "json"},
        "old.json": {"format": "json"},
        "none.json": {"format": "json", "store_empty": False},
    }
    write_project(project, COMPONENTS, FEEDS=feeds)
    (project / "old.json").write_text("[1]")
    crawl(project, count=0)
    assert load(project / "new.json") == []
    assert (project / "old.json").read_text() == "[1]"
    assert not (project / "none.json").exists()
    assert hidden(project) == []


def test_what_the_encoding_cannot_say_is_kept(project: Path) -> None:
    spider = (project / "feed.py").read_text().replace('"x" * int(self.size)', r'"\ud800"')
    (project / "feed.py").write_text(spider)
    _, log = crawl(project, "-o", "a.json", "-o", "a.jsonl", "-o", "a.csv", count=2)
    assert load(project / "a.json")[1]["text"].endswith("\ud800")
    assert read_lines(project / "a.jsonl")[1]["text"].endswith("\ud800")
    assert read_rows(project / "a.csv")[1]["text"].endswith(r"\ud800")
    assert "ERROR" not in log


# ---- At every moment -----------------------------------------------------------------------------------


def test_killed_again_and_again(project: Path) -> None:
    feeds = ("-o", "images.json", "-o", "images.jsonl", "-o", "images.csv")
    reader = Reader(project / "images.json")
    for run in range(4):
        before = len(handled(project))
        process = start(project, *feeds, run=run, count=100_000, every=37, big=20_000)
        wait_for(lambda before=before: len(handled(project)) > before, process)
        end = time.monotonic() + random.uniform(0, 0.3)
        while time.monotonic() < end or len(reader.lengths) < 2 * (run + 1):
            assert process.poll() is None
            reader.look()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        reader.look()
        # Lines are in the file at once; only the very last one may be torn.
        lines = (project / "images.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()
        assert set(handled(project)) <= {json.loads(line)["id"] for line in lines}
    assert crawl(project, *feeds, run="end", count=1)[1].count("Stored") == 3

    done = handled(project)
    for items in (load(project / "images.json"), read_lines(project / "images.jsonl")):
        assert len(ids(items)) == len(set(ids(items)))
        # An item may be written but not yet handled when the kill comes: at most one in each run.
        assert set(done) <= set(ids(items))
        assert len(items) <= len(done) + 4
        assert all(item["text"].startswith('"ä,\n') for item in items)
    with (project / "images.csv").open(encoding="utf-8", newline="") as rows:
        table = list(csv.reader(rows))
    assert set(done) <= {row[0] for row in table}
    assert table.count(["id", "text"]) == 1
    assert reader.readings > 5 and len(reader.lengths) > 5
    assert hidden(project) == []


def test_a_reader_of_stdout_has_each_item_and_a_compressed_feed_can_be_read_to_where_it_ends(project: Path) -> None:
    gz = {"format": "jsonl", "postprocessing": ["scrapy.extensions.postprocessing.GzipPlugin"]}
    write_project(project, COMPONENTS, FEEDS={"stdout:": {"format": "jsonl"}, "a.jsonl.gz": gz})
    spider = (project / "feed.py").read_text().replace('"x" * int(self.size)', "os.urandom(50).hex()")
    (project / "feed.py").write_text(spider)  # what can be compressed well is in a compressor's hands for long
    with (project / "out").open("wb") as out:
        process = start(project, count=100_000, stdout=out.fileno(), size=100)
    file = project / "a.jsonl.gz"  # since Python 3.14 what is half a megabyte goes to it in one piece
    wait_for(lambda: len(handled(project)) > 3000 and file.stat().st_size > 200_000, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = handled(project)
    assert set(done) <= {json.loads(line)["id"] for line in (project / "out").read_bytes().splitlines()}
    text = b""
    with pytest.raises(EOFError), gzip.open(file) as lines:
        while piece := lines.read1(1 << 16):
            text += piece
    assert text.count(b"\n") > 1000
    left = file.read_bytes()
    _, log = crawl(project)  # Scrapy added what nobody could read
    assert f"Feed {file} ends before it was closed (a kill has cut it, or another crawl writes it)" in log
    assert file.read_bytes() == left


@pytest.mark.parametrize("plugin", ["Gzip", "Bz2", "LZMA"])
def test_a_compressed_feed_is_added_to_if_it_was_closed(project: Path, plugin: str) -> None:
    packed = {"format": "jsonl", "postprocessing": [f"scrapy.extensions.postprocessing.{plugin}Plugin"]}
    write_project(project, COMPONENTS, FEEDS={"a.packed": packed})
    crawl(project)
    crawl(project, run="s")
    opened = {"Gzip": gzip.open, "Bz2": bz2.open, "LZMA": lzma.open}[plugin]
    with opened(project / "a.packed") as lines:
        assert ids([json.loads(line) for line in lines]) == numbered("r", 5) + numbered("s", 5)
    (project / "a.packed").write_bytes((project / "a.packed").read_bytes()[:-3])
    with pytest.raises(InputError, match="ends before it was closed"):
        check_packed(project / "a.packed", packed)


def test_cells_that_a_spreadsheet_would_run_are_told_apart_and_no_cell_is_python(project: Path) -> None:
    texts = [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\tx",
        "\uff1d1+1",
        "\0\ufeff=1",
        " \u3000=1",
        '"=1',
        "'=1",
        "-5",
        "+3.5e-7",
        "a=b",
        "",
    ]
    spider = (project / "feed.py").read_text()
    head, _, tail = spider.partition("        for number in range(int(self.count)):")
    items = "".join(
        f"        yield {{'id': '{n}', 'text': {text!r}, 'images': [{{'path': 'a'}}], '=1+1': ''}}\n"
        for n, text in enumerate(texts)
    )
    (project / "feed.py").write_text(head + items + tail[tail.index("        while self.hold") :])
    crawl(project, "-O", "escaped.csv", "-O", "a.jsonl")
    crawl(project, "-O", "kept.csv", "-s", "FEED_CSV_FORMULAS=keep")
    escaped, kept = read_rows(project / "escaped.csv"), read_rows(project / "kept.csv")
    assert [row["text"] for row in kept] == texts == [item["text"] for item in read_lines(project / "a.jsonl")]
    assert [row["text"] for row in escaped] == [*(f"'{text}" for text in texts[:10]), *texts[10:]]
    assert {row["images"] for row in escaped} == {'[{"path": "a"}]'}
    assert (list(escaped[0])[-1], list(kept[0])[-1]) == ("'=1+1", "=1+1")
    _, log = crawl(project, "-O", "a.csv", "-s", "FEED_CSV_FORMULAS=maybe")
    assert "FEED_CSV_FORMULAS is 'maybe': expected escape or keep" in log


def test_what_begins_a_cell_for_who_has_another_separator_is_told_apart_and_read_as_it_was() -> None:
    for text, escaped in {
        "a;=1+1": "a;'=1+1", 'a; "=1': "a;' \"=1", "a\t\uff1d1;-x": "a\t'\uff1d1;'-x", "\t=1": "'\t'=1",
        "two\n@lines": "two\n'@lines", "a;'=1": "a;''=1",
        "a;-5;b": "a;-5;b", "-5,3%": "-5,3%", "a, -b = 1": "a, -b = 1", "http://h/?a=1;b=-2": "http://h/?a=1;b=-2",
    }.items():  # fmt: skip
        assert with_apostrophes(text) == escaped
    signs = random.Random(13)
    for _ in range(20_000):
        text = "".join(signs.choices(";\t\n\r =-+5e.,'\"a@\u3000\0", k=signs.randrange(9)))
        assert without_apostrophes(with_apostrophes(text)) == text
        # As a spreadsheet that splits at `;`, takes tabs for cells, or drops quotes that it does not know.
        cells = re.split(r"[;\t\r\n]", with_apostrophes(text))
        run = [cell for cell in cells if cell.strip('\0 \u3000"')[:1] in tuple("=+-@")]
        assert all(re.fullmatch(r" *[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)?", cell) for cell in run), (text, run)


def test_thousands_of_items_and_large_ones(project: Path) -> None:
    reader = Reader(project / "images.json")
    # Five of 5 MB: JSON makes seven bytes of each `"ä,\\n`.
    process = start(project, "-o", "images.json", count=2500, every=500, big=750_000, size=100, many=30_000)
    reader.watch(process)
    items = load(project / "images.json")
    assert ids(items) == numbered("r", 2500)
    assert [len(item["images"]) for item in items if "images" in item] == [30_000] * 5
    assert len(reader.lengths) > 2
    assert hidden(project) == []


def test_overwriting_shows_the_old_array_or_the_new(project: Path) -> None:
    file = project / "images.json"
    old = [{"id": "old", "text": "x" * 1000}] * 3000
    file.write_text(json.dumps(old))
    process = start(project, "-O", "images.json", "-O", "images.jsonl", count=300, pause=0.001)
    seen = []
    while process.poll() is None:
        seen.append(load(file))
    assert seen[0] == old
    assert all(items == old or ids(items) == numbered("r", len(items)) for items in seen)
    assert ids(load(file)) == ids(read_lines(project / "images.jsonl")) == numbered("r", 300)
    assert hidden(project) == []


async def test_a_worker_that_goes_on_with_a_run_adds_to_the_feed_that_it_was_to_overwrite(tmp_path: Path) -> None:
    """As the worker that began it had items in it that are acknowledged, which is when they are in its journal."""
    path = tmp_path / "a.json"

    async def worked(run: str, item: bytes, *, killed: bool) -> None:
        crawler = get_crawler(settings_dict=COMPONENTS)
        crawler.engine = cast("Any", SimpleNamespace(scheduler=SimpleNamespace(run=run, worker="me-1"), running=False))
        options = {"format": "json", "encoding": "utf-8", "overwrite": True, "indent": 0}
        storage = FileFeedStorage.from_crawler(crawler, str(path), feed_options=options)
        file = cast("Any", storage.open(Spider.from_crawler(crawler, "s")))
        file.write(item)
        if killed:
            file._ended.set()
            leave(file)
        else:
            await storage._finish(file)

    path.write_text('[{"id": "of yesterday"}]')
    await worked("17-me-1", b'{"id": "0"}', killed=False)
    assert ids(load(path)) == ["0"]
    await worked("17-other-1", b'{"id": "1"}', killed=True)
    await worked("17-other-1", b'{"id": "2"}', killed=False)
    assert ids(load(path)) == ["0", "1", "2"]
    # What is older than the run is none of its items, whatever it is: who joins has a feed of last night, too.
    path.write_text("no array")
    now = time.time()
    with pytest.raises(InputError, match=r"give another name; run 17-other-1 goes on, so -O adds to what is there\.$"):
        await worked("17-other-1", b"{}", killed=False)
    os.utime(path, (now - 3600, now - 3600))
    await worked(f"{now * 1000:.0f}-other-1", b'{"id": "3"}', killed=False)
    await worked(f"{now * 1000:.0f}-other-1", b'{"id": "4"}', killed=False)
    assert ids(load(path)) == ["3", "4"]


@pytest.mark.parametrize("first", ["of the run", "after it"])
def test_of_workers_that_replace_a_feed_the_first_one_does_and_the_others_add_to_it(tmp_path: Path, first: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("other,columns\r\n1,2\r\n")
    uri, options = str(path), {"format": "csv", "encoding": "utf-8", "overwrite": True}
    crawlers = [get_crawler(settings_dict=COMPONENTS) for _ in range(3)]
    files, exporters = [], []
    for crawler in crawlers:
        storage = FileFeedStorage.from_crawler(crawler, uri, feed_options=options)
        files.append(cast("LinesFile", storage.open(Spider.from_crawler(crawler, "s"))))
        exporters.append(CsvItemExporter.from_crawler(crawler, files[-1], encoding="utf-8"))
    exporters[1].export_item({"id": "0", "text": "x"})
    if first == "after it":  # whose lock has ended with it
        files[1].finish()
    # In its columns, not in one's own.
    exporters[0].export_item({"text": "y", "id": "1"})
    exporters[2].export_item({"text": "z", "id": "2"})
    exporters[0].export_item({"text": "y", "id": "3"})
    assert path.read_text().split() == ["id,text", "0,x", "1,y", "2,z", "3,y"]
    for file in files:
        file.close()


def test_a_feed_is_not_replaced_while_another_worker_writes_its_first_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    found = signature_of(path)
    beginner, joiner = (LinesFile(path, statistics(), replaces=found, dialect=None) for _ in range(2))
    with contextlib.ExitStack() as joining:

        def goes_on(pause: float) -> None:
            joiner.write(b"1\n")
            joining.close()

        monkeypatch.setattr("imgcrawl.feeds.files.time.sleep", goes_on)
        joining.enter_context(joiner.beginning())
        assert path.read_bytes() == b""
        beginner.write(b"2\n")
    assert path.read_bytes() == b"1\n2\n"
    for file in (beginner, joiner):
        file.finish()


def test_a_link_and_a_mode_stay(project: Path) -> None:
    (project / "real").mkdir()
    file = project / "real" / "images.json"
    file.write_text("[]")
    file.chmod(0o640)
    (project / "images.json").symlink_to(file)
    crawl(project, "-o", "images.json")
    assert (project / "images.json").is_symlink()
    assert ids(load(file)) == numbered("r", 5)
    assert file.stat().st_mode & 0o777 == 0o640


# ---- What cannot be written ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.json", b"hello", {}),
        ("a.json", b'[{"id": 1},\n', {}),
        ("a.json", b'[{"id": 1}][{"id": 2}]', {}),
        ("a.json", b"[1,]", {}),
        ("a.json", b"[1 2]", {}),
        ("a.json", b'["a]', {}),
        ("a.json", b'["\xff"]', {}),
        ("a.json", b'{"id": 1}', {}),
        ("a.json", b"[" * 100_000, {}),
        ("a.jsonl", b"[\n1\n]", {}),
        ("a.csv", b"\x89PNG\xff\x00\n", {}),
        ("a.csv", b"id,text\r\n", {"fields": ["text", "id"]}),
    ],
)
def test_a_file_of_another_kind_is_refused_and_left(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any]
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    feeds = {str(file): {"format": file.suffix[1:], **options}}
    settings = {**COMPONENTS, "FEEDS": feeds, "FEED_EXPORT_ENCODING": "utf-8"}
    with pytest.raises(InputError, match=rf"^Feed {file} .*: give another name, or -O to replace the file\.$"):
        get_crawler(settings_dict=settings)
    assert file.read_bytes() == content
    assert [other.name for other in tmp_path.iterdir()] == [name]
    # -O replaces it.
    feeds[str(file)]["overwrite"] = True
    get_crawler(settings_dict=settings)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b" [ ] \n", b"[\n\n]", b'[{"id": "old"}]', '[\r\n {"ä": "]"} ,1e5,"[", null\t]\n'.encode()]
)
def test_any_array_is_continued(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    file = JsonFile(path, statistics(), overwrite=False, indent=0)
    file.start()
    file.write(b'{"id": "new"}')
    file.finish()
    assert load(path) == [*(json.loads(content or b"[]")), {"id": "new"}]


def test_an_array_is_checked_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    items: list[Any] = [{"id": f'ä\\"{"x" * size}', "n": 12345.25, "t": True} for size in range(20)] + [123456789]
    for chunk in (1, 2, 3, 7, 64):
        monkeypatch.setattr("imgcrawl.feeds.json_array.CHUNK", chunk)
        path.write_text(json.dumps(items, ensure_ascii=False, indent=1), encoding="utf-8")
        file = JsonFile(path, statistics(), overwrite=False, indent=None)
        file.start()
        file.write(b"{}")
        file.finish()
        assert load(path) == [*items, {}], chunk


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("folder.json", r"folder\.json is a folder, a file is needed\.$"),
        ("folder.json/", r"folder\.json is a folder, a file is needed\.$"),
        ("file/a.csv", r"a\.csv cannot be written: .*/file is not a place to write to\.$"),
        ("x" * 250 + ".json", r"\.json cannot be written: File name too long\.$"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").write_text("")
    feeds = {f"{tmp_path}/{name}": {"format": name.rstrip("/").rpartition(".")[2]}}
    with pytest.raises(InputError, match=sentence):
        get_crawler(settings_dict={**COMPONENTS, "FEEDS": feeds})


def test_refused_before_anything_is_asked_for(project: Path) -> None:
    (project / "feed.json").write_text("hello")
    _, log = crawl(project, "-o", "feed.json")
    assert f"InputError: Feed {project}/feed.json holds no JSON array to add items to: give another name" in log
    # The address is known only when the spider is opened: Scrapy would only log an exception there.
    _, log = crawl(project, "-o", "%(name)s.json")
    assert "'finish_reason': 'bad input: Feed " in log
    assert "Traceback" not in log
    assert handled(project) == []
    assert (project / "feed.json").read_text() == "hello"
    assert hidden(project) == []


def test_a_second_crawl_into_the_same_file_is_refused(project: Path) -> None:
    first = start(project, "-o", "images.json", "-o", "images.jsonl", hold="go", run="a")
    wait_for(lambda: len(handled(project)) == 5, first)
    with (project / "images.jsonl").open("ab") as lines:
        lines.write(b'{"id": "being wri')
    for option in ("-o", "-O"):
        _, log = crawl(project, option, "images.json", run="b")
        assert "images.json is being written by another crawl: wait for its end, or give another name." in log
    # Lines can be shared, and a line that another crawl is writing is not mended.
    crawl(project, "-o", "images.jsonl", run="c")
    assert b'{"id": "being wri{"id": "c-0"' in (project / "images.jsonl").read_bytes()
    (project / "go").touch()
    first.communicate(timeout=30)
    assert ids(load(project / "images.json")) == numbered("a", 5)
    assert hidden(project) == []


def test_disk_full(project: Path) -> None:
    # Files cannot grow beyond the limit: the journal and the lines reach it after about thirty items.
    options = ("-O", "images.json", "-O", "images.jsonl", "-O", "images.csv", "-O", "/dev/full:jsonl")
    reader = Reader(project / "images.json")
    process = start(project, *options, count=100, size=1000, limit=30_000)
    reader.watch(process)
    log = (project / "log").read_text()
    assert "Traceback" not in log
    for name in ("images.json", "images.jsonl", "images.csv"):
        assert log.count(f"{name}: items cannot be written: File too large.") == 1
        assert f"in: {name}: " in log
    assert log.count("/dev/full: items cannot be written: No space left on device.") == 1
    assert "'feedexport/failed_count/FileFeedStorage': 4" in log
    assert "'verdict/error': 'Feed " in log
    kept = [ids(load(project / "images.json")), ids(read_lines(project / "images.jsonl"))]
    kept.append(ids(read_rows(project / "images.csv")))
    assert all(20 < len(some) < 31 and some == numbered("r", len(some)) for some in kept)
    lost = 400 - sum(len(some) for some in kept)
    assert f"'feed/lost': {lost}" in log
    # With space again, everything that was in the journal is in the array.
    crawl(project, "-o", "images.json", run="s")
    assert ids(load(project / "images.json"))[-5:] == numbered("s", 5)
    assert hidden(project) == []


def test_an_array_that_cannot_be_replaced_waits_in_the_journal(project: Path) -> None:
    (project / "images.json").write_text('[{"id": "old"}]')
    process = start(project, "-o", "images.json", run="s", count=3, pause=1)
    wait_for(lambda: len(handled(project)) == 1, process)
    (project / "images.json").rename(project / "away.json")
    (project / "images.json").mkdir()
    process.communicate(timeout=60)
    log = (project / "log").read_text()
    assert "in: images.json: another program has changed it; items wait in" in log
    assert "Traceback" not in log
    (project / "images.json").rmdir()
    (project / "away.json").rename(project / "images.json")
    assert re.search(r"took up [23] items", crawl(project, "-o", "images.json", run="t")[1])
    assert ids(load(project / "images.json")) == ["old", *numbered("s", 3), *numbered("t", 5)]
    assert hidden(project) == []


# ---- What a kill leaves --------------------------------------------------------------------------------


def add(path: Path, *items: bytes, indent: int | None = 0) -> JsonFile:
    """A feed with *items* in its journal, as a killed crawl leaves it that could publish nothing of them."""
    file = JsonFile(path, statistics(), overwrite=False, indent=indent)
    for item in items:
        file.write(item)
    return file


def leave(file: JsonFile) -> None:
    """The end that a kill makes: nothing is published or removed any more."""
    file._reader.close()
    file._journal.close()


@pytest.mark.parametrize("old", [None, [{"id": "old"}]])
def test_a_journal_torn_at_any_byte(tmp_path: Path, old: list[dict[str, str]] | None) -> None:
    path, journal = tmp_path / "a.json", tmp_path / ".a.json.journal"
    items = [{"id": "1"}, {"id": "ä, [\n"}, {"id": "3", "more": [{}, {"x": 1.5}]}]
    if old is not None:
        path.write_text(json.dumps(old))
    leave(add(path, *(json.dumps(item, ensure_ascii=False).encode() for item in items)))
    before, content = path.read_bytes() if old else None, journal.read_bytes()
    found = []
    for size in range(len(content) + 1):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
        journal.write_bytes(content[:size])
        file = add(path)
        # Published before the crawl has its first item.
        if path.exists():
            found.append(len(load(path)) - len(old or []))
            assert load(path) == [*(old or []), *items[: found[-1]]]
        file.write(b"{}")
        file.finish()
        assert load(path)[-1] == {}
        assert not journal.exists()
    assert found == sorted(found) and set(found) >= {1, 2, 3}


@pytest.mark.parametrize("old", [None, "[]", '[{"id": "old"}]'])
def test_killed_between_the_steps_of_publishing(tmp_path: Path, old: str | None) -> None:
    path, journal = tmp_path / "a.json", tmp_path / ".a.json.journal"
    if old is not None:
        path.write_text(old)
    expected = [*json.loads(old or "[]"), *({"id": number} for number in range(4))]
    file = add(path, b'{"id": 0}', b'{"id": 1}')
    unmarked = journal.read_bytes()[: file.MARK_SIZE]
    file._publish()
    file.write(b'{"id": 2}')
    file.write(b'{"id": 3}')
    leave(file)
    assert load(path) == expected[:-2]
    (tmp_path / ".a.json.tmp").write_text("half a cop")
    state = path.read_bytes(), journal.read_bytes()
    for content in (state[1], unmarked + state[1][len(unmarked) :]):
        path.write_bytes(state[0])
        journal.write_bytes(content)
        add(path).finish()
        assert load(path) == expected


def test_an_array_that_was_edited_or_removed_after_the_kill(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.json", tmp_path / ".a.json.journal"
    file = add(path, b'{"id": 0}')
    file._publish()
    file.write(b'{"id": 1}')
    leave(file)
    content = journal.read_bytes()
    # Only what the array never had comes back.
    for edited, expected in ((None, [{"id": 1}]), ("[]", [{"id": 1}]), ('["x", "y", "z"]', ["x", "y", "z", {"id": 1}])):
        path.unlink()
        if edited is not None:
            path.write_text(edited)
        journal.write_bytes(content)
        add(path, indent=2).finish()
        assert load(path) == expected
    # -O takes up nothing.
    journal.write_bytes(content)
    file = JsonFile(path, statistics(), overwrite=True, indent=0)
    file.start()
    assert load(path) == ["x", "y", "z", {"id": 1}]  # until there is something to take its place
    file.write(b'{"id": 2}')
    file.finish()
    assert load(path) == [{"id": 2}]
    assert [other.name for other in tmp_path.iterdir()] == ["a.json"]


def test_an_array_that_is_moved_away_during_the_crawl(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    file = add(path, b'{"id": 0}')
    file._publish()
    path.rename(tmp_path / "b.json")
    file.write(b'{"id": 1}')
    file.finish()
    assert load(tmp_path / "b.json") == [{"id": 0}]
    assert load(path) == [{"id": 1}]


def test_another_program_writes_the_array_during_the_crawl(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    file = add(path, b'{"id": 0}')
    file.start()
    while not path.exists():
        time.sleep(0.001)
    path.write_text('["mine"]')
    file.write(b'{"id": 1}')
    with pytest.raises(ImgcrawlError, match=r"another program has changed it; items wait in .*journal for the next -o"):
        file.finish()
    assert load(path) == ["mine"]
    add(path).finish()
    assert load(path) == ["mine", {"id": 1}]


def test_a_copy_that_would_fill_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("[0]")
    file = add(path, b"1")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=4))
    with pytest.raises(ImgcrawlError, match=r"^No space left on device; items wait in"):
        file.finish()
    assert path.read_text() == "[0]"


def test_a_foreign_journal_is_left(tmp_path: Path) -> None:
    journal = tmp_path / ".a.json.journal"
    journal.write_text("something of somebody else's, longer than a mark")
    with pytest.raises(InputError, match=r"a\.json\.journal is not the journal of a feed: remove it"):
        add(tmp_path / "a.json")
    assert journal.read_text().startswith("something")


def test_a_journal_of_a_newer_release_is_left_and_that_of_an_older_one_is_taken_up(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.json", tmp_path / ".a.json.journal"
    journal.write_bytes(b"01" + b"0" * 17 + b"1 " + b"0" * 18 + b"42\n" + b',{"id": 1}')
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is of format 1, expected 0 or less: a newer release of imgcrawl"):
            JsonFile(path, statistics(), overwrite=overwrite, indent=0)
    assert journal.read_bytes().endswith(b'{"id": 1}')
    journal.write_bytes(b"00" + journal.read_bytes()[2:])  # as all releases so far have written it
    add(path).finish()
    assert load(path) == [{"id": 1}]


@pytest.mark.parametrize(
    ("torn", "whole"),
    [
        (b'{"id": "a"}\n{"id": "b"', b'{"id": "a"}\n'),
        (b'{"id": "a"}\n{"id": "b"}', b'{"id": "a"}\n{"id": "b"}\n'),
        (b'{"id": "a"}\n{"id": "\xc3', b'{"id": "a"}\n'),
        (b'{"id": "a"}\n\0\0\0\0', b'{"id": "a"}\n'),
        (b'{"id": "' + b"b" * 3_000_000, b""),
        (b'{"id": "a"}\n', b'{"id": "a"}\n'),
        (b"", b""),
    ],
)
def test_torn_lines_are_mended(tmp_path: Path, torn: bytes, whole: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(torn)
    LinesFile(path, statistics(), dialect=None).finish()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("torn", "rows"),
    [
        (b"id,text\r\n1,a\r\n2,b", [["1", "a"], ["2", "b"]]),
        (b'id,text\r\n1,"a\r\nb"\r\n2,"c, d', [["1", "a\r\nb"], ["2", "c, d"]]),
        (b'id,text\r\n1,"a\n', [["1", "a\n"]]),
        (b"id,text\r\n1,\xc3", [["1", ""]]),
        (b"id,text\r\n1,a\r", [["1", "a"]]),
        (b"id,text\n1,a\n", [["1", "a"]]),
        (b"id,text\n1,a", [["1", "a"]]),
        (b"\xef\xbb\xbfid,text\r\n1,a\r\n", [["1", "a"]]),
    ],
)
def test_torn_rows_are_mended(tmp_path: Path, torn: bytes, rows: list[list[str]]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(torn)
    file = LinesFile(path, statistics(), dialect={"encoding": "utf-8", "header": True})
    assert file.columns == ["id", "text"]
    file.write(b"9,z\r\n")
    file.finish()
    with path.open(encoding="utf-8-sig", newline="") as lines:
        assert [row for row in csv.reader(lines) if row] == [["id", "text"], *rows, ["9", "z"]]
