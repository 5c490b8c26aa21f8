"""What was fetched, as it went over the wire, read by the library that archives use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings
from warcio.archiveiterator import ArchiveIterator

from imgcrawl.exceptions import InputError
from imgcrawl.warc import Addon
from tests.support.crawling import crawl
from tests.support.server import Exchange, Server, jpeg, redirect


def records(files: list[Path]) -> list[tuple[str, Any, bytes]]:
    """Type, record and block's payload of all records in *files*."""
    found = []
    for file in files:
        with file.open("rb") as stream:
            for record in ArchiveIterator(stream, check_digests=True):
                payload = record.raw_stream.read()
                assert record.digest_checker.passed is not False, record.digest_checker.problems
                found.append((record.rec_type, record, payload))
    return found


def test_requests_and_answers_are_in_the_archive_byte_for_byte(server: Server, tmp_path: Path) -> None:
    small, large = jpeg(50), jpeg(2000, 1500) + b"\0" * 1_500_000  # which is written to a file as it comes
    server.add("/small.jpg", small, headers={"X-Odd": "ä", "ETag": '"1"'})
    server.add("/large.jpg", large)
    server.add("/moved.jpg", redirect("/small.jpg"))
    server.add("/gone.jpg", b"no", status=404)
    text = b"abc\r\nbegins as a chunk does"

    async def chunked(exchange: Exchange) -> None:
        await exchange.head(404, content_type="text/plain", transfer_encoding="chunked")
        for piece in (text[:7], text[7:]):
            await exchange.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await exchange.write(b"0\r\n\r\n")

    server.add("/chunked.jpg", chunked)
    paths = ("/small.jpg?a=%41", "/large.jpg", "/moved.jpg", "/gone.jpg", "/chunked.jpg")
    urls = [server.url(path) for path in paths]
    odd = {"X-Odd": "ä", "ETag": '"1"', "Content-Disposition": 'inline; filename="caf\xe9.jpg"'}
    server.add("/small.jpg?a=%41", small, headers=odd)
    done = crawl(
        tmp_path, "urls", {"url": ",".join(urls)}, WARC_FOLDER="warc", WARC_MAX_BYTES=2000, RETRY_TIMES=0,
        VERDICT_MAX_FAILED=1,
    )  # fmt: skip
    assert done.code == 0, done.log
    files = sorted((tmp_path / "warc").iterdir())
    assert len(files) > 1
    assert [file.name[-14:] for file in files] == [f"-{number:05}.warc.gz" for number in range(len(files))]
    assert files[0].stat().st_mode & 0o077 == 0
    found = records(files)
    assert [kind for kind, _, _ in found].count("warcinfo") == len(files)
    answers = {
        record.rec_headers["WARC-Target-URI"]: (record, body) for kind, record, body in found if kind == "response"
    }
    requests = {record.rec_headers["WARC-Target-URI"]: record for kind, record, _ in found if kind == "request"}
    asked = [server.url(request.path) for request in server.requests]
    assert sorted(answers) == sorted(requests) == sorted(set(asked))
    record, body = answers[urls[0]]
    assert (record.http_headers.get_statuscode(), body) == ("200", small)
    assert record.http_headers["ETag"] == '"1"'
    assert b"\r\nX-Odd: \xe4\r\n" in record.http_headers.to_bytes(encoding="latin-1")
    assert record.http_headers["Content-Disposition"] == 'inline; filename="caf\xe9.jpg"'
    assert record.rec_headers["WARC-IP-Address"] == "127.0.0.1"
    assert answers[urls[1]][1] == large
    assert answers[urls[2]][0].http_headers["Location"] == "/small.jpg"
    assert (answers[urls[3]][0].http_headers.get_statuscode(), answers[urls[3]][1]) == ("404", b"no")
    assert answers[urls[4]][1] == b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)
    for request in server.requests:
        sent = requests[server.url(request.path)].http_headers
        assert {name.lower(): value for name, value in sent.headers} == request.headers
        assert sent.statusline == f"{request.path} HTTP/1.1"

    # What a kill leaves is cut somewhere in the last record.
    cut = tmp_path / "cut.warc.gz"
    cut.write_bytes(files[0].read_bytes()[:-20])
    whole = [(kind, body) for kind, _, body in records(files[:1])]
    assert [(kind, body) for kind, _, body in records_before_cut(cut)] == whole[: len(whole) - 1]


def records_before_cut(file: Path) -> list[tuple[str, Any, bytes]]:
    found = []
    with file.open("rb") as stream:
        for record in ArchiveIterator(stream):
            length = int(record.rec_headers["Content-Length"]) - len(
                record.http_headers.to_bytes() if record.http_headers else b""
            )
            body = record.raw_stream.read()
            if record.rec_type == "warcinfo" or len(body) >= length:
                found.append((record.rec_type, record, body))
    return found


def test_a_browser_is_not_recorded() -> None:
    with pytest.raises(InputError, match="expected no PAGES_PLAYWRIGHT"):
        Addon().update_settings(Settings({"WARC_FOLDER": "warc", "PAGES_PLAYWRIGHT": True}))


def test_an_archive_that_cannot_be_written_ends_the_crawl_in_one_sentence(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", jpeg(50))
    (tmp_path / "warc").write_text("a file where the folder should be")
    done = crawl(tmp_path, "urls", {"url": server.url("/a.jpg")}, WARC_FOLDER="warc")
    assert done.code == 1
    assert "records cannot be written to warc: File exists" in done.log
    assert "Traceback" not in done.log
