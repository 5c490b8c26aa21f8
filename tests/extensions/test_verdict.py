from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from imgcrawl.display import clock
from imgcrawl.extensions.runsummary import run_summary
from imgcrawl.extensions.summary import summary
from imgcrawl.extensions.verdict import findings
from imgcrawl.items import REASONS
from imgcrawl.lines import printable
from tests.support.tiny import Project

GOOD = {"image/found": 4, "image/downloaded": 2, "image/uptodate": 1, "image/duplicate": 1, "gallery/count": 2}


def judged(reason: str = "finished", **changes: Any) -> list[str]:
    stats = {**GOOD, **{name.replace("__", "/"): value for name, value in changes.items()}}
    return list(findings(stats, reason))


def test_all_right() -> None:
    assert judged() == []


@pytest.mark.parametrize("reason", ["closespider_itemcount", "closespider_timeout", "closespider_pagecount"])
def test_a_limit_the_user_set_is_all_right(reason: str) -> None:
    assert judged(reason) == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("shutdown", "stopped before the end"),
        ("memusage_exceeded", "stopped before the end (memusage_exceeded)"),
        ("start_error", "stopped before the end (start_error)"),
        ("cancelled", "stopped before the end (cancelled)"),
        ("closespider_errorcount", "stopped before the end (closespider_errorcount)"),
        ("closespider_timeout_no_item", "stopped before the end (closespider_timeout_no_item)"),
        ("", "stopped before the end ()"),
    ],
)
def test_other_reasons_are_not(reason: str, told: str) -> None:
    assert judged(reason) == [told]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"verdict__error": "page one has no gallery"}, "page one has no gallery"),
        ({"spider_exceptions/count": 2}, "2 pages broke the spider: the log has the tracebacks"),
        ({"gallery/session_ended": 1}, "1 gallery asked to log in, though cookies are sent: the session has ended"),
        (
            {"gallery/led_to/http://a/x": 3, "gallery/led_to/http://a/gone": 7},
            "7 galleries lead to one address, http://a/gone: they are gone, or the site wants something first",
        ),
        ({"list__failed": 1}, "1 list page could not be had, so galleries may be missing"),
        (
            {"list__failed": 3, "list/failed/http_401": 2},
            "3 list pages could not be had, so galleries may be missing (http_401: 2)",
        ),
        (
            {"gallery__failed": 2, "gallery__failed/http_500": 1, "gallery/failed/timeout": 1},
            "2 of 4 galleries failed, more than 20% (http_500: 1)",
        ),
        (
            {"image__found": 6, "image__failed": 2, "image/failed/html": 2},
            "2 of 6 images failed, more than 20% (html: 2)",
        ),
        ({"item/error": 1}, "1 item broke an item pipeline and got lost: the log has the tracebacks"),
        (
            {"item_dropped_count": 1234, "item_dropped_reasons_count/DropItem": 1234},
            "1,234 items dropped by an item pipeline (DropItem: 1,234)",
        ),
        ({"feedexport/failed_count/S3FeedStorage": 1}, "1 feed could not be stored: the log says why"),
        ({"feed/missing": 3}, "3 items scraped but not in the feed: the log says why"),
        (
            {"image__found": 5},
            "imgcrawl's books are wrong, please report it: 5 images found, 4 outcomes",
        ),
        (
            {"image__downloaded": 4},
            "imgcrawl's books are wrong, please report it: 4 images found, 6 outcomes",
        ),
    ],
)
def test_each_fault_has_its_sentence(changes: dict[str, Any], told: str) -> None:
    assert judged(**changes) == [told]


def test_no_image_at_all() -> None:
    stats = {"image/found": 5, "image/refused": 3, "image/refused/robots": 3}
    stats |= {"image/failed": 2, "image/failed/timeout": 2, "gallery/count": 1}
    assert next(findings(stats, "finished")) == "not one image: 5 found (robots: 3)"
    assert list(findings({}, "finished")) == ["not one image: 0 found"]
    assert list(findings({}, "finished", images_expected=False)) == []


def test_a_night_in_which_nothing_is_new_is_no_failure_and_is_told() -> None:
    known = {"list/count": 3, "dupefilter/filtered": 70}
    assert list(findings(known, "finished")) == []
    (line,) = (line for line in shown(known) if line.startswith("pages known"))
    assert line.split() == ["pages", "known", "70", "from", "an", "earlier", "crawl:", "nothing", "is", "new"]
    for other in ({"list/failed": 1}, {"gallery/count": 1}, {"image/found": 1, "image/failed": 1}):
        assert "not one image" in " ".join(findings(known | other, "finished"))
        assert not [line for line in shown(known | other) if line.startswith("pages known")]


def test_shares_are_limits_not_targets() -> None:
    tenth = {"image/found": 10, "image/downloaded": 9, "image/failed": 1}
    assert list(findings(tenth, "finished", max_failed=0.1)) == []
    assert len(list(findings(tenth, "finished", max_failed=0.09))) == 1
    assert len(list(findings(tenth, "finished", max_failed=0))) == 1
    assert list(findings({**GOOD, "gallery/failed": 0}, "finished", max_failed=0)) == []
    stopped = {**GOOD, "image/found": 8, "image/failed": 4, "image/failed/stopped": 4}
    assert list(findings(stopped, "shutdown", max_failed=0)) == ["stopped before the end"]
    everything = {"image/found": 2, "image/failed": 2}
    assert list(findings(everything, "finished", max_failed=1, images_expected=False)) == []


def test_the_cause_comes_before_its_consequences() -> None:
    told = judged("shutdown", verdict__error="the start page cannot be had", list__failed=1, image__found=9)
    assert told[:2] == ["the start page cannot be had", "stopped before the end"]
    assert len(told) == 4


def test_what_was_stopped_has_not_failed() -> None:
    stopped = {"image/found": 10, "image/downloaded": 4, "image/failed": 6, "image/failed/stopped": 4}
    stopped |= {"image/failed/http_500": 2}
    assert list(findings(stopped, "shutdown", max_failed=0.2)) == ["stopped before the end"]
    assert list(findings(stopped, "shutdown", max_failed=0.1)) == [
        "stopped before the end",
        "2 of 10 images failed, more than 10% (http_500: 2)",
    ]


def shown(stats: dict[str, Any], width: int = 120) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(summary(run_summary("x", {"finish_reason": "finished"} | stats, [])))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_summary_adds_up_by_reason() -> None:
    stats = {
        **{"image/found": 1520, "image/downloaded": 1500, "image/uptodate": 4, "image/duplicate": 3},
        **{"image/refused": 6, "image/refused/robots": 1, "image/refused/too_small": 5},
        **{"image/failed": 7, "image/failed/http_404": 4, "image/failed/http_799": 1, "image/failed/html": 2},
        **{"gallery/count": 70, "gallery/failed": 2, "gallery/failed/http_500": 2, "gallery/empty": 1},
        **{"list/count": 3, "list/failed": 1, "image/bytes": 81_234_567, "elapsed_time_seconds": 83.4},
    }
    assert shown(stats) == [
        "images found       1,520",
        "  downloaded       1,500",
        "  uptodate             4",
        "  duplicate            3",
        "  refused              6",
        f"    too_small          5  {REASONS['refused']['too_small']}",
        "    robots             1  robots.txt forbids the address",
        "  failed               7",
        "    http_404           4  Not Found",
        "    html               2  a page instead of an image",
        "    http_799           1",
        "galleries found       72",
        "  scraped             70",
        "    empty              1  no image was found on the page",
        "  failed               2",
        "    http_500           2  Internal Server Error",
        "list pages failed      1",
        "81.2 MB in 0:01:23, 18.0 images/s",
    ]


def test_summary_cuts_no_meaning_where_there_is_no_terminal() -> None:
    stats = {f"image/{status}/{reason}": 1 for status in REASONS for reason in REASONS[status]}
    text = "\n".join(shown(stats))
    for meanings in REASONS.values():
        for meaning in meanings.values():
            assert meaning in text


def test_summary_of_strange_stats() -> None:
    stats = {"image/failed": 3, "image/failed/[bold]x[/]\x1b[2J": 1, "image/failed/http_²": 1}
    stats["image/failed/http_"] = 1
    lines = shown(stats)
    assert "    [bold]x[/]\N{REPLACEMENT CHARACTER}[2J  1" in lines
    assert lines[-1] == "0.0 MB in 0:00:00"


def test_clock_and_printable() -> None:
    assert clock(3 * 86400 + 3661.9) == "3 days, 1:01:01"
    assert printable("a\tb é 漢\x1b[0m\r\n\u202e") == "a\tb é 漢�[0m���"


def test_a_good_crawl_exits_with_0_and_tells(tmp_path: Path) -> None:
    code, out, err = Project(tmp_path).told("-o", "-:json", stats=GOOD, items=[{"a": 1}])
    assert code == 0, err
    assert json.loads(out) == [{"a": 1}]
    lines = [line.rstrip() for line in err.splitlines()]
    assert "images found     4" in lines
    assert lines[-1].startswith("0.0 MB in 0:00:0")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"stats": {"verdict/error": "page one has no gallery"}}, "page one has no gallery"),
        ({"stats": GOOD, "items": [{"do": "break"}, {"do": "break"}]}, "2 items broke an item pipeline"),
        ({"stats": GOOD, "items": [{"do": "drop"}]}, "1 item dropped by an item pipeline (DropItem: 1)"),
        ({"stats": GOOD, "urls": ["data:,break"]}, "1 page broke the spider"),
    ],
)
def test_the_wiring_of_a_bad_crawl(tmp_path: Path, told: dict[str, Any], sentence: str) -> None:
    code, _, err = Project(tmp_path).told(**told)
    assert code == 1
    assert any(line.startswith(sentence) for line in err.splitlines()), err


def test_settings_of_the_verdict(tmp_path: Path) -> None:
    project = Project(tmp_path)
    half = {"image/found": 4, "image/downloaded": 2, "image/failed": 2}
    assert project.told(stats=half)[0] == 1
    assert project.told("-s", "VERDICT_MAX_FAILED=0.5", stats=half)[0] == 0
    assert project.told()[0] == 1
    assert project.told("-s", "VERDICT_IMAGES_EXPECTED=False")[0] == 0
    for value in ("2", "-0.1", "many", "nan"):
        code, _, err = project.told("-s", f"VERDICT_MAX_FAILED={value}")
        assert (code, err) == (2, f"-s VERDICT_MAX_FAILED={value}: expected a number from 0 to 1\n")


def test_a_feed_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "file").touch()
    code, _, err = project.told("-o", "file/images.json", stats=GOOD, items=[{"a": 1}, {"a": 2}])
    assert code == 1
    assert "2 items scraped but not in the feed: the log says why" in err.splitlines()


def test_a_feed_that_takes_only_some_items_on_purpose_is_one(tmp_path: Path) -> None:
    feeds = {"some.json": {"format": "json", "item_classes": ["tiny.spiders.Told"]}, "all.json": {"format": "json"}}
    arguments = ["-s", f"FEEDS={json.dumps(feeds)}"]
    code, _, err = Project(tmp_path).told(*arguments, stats=GOOD, items=[{"a": 1}, {"a": 2}])
    assert code == 0, err
    assert json.loads((tmp_path / "some.json").read_text()) == []
    assert json.loads((tmp_path / "all.json").read_text()) == [{"a": 1}, {"a": 2}]


def test_no_word_of_the_summary_is_cut_in_a_narrow_terminal() -> None:
    stats = {"image/found": 1, "image/refused": 1, "image/refused/too_small": 1}
    told = "".join(line[20:] for line in shown(stats, 40))
    assert all(name in told for name in REASONS["refused"]["too_small"].split() if name.startswith("IMAGES")), told


def test_a_gallery_that_was_under_way_when_the_crawl_was_ended_at_once_is_not_scraped() -> None:
    stats = {
        "gallery/found": 20,
        "gallery/count": 17,
        "gallery/failed": 1,
        "item_scraped_count": 4,
        "finish_reason": None,
    }
    lines = [line.partition("  read when")[0] for line in shown(stats)]
    assert lines[lines.index(next(line for line in lines if line.startswith("galleries"))) :][:5] == [
        "galleries found  20",
        "  scraped         3",
        "  under way      14",
        "  failed          1",
        "  not reached     2  the crawl ended before",
    ]


def test_galleries_that_were_put_back_do_not_hide_those_under_way() -> None:
    """Of six that were read before a second Ctrl-C, three had been put back by the first."""
    back = {"item_dropped_count": 3, "item_dropped_reasons_count/GalleryUnfinished": 3}
    summary = run_summary("s", {"gallery/found": 6, "gallery/count": 3, "finish_reason": None, **back}, [])
    assert summary["galleries"]["under_way"] == 3
    assert summary["galleries"]["scraped"] == 0
