"""Images that stand for others, and images whose address says something else from night to night."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from scrapy.utils.test import get_crawler

from imgcrawl.catalogue import GalleryVisit, SqliteCatalogue
from imgcrawl.exceptions import InputError
from imgcrawl.items import Image
from imgcrawl.pipelines.placeholders import Learned, Lesson, Placeholders
from imgcrawl.pipelines.witnesses import Witnesses
from tests.support.crawling import crawl
from tests.support.server import HTML, Answer, Request, Server, jpeg, redirect

REMOVED, BANNER = (jpeg(colour=(9, 9, green)) for green in (9, 99))


def outcome(name: str, checksum: str, **more: Any) -> Image:
    url = f"http://a/{name}.jpg"
    return {"url": url, "status": "downloaded", "checksum": checksum, "final_url": url, **more}


def learn(placeholders: Placeholders, *items: list[Image]) -> list[int]:
    return [len(placeholders.found_in(item).are) for item in items]


def test_what_many_addresses_lead_to_is_learned_and_what_each_gallery_shows_once_is_not() -> None:
    removed = [outcome(f"r{n}", "f" * 64) for n in range(10)]
    others = [outcome(f"o{n}", f"{n}" * 64) for n in range(5)]
    assert learn(Placeholders([], 10), others + removed) == [10]
    assert learn(Placeholders([], 10), others, *([each] for each in removed)) == [0, *[0] * 9, 1]  # a list's rows
    assert learn(Placeholders([], 10), *([each] for each in removed), *([each] for each in others)) == [0] * 15
    late = [*removed, *others, outcome("r10", "f" * 64)]
    assert learn(Placeholders([], 10), *([each] for each in late)) == [*[0] * 15, 1], "others come later"
    assert learn(Placeholders([], 0), others + removed) == [0]
    assert learn(Placeholders(["!" + "f" * 64], 10), others + removed) == [0]
    banners = [[*others, each] for each in removed]
    assert learn(Placeholders([], 10), *banners) == [0] * 10
    assert learn(Placeholders([], 10), removed) == [0], "a site that shows one image everywhere"
    many = [outcome(f"m{n}", "f" * 64) for n in range(40)]
    assert learn(Placeholders([], 10), many) == [40], "so many in one gallery need no other evidence"
    few = [*many, *(outcome(f"b{n}", f"{n % 10}" * 64) for n in range(60))]
    assert learn(Placeholders([], 10), few) == [0], "of the images of a gallery that repeats, less than half"
    alike = [{**each, "url": f"http://a/{n}/m.jpg"} for n, each in enumerate(many)]
    assert learn(Placeholders([], 10), alike) == [0]  # type: ignore[arg-type] # dicts with all keys
    same_name = [{**each, "url": f"http://a/{n}/logo.jpg"} for n, each in enumerate(removed)]
    assert learn(Placeholders([], 10), [*others, *same_name]) == [0]  # type: ignore[list-item] # a dict with all keys
    pairs = [outcome(f"p{n}", f"{n % 4}" * 64) for n in range(48)]
    assert learn(Placeholders([], 10), pairs) == [0], "a site that repeats all that it has"


def test_many_addresses_that_redirect_to_one_are_learned_unless_it_has_their_name() -> None:
    led = [outcome(f"r{n}", f"{n}" * 64, final_url="http://a/removed.png") for n in range(10)]
    assert learn(Placeholders([], 10), led) == [10]
    named = [{**each, "final_url": each["url"].replace("//a/", "//cdn/")} for each in led]
    assert learn(Placeholders([], 1), named) == [0]  # type: ignore[list-item] # a dict with all keys


def test_what_workers_have_seen_teaches_as_if_one_had_seen_it_all() -> None:
    removed, led = "f" * 64, "http://a/removed.png"
    ours, theirs = Placeholders([], 10), Placeholders([], 10)
    learn(ours, *([outcome(f"o{n}", f"{n}" * 64)] for n in range(5)), *([outcome(f"r{n}", removed)] for n in range(9)))
    learn(theirs, [outcome("r9", removed)])
    assert (ours.suspects(9), theirs.suspects(9)) == ([removed], [])
    everything = [outcome(f"r{n}", removed) for n in range(10)]
    assert [ours.learn_from([each], 1) for each in everything] == [[]] * 9 + [[Learned(removed, removed)]]
    assert theirs.learn_from(everything[:3], 9) == [], "no other image of its host was seen here"
    for images, of, are in ((2, 20, 0), (3, 20, 1)):
        few = Placeholders([], 3)
        learn(few, [outcome(f"o{n}", f"{n}" * 64) for n in range(5)])
        assert len(few.learn_from(everything[:images], of)) == are, "what an item shows once or twice is decoration"
    many = [outcome(f"m{n}", removed) for n in range(30)]
    assert [len(Placeholders([], 10).learn_from(many, of)) for of in (60, 59)] == [0, 1]
    assert Placeholders([], 0).learn_from(many, 30) == [], "nothing is learned where that is not wanted"
    redirected = [outcome(f"r{n}", removed, final_url=led) for n in range(10)]
    assert Placeholders([], 10).learn_from(redirected, 99) == [Learned(led, removed)]

    for learned in (Learned(removed, removed), Learned(led, removed)):
        assert Learned.of_stats(["image/found", "placeholder/", f"placeholder/{learned.told}"]) == [learned]
        assert (theirs.remember([learned]), theirs.remember([learned])) == ([learned], [])
        assert theirs.is_one(redirected[0])
        assert Placeholders([f"!{removed}"], 10).remember([learned]) == []


def test_a_site_that_teaches_without_end_has_bounded_stats(tmp_path: Path) -> None:
    crawler = get_crawler()
    with closing(SqliteCatalogue(tmp_path / "catalogue.sqlite")) as catalogue:
        witnesses = Witnesses(crawler, catalogue, Placeholders([], 10), 10)
        for n in range(30):
            learned = [Learned(f"http://a/{n}/{k}", "f" * 64) for k in range(100)]
            visit = GalleryVisit("s", "http://a/", "", {}, "", [], 0, complete=True)
            witnesses.hear(Lesson([], [], learned), [], visit)
    assert crawler.stats
    assert sum(name.startswith("placeholder/") for name in crawler.stats.get_stats()) == 1_000


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(InputError, match="expected sha256"):
        Placeholders(["("], 10)


def test_placeholders_signatures_and_images_that_are_gone(server: Server, tmp_path: Path) -> None:
    html = {"Content-Type": "text/html"}
    night = {"now": 1}

    def answer(request: Request) -> Answer:
        name = request.path.partition("?")[0].rpartition("/")[2]
        if request.path == "/list/1":
            return Answer(b"<a class=g href=/g/1>1</a>", 200, html)
        if request.path == "/g/1":
            names = [*(f"{n}.jpg?expires={night['now']}&sig=s{night['now']}" for n in range(4)), "gone.jpg", "page.jpg"]
            names += [*(f"r{n}.jpg" for n in range(10)), "declared.jpg", "nothing.jpg", "elsewhere.jpg"]
            return Answer("".join(f'<img src="/i/{name}">' for name in names).encode(), 200, html)
        if request.path.startswith("/list/"):
            return Answer(b"", 404)
        if name[0] == "r":
            return Answer(REMOVED)
        if night["now"] > 1 and name in ("gone.jpg", "page.jpg"):
            return Answer(b"", 410) if name == "gone.jpg" else Answer(HTML, 200, html)
        return Answer(BANNER if name == "declared.jpg" else jpeg(20 + zlib.crc32(name.encode()) % 200))

    server.add("*", answer)
    server.add("/i/elsewhere.jpg", redirect("/sorry.png"))
    declared = f"{hashlib.sha256(BANNER).hexdigest()},nothing,/sorry[.]png$"
    given = {"list": server.url("/list/{page}"), "galleries": "a.g"}
    settings = {"VERDICT_MAX_FAILED": "1", "IMAGES_PLACEHOLDERS": declared, "IMAGES_EXPIRES": "0"}
    first = crawl(tmp_path, "gallery", given, **settings)
    outcomes = {image["url"].rpartition("/")[2]: image for image in first.images}
    reasons = Counter(image.get("reason", image["status"]) for image in first.images)
    assert reasons == {"downloaded": 6, "placeholder": 13}
    assert "IMAGES_PLACEHOLDERS_LEARNED" in first.log
    assert "/i/nothing.jpg" not in server.paths(), "what is declared by its address is not asked for"
    assert "path" not in outcomes["declared.jpg"]
    assert len(first.files) == 7, "what is learned stays, what is declared is not stored"

    night["now"] = 2
    again = crawl(tmp_path, "gallery", given, **settings)
    second = {image["url"].rpartition("/")[2]: image for image in again.images}
    assert second["0.jpg?expires=2&sig=s2"]["status"] == "uptodate", "the same image, asked for by its whole address"
    for name, reason in (("gone.jpg", "http_410"), ("page.jpg", "html")):
        assert (second[name]["status"], second[name]["reason"]) == ("failed", reason)
        assert second[name]["path"] == outcomes[name]["path"]
        assert second[name]["checksum"] == outcomes[name]["checksum"]
    assert again.files == first.files


def test_what_was_told_before_a_placeholder_was_known_is_told_anew_and_known_in_the_next_crawl(
    server: Server, tmp_path: Path
) -> None:
    html = {"Content-Type": "text/html"}
    names = [*(f"r{n}" for n in range(4)), *(f"o{n}" for n in range(4)), *(f"r{n}" for n in range(4, 16))]

    def answer(request: Request) -> Answer:
        if request.path == "/list":
            return Answer("".join(f"<a class=g href=/g/{name}>x</a>" for name in reversed(names)).encode(), 200, html)
        name = request.path.rpartition("/")[2].removesuffix(".jpg")
        if request.path.startswith("/g/"):
            return Answer(f"<title>{name}</title><img src=/i/{name}.jpg>".encode(), 200, html)
        return Answer(REMOVED if name[0] == "r" else jpeg(colour=(int(name[1]) * 50, 0, 0)))

    server.add("*", answer)
    given = {"list": server.url("/list"), "galleries": "a.g"}
    settings = {"VERDICT_MAX_FAILED": "1", "CONCURRENT_REQUESTS_PER_DOMAIN": "1", "RUN_SUMMARY": "summary.json"}
    for in_feed in (7, 16):
        run = crawl(tmp_path, "gallery", given, **settings)
        assert Counter(image.get("reason") for image in run.images)["placeholder"] == in_feed
        told = json.loads((tmp_path / "summary.json").read_text())["images"]
        assert told["reasons"]["failed"] == {"placeholder": 16}
        assert told["found"] == 20 == sum(told[status] for status in ("downloaded", "uptodate", "duplicate", "failed"))
        is_late = "9 addresses that lead to it are in the feed as downloaded, uptodate or duplicate" in run.log
        assert is_late == (in_feed == 7), "the next crawl knows it from its beginning"
    with closing(SqliteCatalogue(tmp_path / "images" / ".catalogue.sqlite3")) as catalogue:
        not_had = list(catalogue.not_had("gallery"))
    assert sorted((outcome.url, outcome.reason) for outcome in not_had) == sorted(
        (server.url(f"/i/r{n}.jpg"), "placeholder") for n in range(16)
    )


GONE = """
    removed.png image-removed.gif not_found.png no-image.jpg noimage.jpg default_cover.9943b5969c.png placeholder.svg
    hotlinking.gif 403.gif imagenotfound.png deleted.jpg photo_unavailable.png no_longer_available.png
    loading.gif ajax-loader.gif please_wait.png coming-soon.jpg image_loading.1.gif
"""
THERE = """
    b.jpg default.jpg notebook.jpg 4033.jpg nothing.jpg photographs.jpg maxresdefault.jpg missing-persons.jpg
    blocked-road.jpg cover.jpg no.jpg loading-dock.jpg loader.jpg waiting-room.jpg waiting.jpg wait_2.jpg
"""


def test_a_redirect_to_what_is_called_a_placeholder_is_one(server: Server, tmp_path: Path) -> None:
    led = {f"/i/{number}.jpg": f"/files/{name}" for number, name in enumerate(f"{GONE} {THERE}".split())}
    led["/i/removed.png"] = "/files/image-removed.png"
    for number, (asked, led_to) in enumerate(led.items()):
        server.add(led_to, jpeg(70 + number))
        server.add(asked, redirect(led_to))
    page = "".join(f"<img src={asked}>" for asked in led)
    server.add("/g", f"<title>G</title>{page}".encode(), headers={"Content-Type": "text/html"})
    given = {"gallery": server.url("/g")}
    run = crawl(tmp_path, "gallery", given, PRIVATE_HOSTS_ALLOWED="127.0.0.1", VERDICT_MAX_FAILED="1")
    failed = [led[image["url"].removeprefix(server.url(""))] for image in run.images if image["status"] == "failed"]
    assert failed == [f"/files/{name}" for name in GONE.split()]
    assert {image.get("reason", "placeholder") for image in run.images} == {"placeholder"}
    settings = {"PRIVATE_HOSTS_ALLOWED": "127.0.0.1", "IMAGES_PLACEHOLDERS_LEARNED": "0"}
    (other := tmp_path / "2").mkdir()
    assert {image["status"] for image in crawl(other, "gallery", given, **settings).images} == {"downloaded"}
