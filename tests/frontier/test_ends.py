"""Where galleries have led to is known to all workers together."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.basespiders.test_every_gallery import HTML, add, add_galleries, links
from tests.support.crawling import FAST, Crawl, crawl_command, environment
from tests.support.processes import run
from tests.support.redis_server import RedisServer
from tests.support.server import Server

GONE, MOVED = [f"gone{n}" for n in range(5)], [f"moved{n}" for n in range(6)]


def test_galleries_that_lead_to_one_page_are_told_whichever_worker_has_them(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1", *(f"/g/{name}" for name in (*GONE, *MOVED)))})
    add(server, {"/removed": "<h2>gone</h2><img src=/i/gone>"})
    for names, target in ((GONE, "/removed"), (MOVED, "/g/1")):
        for name in names:  # slowly, so that each worker has some
            server.add(f"/g/{name}", status=302, headers=HTML | {"Location": target}, delay=0.2)
    settings = FAST | {"CONCURRENT_REQUESTS": "2", "FRONTIER_PREFETCH": "1", "VERDICT_MAX_FAILED": "1"}
    given = {"list": server.url("/list/{page}"), "galleries": "a.g", "pages": "1"}
    command = crawl_command("gallery", "-O", "items.json", "--workers", "2", arguments=given, settings=settings)
    done = run(
        command,
        cwd=tmp_path,
        env=environment(redis_server.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    crawl = Crawl(tmp_path, done.returncode, done.stdout)
    failed = sorted(item["url"].rpartition("/")[2] for item in crawl.items if item.get("error") == "redirected")
    assert len(crawl.items) == 1 + len(GONE) + len(MOVED)
    assert [name for name in failed if name in MOVED] == MOVED
    assert len([name for name in failed if name in GONE]) == len(GONE) - 1, "the first of them may be what it leads to"
    assert f"6 galleries lead to one address, {server.url('/g/1')}: they are gone, or the site" in crawl.log
    assert crawl.code == 1
