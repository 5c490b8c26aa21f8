"""Lists as people and programs write them: what stands above a table, what parts it, whatever the file is called."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from imgcrawl.rows import BadRow, GoodRow, open_address_list
from imgcrawl.rows.reader import open_records

ADDRESSES = [f"https://a.org/{number}.jpg" for number in range(3)]
CSV = "id,url,caption\n" + "".join(f"{n},{url},the {n}\n" for n, url in enumerate(ADDRESSES))
OBJECTS = [{"id": n, "url": url, "caption": f"the {n}"} for n, url in enumerate(ADDRESSES)]
BOTH = {"id", "caption"}


def by(delimiter: str, text: str = CSV) -> str:
    return text.replace(",", delimiter)


@pytest.mark.parametrize("name", ["l.txt", "l.csv", "l", "l.urls"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("above", ["", "# of 2026, by x\n\n", "Export of 2026\n", "\n# a\n# b\n"])
def test_a_table_is_one_whatever_it_is_called_and_whatever_stands_above_it(
    tmp_path: Path, name: str, delimiter: str, above: str
) -> None:
    (tmp_path / name).write_text(above + by(delimiter))
    reader, fields = open_address_list(tmp_path / name)
    rows = list(reader)
    assert fields == BOTH
    assert rows[2] == GoodRow(4 + above.count("\n"), [ADDRESSES[2]], {"id": "2", "caption": "the 2"})
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("name", "text", "fields"),
    [
        ("l.csv", "sep=;\n" + by(";"), BOTH),
        ("l.csv", '"sep=|"\r\n' + by("|").replace("\n", "\r\n"), BOTH),
        ("l.csv", "sep=\t\n" + by("\t"), BOTH),
        ("l.csv", by("^", "sep=,\n" + CSV), BOTH),
        ("l.csv", "url\n" + "".join(f"\ufeff{url}\n" for url in ADDRESSES), set()),
        ("l.tsv", "# made by a program\n" + by("\t"), BOTH),
        ("l.csv", "# note\nurl\n" + "\n".join(ADDRESSES), set()),
        ("l.csv", "#id,url,caption\n" + CSV.partition("\n")[2], {"#id", "caption"}),
        ("l.txt", CSV.partition("\n")[2], {"column0", "column2"}),
        ("l.txt", "".join(f"{url},the {n}th\n" for n, url in enumerate(ADDRESSES)), {"column1"}),
        (
            "l.txt",
            "id,url,caption\n" + "".join(f'{n},{url},"the\n""{n}"", one"\n' for n, url in enumerate(ADDRESSES)),
            BOTH,
        ),
        ("l.txt", "".join(f"{url}\t{n}\n" for n, url in enumerate(ADDRESSES)), {"column1"}),
        ("l.json", json.dumps({"total": 3, "next": "https://a.org/?page=2", "items": OBJECTS}), BOTH),
        ("l.json", json.dumps({"data": {"tags": ["a"], "photos": OBJECTS}}, indent=1), BOTH),
        ("l", json.dumps({"items": OBJECTS}) + "\n", BOTH),
        ("l.json", json.dumps({"licenses": [{"url": "https://b.org/by/2.0/"}], "images": OBJECTS}), BOTH),
        (
            "l.csv",
            "photo_url,photo_image_url\n" + "".join(f"https://a.org/photos/{url[-5]},{url}\n" for url in ADDRESSES),
            {"photo_url"},
        ),
        ("l.jsonl", "".join(json.dumps(url) + "\n" for url in ADDRESSES), set()),
        (
            "l.json",
            "".join(json.dumps(each | {"s": [{"at": "//b/1"}]}) + "\n" for each in OBJECTS),
            BOTH | {"s"},
        ),
    ],
)
def test_what_a_list_says_of_its_form_is_followed(tmp_path: Path, name: str, text: str, fields: set[str]) -> None:
    for path, data in ((tmp_path / name, text.encode()), (tmp_path / f"{name}.gz", gzip.compress(text.encode()))):
        path.write_bytes(data)
        reader, found = open_address_list(path)
        rows = list(reader)
        assert found == fields
        assert [row.values[0].partition(";")[0] for row in rows if not isinstance(row, BadRow)] == ADDRESSES


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("l.txt", "https://a.org/w_1,h_2/1.jpg\nhttps://a.org/w_1,h_2/2.jpg\n", "https://a.org/w_1,h_2/1.jpg"),
        ("l.txt", "https://a.org/1;v=2\nhttps://a.org/2;v=2\n", "https://a.org/1;v=2"),
        ("l.txt", "# mine, and others\nhttps://a.org/a,b\nhttps://a.org/c,d\n", "https://a.org/a,b"),
        ("l.json", '{"url": "https://a.org/1", "sizes": [{"src": "https://a.org/2"}]}', "https://a.org/1"),
        ("l.json", '{"image_urls": ["https://a.org/1"], "images": [{"url": "https://a.org/2"}]}', "https://a.org/1"),
        ("l.json", '{"id": 1, "photos": ["https://a.org/1", "https://a.org/2"]}', "https://a.org/1"),
        ("l.csv", "https://a.org/1\nhttps://a.org/2,x\nhttps://a.org/3,x\n", "https://a.org/1"),
    ],
)
def test_what_only_looks_like_a_table_is_none(tmp_path: Path, name: str, text: str, values: str) -> None:
    (tmp_path / name).write_text(text)
    first = next(iter(open_address_list(tmp_path / name)[0]))
    assert isinstance(first, GoodRow)
    assert first.values[0] == values


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("l.csv", '"A caption\nof two lines",https://a.org/1.jpg\nb,https://a.org/2.jpg\n', 2),
        ("l.csv", "google.com\n2,example.com\n3,example.org\n", 3),
        ("l.csv", "#one\n#two\nthree\n", 3),
        ("l.csv", "url\nhttps://a.org/1,x\nhttps://a.org/2,y\n", 2),
        ("l.csv", '"Image\nURL",Caption\nhttps://a.org/1.jpg,a\nhttps://a.org/2.jpg,b\n', 2),
        ("l.json", json.dumps({"data": OBJECTS[:1], "ads": OBJECTS}), 1),
        ("l.json", 2 * (json.dumps({"photos": 9000 * [{"src": ADDRESSES[0]}], "title": "t"}) + "\n"), 2),
    ],
)
def test_no_row_and_no_header_is_taken_for_what_stands_above(tmp_path: Path, name: str, text: str, number: int) -> None:
    (tmp_path / name).write_text(text)
    records = open_records(tmp_path / name, format=None, encoding="utf-8", delimiter=None)
    assert getattr(records, "above", 0) == 0
    found = [fields for _, _, fields in records.read()]
    assert not any(isinstance(each, BadRow) for each in found)
    assert len(found) - (name == "l.csv" and text[:4].strip('"').lower() in ("url\n", "ima")) == number
