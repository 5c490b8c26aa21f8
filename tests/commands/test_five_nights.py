"""Night after night at a replica that changes, is down, and whose files are lost: each exactly as it has to be."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from tests.nights import nights


def test_each_night_asks_for_what_is_new_and_tells_what_there_is(tmp_path: Path) -> None:
    """`tests.nights` compares each outcome, path, file and number of requests with the truth; here is what they are."""
    table = nights(tmp_path, galleries=10, images=4, per_page=6, width=60)
    # exit code; downloaded, uptodate, duplicate, failed, refused; pages asked for and sent, images asked for and sent;
    # galleries and images in the feed
    assert {night: row for night, *row in map(astuple, table)} == {
        "first": [0, 38, 0, 0, 2, 0, 13, 12, 44, 39, 10, 40],
        "unchanged": [0, 0, 38, 0, 2, 0, 13, 0, 2, 1, 10, 40],
        "changed": [0, 15, 28, 5, 2, 0, 25, 18, 51, 21, 20, 50],
        "down": [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 50],  # the feed is as it was
        "lost": [0, 6, 42, 0, 2, 0, 25, 0, 8, 7, 20, 50],
        "renamed": [0, 0, 48, 0, 2, 0, 25, 0, 2, 1, 20, 50],
        "quiet, all tried": [0, 0, 6, 0, 2, 0, 7, 0, 2, 1, 2, 8],
        "quiet": [0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0],
    }
