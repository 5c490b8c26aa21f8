from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.crawling import Crawl, crawl
from tests.support.server import JPEG, Answer, Exchange, Misbehaviour, Server, never

HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"""<title> A  page </title><meta property=og:image content=/og.jpg><img src=/i.jpg>
<a href="http://two.test/">2</a> <a href="/next">next</a> <a href="/next#again">again</a>"""


def sites(answers: dict[str, Answer]) -> Misbehaviour:
    """A stand-in for many sites; an address that is not in *answers* is never answered."""

    async def stand_in(exchange: Exchange) -> None:
        answer = answers.get(exchange.request.headers["host"] + exchange.request.path)
        await (exchange.answer(answer) if answer else never(exchange))

    return stand_in


def alexa(
    server: Server, folder: Path, names: list[str], arguments: dict[str, str] | None = None, **settings: Any
) -> Crawl:
    server.add("/robots.txt", status=404)
    (folder / "list.csv").write_text("".join(f"{rank},{name}\n" for rank, name in enumerate(names, start=1)))
    given = {"file": "list.csv", "base": server.url("").rstrip("/"), **(arguments or {})}
    return crawl(folder, "alexa", given, AUTOTHROTTLE_ENABLED="False", VERDICT_MAX_FAILED="1", **settings)


@pytest.mark.alone(forks=True)
def test_hosts_that_never_answer_are_waited_for_together(server: Server, tmp_path: Path) -> None:
    names = [f"{'dead' if n % 16 == 0 else 'good'}{n}.test" for n in range(500)]
    dead = sum(name.startswith("dead") for name in names)
    server.add("*", sites({f"{name}/": Answer(b"<title>t</title>", 200, HTML) for name in names if "good" in name}))
    timeout = 10

    begun = time.monotonic()
    run = alexa(server, tmp_path, names, DOWNLOAD_TIMEOUT=str(timeout))
    took = time.monotonic() - begun

    assert dead >= 30
    assert run.code == 0, run.log
    assert Counter(item["domain"] for item in run.items) == dict.fromkeys(names, 1)
    assert Counter(item.get("error") for item in run.items) == {"timeout": dead, None: 500 - dead}
    assert timeout < took < 2 * timeout
    assert Counter(request.host for request in server.requests if request.path == "/") == dict.fromkeys(names, 1)


def test_each_domain_is_one_item(server: Server, tmp_path: Path) -> None:
    server.add(
        "*",
        sites(
            {
                "one.test/": Answer(PAGE, 200, HTML),
                "two.test/": Answer(b"", 301, {"Location": "/there"}),
                "two.test/there": Answer(
                    "<title>二</title>".encode("gbk"), 200, {"Content-Type": "text/html; charset=gbk"}
                ),
                "three.test/": Answer(b"gone", 404, HTML),
                "four.test/": Answer(JPEG),
                "one.test/i.jpg": Answer(JPEG),
            }
        ),
    )
    run = alexa(server, tmp_path, ["one.test", "two.test", "three.test", "four.test"], ITEM_PIPELINES="{}")
    assert run.code == 0, run.log
    base = server.url("").rstrip("/")
    items = {item["domain"]: item for item in run.items}
    for item in items.values():
        assert item.pop("scraped_at")
        assert item.pop("spider") == "alexa"
    assert items == {
        "one.test": {
            "url": "http://one.test/", "domain": "one.test", "rank": 1, "final_url": f"{base}/", "status": 200,
            "encoding": "utf-8", "title": "A page", "links": 2, "images": [],
            "image_urls": [f"{base}/og.jpg", f"{base}/i.jpg"], "image_pages": [f"{base}/", f"{base}/"],
        },
        "two.test": {
            "url": "http://two.test/", "domain": "two.test", "rank": 2, "final_url": f"{base}/there", "status": 200,
            "encoding": "gb18030", "title": "二", "links": 0, "images": [], "image_urls": [], "image_pages": [],
        },
        "three.test": {
            "url": "http://three.test/", "domain": "three.test", "rank": 3, "final_url": f"{base}/", "status": 404,
            "error": "http_404", "images": [], "image_urls": [],
        },
        "four.test": {
            "url": "http://four.test/", "domain": "four.test", "rank": 4, "final_url": f"{base}/", "status": 200,
            "error": "not_a_page", "images": [], "image_urls": [],
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({}, {}),
        ({"follow": "$^", "depth": "9"}, {}),
        (
            {"follow": "."},
            {"one.test/next": "http://one.test/", "two.test/": "http://one.test/", "two.test/last": "http://two.test/"},
        ),
        ({"follow": "/next$", "depth": "2"}, {"one.test/next": "http://one.test/"}),
        (
            {"follow": "test/", "depth": "2"},
            {"one.test/next": "http://one.test/", "two.test/": "http://one.test/", "two.test/last": "http://two.test/"},
        ),
    ],
)
def test_links_are_followed(server: Server, tmp_path: Path, arguments: dict[str, str], asked: dict[str, str]) -> None:
    page = b"<title>t</title><a href=http://one.test/next>n</a><a href=http://two.test/>2</a>"
    server.add(
        "*",
        sites(
            {
                "one.test/": Answer(page, 200, HTML),
                "one.test/next": Answer(page, 200, HTML),
                "two.test/": Answer(b"<a href=http://two.test/last>last</a>", 200, HTML),
                "two.test/last": Answer(b"<p>", 200, HTML),
            }
        ),
    )
    run = alexa(server, tmp_path, ["one.test", "two.test"], arguments)
    assert run.code == 0, run.log
    domains = [item["domain"] for item in run.items if "parent" not in item]
    followed = [item for item in run.items if "parent" in item]
    assert sorted(domains) == ["one.test", "two.test"]
    assert {item["url"].removeprefix("http://"): item["parent"] for item in followed} == asked
    assert len(followed) == len(asked)


def test_limit(server: Server, tmp_path: Path) -> None:
    names = [f"d{n}.test" if n != 3 else "no domain" for n in range(300)]
    server.add("*", sites({f"{name}/": Answer(b"<p>", 200, HTML) for name in names}))
    run = alexa(server, tmp_path, names, {"limit": "150"}, STATS_DUMP="True")
    assert [item["rank"] for item in sorted(run.items, key=lambda item: item["rank"])] == [
        rank for rank in range(1, 151) if rank != 4
    ]
    assert re.search(r"'row/bad/no-domain-name': 1\b", run.log)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"limit": "0"}, "-a limit=0: expected a whole number, 1 or more"),
        ({"depth": "far"}, "-a depth=far: expected a whole number, 1 or more"),
        (
            {"follow": "("},
            "-a follow=(: expected a regular expression (missing ), unterminated subpattern at position 0)",
        ),
    ],
)
def test_bad_options(server: Server, tmp_path: Path, argument: dict[str, str], sentence: str) -> None:
    run = alexa(server, tmp_path, ["one.test"], argument)
    assert (run.code, run.log.splitlines()[-1]) == (2, sentence)
    assert server.requests == []
