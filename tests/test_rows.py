from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import math
import os
import re
import subprocess
import sys
import time
import zipfile
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from imgcrawl.addresses import addresses_in
from imgcrawl.exceptions import InputError
from imgcrawl.rows import BROKEN, BadRow, GoodRow, objects, open_address_list, open_rows
from imgcrawl.rows.records import MAX_QUOTED_LINES
from imgcrawl.rows.source import MAX_LINE

CSV = b"id,name,url\n1,one,http://h/1\n2,two,http://h/2\n"
TWO = [GoodRow(2, ["http://h/1"]), GoodRow(3, ["http://h/2"])]


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Writes a list and reads it: good and bad rows in their order."""

    def read(data: bytes, name: str = "list.csv", **options: Any) -> list[GoodRow | BadRow]:
        (tmp_path / name).write_bytes(data)
        return list(open_rows(tmp_path / name, **options))

    return read


def values(rows: list[GoodRow | BadRow]) -> list[list[str]]:
    return [row.values for row in rows if isinstance(row, GoodRow)]


def bad(rows: list[GoodRow | BadRow]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, BadRow)]


# ---- what a list may be ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["list.csv", "list", "list.csv.gz", "list.zip", "list.dat"])
@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped(("x.csv", data))], ids=["gzip", "zip"])
def test_packing_is_told_by_content(read: Any, pack: Any, name: str) -> None:
    assert read(pack(CSV), name, columns=["url"]) == TWO


def test_zip_with_one_list_among_other_files(read: Any) -> None:
    packed = zipped(("readme.md", b"#"), ("d/", b""), ("d/l.csv", CSV), ("__MACOSX/d/._l.csv", b"\0\1"))
    assert read(packed, "l.zip", columns=["url"]) == TWO


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("l.tsv", b"id\turl\n1\thttp://h/1\n2\thttp://h/2\n", {"columns": ["url"]}),
        ("l", b"id\turl\n1\thttp://h/1\n2\thttp://h/2\n", {"columns": ["url"]}),
        ("l.csv", b"id;url\n1;http://h/1\n2;http://h/2\n", {"columns": ["url"], "delimiter": ";"}),
        ("l.csv", b"id,url\n1,http://h/1\n2,http://h/2\n", {"columns": [1], "header": True}),
        ("l.csv", b'id,url\n1, http://h/1 \n2,  "http://h/2"\r\n', {"columns": ["1"], "header": True}),
        ("l.csv", CSV.replace(b"\n", b"\r\n"), {"columns": ["url"]}),
        ("l.csv", CSV.replace(b"\n", b"\r"), {"columns": ["url"]}),
        ("l.csv", CSV.rstrip(b"\n"), {"columns": ["url"]}),
        ("l.txt", b"# two\nhttp://h/1\n  http://h/2  \n\n#", {}),
        ("l", b"# two\nhttp://h/1\n  http://h/2  \n\n#", {}),
        ("l.jsonl", b'\n{"url": "http://h/1"}\n{"url": " http://h/2", "x": {}}\n', {"columns": ["url"]}),
        ("l", b'\n{"url": "http://h/1"}\n{"url": "http://h/2", "x": {}}\n', {"columns": ["url"]}),
        ("l.json", b'\n["a", "http://h/1"]\n["b", "http://h/2"]\n', {"columns": [1], "format": "jsonl"}),
    ],
)
def test_formats(read: Any, name: str, data: bytes, options: dict[str, Any]) -> None:
    assert read(data, name, **options) == TWO


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (codecs.BOM_UTF8 + "名,url\n山,http://h/山\n".encode(), "utf-8"),
        (codecs.BOM_UTF8 + "名,url\n山,http://h/山\n".encode(), "gb18030"),
        ("名,url\n山,http://h/山\n".encode("utf-16"), "utf-8"),
        (codecs.BOM_UTF16_BE + "名,url\n山,http://h/山\n".encode("utf-16-be"), "utf-8"),
        ("名,url\n山,http://h/山\n".encode("utf-32"), "utf-8"),
        ("名,url\n山,http://h/山\n".encode("utf-16-le"), "utf-16-le"),
        ("名,url\n山,http://h/山\n".encode("gb18030"), "gb18030"),
        ("名,url\n山,http://h/山\n".encode("big5"), "Big5"),
        ("名,url\n山,http://h/山\n".encode("shift_jis"), "shift_jis"),
        ("名,url\n山,http://h/山\n".encode("iso2022_jp"), "iso2022_jp"),
    ],
)
def test_encodings(read: Any, data: bytes, encoding: str) -> None:
    assert read(data, columns=["url", "名"], encoding=encoding) == [GoodRow(2, ["http://h/山", "山"])]


def test_utf16_over_many_chunks(read: Any) -> None:
    text = "".join(f"{i},猫{i}\n" for i in range(20_000))
    rows = read(text.encode("utf-16"))
    assert values(rows) == [[str(i), f"猫{i}"] for i in range(20_000)]


def test_all_columns_and_header(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(CSV)
    reader = open_rows(tmp_path / "l.csv", header=True)
    assert reader.header == ["id", "name", "url"]
    assert [row.values for row in reader if isinstance(row, GoodRow)][1] == ["2", "two", "http://h/2"]
    assert reader.path == tmp_path / "l.csv"


def test_the_real_table_of_huaban(read: Any) -> None:
    names = ["卩丬My㊊伴er彎", "“西辞”", "妮玛士珍多", "Jennah·", "っ思忆゜♪"]
    rows = read("".join(f"{i},{name},https://h/{i}\n" for i, name in enumerate(names)).encode())
    assert values(rows) == [[str(i), name, f"https://h/{i}"] for i, name in enumerate(names)]


def test_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "l.txt").write_text("http://h/1\n")
    assert list(open_rows("~/l.txt")) == [GoodRow(1, ["http://h/1"])]


def test_json_values(read: Any) -> None:
    data = b'{"a": 5, "b": ["x", "\\u732b"], "c": true}\n{"a": "", "b": 1.5, "c": " s "}\n'
    assert values(read(data, "l.jsonl", columns=["a", "b", "c"])) == [["5", '["x", "猫"]', "true"], ["", "1.5", "s"]]


OBJECTS = [{"url": "http://h/1", "n": 1, "day": None}, {"url": "//h/2", "n": 2.5, "tags": ["a", "猫"]}, ["http://h/3"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_json_array_is_read_item_by_item(tmp_path: Path, encoding: str, indent: int | None, pack: Any) -> None:
    file = tmp_path / ("list.json.gz" if pack is gzip.compress else "list.json")
    file.write_bytes(pack(json.dumps(OBJECTS, indent=indent).encode(encoding)))
    reader, fields = open_address_list(file, column="url")
    one, two, three = reader
    assert (one, two) == (
        GoodRow(1, ["http://h/1"], {"n": 1}),
        GoodRow(2, ["//h/2"], {"n": 2.5, "tags": ["a", "猫"]}),
    )
    assert isinstance(three, BadRow)
    assert (three.line, three.reason) == (3, "no field 'url'")
    assert fields == {"n", "day", "tags", "column0"}
    assert [row.line for row in reader.rows(after=1)] == [2, 3]


@pytest.mark.parametrize("text", ['[{"url": "//h/1"}, null, 5]', '{\n"url": "//h/1"\n}\nnull 5\n'])
def test_values_without_fields_among_objects(tmp_path: Path, text: str) -> None:
    (tmp_path / "l.json").write_text(text)
    rows = list(open_address_list(tmp_path / "l.json")[0])
    assert values(rows) == [["//h/1"]]
    assert bad(rows) == [(2, "no field 'url'"), (3, "no field 'url'")]


def test_an_array_of_addresses_and_one_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text('["http://h/1",\n "http://h/2", {"url"')
    one, two, broken = open_address_list(tmp_path / "list.json")[0]
    assert (one, two) == (GoodRow(1, ["http://h/1"]), GoodRow(2, ["http://h/2"]))
    assert isinstance(broken, BadRow)
    assert broken.reason.startswith(BROKEN)


def test_parquet_is_read_without_its_large_columns(tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": b"x"}, "url": f"http://h/{n}", "raw": b"\xff", "score": math.nan, "day": date(2026, 1, 2)}
        for n in range(250)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "list", row_group_size=100)
    reader, fields = open_address_list(tmp_path / "list")
    assert (reader.format, fields) == ("parquet", {"score", "day"})
    good = list(reader)
    assert good[249] == GoodRow(250, ["http://h/249"], {"day": "2026-01-02"})
    assert list(reader.rows(after=248)) == good[248:]


@pytest.mark.parametrize(("name", "library"), [("list.json", "ijson"), ("list.parquet", "pyarrow")])
def test_a_library_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    (tmp_path / name).write_bytes(b"PAR1" if library == "pyarrow" else b'["http://h/1"]')
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"{library}, which reads it, is not installed: pip install 'imgcrawl\["):
        open_address_list(tmp_path / name)


@pytest.mark.parametrize("name", ["l.txt", "l"])
def test_addresses_in_text_may_be_quoted_bracketed_or_without_a_scheme(tmp_path: Path, name: str) -> None:
    lines = ["'http://h/1',", '["http://h/2", "//h/3"]', "//h/4", "http://h/5,6", "“http://h/7”", "['http://h/8"]
    (tmp_path / name).write_text("\n".join(lines))
    rows = list(open_address_list(tmp_path / name)[0])
    assert values(rows) == [["http://h/1"], ["http://h/2", "//h/3"], ["//h/4"], ["http://h/5,6"], ["http://h/7"]]
    assert bad(rows) == [(6, """no list of addresses: "'http://h/8" at character 1""")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "<https://a.org/1.jpg>\nhttps://a.org/2.jpg  # the second\nhttps://a.org/3.jpg,\n<URL://a.org/4.jpg>\n",
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg"], ["https://a.org/3.jpg"], ["//a.org/4.jpg"]]),
        ("a.txt", "https://a.org/1.jpg https://a.org/2,x.jpg | https://a.org/3.jpg\n",
         [["https://a.org/1.jpg", "https://a.org/2,x.jpg", "https://a.org/3.jpg"]]),
        ("b.txt", "(https://a.org/1.jpg)\n(https://a.org/a_(2).jpg, https://a.org/3.jpg)\n`https://a.org/4.jpg`,\n«https://a.org/5.jpg»\n",
         [["https://a.org/1.jpg"], ["https://a.org/a_(2).jpg", "https://a.org/3.jpg"], ["https://a.org/4.jpg"], ["https://a.org/5.jpg"]]),
        ("a.md", "# Mine\n\n- [one](https://a.org/1.jpg)\n* https://a.org/2(3).jpg\n1. [![t](https://a.org/t.jpg)](https://a.org/4.jpg)\n",
         [["https://a.org/1.jpg"], ["https://a.org/2(3).jpg"], ["https://a.org/t.jpg", "https://a.org/4.jpg"]]),
        ("a.html", "<DL><p>\n<DT><A HREF='https://a.org/1.jpg' ADD_DATE=1>one</A>\n", [["DL><p"], ["https://a.org/1.jpg"]]),
        ("a.txt", "https://a.org/1.jpg\n| https://a.org/2.jpg\nSee https://a.org/3.jpg, and that.\nwww.a.org/4.jpg\n",
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg"], ["https://a.org/3.jpg"], ["https://www.a.org/4.jpg"]]),
        ("a.csv", 'url,caption\n"=HYPERLINK(""https://a.org/1.jpg"",""one"")",see https://b.org/\nhttps://a.org/2.jpg,two\nhttps://a.org/3.jpg,\n',
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg"], ["https://a.org/3.jpg"]]),
        ("a.csv", 'id,picture\n1,"=HYPERLINK(""https://a.org/1.jpg"",""one"")"\n2,"= image( ""https://a.org/2.jpg"")"\n',
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg"]]),
        ("a.jsonl", '{"url": "https://a.org/1.jpg"},\n{"url": "https://a.org/2.jpg"} ,\r\n{"url": "https://a.org/3.jpg"}\n',
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg"], ["https://a.org/3.jpg"]]),
        ("a.txt", "https://a.org/0.jpg\n \u200bhttps://a.org/1.jpg\u200b \nhttps://a.org/2.jpg\u00a0\u2060\n",
         [["https://a.org/0.jpg"], ["https://a.org/1.jpg"], ["https://a.org/2.jpg"]]),
        ("a.txt", "https://a.org/1.jpg?crop=1,2,x0&amp;w=80&amp;h=60\n", [["https://a.org/1.jpg?crop=1,2,x0&w=80&h=60"]]),
        ("a.jsonl", '{"image_urls": ["https://a.org/1.jpg?a=1&amp;b=2"]}\n', [["https://a.org/1.jpg?a=1&amp;b=2"]]),
        ("a.jsonl", '{"id": 1, "photo": {"url": "https://a.org/1.jpg", "w": 9}}\n', [["https://a.org/1.jpg"]]),
        ("a.jsonl", '{"photos": [{"src": "https://a.org/1.jpg"}, "https://a.org/2 3.jpg"]}\n',
         [["https://a.org/1.jpg", "https://a.org/2 3.jpg"]]),
        ("a.txt", "https://a.org/1.jpg\nhttps://a.org/2.jpg\n" + "\0" * 4000, [["https://a.org/1.jpg"], ["https://a.org/2.jpg"]]),
        ("a.json", '{\n  "url": "https://a.org/1.jpg"\n}\n{\n  "url": "https://a.org/2.jpg", "x": [1]\n}\n',
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg"]]),
        ("a.jsonl", '{\n "image_urls": ["https://a.org/1.jpg",\n "https://a.org/2.jpg"]\n}\n', [["https://a.org/1.jpg", "https://a.org/2.jpg"]]),
        ("a.txt", "['https://a.org/1.jpg',\n 'https://a.org/2.jpg', 'https://a.org/3.jpg']\n",
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg", "https://a.org/3.jpg"]]),
        ("a", "[\n    'https://a.org/1.jpg',\n    'https://a.org/2_(3).jpg',\n],\n", [["https://a.org/1.jpg"], ["https://a.org/2_(3).jpg"]]),
        ("a.txt", "['https://a.org/1_(2).jpg',\r\n 'https://a.org/[3].jpg'] \r\n('https://a.org/4.jpg', 'https://a.org/5.jpg'),\n",
         [["https://a.org/1_(2).jpg"], ["https://a.org/[3].jpg"], ["https://a.org/4.jpg", "https://a.org/5.jpg"]]),
        ("a.txt", "// mine\nhttps://a.org/1.jpg\n  out=one.jpg\n\tdir=/x\nhttps://a.org/2.jpg)\n  header=Referer: https://a.org/\n",
         [["https://a.org/1.jpg"], ["https://a.org/2.jpg)"]]),
    ],
)  # fmt: skip
def test_addresses_as_people_write_them(tmp_path: Path, name: str, text: str, expected: list[list[str]]) -> None:
    (tmp_path / name).write_text(text)
    reader, _ = open_address_list(tmp_path / name)
    assert [row.values for row in reader if not isinstance(row, BadRow)] == expected


def test_an_object_without_end_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_OBJECT", 100_000)
    (tmp_path / "l.json").write_text('["http://h/1", {"url": "' + "x" * 1_000_000 + '"}]')
    rows = list(open_address_list(tmp_path / "l.json")[0])
    assert bad(rows)[0][1] == f"{BROKEN}: an object of more than 100000 bytes"


# ---- what is bad, and only that --------------------------------------------------------------------------


def test_bad_lines_of_csv(read: Any) -> None:
    lines = [
        b"1,ok,http://h/1",
        b"2,\xff\xfe,http://h/2",
        b"3,short",
        b"4,nul\0,http://h/4",
        b'5,"x"y,http://h/5',
        b"6," + b"x" * MAX_LINE + b",http://h/6",
        b'7,"' + b"x" * 200_000 + b'",http://h/7',
        b"",
        b'9,5" disk,http://h/9',
        b'10,"with, ""comma""",http://h/10',
        b'11,"',
        b'11b",http://h/11',
        b"13,ok,http://h/13",
        b'14,"open,http://h/14',
    ]
    rows = read(b"\n".join(lines), columns=[0, 1, 2])
    assert [(row.line, row.values[1]) for row in rows if isinstance(row, GoodRow)] == [
        (1, "ok"),
        (9, '5" disk'),
        (10, 'with, "comma"'),
        (11, "11b"),
        (13, "ok"),
    ]
    reasons = bad(rows)
    assert [line for line, _ in reasons] == [2, 3, 4, 5, 6, 7, 14]
    for (_, reason), told in zip(
        reasons, ["no text", "2 columns", "NUL", "no CSV", "longer", "field limit", "not closed"], strict=True
    ):
        assert told in reason


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis", "utf-16-le", "ascii"])
def test_undecodable_line_in_other_encodings(read: Any, encoding: str) -> None:
    junk = {"utf-16-le": b"\x00\xd8", "ascii": b"\xe9"}.get(encoding, b"\xff")
    lines = ["1,ok\n".encode(encoding), "2,".encode(encoding) + junk + "\n".encode(encoding), "3,ok".encode(encoding)]
    rows = read(b"".join(lines), encoding=encoding)
    assert values(rows) == [["1", "ok"], ["3", "ok"]]
    assert [line for line, _ in bad(rows)] == [2]


def test_open_quote_costs_one_row(read: Any) -> None:
    body = b"".join(b"%d,http://h/%d\n" % (i, i) for i in range(2, 1000))
    rows = read(b'1,"http://h/1\n' + body, columns=[1])
    assert bad(rows) == [(1, f"a quote is not closed within {MAX_QUOTED_LINES} lines or 65536 characters")]
    assert [row.line for row in rows if isinstance(row, GoodRow)] == list(range(2, 1000))


def test_quotes_of_a_table_with_tabs_that_quotes_nothing(read: Any) -> None:
    lines = ['"Second\thttp://h/1', "none\thttp://h/2", 'Fifth"\thttp://h/3', '"a "b" c\thttp://h/4', '"\thttp://h/5']
    proper = ['"tab\tand ""quotes"""\thttp://h/6', '"whole"\thttp://h/7', 'x\t"two', 'lines"']
    rows = read("\n".join([*lines, *proper]).encode(), format="tsv", columns=[0, 1])
    assert values(rows) == [
        *(line.split("\t") for line in lines), ['tab\tand "quotes"', "http://h/6"], ["whole", "http://h/7"],
        ["x", "two\nlines"],
    ]  # fmt: skip


def test_every_line_opens_a_quote(read: Any) -> None:
    rows = read(b"0,ok\n" + b'x","""y\n' * 3000)
    assert [line for line, _ in bad(rows)] == list(range(2, 3002))


def test_quoted_field_of_many_lines(read: Any) -> None:
    longest = b"x\n" * (MAX_QUOTED_LINES - 1)
    rows = read(b'1,"' + longest + b'"\n2,b\n', columns=[0])
    assert rows == [GoodRow(1, ["1"]), GoodRow(MAX_QUOTED_LINES + 1, ["2"])]
    rows = read(b'1,"x' + longest + b'\n"\n2,b\n', columns=[0])
    assert (rows[0].line, rows[-1]) == (1, GoodRow(MAX_QUOTED_LINES + 2, ["2"]))
    assert isinstance(rows[0], BadRow)


def test_bad_lines_of_json(read: Any) -> None:
    lines = [
        b'{"url": "http://h/1"}',
        b'{"url": "http://h/2"',
        b'{"name": "x"}',
        b'{"url": null}',
        b'"http://h/5"',
        b"[" * 100_000,
        b'{"url": "\\ud800"}',
        b'{"url": "a\\u0000b"}',
        b"1" * 5000,
        b'{"url": "http://h/10"}',
    ]
    rows = read(b"\n".join(lines), "l.jsonl", columns=["url"])
    assert values(rows) == [["http://h/1"], ["http://h/10"]]
    assert [line for line, _ in bad(rows)] == list(range(2, 10))


def test_excerpt_is_short_and_printable(read: Any) -> None:
    row = read(b"ok,ok\n\x1b[31m\xff\xe2\x80\xae" + b"x" * 1000)[1]
    assert isinstance(row, BadRow)
    assert row.excerpt.isprintable()
    assert row.excerpt.endswith("x")
    assert len(row.excerpt) == 80


def test_line_of_many_megabytes_between_good_ones(read: Any) -> None:
    rows = read(b"http://h/1\n" + b"x" * (5 * MAX_LINE) + b"\nhttp://h/3\n", "l.txt")
    assert values(rows) == [["http://h/1"], ["http://h/3"]]
    assert bad(rows) == [(2, f"a line longer than {MAX_LINE} bytes")]


def test_gzip_that_was_cut(read: Any) -> None:
    data = b"".join(b"%d,http://h/%s\n" % (i, os.urandom(20).hex().encode()) for i in range(20_000))
    rows = read(gzip.compress(data)[:-200_000], "l.csv.gz", columns=[1])
    good = values(rows)
    assert 1000 < len(good) < 20_000
    # The row that the cut went through is no good row.
    assert good == [[line.partition(",")[2]] for line in data.decode().splitlines()[: len(good)]]
    assert rows[-1].line == len(good) + 1
    assert isinstance(rows[-1], BadRow)
    assert rows[-1].reason.startswith(BROKEN)
    assert sum(isinstance(row, BadRow) for row in rows) == 1


def test_gzip_that_was_damaged(read: Any) -> None:
    data = b"".join(b"%d,http://h/%s\n" % (i, os.urandom(20).hex().encode()) for i in range(20_000))
    packed = bytearray(gzip.compress(data))
    packed[-6] ^= 255
    assert len(bad(read(bytes(packed), "l.csv.gz", columns=[1]))) == 1


def test_zip_whose_checksum_is_wrong(read: Any) -> None:
    data = b"".join(b"%d,http://h/%s\n" % (i, os.urandom(20).hex().encode()) for i in range(20_000))
    packed = bytearray(zipped(("l.csv", data)))
    packed[packed.index(b"PK\x01\x02") + 16] ^= 255
    rows = read(bytes(packed), "l.zip", columns=[1])
    ((line, reason),) = bad(rows)
    assert line == rows[-1].line
    assert "CRC" in reason


def test_file_that_goes_away_after_it_was_opened(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(CSV)
    reader = open_rows(tmp_path / "l.csv", columns=["url"])
    (tmp_path / "l.csv").unlink()
    (row,) = reader
    assert isinstance(row, BadRow)
    assert "No such file" in row.reason


# ---- what is no list at all ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "options", "told"),
    [
        ("l.csv", b"", {}, "is empty"),
        ("l.csv.gz", gzip.compress(b""), {}, "holds no bytes"),
        ("l.csv", b"\n \n\r\n", {}, "holds no rows"),
        ("l.csv", b"id,url\n", {"columns": ["url"]}, "holds no rows"),
        ("l.txt", b"# nothing\n", {}, "holds no rows"),
        ("l.csv.gz", CSV, {}, "neither gzip nor zip"),
        ("l.zip", b"<html>404</html>", {}, "neither gzip nor zip"),
        ("l.csv.gz", b"\x1f\x8b\x08\x00junk", {}, "cannot be read"),
        ("l.csv", b"\x1f\x8b\x01\x00junkjunkjunk", {}, "cannot be read"),
        ("l.zip", zipped(("l.csv", CSV))[:-10], {}, "cannot be read"),
        ("l.zip", zipped(("l.csv", CSV)).replace(b"PK\x03\x04", b"PK\x03\x05"), {}, "neither gzip nor zip"),
        ("l.zip", zipped(), {}, "holds nothing"),
        ("l.zip", zipped(("a.csv", CSV), ("b.txt", CSV)), {}, "'a.csv', 'b.txt'"),
        ("l.zip", zipped(("a.jpg", CSV), ("b.jpg", CSV)), {}, "'a.jpg', 'b.jpg'"),
        ("l.csv.bz2", bz2.compress(CSV), {}, "is bzip2"),
        ("l.zip", zipped(("l.csv.gz", gzip.compress(CSV))), {}, "gzip in another archive"),
        ("l.csv", CSV, {"encoding": "utf-99"}, "utf-99"),
        ("l.csv", CSV, {"encoding": "hex"}, "hex"),
        ("l.csv", CSV, {"encoding": "idna"}, "idna"),
        ("l.csv", CSV, {"encoding": "utf-16"}, "BOM"),
        ("l.csv", CSV.decode().encode("utf-16-le"), {}, "byte order mark"),
        ("l.csv", CSV, {"format": "xlsx"}, "expected one of text, csv, tsv, jsonl"),
        ("l.csv", CSV, {"delimiter": ";;"}, "expected one character"),
        ("l.csv", CSV, {"delimiter": '"'}, "expected one character"),
        ("l.csv", CSV, {"columns": ["address"]}, "'id', 'name', 'url'"),
        ("l.csv", CSV, {"columns": ["url"], "header": False}, "no header"),
        ("l.csv", b"url,url\n1,2\n", {"columns": ["url"]}, "twice"),
        ("l.csv", b'"url\n1\n', {"columns": ["url"]}, "its header, line 1"),
        ("l.csv", CSV, {"columns": [3]}, "3 columns; column 3, counted from 0"),
        ("l.csv", CSV, {"columns": [-1]}, "counted from 0"),
        ("l.txt", b"a\nb\n", {"columns": ["url"]}, "one value a line"),
        ("l.txt", "中文\n".encode("gb18030") * 3, {}, "cannot be read as text in utf-8: none of its first 3 rows"),
        ("l.csv", "http://h/1,Größe\n".encode("cp1252"), {}, "; -a encoding= names another, like cp1252 or gb18030"),
        ("l.jsonl", b'{"url": "x"}\n', {}, "names of the fields"),
        ("l.jsonl", b'{"url": "x"}\n', {"columns": ["address"]}, "no field 'address'"),
        ("l.json", b'[\n{"url": "x"}\n]', {"columns": ["address"]}, "no field 'address'"),
        ("l.json", b'[\n{"url": ', {"columns": ["url"]}, "line 1: the file is broken from here on"),
        ("l.parquet", b"x", {}, "is no Parquet file"),
        ("l.parquet", b"PAR1 and no more", {"columns": ["url"]}, "line 1: the file is broken from here on"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # archives tell the time
)
def test_one_sentence_before_any_row(
    tmp_path: Path, name: str, data: bytes, options: dict[str, Any], told: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        open_rows(tmp_path / name, **options)
    sentence = str(caught.value)
    assert told in sentence
    assert str(tmp_path / name) in sentence
    assert "\n" not in sentence


def test_zip_with_a_password(tmp_path: Path) -> None:
    packed = bytearray(zipped(("l.csv", CSV)))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "l.zip").write_bytes(packed)
    with pytest.raises(InputError, match="password"):
        open_rows(tmp_path / "l.zip")


def test_paths_that_are_no_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        open_rows(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="is a directory"):
        open_rows(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        open_rows(tmp_path / "pipe")
    with pytest.raises(InputError, match="null"):
        open_rows("a\0b")
    with pytest.raises(InputError, match="name too long"):
        open_rows("x" * 5000)


# ---- pages, and going on ---------------------------------------------------------------------------------


def test_pages_travel_as_json(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(b"id,url\n1,a\n2\n3,c\n\n4,d\n5,e\n6\n")
    reader = open_rows(tmp_path / "l.csv", columns=["url"])
    pages = list(reader.pages(3))
    assert [(page.first, page.last, page.rows) for page in pages] == [
        (2, 4, [[2, ["a"]], [4, ["c"]]]),
        (6, 8, [[6, ["d"]], [7, ["e"]]]),
    ]
    assert [[row.line for row in page.bad] for page in pages] == [[3], [8]]
    assert json.loads(json.dumps(pages[0].rows)) == pages[0].rows
    assert GoodRow(*pages[0].rows[1]) == GoodRow(4, ["c"])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_going_on_behind_any_row(tmp_path: Path, pack: Any) -> None:
    data = b'id,url\n1,a\n2,"b\nb\nb"\n3\n\n4,"open\n5,e\n6,\xff\n7,"g"\n'
    (tmp_path / "l.csv").write_bytes(pack(data))
    reader = open_rows(tmp_path / "l.csv", columns=["url"])
    rows = list(reader)
    assert [row.line for row in rows] == [2, 3, 6, 8, 9, 10, 11]
    for index, row in enumerate(rows):
        assert list(reader.rows(after=row.line)) == rows[index + 1 :]
    assert list(reader.rows(after=10**9)) == []


def test_going_on_in_a_cut_file_tells_it_again(tmp_path: Path) -> None:
    data = b"".join(b"%d,%s\n" % (i, os.urandom(20).hex().encode()) for i in range(20_000))
    (tmp_path / "l.csv.gz").write_bytes(gzip.compress(data)[:-200_000])
    reader = open_rows(tmp_path / "l.csv.gz")
    (row,) = reader.rows(after=10**6)
    assert isinstance(row, BadRow)
    assert row.line > 10**6


def test_iterators_are_independent_and_close_the_file(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("".join(f"http://h/{i}\n" for i in range(100_000)))
    reader = open_rows(tmp_path / "l.txt")
    one, two = iter(reader), iter(reader)
    assert list(islice(one, 3)) == list(islice(two, 3))
    del one, two
    open_files = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert str(tmp_path / "l.txt") not in open_files


READ_ALL = """
import sys
from imgcrawl.rows import open_rows
good = bad = 0
for page in open_rows(sys.argv[1], columns=[2]).pages(1000):
    good += len(page.rows)
    bad += len(page.bad)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(good, bad, peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux' /proc")
def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak_kilobytes(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        with path.open("wb") as file:
            for i in range(count):
                file.write(b"%d,x\n" % i if i % 100 == 7 else b"%d,name %d,https://img.example/%d.jpg\n" % (i, i, i))
        done = subprocess.run([sys.executable, "-c", READ_ALL, str(path)], capture_output=True, text=True, check=True)
        good, bad, peak = map(int, done.stdout.split())
        assert (good, bad) == (count * 99 // 100, count // 100)
        return peak

    small = peak_kilobytes(20_000)
    begin = time.monotonic()
    large = peak_kilobytes(500_000)
    assert large - small < 10_000
    assert time.monotonic() - begin < 60


# ---- printed lists of addresses --------------------------------------------------------------------------

A, B = "https://wx1.sinaimg.cn/large/a.jpg", "https://wx2.sinaimg.cn/large/b.jpg"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"['{A}', '{B}']", [A, B]),
        (f'["{A}","{B}"]', [A, B]),
        (f"[ '{A}' ,\n \"{B}\" , ]", [A, B]),
        (f"('{A}',)", [A]),
        (f"{{'{A}'}}", [A]),
        (f"[u'{A}', b'{B}']", [A, B]),
        (f"‘{A}’，“{B}”", [A, B]),
        (f"[{A}, {B}]", [A, B]),
        (f"{A},{B}", [A, B]),
        (f"{A}\n{B}", [A, B]),
        (f"  {A}  ", [A]),
        (f"'{A}'", [A]),
        (f'[""{A}"", ""{B}""]', [A, B]),
        (f"[['{A}'], [['{B}']], []]", [A, B]),
        (f"[None, '', ' ', '{A}', null]", [A]),
        ("['//wx1.sinaimg.cn/a.jpg']", ["//wx1.sinaimg.cn/a.jpg"]),
        ("//wx1.sinaimg.cn/a.jpg", ["//wx1.sinaimg.cn/a.jpg"]),
        ("https://h/w_1,h_2/a.jpg", ["https://h/w_1,h_2/a.jpg"]),
        ("['https://h/a,b.jpg']", ["https://h/a,b.jpg"]),
        ('["https://h/it\'s.jpg"]', ["https://h/it's.jpg"]),
        (r"['https://h/it\'s.jpg', 'https:\/\/h\/\u732b\ud83d\ude00\x41']", ["https://h/it's.jpg", "https://h/猫😀A"]),
        (f"['{A}', 'n/a', 'file:///etc/passwd']", [A, "n/a", "file:///etc/passwd"]),
        ("['javascript:alert(1)']", ["javascript:alert(1)"]),
        ("[]", []),
        ("", []),
        (" \n", []),
        ("[ ]", []),
        ("None", []),
        ("nan", []),
        ("['']", []),
        ("[[[]]]", []),
    ],
)
def test_addresses_in(text: str, expected: list[str]) -> None:
    assert addresses_in(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "hello world",
        "2020-01-12",
        "['tag', 'another']",
        f"['{A}'",
        f"'{A}']",
        f"['{A}', 'https://wx2.sin",
        f"['{A}', __import__('os')]",
        f"{{'a': '{A}'}}",
        f"['{A}' + '{B}']",
        "nothing",
        r"['https://h/\ud800']",
        "]" * 100_000,
    ],
)
def test_text_that_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no list of addresses: ") as caught:
        addresses_in(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6 + "]" * 10**6,
        "[" * 10**6,
        "'" * (10**6 + 1),
        "['" + "\\" * 10**6,
        "," * 10**6,
        "//," * 10**6,
        "'https://h/" + "\\u" * 10**6 + "'",
        "a+" * 10**6,
        "//" + ",a" * 10**6,
    ],
    ids=range(9),
)
def test_hostile_lists_take_linear_time(text: str) -> None:
    begin = time.process_time()
    try:
        addresses_in(text)
    except ValueError as error:
        assert re.match("no list of addresses", str(error))
    assert time.process_time() - begin < 20
