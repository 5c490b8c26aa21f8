"""Which galleries of a list are wanted, by their numbers: no other is asked for, and no list page behind the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgcrawl.basespiders.walk import Walk
from imgcrawl.exceptions import InputError
from imgcrawl.ranges import Ranges
from tests.support.crawling import crawl
from tests.support.server import JPEG, Server


@pytest.mark.parametrize(
    ("text", "within", "end"),
    [
        ("2-4", [2, 3, 4], 4),
        ("-2, 4, 6-", [1, 2, 4, 6, 7], float("inf")),
        ("5", [5], 5),
        (3, [3], 3),
        (["1", "6-9"], [1, 6, 7], 9),
        ("", [1, 2, 3, 4, 5, 6, 7], float("inf")),
    ],
)
def test_numbers_are_picked_as_they_are_written(text: object, within: list[int], end: float) -> None:
    ranges = Ranges.from_setting(text, "X")
    assert [number for number in range(1, 8) if number in ranges] == within
    assert ranges.end == end


@pytest.mark.parametrize("text", ["0-3", "4-2", "a", "-", "1--2", "1.5", "-0", "9" * 10])
def test_what_is_no_range_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^X='.*': expected numbers from 1 on and ranges of them"):
        Ranges.from_setting(text, "X")


def test_a_gallery_has_one_number_however_often_a_list_shows_it() -> None:
    walk = Walk()
    pages = [["pin", "a", "b"], ["pin", "c", "a", "d"], ["pin", "d", "e"]]
    numbers = []
    for page in pages:
        numbers.append(walk.numbers(page))
        walk = walk.after(page).walk
    assert numbers == [[1, 2, 3], [0, 4, 0, 5], [0, 0, 6]]
    assert (walk.counted, walk.offset) == (6, 10)


def test_galleries_of_a_range_are_opened_and_no_others(server: Server, tmp_path: Path) -> None:
    """Of four pages, with one gallery that is pinned to each, the third to the sixth: two pages are enough."""
    for page in range(1, 5):
        shown = ["pin", *(f"g{page}{letter}" for letter in "abc")]
        links = "".join(f'<a class="g" href="/{name}">{name}</a>' for name in shown)
        server.add(f"/list/{page}", f"<html>{links}</html>".encode(), headers={"Content-Type": "text/html"})
        for name in shown:
            body = f"<html><h2>{name}</h2><img src='/{name}.jpg'><img src='/{name}-2.jpg'></html>".encode()
            server.add(f"/{name}", body, headers={"Content-Type": "text/html"})
            server.add(f"/{name}.jpg", JPEG)
    arguments = {"list": server.url("/list/{page}"), "galleries": "a.g"}
    done = crawl(tmp_path, "gallery", arguments, GALLERIES_RANGE="3-6", IMAGES_RANGE="1")
    assert done.code == 0, done.log
    assert sorted(item["title"] for item in done.items) == ["g1b", "g1c", "g2a", "g2b"]
    assert {image.get("reason", "") for item in done.items for image in item["images"][1:]} == {"range"}
    asked = {path for path in server.paths() if path != "/robots.txt" and not path.endswith(".jpg")}
    assert asked == {"/list/1", "/list/2", "/g1b", "/g1c", "/g2a", "/g2b"}
    assert not [path for path in server.paths() if path.endswith("-2.jpg")]
    refused = crawl(tmp_path, "gallery", arguments, GALLERIES_RANGE="6-3")
    assert (refused.code, "GALLERIES_RANGE='6-3': expected numbers" in refused.log) == (2, True)
