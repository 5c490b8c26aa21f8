"""Answers written byte for byte, as servers write them. Each is followed by another on the same connection."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.failures import reason_of
from imgcrawl.framing import MAX_FIELD, regular_head
from tests.support.asking import ask, crawl
from tests.support.server import Exchange, Misbehaviour, Server

HASTY = {"DOWNLOAD_TIMEOUT": 3, "DOWNLOAD_IDLE_TIMEOUT": 1, "RETRY_ENABLED": False, "CONCURRENT_REQUESTS_PER_DOMAIN": 1}
TYPE = b"Content-Type: image/jpeg\r\n"


def raw(*pieces: bytes, close: bool = False) -> Misbehaviour:
    async def raw_(exchange: Exchange) -> None:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.05)
            await exchange.write(piece)
        if close:
            exchange.close()

    return raw_


ANSWER = b"HTTP/1.1 200 OK\r\n" + TYPE
CHUNKED = ANSWER + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n"
OTHERS = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nof others"

ACCEPTED = {
    "equal lengths": raw(ANSWER + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345"),
    "equal lengths in one field": raw(ANSWER + b"Content-Length: 5, 5\r\n\r\n12345"),
    "chunked beside a length": raw(ANSWER + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS),
    "chunked twice over": raw(ANSWER + b"Transfer-Encoding: identity\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKS),
    "a space before the colon": raw(ANSWER + b"Content-Length : 5\r\n\r\n12345"),
    "a tab before the colon": raw(ANSWER + b"Content-Length\t:\t5\r\n\r\n12345"),
    "chunk extensions": raw(
        ANSWER + b'Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n12\r\n1; c\r\n3\r\n2 ; x="y;z" (?)\r\n45\r\n0;\r\n\r\n'
    ),
    "spaces after a chunk's size": raw(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n5   \r\n12345\r\n0  \r\n\r\n"),
    "trailers": raw(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\nX-Md5: abc\r\n\r\n"),
    "a trailer that is a length": raw(CHUNKED + b"5\r\n12345\r\n0\r\nContent-Length: 3\r\n\r\n"),
    "a trailer that is no field": raw(CHUNKED + b"5\r\n12345\r\n0\r\nsum \0 12\r\n\r\n"),
    "trailers, and another answer": raw(CHUNKED + b"5\r\n12345\r\n0\r\nX: y\r\n\r\n" + OTHERS),
    "trailers without an end": raw(CHUNKED + b"5\r\n12345\r\n0\r\nX: y\r\nX-M", close=True),
    "chunks whose lines end in LF": raw(CHUNKED + b"3\n123\n2\n45\n0\n\n"),
    "the same and CRLF": raw(CHUNKED + b"3\n123\r\n2\r\n45\n0\r\n\r\n"),
    "the same, and trailers": raw(CHUNKED + b"5\n12345\n0\nX-Md5: abc\n\n"),
    "the same, piece by piece": raw(CHUNKED, *(bytes([byte]) for byte in b"3\n123\n2\n45\n0\n\n")),
    "the same, and another answer": raw(CHUNKED + b"5\n12345\n0\n\n" + OTHERS),
    "no empty line after the last chunk": raw(CHUNKED + b"5\r\n12345\r\n0\r\n", close=True),
    "HTTP/2": raw(b"HTTP/2 200\r\n" + TYPE + b"Content-Length: 5\r\n\r\n12345"),
    "HTTP/1.2": raw(b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\n12345"),
    "HTTP/1": raw(b"HTTP/1 200 OK\r\nContent-Length: 5\r\n\r\n12345"),
    "small letters": raw(b"http/1.1 200 ok\r\ncontent-length: 5\r\n\r\n12345"),
    "spaces in the status line": raw(b"HTTP/1.1  200  OK\r\nContent-Length: 5\r\n\r\n12345"),
    "no space after the status": raw(b"HTTP/1.1 200OK\r\nContent-Length: 5\r\n\r\n12345"),
    "early hints of HTTP/2": raw(b"HTTP/2 103\r\nLink: </a>\r\n\r\n", ANSWER + b"Content-Length: 5\r\n\r\n12345"),
    "CR in a field": raw(ANSWER + b"X-A: b\rContent-Length: 9\r\nContent-Length: 5\r\n\r\n12345"),
    "CR CR LF": raw(b"HTTP/1.1 200 OK\r\r\nContent-Length: 5\r\r\n\r\r\n12345"),
    "identity as a coding": raw(ANSWER + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n12345"),
    "odd names": raw(ANSWER + b"X(odd): 1\r\nX y: 2\r\n\xe9: 3\r\n: 4\r\nno colon\r\nContent-Length: 5\r\n\r\n12345"),
    "a field over two lines": raw(ANSWER + b"X-Long: a\r\n b\r\n\tc\r\nContent-Length: 5\r\n\r\n12345"),
    "lines that end in LF": raw(b"HTTP/1.1 200 OK\nContent-Type: image/jpeg\nContent-Length: 5\n\n12345"),
    "no reason": raw(b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n12345"),
    "an empty line first": raw(b"\r\n\r\n" + ANSWER + b"Content-Length: 5\r\n\r\n12345"),
    "early hints": raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ANSWER + b"Content-Length: 5\r\n\r\n12345"),
    "piece by piece": raw(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345")),
    "no length": raw(ANSWER + b"Content-Length:\r\n\r\n12345", close=True),
    "HTTP/1.0": raw(b"HTTP/1.0 200 OK\r\n\r\n12345", close=True),
    "a stray CRLF": raw(ANSWER + b"Content-Length: 5\r\n\r\n12345\r\n"),
    "a stray LF": raw(ANSWER + b"Content-Length: 5\r\n\r\n12345\n"),
    "stray bytes": raw(ANSWER + b"Content-Length: 5\r\n\r\n12345<br />Notice: x in y.php"),
    "stray bytes, later": raw(ANSWER + b"Content-Length: 5\r\n\r\n12345", b"<br />Notice: x in y.php"),
    "stray bytes after chunks": raw(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"<br />"),
    "stray bytes, then the end": raw(
        ANSWER + b"Connection: close\r\nContent-Length: 5\r\n\r\n12345\r\n\r\n", close=True
    ),
    "an answer that nobody asked for": raw(ANSWER + b"Content-Length: 5\r\n\r\n12345" + OTHERS),
    "an answer that nobody asked for, later": raw(ANSWER + b"Content-Length: 5\r\n\r\n12345", OTHERS),
    "the same after chunks": raw(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + OTHERS),
    "a field of 60 KB": raw(ANSWER + b"X-Policy: " + b"x" * 60_000 + b"\r\nContent-Length: 5\r\n\r\n12345"),
    "250 KB of fields": raw(
        ANSWER + b"".join(b"X-%d: %s\r\n" % (k, b"x" * 500) for k in range(480)) + b"Content-Length: 5\r\n\r\n12345"
    ),
    "700 fields": raw(ANSWER + b"".join(b"X-%d: y\r\n" % k for k in range(700)) + b"Content-Length: 5\r\n\r\n12345"),
}  # fmt: skip

REFUSED = {
    "more early hints than anybody has": raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 101, ANSWER + b"Content-Length: 5\r\n\r\n12345"
    ),
    "different lengths": raw(ANSWER + b"Content-Length: 5\r\nContent-Length: 14\r\n\r\n12345" + OTHERS),
    "different lengths in one field": raw(ANSWER + b"Content-Length: 5, 14\r\n\r\n12345" + OTHERS),
    "different lengths, one with a space": raw(ANSWER + b"Content-Length: 5\r\nContent-Length : 14\r\n\r\n12345"),
    "a length with a sign": raw(ANSWER + b"Content-Length: +5\r\n\r\n12345"),
    "a length in hex": raw(ANSWER + b"Content-Length: 0x5\r\n\r\n12345"),
    "a length over two lines": raw(ANSWER + b"Content-Length: 5\r\n 5\r\n\r\n" + b"1" * 55),
    "a chunk's size that is none": raw(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n12345\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": raw(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n3\r\n12345\r\n0\r\n\r\n"),
    "a chunk without its end": raw(CHUNKED + b"5\n123450\n\n"),
    "a chunk of LF lines that is longer than it says": raw(CHUNKED + b"3\n12345\n0\n\n"),
    "chunks whose lines end in CR": raw(CHUNKED + b"5\r12345\r0\r\r", close=True),
    "no last chunk": raw(CHUNKED + b"5\n12345\n", close=True),
    "a chunk's size with 0x": raw(CHUNKED + b"0x5\n12345\n0\n\n"),
    "a status of four digits": raw(b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n12345"),
    "a status below 100": raw(b"HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\n12345"),
    "NUL in a field": raw(ANSWER + b"X-A: a\0b\r\nContent-Length: 5\r\n\r\n12345"),
    "a CR that hides a length": raw(ANSWER + b"X-A: b\r\nContent-Length: 5\rContent-Length: 9\r\n\r\n12345"),
    "a field of 70 KB": raw(ANSWER + b"X-Policy: " + b"x" * 70_000 + b"\r\nContent-Length: 5\r\n\r\n12345"),
    "300 KB of fields": raw(
        ANSWER + b"".join(b"X-%d: %s\r\n" % (k, b"y" * 1000) for k in range(300)) + b"Content-Length: 5\r\n\r\n12345"
    ),
    "400 KB of trailers": raw(
        ANSWER + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n",
        b"".join(b"X-%d: %s\r\n" % (k, b"y" * 1000) for k in range(400)),
    ),
    "400 KB of chunk extensions": raw(
        ANSWER + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 200_000, b"x" * 200_000, b"\r\n12345\r\n0\r\n\r\n"
    ),
}


async def asked_twice(server: Server) -> list[Response | Exception]:
    server.add("/other.jpg", b"the other")
    answers: list[Response | Exception] = []

    async def script(crawler: Crawler) -> None:
        for path in ("/odd.jpg", "/other.jpg"):
            if answers:
                await asyncio.sleep(0.1)  # for what comes later to have come
            try:
                answers.append(await crawler.engine.download_async(Request(server.url(path))))
            except Exception as error:
                answers.append(error)

    await crawl(script, **HASTY)
    return answers


@pytest.mark.parametrize("answer", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_is_not_dangerous_is_accepted_and_is_no_others_answer(server: Server, answer: Misbehaviour) -> None:
    server.add("/odd.jpg", answer)
    odd, other = await asked_twice(server)
    assert isinstance(odd, Response), odd
    assert odd.body == b"12345"
    assert isinstance(other, Response), other
    assert other.body == b"the other"


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
async def test_what_could_be_read_as_anothers_answer_is_refused(server: Server, answer: Misbehaviour) -> None:
    server.add("/odd.jpg", answer)
    odd, other = await asked_twice(server)
    assert isinstance(odd, Exception), odd
    assert reason_of(odd)[0] == "failed"
    assert reason_of(odd)[1] in ("connection", "truncated", "timeout")
    assert isinstance(other, Response), other
    assert other.body == b"the other"


async def test_headers_that_never_end_take_no_memory(server: Server) -> None:
    (answer,) = await ask(server.url("/endless-headers"), **HASTY)
    assert isinstance(answer, Exception)
    assert "more than 262144 bytes of headers" in str(answer)


async def test_a_redirect_with_a_stray_body_is_followed(server: Server) -> None:
    server.add("/hop", raw(b"HTTP/1.1 302 Found\r\nLocation: /there.jpg\r\nContent-Length: 0\r\n\r\nmoved, sorry"))
    server.add("/there.jpg", b"there")
    (answer,) = await ask(server.url("/hop"), **HASTY)
    assert isinstance(answer, Response)
    assert answer.body == b"there"


@pytest.mark.parametrize("close", [True, False])
async def test_a_page_that_ends_is_whole_though_a_longer_one_was_said(server: Server, *, close: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 500\r\n\r\n"
    whole = b"<html><title>here</title></HTML>\n<!-- 0.1 s -->"
    server.add("/whole", raw(head + whole, close=close))
    server.add("/half", raw(head + whole[:20], close=close))
    answer, half = await ask(server.url("/whole"), server.url("/half"), **HASTY)
    assert isinstance(answer, Response), answer
    assert answer.body == whole
    assert isinstance(half, Exception)


async def test_a_body_that_cannot_be_read_on_ends_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcrawl.framing._Chunks.regular", lambda self, data: b"no size\r\n")
    server.add("/odd.jpg", raw(CHUNKED, CHUNKS))
    (answer,) = await ask(server.url("/odd.jpg"), **HASTY)
    assert isinstance(answer, Exception)
    assert reason_of(answer)[1] == "truncated", "and no timeout"


async def test_a_gzip_page_in_chunks_with_extensions(server: Server) -> None:
    body = gzip.compress(b"<title>here</title>")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.add("/page", raw(head + b"%x;e\r\n%s\r\n0\r\n\r\n" % (len(body), body)))
    (answer,) = await ask(server.url("/page"), **HASTY)
    assert isinstance(answer, Response)
    assert answer.css("title::text").get() == "here"


def test_a_regular_head_is_left_alone() -> None:
    head = b"HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 16:00:00 GMT\r\nContent-Length: 5\r\nX: content-length: 7"
    assert regular_head(head) == (head + b"\r\n\r\n", True, False)
    assert MAX_FIELD == 65536
