"""Image hosts with moods: a page that says "slow down", nothing, a part that is the whole."""

from __future__ import annotations

from pathlib import Path

from tests.pipelines.test_images import run
from tests.support.server import Server, jpeg

HTML = {"Content-Type": "text/html"}
# As browsers send them: of these characters Scrapy would escape some.
PATHS = [
    "/a|b.jpg",
    "/c[1].jpg",
    "/d.jpg?x=a|b&y=[1]&z={2}",
    "/100%.jpg",
    "/e%2ff.jpg",
    "/g.jpg?sig=a+b%2Bc",
    "/%E9.jpg",
]


def test_what_a_host_has_the_next_time_is_asked_for_again(server: Server, tmp_path: Path) -> None:
    shown = {name: jpeg(comment=name) for name in ("busy", "empty", "part", *PATHS)}
    busy = b"<html><style>p { color: red }</style><h1>Too many requests</h1>please slow down</html>"
    server.add("/busy", busy, headers=HTML, times=1)
    server.add("/busy", b'{"error": "rate limit exceeded"}', headers={"Content-Type": "application/json"}, times=1)
    server.add("/empty", b"", times=1)
    server.add("/never", b"")
    server.add("/sorry", b"<html>not here", headers=HTML)
    size = len(shown["part"])
    server.add("/part", shown["part"], status=206, headers={"Content-Range": f"bytes 0-{size - 1}/{size}"})
    server.add("/half", shown["part"], status=206, headers={"Content-Range": f"bytes 0-{size - 1}/{2 * size}"})
    for name in ("busy", "empty"):
        server.add(f"/{name}", shown[name])
    for path in PATHS:
        server.add(path, shown[path])
    paths = ["/busy", "/empty", "/part", *PATHS, "/never", "/sorry", "/half"]
    gallery = {"image_urls": [server.url("").rstrip("/") + path for path in paths]}
    done = run(server, tmp_path, gallery, VERDICT_MAX_FAILED="1", RETRY_TIMES="2")
    reasons = [image.get("reason") for image in done.images]
    assert reasons == [None] * (3 + len(PATHS)) + ["empty", "html", "connection"]
    assert sorted(done.files.values()) == sorted(shown.values())
    assert [server.count(path) for path in ("/busy", "/empty", "/part", "/never", "/sorry", "/half")] == [
        3,
        2,
        1,
        2,
        1,
        3,
    ]
    assert set(PATHS) <= set(server.paths())
