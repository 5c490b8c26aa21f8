"""PRIVATE_HOSTS_ALLOWED in whole crawls: lists are strangers' words, except where the user says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.crawling import crawl
from tests.support.server import JPEG, Server


@pytest.mark.parametrize(
    ("host", "allowed", "status"),
    [
        ("127.0.0.1", "127.0.0.0/8", "downloaded"),
        ("127.0.0.1", "127.0.0.1", "downloaded"),
        ("127.0.0.1", "10.0.0.0/8", "refused"),
        ("127.0.0.1", "localhost", "refused"),
        ("localhost", "localhost", "downloaded"),
        ("localhost", "", "refused"),
    ],
)
def test_what_a_list_may_name(server: Server, tmp_path: Path, host: str, allowed: str, status: str) -> None:
    server.add("/a.jpg", JPEG)
    (tmp_path / "list.txt").write_text(server.url("/a.jpg", host=host))
    done = crawl(tmp_path, "urls", {"file": "list.txt"}, PRIVATE_HOSTS_ALLOWED=allowed)
    assert [image["status"] for image in done.images] == [status], done.log


def test_a_network_that_is_none_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(server.url("/a.jpg"))
    done = crawl(tmp_path, "urls", {"file": "list.txt"}, PRIVATE_HOSTS_ALLOWED="10.0.0.1/8")
    assert done.code == 2
    assert "PRIVATE_HOSTS_ALLOWED" in done.log.splitlines()[-1]
    assert "Traceback" not in done.log
