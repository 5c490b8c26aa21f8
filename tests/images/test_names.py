from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.images.names import (
    MAX_NAME,
    MAX_PATH,
    PathTemplate,
    check_template,
    distinct,
    path_for,
    safe_name,
    strip_extension,
)

KNOWN = ("spider", "title", "index", "name")
HARD = (
    *("%", "/", "\\", "..", ".", " ", "\0", "\n", "\x1b[31m", "\x85", ":", "*", "?", '"', "<", ">", "|", "~", "-", "_"),
    *("CON", "con.txt", "NUL ", "aux", "COM1", "COM¹", "lpt9.tar.gz", "CONIN$", "conout$", "CLOCK$", "PRN .x"),
    *("\u202e", "\u2066", "\u200e", "\u200d", "\u200c", "\u200b", "\ufeff", "\u2028", "\ud800", "\udfff", "\uffff"),
    *("é", "e\u0301", "\u212b", "\u1100\u1161\u11a8", "<\u0338", "漢"),
    *("👨‍👩‍👧", "卩丬My㊊伴er彎", "っ思忆゜♪", "a" * 150, "漢" * 70, "a\u0301" * 300),
)  # fmt: skip


def hard_texts(count: int) -> list[str]:
    chance = random.Random(20261121)
    pieces = [*HARD, "a", "Title", "x.jpg", " "]
    return [
        *HARD,
        *("".join(chance.choices(pieces, k=chance.randrange(8))) for _ in range(count)),
        *("".join(chr(chance.randrange(0x3000)) for _ in range(chance.randrange(300))) for _ in range(count // 4)),
    ]


def assert_safe(name: str, max_bytes: int = MAX_NAME) -> None:
    assert 0 < len(name.encode()) <= max_bytes
    assert not set(name) & set('/\\:*?"<>|')
    assert not [char for char in name if unicodedata.category(char) in {"Cc", "Cs"}]
    assert not [char for char in name if unicodedata.bidirectional(char) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI"}]
    assert name == name.strip(". ")
    assert name == unicodedata.normalize("NFC", name)
    stem = name.partition(".")[0].rstrip(" ").upper()
    assert stem not in {"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"}
    assert not (stem[:3] in {"COM", "LPT"} and stem[3:] in set("0123456789¹²³"))


def test_safe_names_are_safe_and_stay_as_they_are(tmp_path: Path) -> None:
    for text in hard_texts(3000):
        name = safe_name(text)
        assert_safe(name)
        assert safe_name(name) == name
    for text in HARD:
        (tmp_path / safe_name(text)).touch()


@pytest.mark.parametrize("max_bytes", [32, 100, 255])
def test_safe_names_keep_to_the_bytes(max_bytes: int) -> None:
    for text in hard_texts(500):
        name = safe_name(text, max_bytes=max_bytes)
        assert_safe(name, max_bytes)
        assert safe_name(name, max_bytes=max_bytes) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Summer, 2018", "Summer, 2018"),
        ("a/b\\c", "a_b_c"),
        ("..", "untitled"),
        ("", "untitled"),
        (" \u200b\n", "untitled"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("  two\n lines\t", "two lines"),
        (".htaccess", "htaccess"),
        ("ends. ", "ends"),
        ("nul", "nul_"),
        ("NUL .txt", "NUL_.txt"),
        ("con.tar.gz", "con_.tar.gz"),
        ("CONIN$", "CONIN$_"),
        ("console", "console"),
        ("gpj\u202eexe", "gpjexe"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("e\u0301", "é"),
        ("\ud800x", "x"),
        ("“西辞”", "“西辞”"),
    ],
)
def test_safe_name(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_long_titles_stay_two_names() -> None:
    common = "漢字" * 500
    first, second = safe_name(common + "1"), safe_name(common + "2")
    assert first != second
    assert first.startswith("漢字" * 20)
    assert len(first.encode()) <= MAX_NAME
    assert safe_name("a" + "." * 290 + "1") != safe_name("a" + "." * 290 + "2")
    assert safe_name("\0" * 5000 + "title") == "title"


def test_path_for() -> None:
    template = "{spider}/{title}/{index:03}"
    assert path_for(template, {"spider": "pximg", "title": "a", "index": 7}) == "pximg/a/007"
    assert path_for(template, {"spider": "pximg", "title": "../a/b", "index": 7}) == "pximg/_a_b/007"
    assert path_for(template, {"spider": "pximg", "title": "{spider}", "index": 7}) == "pximg/{spider}/007"
    assert path_for("{title}/{index}", {"index": 7}) == "untitled/7"
    assert path_for("{name}-{index:03}", {"name": None, "index": 12}) == "-012"
    assert path_for("{name:03}", {"name": "7"}) == "7"
    assert path_for("/{title}/", {"title": "/"}) == "_"


def test_path_is_bounded_and_relative() -> None:
    for parts in (1, 3, 9, 30):
        for text in (*HARD, "漢" * 1000):
            path = path_for("/".join(["{title}"] * parts), {"title": text})
            assert len(path.encode()) <= MAX_PATH
            assert len(path.split("/")) == parts
            assert not {"", ".", ".."} & set(path.split("/"))


@pytest.mark.parametrize(
    "template", ["{title.__class__}", "{title[0]}", "{}", "{0}", "{title", "{index:{title}}", "{index:9999999}"]
)
def test_path_for_refuses_what_reaches_into_values(template: str) -> None:
    with pytest.raises(InputError, match="template"):
        path_for(template, {"title": "99999999", "index": 1})


@pytest.mark.parametrize(
    "template", ["{spider}/{title}/{index:03}", "{title}", "all/{index}", "{name!r:.20}", "{index:>4}", "{{{title}}}"]
)
def test_good_templates(template: str) -> None:
    check_template("IMAGES_NAME", template, KNOWN)


@pytest.mark.parametrize(
    "template",
    [
        *("", "  ", "/{title}", "~/{title}", "C:/{title}", "\\\\host/{title}", "{title}\\{index}"),
        *("..", "../{title}", "a/./b", "a//b", "{title}/", "{nope}", "{title.__class__}", "{title[0]}", "{}", "{0}"),
        *("{title", "title}", "{title!x}", "{index:3q}", "{index:{title}}", "{index:99999}", "x/" * 40 + "x"),
    ],
)
def test_bad_templates(template: str) -> None:
    with pytest.raises(InputError) as caught:
        check_template("IMAGES_NAME", template, KNOWN)
    sentence = str(caught.value)
    assert sentence.startswith(f"IMAGES_NAME is {template!r}: ")
    assert sentence.endswith("fields of index, name, spider, title.")
    assert "\n" not in sentence


def test_distinct() -> None:
    assert distinct(["a", "b"]) == ["a", "b"]
    assert distinct(["a", "a", "A", "a-2"]) == ["a", "a-3", "A-4", "a-2"]
    assert distinct(["x/é", "x/e\u0301", "y/é"]) == ["x/é", "x/e\u0301-2", "y/é"]


def test_distinct_is_distinct_for_every_file_system() -> None:
    chance = random.Random(7)
    for _ in range(300):
        names = [
            safe_name("".join(chance.choices(["a", "A", "-2", "-3", "é", "ß", "漢" * 40], k=3))) for _ in range(20)
        ]
        result = distinct(names)
        keys = {unicodedata.normalize("NFD", name).casefold() for name in result}
        assert len(keys) == len(names)
        assert all(len(name.encode()) <= MAX_NAME for name in result)
        assert all(
            made == given or made.rpartition("-")[2].isdigit() for made, given in zip(result, names, strict=True)
        )
        first = {}
        for made, given in zip(result, names, strict=True):
            first.setdefault(given.casefold(), (made, given))
        assert all(made == given for made, given in first.values())


def test_distinct_takes_a_long_list() -> None:
    assert len(set(distinct(["a"] * 20_000))) == 20_000


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("卡特扣篮.mp4", "卡特扣篮"),
        ("cat.jpg", "cat"),
        ("cat.JPEG ", "cat"),
        ("cat.jpg.webp", "cat.jpg"),
        ("Mr. Smith", "Mr. Smith"),
        ("v1.2", "v1.2"),
        (".jpg", ".jpg"),
        ("jpg", "jpg"),
    ],
)
def test_strip_extension(name: str, stem: str) -> None:
    assert strip_extension(name) == stem


@pytest.mark.parametrize(
    "template", ["{spider}/{title}/{index:03}", "{title}-{name}/{index}/x", "/{host}//{title}/", ""]
)
def test_many_paths_of_one_item_are_those_of_each_alone(template: str) -> None:
    shared = {"spider": "pximg", "title": "../a", "name": "the item's", "index": 0}
    paths = PathTemplate(template, shared, ("index", "name", "host"))
    for number in range(3):
        own = {"index": number, "name": f"{number}/b", "host": "example.org"}
        assert paths.path(own) == path_for(template, shared | own)
    assert "the item's" not in paths.path(own)
