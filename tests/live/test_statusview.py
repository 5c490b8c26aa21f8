"""What `scrapy status` shows, on terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from imgcrawl.display import curve
from imgcrawl.live.statusview import hosts_table, picture
from imgcrawl.live.view import nothing

WORKER = {"name": "here-4242-a1b2c3", "state": "running", "age": 0.4, "rate": 16.2, "images": 12_022, "galleries": 611}
HOST = {"host": "www.example.com", "active": 3, "limit": 4, "delay": 1.25, "waiting": 120, "rate": 2.4}
VIEW = nothing("pximg") | {
    "state": "running",
    "rate": 32.1,
    "curve": [1, 2, 3, 4, 5, 6, 7, 8],
    "remaining": 2530.0,
    "workers": [WORKER | {"bytes": 716e6, "leases": 6, "memory": 142e6}],
    "hosts": [HOST | {"reason": "retry_after", "until": 0.5}],
    "reasons": {"failed": {"http_404": 12}, "refused": {"robots": 3}, "galleries": {}},
}


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_narrow_terminal_is_told_less_and_nothing_by_halves(width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    console.print(picture(VIEW))
    text = console.file.getvalue()  # type: ignore[attr-defined] # of a StringIO
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= width
    assert "…" not in text
    words = " ".join(text.split())
    assert "about 0:42:10 to go" in words
    assert curve(range(1, 9)) in words
    assert "here-4242-a1b2c3 running 0.4 s 16.2" in words
    assert "www.example.com 3/4" in words
    assert "image failed (http_404) 12 Not Found" in words
    assert ("142 MB" in words) == (width >= 80)


def test_the_first_line_says_where_a_crawl_runs_and_of_what() -> None:
    console = Console(width=120, file=io.StringIO())
    console.print(picture(VIEW | {"folder": "/home/me/crawl", "list": "https://me:secret@example.org/{page}"}))
    first = console.file.getvalue().splitlines()[0]  # type: ignore[attr-defined] # of a StringIO
    assert first.startswith("pximg: running, ")
    assert first.endswith(", in /home/me/crawl, of https://example.org/{page}")


def test_a_table_without_rows_is_its_head() -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(hosts_table(VIEW | {"hosts": []}))
    assert "waiting" in console.file.getvalue()  # type: ignore[attr-defined] # of a StringIO
