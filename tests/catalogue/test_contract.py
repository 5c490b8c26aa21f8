"""What every catalogue does, in SQLite and in PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from itemadapter import ItemAdapter
from scrapy.utils.test import get_crawler

from imgcrawl.catalogue import LOST, Catalogue, CatalogueCounts, GalleryVisit, LastOutcome, Record, SqliteCatalogue
from imgcrawl.catalogue.contract import SCHEMA_VERSION, CatalogueError
from imgcrawl.catalogue.database import AT_ONCE
from imgcrawl.catalogue.galleries import items
from imgcrawl.catalogue.sql import IMAGES, gallery_key
from imgcrawl.commands.failures import failures
from imgcrawl.pipelines.together import Together
from imgcrawl.pipelines.visits import visit_of
from imgcrawl.retries import ALL, RetryStart
from imgcrawl.spiders.pximg import PximgSpider
from tests.support.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a catalogue is, for `opened`."""
    if request.param == "sqlite":
        return str(tmp_path / "catalogue")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url


def opened(place: str) -> Catalogue:
    if "://" in place:
        from imgcrawl.catalogue.postgresql import PostgresCatalogue  # noqa: PLC0415 -- only where there is a server

        return PostgresCatalogue(place)
    return SqliteCatalogue(Path(place))


@pytest.fixture
def catalogue(place: str) -> Iterator[Catalogue]:
    catalogue = opened(place)
    yield catalogue
    catalogue.close()


def key(number: int) -> bytes:
    return number.to_bytes(20, "big")


def record(number: int, path: str = "", checksum: str = "ab" * 32) -> Record:
    path = path or f"a/{number}.jpg"
    return Record(
        key(number), "a/1", path, checksum, 9, "JPEG", 3, 2, 1, "http://h/ü", '"e"', "", "2026", 1.5, "w", 7, 8
    )


def put(catalogue: Catalogue, *records: Record) -> None:
    with catalogue.transaction():
        catalogue.put(*records)


def outcome(
    number: int, status: str = "downloaded", reason: str = "", spider: str = "s", at: float = 1.0
) -> LastOutcome:
    gallery = gallery_key(spider, "http://h/g")
    url = f"http://h/{number}.jpg"
    path = f"a/{number}" if reason else ""
    return LastOutcome(key(number), url, spider, gallery, "http://h/p", status, reason, path, "", 1, at, at)


def visit(
    *outcomes: LastOutcome, at: float = 1.0, url: str = "http://h/g", title: str = "T", **more: object
) -> GalleryVisit:
    complete = all(one.status != "failed" for one in outcomes)
    fields = {"spider": "s", "url": url, "title": title, "scraped_at": f"at {at}"}
    made = GalleryVisit("s", url, title, fields, IMAGES, outcomes, at, complete)
    return replace(made, **more)


def test_a_record_is_found_replaced_and_there_when_it_is_opened_again(place: str, catalogue: Catalogue) -> None:
    assert catalogue.find(key(1)) is None
    put(catalogue, record(1), record(2, "b/ü.jpg"))
    put(catalogue, record(1, "c.jpg", "cd" * 32))
    again = opened(place)
    assert again.find(key(1)) == record(1, "c.jpg", "cd" * 32)
    assert again.find_all([key(2), key(9), key(1)]) == [record(2, "b/ü.jpg"), None, record(1, "c.jpg", "cd" * 32)]
    assert again.find_all([]) == []
    assert [each.key for each in again.records()] == [key(1), key(2)]
    again.close()


def test_the_files_of_bytes_are_told_once_each_in_their_order(catalogue: Catalogue) -> None:
    put(catalogue, record(1, "b.jpg"), record(2, "a.jpg"), record(3, "b.jpg"), record(4, "B.jpg"), record(5, "x", "0"))
    assert list(catalogue.files_of("ab" * 32)) == ["B.jpg", "a.jpg", "b.jpg"]
    assert list(catalogue.files_of("ab" * 32, "B.jpg")) == ["a.jpg", "b.jpg"]
    assert list(catalogue.files_of("ef" * 32)) == []
    assert catalogue.first_files(["ab" * 32, "ef" * 32, "0"]) == {"ab" * 32: "B.jpg", "0": "x"}
    assert catalogue.first_files([]) == {}
    assert catalogue.has_file("a.jpg", "ab" * 32)
    assert not catalogue.has_file("x", "ab" * 32)


def test_a_transaction_within_another_is_a_part_of_it(place: str, catalogue: Catalogue) -> None:
    other = opened(place)
    with suppress(ZeroDivisionError), catalogue.transaction():
        put(catalogue, record(1))
        catalogue.note([visit(outcome(1))])
        assert other.find(key(1)) is None
        raise ZeroDivisionError
    with catalogue.transaction():
        assert catalogue.find(key(1)) is None
        put(catalogue, record(2))
        catalogue.put_claimed(record(3))
    assert [each.key for each in other.records()] == [key(2), key(3)]
    assert other.outcomes([key(1)]) == [None]
    other.close()


def test_outcomes_of_the_same_bytes_become_those_of_placeholders_once(catalogue: Catalogue) -> None:
    put(catalogue, *(record(number) for number in range(1, 7)), record(7, checksum="cd" * 32))
    put(catalogue, replace(record(6), final_url="http://h/gone"))
    later = [outcome(2, "duplicate", at=2.0), outcome(5, "failed", "timeout", at=2.0), outcome(6, "uptodate", at=2.0)]
    other = replace(outcome(4, spider="t", at=2.0), gallery=b"t")
    catalogue.note([visit(outcome(1)), visit(*later, outcome(3, at=2.0), outcome(7, at=2.0), at=2.0, complete=True)])
    catalogue.note(
        [visit(other, spider="t", key=b"t"), visit(spider="t", key=b"u", url="http://h/u", error="http_404")]
    )
    gallery, same = gallery_key("s", "http://h/g"), "ab" * 32
    assert catalogue.complete_at([gallery]) == [2.0]
    assert sorted(catalogue.same_bytes(same, "s", 2.0, 9)) == [
        ("http://h/2.jpg", "http://h/ü", gallery, 5),
        ("http://h/3.jpg", "http://h/ü", gallery, 5),
        ("http://h/6.jpg", "http://h/gone", gallery, 5),
    ]
    assert len(catalogue.same_bytes(same, "s", 2.0, 2)) == 2
    assert [catalogue.often([same, "cd" * 32, "ef"], enough) for enough in (6, 7)] == [[same], []]
    assert catalogue.often([], 1) == []
    assert catalogue.latest("s", 1) == [key(number) for number in (2, 5, 6, 3, 7)]
    assert catalogue.latest("t", 9) == [key(4)]
    assert catalogue.note_placeholders(same, "s", 2.0, "http://h/gone") == {"uptodate": 1}
    assert catalogue.complete_at([gallery]) == [0.0]
    assert len(catalogue.same_bytes(same, "s", 2.0, 9)) == 3, "also what is known to be a placeholder"
    assert catalogue.note_placeholders(same, "s", 2.0) == {"duplicate": 1, "downloaded": 1}
    assert catalogue.note_placeholders(same, "s", 2.0) == {}
    told = [(each.status, each.reason, each.tried) for each in catalogue.outcomes(map(key, range(1, 8))) if each]
    placeholder = ("failed", "placeholder", 1)
    stays = ("downloaded", "", 1)
    assert told == [stays, placeholder, placeholder, stays, ("failed", "timeout", 1), placeholder, stays]


def test_a_gallery_is_not_complete_any_more_when_an_image_of_it_is_told_anew(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(1), outcome(2), at=100.0)])
    key = gallery_key("s", "http://h/g")
    assert catalogue.complete_at([key]) == [100.0]
    late = visit(outcome(1, "failed", "placeholder", at=100.0), at=100.0, partial=True, key=key)
    catalogue.note([late])
    assert catalogue.complete_at([key]) == [0.0]
    catalogue.note([visit(outcome(1), outcome(2), at=200.0)])
    catalogue.note([late])
    assert catalogue.complete_at([key]) == [0.0]
    gallery = catalogue.gallery(key)
    assert gallery is not None
    assert gallery.last_seen == 200.0


def test_what_is_published_together_sees_what_was_there_and_what_is_new(catalogue: Catalogue) -> None:
    put(catalogue, record(1, "b.jpg"), record(2, "c.jpg"))
    with catalogue.transaction():
        together = Together(catalogue, [record(1), record(3), record(4, checksum="cd" * 32)])
        assert [together.find(key(number)) for number in (1, 3)] == [record(1, "b.jpg"), None]
        together.put(record(3, "a.jpg"))
        together.put(record(3, "a.jpg"))  # the same address twice
        together.put(record(4, "d.jpg", "cd" * 32))
        assert together.find(key(3)) == record(3, "a.jpg")
        assert list(together.files_of("ab" * 32)) == ["a.jpg", "b.jpg", "c.jpg"]
        assert list(together.files_of("cd" * 32)) == ["d.jpg"]
        assert together.has_file("a.jpg", "ab" * 32)
        assert together.has_file("c.jpg", "ab" * 32)
        assert not together.has_file("a.jpg", "cd" * 32)
        assert catalogue.find(key(3)) is None
        together.write()
    assert catalogue.find_all([key(3), key(4)]) == [record(3, "a.jpg"), record(4, "d.jpg", "cd" * 32)]


def test_a_lock_that_is_not_had_in_time_costs_one_transaction(postgres: PostgresServer) -> None:
    with closing(opened(postgres.url)) as catalogue, closing(opened(postgres.url)) as other:
        db: Any = catalogue
        db._db.execute("SET lock_timeout = '50ms'")
        with other.transaction(), pytest.raises(CatalogueError, match="lock timeout"), catalogue.transaction():
            pass
        put(catalogue, record(1))
        assert other.find(key(1)) == record(1)


def test_what_a_transaction_did_before_an_error_is_undone(catalogue: Catalogue) -> None:
    with pytest.raises(ZeroDivisionError), catalogue.transaction():
        catalogue.put(record(1))
        _ = 1 / 0
    assert catalogue.find(key(1)) is None
    put(catalogue, record(2))
    assert catalogue.find(key(2))


def test_a_transaction_is_one_step_for_threads_and_for_other_machines(place: str, catalogue: Catalogue) -> None:
    """Each adds one to what is there, 20 times."""
    put(catalogue, replace(record(1), bytes=0))

    def add(to: Catalogue) -> None:
        for _ in range(20):
            with to.transaction():
                found = to.find(key(1))
                assert found
                to.put(replace(found, bytes=found.bytes + 1))

    others = [opened(place), opened(place)]
    threads = [threading.Thread(target=add, args=(to,)) for to in (catalogue, catalogue, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = catalogue.find(key(1))
    assert found
    assert found.bytes == 80
    for other in others:
        other.close()


def test_the_facts_of_a_file_are_noted_only_for_the_file_they_are_of(catalogue: Catalogue) -> None:
    put(catalogue, record(1))
    with catalogue.transaction():
        catalogue.note_file(replace(record(1), mtime_ns=2**62, inode=2**63 - 1))
        catalogue.note_file(replace(record(1, "other.jpg"), mtime_ns=3))
    assert catalogue.find(key(1)) == replace(record(1), mtime_ns=2**62, inode=2**63 - 1)


def test_the_first_claim_on_bytes_holds_until_they_are_stored(place: str, catalogue: Catalogue) -> None:
    other = opened(place)
    assert catalogue.claim("ab" * 32, "a.jpg") == "a.jpg"
    assert other.claim("ab" * 32, "b.jpg") == "a.jpg"
    other.put_claimed(record(1, "a.jpg"))
    assert catalogue.claim("ab" * 32, "c.jpg") == "a.jpg"  # stored now
    catalogue.remove([key(1)])
    assert catalogue.claim("ab" * 32, "c.jpg") == "c.jpg"  # nothing is left of the claim before
    other.close()


def test_of_an_address_the_last_outcome_is_known_and_when_it_was_first_seen(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(1, "failed", "http_503"), outcome(2))])
    catalogue.note([visit(outcome(1, "failed", "timeout", at=2.0), replace(outcome(2, "uptodate", at=2.0), tried=0))])
    first, second, none = catalogue.outcomes([key(1), key(2), key(3)])
    assert first == replace(outcome(1, "failed", "timeout", at=2.0), first_seen=1.0, tried=2)
    assert second == replace(outcome(2, "uptodate", at=2.0), first_seen=1.0, tried=1)
    assert none is None
    catalogue.note([visit(outcome(1, at=3.0))])
    assert list(catalogue.not_had(None)) == []
    assert catalogue.outcomes([key(1)]) == [replace(outcome(1, at=3.0), first_seen=1.0, tried=3)]


def test_what_is_not_had_is_told_by_spider_status_and_reason(catalogue: Catalogue) -> None:
    many = 2 * AT_ONCE + 3
    timeouts = [outcome(number, "failed", "timeout") for number in range(many)]
    of_other = outcome(many, "failed", "timeout", spider="other")
    refused, gone = outcome(many + 1, "refused", "robots"), outcome(many + 2, "failed", "http_404")
    catalogue.note([visit(*timeouts, of_other, refused, gone, outcome(many + 3))])
    assert list(catalogue.not_had(None)) == [of_other, gone, *timeouts]
    assert list(catalogue.not_had("s")) == [gone, *timeouts]
    assert list(catalogue.not_had("s", ("failed", "refused"), "robots")) == [refused]
    assert list(catalogue.not_had(None, reason="timeout")) == [of_other, *timeouts]
    assert list(catalogue.not_had("nobody")) == []


def test_a_gallery_is_told_once_with_its_images_in_order_and_when_it_was_complete(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(2), outcome(1), outcome(2)), visit(url="http://h/second")])
    catalogue.note([visit(outcome(3), outcome(1, "failed", "timeout"), at=2.0, title="New")])
    first, second = catalogue.galleries("s")
    assert (first.url, first.title, first.keys) == ("http://h/g", "New", [key(3), key(1)])
    assert (first.first_seen, first.last_seen, first.complete_at) == (1.0, 2.0, 1.0)
    assert first.fields["scraped_at"] == "at 2.0"
    assert second.keys == []
    assert catalogue.gallery(gallery_key("s", "http://h/g")) == first
    assert catalogue.gallery(gallery_key("other", "http://h/g")) is None
    assert list(catalogue.galleries("other")) == []
    assert len(list(catalogue.galleries(None))) == 2


def test_a_page_that_could_not_be_had_leaves_what_is_known_of_its_images(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(1))])
    catalogue.note([visit(at=2.0, title="", error="http_500", complete=False)])
    (gallery,) = catalogue.galleries("s")
    assert (gallery.title, gallery.keys, gallery.error) == ("T", [key(1)], "http_500")
    assert (gallery.last_seen, gallery.complete_at) == (2.0, 1.0)
    catalogue.note([visit(outcome(1), at=3.0)])
    (gallery,) = catalogue.galleries("s")
    assert (gallery.error, gallery.complete_at) == ("", 3.0)


def test_a_page_without_images_leaves_what_is_known_of_its_gallery_and_does_not_complete_it(
    catalogue: Catalogue,
) -> None:
    page = {"spider": "s", "url": "http://h/g", "title": "We are being repaired", "image_urls": []}
    in_repair = visit_of(ItemAdapter(page), [], [], ("image_urls", "images"), "s")
    assert not in_repair.complete
    catalogue.note([in_repair])
    catalogue.note([replace(in_repair, title="Soon", seen_at=2.0)])  # nothing was known: it may say what it likes
    assert [gallery.title for gallery in catalogue.galleries("s")] == ["Soon"]
    catalogue.note([visit(outcome(1), at=3.0)])
    catalogue.note([replace(in_repair, seen_at=4.0), visit(url="http://h/other", at=4.0)])
    gallery, _ = catalogue.galleries("s")
    assert (gallery.title, gallery.fields["title"], gallery.keys) == ("T", "T", [key(1)])
    assert (gallery.last_seen, gallery.complete_at) == (4.0, 3.0)
    assert catalogue.complete_at([gallery.key]) == [0.0]


def test_what_failed_and_is_shown_no_more_is_no_failure_unless_pages_are_missing(catalogue: Catalogue) -> None:
    lost = {"failed_pages": [{"url": "http://h/g/2", "reason": "http_503"}]}
    catalogue.note([visit(outcome(1), outcome(2, "failed", "http_404"), outcome(3))])
    catalogue.note([visit(outcome(1, at=2.0), at=2.0, fields=lost, complete=False)])
    assert [each.key for each in catalogue.not_had("s")] == [key(2)]
    spider = PximgSpider.from_crawler(get_crawler(PximgSpider), _retry=ALL)
    spider.name, spider.crawler.spider = "s", spider
    images, page = RetryStart(spider.crawler).requests(catalogue)
    assert (images.cb_kwargs["item"]["image_urls"], page.url) == (["http://h/2.jpg"], "http://h/g")

    catalogue.note([visit(outcome(1), outcome(2, "failed", "http_404"), at=3.0)])
    assert [each.key for each in catalogue.not_had("s")] == [key(2)]
    catalogue.note([visit(outcome(1), at=4.0)])
    assert list(catalogue.not_had("s")) == []
    assert list(RetryStart(spider.crawler).requests(catalogue)) == []
    assert catalogue.outcomes([key(3)])[0] == outcome(3)  # what is stored stays known


def test_a_gallery_some_of_whose_sub_pages_failed_is_told_and_has_no_error_of_its_own(catalogue: Catalogue) -> None:
    lost = {"title": "T", "failed_pages": [{"url": "http://h/g/2", "reason": "http_503"}]}
    catalogue.note([visit(outcome(1), fields=lost, complete=False)])
    (told,) = failures(catalogue, "s", ("failed",))
    assert (told["kind"], told["reason"], told["url"]) == ("page", "http_503", "http://h/g")
    (item,) = items(catalogue)
    assert "error" not in item
    catalogue.note([visit(at=2.0, error="http_500", complete=False)])
    assert [item["error"] for item in items(catalogue)] == ["http_500"]
    catalogue.note([visit(outcome(1), at=3.0)])
    assert list(failures(catalogue, "s", ("failed",))) == []


def test_lists_of_one_name_do_not_replace_each_other_and_what_failed_completes_its_own(catalogue: Catalogue) -> None:
    def row(*numbers: int, failed: str = "", again: bool = False) -> GalleryVisit:
        item = {"spider": "s", "url": "url:1", **({"failed": [failed] * len(numbers)} if again else {})}
        image = {"status": "failed", "reason": failed} if failed and not again else {"status": "downloaded"}
        images = [{"url": f"http://h/{number}.jpg", **image} for number in numbers]
        asked = [(key(number), "") for number in numbers]
        return visit_of(ItemAdapter(item), asked, images, ("image_urls", "images"), "s")  # type: ignore[arg-type] # as the pipeline makes them

    catalogue.note([row(1, 2, failed="timeout"), row(3)])
    assert [gallery.keys for gallery in catalogue.galleries("s")] == [[key(1), key(2)], [key(3)]]
    catalogue.note([row(1)])
    catalogue.note([row(3, 4, failed="timeout")])
    assert len(list(catalogue.galleries("s"))) == 2
    catalogue.note([row(3, failed="timeout", again=True)])
    catalogue.note([row(4, failed="timeout", again=True)])
    assert [gallery.keys for gallery in catalogue.galleries("s")] == [[key(1)], [key(3), key(4)]]
    assert [gallery.complete_at == gallery.last_seen for gallery in catalogue.galleries("s")] == [True, True]


def test_images_that_are_tried_again_complete_their_gallery(catalogue: Catalogue) -> None:
    failed = [outcome(number, "failed", "timeout") for number in (2, 3)]
    catalogue.note([visit(outcome(1), *failed)])
    catalogue.note([visit(outcome(2, at=2.0), at=2.0, partial=True)])
    (gallery,) = catalogue.galleries("s")
    assert (gallery.keys, gallery.complete_at) == ([key(1), key(2), key(3)], 0.0)
    catalogue.note([visit(outcome(3, at=3.0), at=3.0, partial=True)])
    (gallery,) = catalogue.galleries("s")
    assert (gallery.keys, gallery.complete_at, gallery.last_seen) == ([key(1), key(2), key(3)], 3.0, 3.0)
    catalogue.note([visit(outcome(4), url="http://h/new", partial=True)])  # which is not known: what there is, is it
    assert [each.keys for each in catalogue.galleries("s")][1:] == [[key(4)]]


def test_a_refusal_that_asked_for_nothing_leaves_a_failure_and_its_gallery_lacking(catalogue: Catalogue) -> None:
    def told(image: dict[str, str], at: float, **fields: object) -> GalleryVisit:
        item = {"spider": "s", "url": "http://h/g", **fields}
        made = [{"url": "http://h/1.jpg", **image}]
        seen = visit_of(ItemAdapter(item), [(key(1), "")], made, ("image_urls", "images"), "s")  # type: ignore[arg-type] # as the pipeline makes them
        return replace(seen, seen_at=at)

    known = [gallery_key("s", "http://h/g")]
    failed = {"status": "failed", "reason": "http_503", "requested_path": "a/1"}
    catalogue.note([told(failed, 1.0)])
    for at, reason in enumerate(("private_address", "budget", "scheme", "date", "range"), 2):  # by a slip
        for more in ({}, {"failed": ["http_503"]}):
            catalogue.note([told({"status": "refused", "reason": reason, "requested_path": "b/1"}, at, **more)])
        (left,) = catalogue.not_had("s")
        assert (left.reason, left.requested_path, left.tried) == ("http_503", "a/1", 1), reason
        assert catalogue.complete_at(known, 3) == [0.0], reason
    # What will be the same tomorrow: each counts, and from the third night on nobody waits for it.
    for at, reason in enumerate(("robots", "noai", "title", "filtered", "invalid_url"), 10):
        refused = {"status": "refused", "reason": reason, "requested_path": "b/1"}
        catalogue.note([told(refused, at, opt_outs=["noai"])])  # as its page says, so nothing is asked for
        (left,) = catalogue.not_had("s")
        assert (left.reason, left.requested_path, left.tried) == ("http_503", "a/1", at - 8), reason
        assert catalogue.complete_at(known, 3) == [float(at) if at >= 11 else 0.0], reason
        assert catalogue.complete_at(known) == [0.0], reason
    catalogue.note([told({"status": "refused", "reason": "noai"}, 20.0)])  # as the answer says: it was asked for
    assert list(catalogue.not_had("s")) == []
    assert catalogue.complete_at(known) == [20.0]


def test_images_that_are_had_do_not_hide_that_their_page_was_not(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(1), outcome(2, "failed", "timeout"))])
    catalogue.note([visit(at=2.0, error="http_503", complete=False)])
    catalogue.note([visit(outcome(2, at=3.0), at=3.0, partial=True)])
    assert [told["reason"] for told in failures(catalogue, "s", ("failed",))] == ["http_503"]
    assert catalogue.complete_at([gallery_key("s", "http://h/g")]) == [0.0]


def test_galleries_are_items_of_a_feed(catalogue: Catalogue) -> None:
    put(catalogue, record(1))
    catalogue.note([visit(outcome(1), outcome(2, "failed", "http_404"), outcome(3))])
    catalogue.remove([key(3)])
    (item,) = items(catalogue, "s")
    assert item == {
        **{"spider": "s", "url": "http://h/g", "title": "T", "scraped_at": "at 1.0"},
        "image_urls": ["http://h/1.jpg", "http://h/2.jpg"],
        "images": [
            {"url": "http://h/1.jpg", "status": "downloaded", **record(1).facts()},
            {"url": "http://h/2.jpg", "status": "failed", "reason": "http_404", "requested_path": "a/2"},
        ],
    }
    assert list(item["images"][0]) == [
        *("url", "status", "path", "checksum", "bytes", "format", "width", "height", "frames", "final_url", "etag"),
        *("fetched_at", "warnings"),
    ]


def test_text_of_strangers_is_taken_as_it_is(catalogue: Catalogue) -> None:
    """A title with a NUL and half a character is JSON among the fields; `pipelines.visits` cleans what else is text."""
    catalogue.note([visit(outcome(1), fields={"title": "a\0b\ud800", "when": Path("x"), "rank": 3})])
    (gallery,) = catalogue.galleries("s")
    assert gallery.fields == {"title": "a\0b\ud800", "when": "x", "rank": 3}


def test_what_a_person_deleted_has_no_file_and_is_refused(catalogue: Catalogue) -> None:
    put(catalogue, record(1), record(2, "a/1.jpg"), record(3))
    catalogue.note([visit(outcome(1), outcome(3))])
    assert sorted(catalogue.keys_of("a/1.jpg")) == [key(1), key(2)]
    catalogue.forget(catalogue.keys_of("a/1.jpg"))
    assert [each and each.path for each in catalogue.find_all([key(1), key(2), key(3)])] == ["", "", "a/3.jpg"]
    assert list(catalogue.files_of("ab" * 32)) == ["a/3.jpg"]
    (item,) = items(catalogue)
    assert [(image["status"], image.get("reason")) for image in item["images"]] == [
        ("refused", "deleted"),
        ("downloaded", None),
    ]
    assert "path" not in item["images"][0]


def test_what_was_deleted_is_known_by_the_file_that_it_had(catalogue: Catalogue) -> None:
    put(catalogue, record(1), record(2, "a/1.jpg"), record(3))
    for _ in range(2):
        catalogue.forget([key(1)])
    assert catalogue.keys_of("a/1.jpg") == [key(2)]
    assert catalogue.keys_of("a/1.jpg", deleted=True) == [key(1)]
    assert catalogue.keys_of("a/3.jpg", deleted=True) == []


def test_a_gallery_of_which_an_image_is_removed_is_not_complete_until_it_is_here_again(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(1), outcome(2)), visit(outcome(3), url="http://h/other")])
    catalogue.remove([key(1)])
    known = [gallery_key("s", url) for url in ("http://h/g", "http://h/other")]
    assert catalogue.complete_at(known) == [0.0, 1.0]
    catalogue.note([visit(outcome(2, at=2.0), at=2.0, partial=True)])  # the other one is not here yet
    assert catalogue.complete_at(known) == [0.0, 1.0]
    catalogue.note([visit(outcome(1, at=3.0), outcome(2, at=3.0), at=3.0)])
    assert catalogue.complete_at(known) == [3.0, 1.0]


def test_what_is_parallel_to_the_addresses_of_a_gallery_stays_so(catalogue: Catalogue) -> None:
    columns = {"image_names": ["a", "b", "c"], "image_pages": ["p", "q"], "image_paths": ["", "/x", "y"]}
    catalogue.note([visit(outcome(1), outcome(2), outcome(3), fields=columns)])
    catalogue.remove([key(1)])
    (item,) = items(catalogue)
    assert item["image_urls"] == ["http://h/2.jpg", "http://h/3.jpg"]
    assert {name: item[name] for name in columns} == {
        "image_names": ["b", "c"],
        "image_pages": ["q"],
        "image_paths": ["/x", "y"],
    }


def test_galleries_whose_page_could_not_be_had_are_told(catalogue: Catalogue) -> None:
    lost = [visit(url=f"http://h/{number}", error="http_500", complete=False) for number in range(3)]
    catalogue.note([visit(outcome(1)), *lost])
    assert [each.url for each in catalogue.lost_galleries("s")] == ["http://h/0", "http://h/1", "http://h/2"]
    assert list(catalogue.lost_galleries("other")) == []
    catalogue.note([visit(outcome(2), url="http://h/0")])
    assert [each.url for each in catalogue.lost_galleries(None)] == ["http://h/1", "http://h/2"]


def test_it_is_told_when_galleries_were_complete(catalogue: Catalogue) -> None:
    catalogue.note([visit(outcome(1)), visit(url="http://h/2", at=5.0)])
    keys = [gallery_key("s", url) for url in ("http://h/2", "http://h/unknown", "http://h/g")]
    assert catalogue.complete_at(keys) == [5.0, 0.0, 1.0]
    catalogue.note([visit(outcome(1, "failed", "timeout"), at=7.0), visit(url="http://h/2", at=8.0, error="dns")])
    assert catalogue.complete_at(keys) == [0.0, 0.0, 0.0]
    assert catalogue.complete_at([]) == []
    # What fails each time is not waited for for ever, but for what is no fault of its site.
    assert catalogue.complete_at(keys, 3) == [0.0, 0.0, 0.0]
    catalogue.note([visit(outcome(1, "failed", "timeout"), at=9.0)])
    assert catalogue.complete_at(keys, 3) == [0.0, 0.0, 9.0]
    catalogue.note([visit(outcome(1, "failed", "storage"), at=10.0)])
    assert catalogue.complete_at(keys, 3) == [0.0, 0.0, 0.0]


def test_it_is_told_whether_the_walk_of_a_list_before_this_one_was_whole(catalogue: Catalogue) -> None:
    told = [catalogue.note_walk(key(number), whole=whole) for number, whole in ((1, False), (1, True), (2, True))]
    assert told == [False, False, False]
    assert [catalogue.note_walk(key(1), whole=False), catalogue.note_walk(key(1), whole=True)] == [True, False]


def test_a_gallery_whose_image_is_lost_is_complete_when_that_is_here_again(catalogue: Catalogue) -> None:
    put(catalogue, record(1), record(2), record(9))
    catalogue.note([visit(outcome(1), outcome(2))])
    assert catalogue.mark_lost([key(1), key(9)]) == 1  # of the other one no gallery is known
    known = [gallery_key("s", "http://h/g")]
    assert catalogue.complete_at(known) == [0.0]
    catalogue.note([visit(outcome(1, at=2.0), at=2.0, partial=True)])
    assert catalogue.complete_at(known) == [2.0]
    catalogue.note([visit(outcome(2, "failed", "timeout", at=3.0), at=3.0, partial=True)])
    assert catalogue.complete_at(known) == [0.0]


def test_what_is_lost_is_a_failure_with_the_path_it_had(catalogue: Catalogue) -> None:
    put(catalogue, record(1), record(2))
    catalogue.note([visit(outcome(1), outcome(2))])
    catalogue.mark_lost([key(2)])
    (lost,) = catalogue.not_had("s")
    assert (lost.key, lost.reason, lost.requested_path) == (key(2), "lost", "a/1")
    assert [each.mtime_ns for each in catalogue.records()] == [7, LOST]
    assert [each.key for each in catalogue.records(key(1))] == [key(2)]


def test_what_images_look_like_is_told_once_in_the_order_in_which_it_was_noted(
    place: str, catalogue: Catalogue
) -> None:
    with catalogue.transaction():
        for checksum, look in (("b", b"\0" * 40), ("a", b"\1" * 40), ("b", b"\2" * 40)):
            catalogue.note_look(checksum, look, 12)
    with closing(opened(place)) as another:
        first, second = another.looks()
    assert [first[1:], second[1:]] == [("b", b"\0" * 40, 12), ("a", b"\1" * 40, 12)]
    assert list(catalogue.looks(first[0])) == [second]


def test_files_that_are_renamed_are_renamed_for_all_their_addresses(catalogue: Catalogue) -> None:
    put(catalogue, record(1, "a.jpg"), record(2, "a.jpg"), record(3, "a.jpg", "cd" * 32), record(4, "b.jpg"))
    catalogue.note([visit(outcome(1), outcome(5, "failed", "http_503"))])
    assert list(catalogue.sharing("ab" * 32, "a.jpg")) == [(key(1), "a/1"), (key(2), "a/1")]
    catalogue.rename([("ab" * 32, "a.jpg", "new.jpg")], [(key(1), "new"), (key(5), "other")])
    found = catalogue.find_all(map(key, range(1, 5)))
    assert [(each.path, each.wanted) for each in found if each] == [
        *(("new.jpg", "new"), ("new.jpg", "a/1"), ("a.jpg", "a/1"), ("b.jpg", "a/1"))
    ]
    stored, failed = catalogue.outcomes([key(1), key(5)])
    assert stored is not None
    assert failed is not None
    assert (stored.requested_path, failed.requested_path) == ("", "other")


def test_what_another_catalogue_knows_is_added_to_what_is_known(catalogue: Catalogue, tmp_path: Path) -> None:
    other = SqliteCatalogue(tmp_path / "other")
    put(other, record(1, "theirs.jpg"), record(2, "theirs.jpg"), record(3))
    other.note([visit(outcome(1), at=2), visit(outcome(2, "failed", "dns"), url="http://h/h", complete=False)])
    put(catalogue, record(1, "ours.jpg"), record(9))
    catalogue.forget([key(9)])
    catalogue.note([visit(outcome(1, "failed", "http_404"), complete=False)])
    catalogue.take_over(other)
    assert [each and each.path for each in catalogue.find_all([key(1), key(2), key(3), key(9)])] == [
        *("ours.jpg", "theirs.jpg", "a/3.jpg", "")
    ]
    assert [each and each.reason for each in catalogue.outcomes([key(1), key(2)])] == ["http_404", "dns"]
    assert [(each.url, each.complete_at) for each in catalogue.galleries(None)] == [
        ("http://h/g", 0),
        ("http://h/h", 0),
    ]
    counts = catalogue.counts()
    assert counts.size > 0
    assert replace(counts, size=0) == CatalogueCounts(
        version=SCHEMA_VERSION, size=0, addresses=3, files=3, bytes=27, deleted=1, failed=2, refused=0,
        galleries=2, complete=0, lost_pages=0,
    )  # fmt: skip
    other.close()


def test_a_catalogue_of_the_third_version_is_upgraded_and_knows_what_was_not_decoded(place: str) -> None:
    catalogue = opened(place)
    put(catalogue, record(1))
    catalogue.close()
    connection: Any
    if "://" in place:
        import psycopg  # noqa: PLC0415 -- only where there is a server

        connection = psycopg.connect(place, options="-c search_path=imgcrawl")
        version = "UPDATE version SET version = 3"
    else:
        connection = sqlite3.connect(place)
        version = "PRAGMA user_version = 3"
    connection.execute("ALTER TABLE images DROP COLUMN verified")
    connection.execute(version)
    connection.commit()
    connection.close()
    for _ in range(2):
        catalogue = opened(place)
        assert catalogue.find(key(1)) == record(1)
        looked_at = replace(record(2), verified="bytes")
        put(catalogue, looked_at)
        assert catalogue.find(key(2)) == looked_at
        catalogue.note_decoded([replace(looked_at, frames=3, warnings="no_end"), replace(record(1), checksum="other")])
        assert catalogue.find(key(2)) == replace(looked_at, frames=3, warnings="no_end", verified="")
        assert catalogue.find(key(1)) == record(1)
        catalogue.close()


@pytest.mark.parametrize(
    ("reasons", "complete_from"),  # of the images that fail, and the visit from which they are not missed
    [
        (("http_404",), 1),
        (("html", "truncated"), 1),
        (("timeout",), 3),
        (("http_403",), 3),
        (("http_404", "http_503"), 3),
        (("lost",), 0),
    ],
)
def test_a_gallery_lacks_nothing_that_its_site_does_not_have(
    catalogue: Catalogue, reasons: tuple[str, ...], complete_from: int
) -> None:
    for at in (1.0, 2.0, 3.0):
        failed = [outcome(n, "failed", reason, at=at) for n, reason in enumerate(reasons, 2)]
        catalogue.note([visit(outcome(1, at=at), *failed, at=at)])
        known = catalogue.complete_at([gallery_key("s", "http://h/g")], 3)
        assert known == [at if complete_from and at >= complete_from else 0.0]
        assert catalogue.complete_at([gallery_key("s", "http://h/g")]) == [0.0]


def test_a_site_that_gives_nothing_may_give_something_another_night(catalogue: Catalogue) -> None:
    known = []
    for at in (1.0, 2.0, 3.0):  # such as one that has forgotten who asks
        catalogue.note([visit(outcome(1, "failed", "http_403", at=at), outcome(2, "failed", "html", at=at), at=at)])
        known += catalogue.complete_at([gallery_key("s", "http://h/g")], 3)
    assert known == [0.0, 0.0, 3.0]
