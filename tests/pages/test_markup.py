"""What a parser would be too slow for is counted before, as the parser would read it."""

from __future__ import annotations

import random
import time

import pytest
from parsel import Selector

from imgcrawl.pages.encodings import is_web_encoding
from imgcrawl.pages.markup import MAX_ATTRIBUTES, most_attributes, too_much

MANY = " ".join(f"a{n}" for n in range(MAX_ATTRIBUTES + 1))
VALUES = MANY.replace(" ", "='>'")


@pytest.mark.parametrize(
    "page",
    [
        f"<p {MANY}>x", f"<P/{MANY.replace(' ', '/')}", f'<p x=">" {VALUES}', f"<svg><title></svg></title><p {MANY}>",
        f"<script/>x<p {MANY}>", f"<!--><p {MANY}>-->", f'</p x="<!--"><p {MANY}>', f"<scr\0ipt></script><p {MANY}>",
        f"<p x=a'b {MANY}>", f'<p b">{"<p"} {MANY}>', "<p>" * 1_000_001, "<a href=/>" * 500_001,
    ],
)  # fmt: skip
def test_too_much_for_a_parser(page: str) -> None:
    assert too_much(page)


@pytest.mark.parametrize(
    "page",
    [
        f"<script>if (i<n) {MANY}</script>", f"<!-- <p {MANY}> -->", f"<p title='{MANY}'>{MANY}", f"<p>1 < 2 {MANY}",
        f"<title><p {MANY}</title>", f"<style>a<b {MANY}</style>", "<a href=/1>x</a>" * 300_000, f"<p {' ' * 99999}>",
    ],
)  # fmt: skip
def test_not_too_much(page: str) -> None:
    assert not too_much(page)


def test_attributes_without_a_value_count() -> None:
    """A tree of 9 MB of them took half a gigabyte."""
    tag = f"<p {' '.join(f'a{n}' for n in range(400))}>"
    assert too_much(tag * 3_000) == "1203000 elements and attributes, limit 1000000"
    assert not too_much(tag * 2_000)
    assert not too_much(f"<p title='{'a word ' * 400}'>" * 1_000), "of a value no word is one"


PIECES = [
    "<a", "<p", "</p", "<script", "<style>", "<title>", "<svg>", "<xmp>", "</script>", "</style>", "</title>", "<!--",
    "-->", "--!>", "<!", "<?", "<![CDATA[", "]]>", ">", "/", '"', "'", "=", " ", "\n", "\f", "\v", "b", "x=y", "<br/>",
]  # fmt: skip


def test_no_attribute_that_the_parser_reads_is_overlooked() -> None:
    chance = random.Random(13)
    for _ in range(3000):
        page = "".join(chance.choices(PIECES, k=chance.randint(3, 25))) + "".join(f" z{n}" for n in range(20)) + ">"
        read = max((len(element.attrib) for element in Selector(page).root.iter("*")), default=0)
        assert most_attributes(page) >= read, page


def test_no_tag_is_passed_over_that_has_too_many() -> None:
    chance = random.Random(14)
    for _ in range(1000):
        page = "".join(chance.choices(PIECES, k=chance.randint(3, 25)))
        page = f"{page} {MANY}{'>' * chance.randint(0, 1)}{''.join(chance.choices(PIECES, k=9))}"
        assert max(most_attributes(page, MAX_ATTRIBUTES), MAX_ATTRIBUTES) == max(most_attributes(page), MAX_ATTRIBUTES)


@pytest.mark.parametrize(
    "piece", ["<a ", "<a x='<a x=\"", "<!--", "<script>", "</script", "<a b='>' c=\">\">", " ", "<p"]
)
def test_counting_takes_a_time_in_proportion_to_the_page(piece: str) -> None:
    start = time.process_time()
    most_attributes(piece * (2_000_000 // len(piece)))
    assert time.process_time() - start < 2, "0.5 s, where a second look at each place would take hours"


def test_a_page_of_2_mb_with_one_tag_is_judged_in_less_than_a_second() -> None:
    page = f"<p {' '.join(f'a{n:07}' for n in range(200_000))}>"
    start = time.process_time()
    assert too_much(page) == f"200000 attributes in one tag, limit {MAX_ATTRIBUTES}"
    assert time.process_time() - start < 1


def test_encodings_are_those_of_browsers() -> None:
    known = "utf-8 ascii latin-1 windows-1252 gbk gb2312 gb18030 big5 shift_jis euc-jp iso-2022-jp euc-kr koi8-r utf-16"
    assert all(map(is_web_encoding, known.split()))
    others = "punycode idna hex rot13 base64 zip bz2 uu unicode_escape raw_unicode_escape utf-7 cp037 undefined mbcs no"
    assert not any(map(is_web_encoding, others.split()))
