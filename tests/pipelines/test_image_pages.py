"""Addresses of images that lead to pages, as those of image hosts do."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from imgcrawl.pages.mainimage import main_image
from tests.images.pictures import encoded, picture
from tests.pipelines.test_images import run
from tests.support.crawling import crawl
from tests.support.server import Answer, Request, Server, jpeg

HTML = {"Content-Type": "text/html"}
ASKED = "http://img.host/view/kx81.jpg"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            "<img src=/logo.png><img id=img src='//i.host/a/kx81_o.jpg'><img src=/t/other.jpg>",
            "http://i.host/a/kx81_o.jpg",
        ),
        ("<meta property=og:image content=/s/1.jpg><img src=/s/1.jpg><img src=/s/2.jpg>", "http://img.host/s/1.jpg"),
        ("<meta property=og:image content=/s/1.jpg?w=200><img src=/s/1.jpg?w=800>", "http://img.host/s/1.jpg?w=800"),
        ("<img src=/i/1.jpg>", "http://img.host/i/1.jpg"),
        ("<a href=/full/1.jpg><img src=/i/1.jpg></a>", "http://img.host/full/1.jpg"),
        ("<img src=/1.jpg width=900 height=600><img src=/2.jpg width=90><img src=/3.jpg>", "http://img.host/1.jpg"),
        ("<img src=/1.jpg><img src=/2.jpg>", ""),
        ("<img src=/1.jpg width=900><img src=/2.jpg width=900>", ""),
        ("<meta property=og:image content=/share.jpg><p>nothing", ""),
        ("<title>404 Not Found</title><img src=/i/1.jpg>", ""),
        ("<img src=/img/logo.png><img src=/user_avatar.jpg>", ""),
        ("<p>nothing", ""),
    ],
)
def test_the_image_that_a_page_is_there_to_show(page: str, expected: str) -> None:
    assert main_image(page, ASKED, ASKED) == expected
    assert not main_image(page, "http://img.host/", ASKED)  # a start page, where removed images lead


def test_an_images_address_that_leads_to_its_page_has_the_image_that_this_shows_once(
    server: Server, tmp_path: Path
) -> None:
    shown = {name: jpeg(comment=name) for name in ("one", "two", "far")}
    server.add("/view/one", b"<img src=/logo.png><img id=main src=/files/one.jpg>", headers=HTML)
    server.add("/view/two", b"<img src=/files/two.jpg>", headers={"Content-Type": "image/jpeg"})
    server.add("/view/loop", b"<img src=/view/loop2>", headers=HTML)
    server.add("/view/loop2", b"<img src=/files/far.jpg>", headers=HTML)
    server.add("/view/self", b"<img src=/view/self>", headers=HTML)
    server.add("/view/many", b"<img src=/files/far.jpg><img src=/files/one.jpg>", headers=HTML)
    server.add("/view/private", b"<img src=http://127.0.0.9:1/files/x.jpg>", headers=HTML)
    server.add("/view/says-no", b"<meta name=robots content=noimageai><img src=/files/far.jpg>", headers=HTML)
    for number in range(3):  # the same instead of each
        server.add(f"/gone/{number}", b"<img src=/files/sorry.jpg>", headers=HTML)
    server.add("/files/sorry.jpg", jpeg(comment="sorry"))

    def guarded(request: Request) -> Answer:
        name = request.path.rpartition("/")[2].partition(".")[0]
        right = request.headers.get("referer") == server.url(f"/view/{name}")
        return Answer(shown[name]) if right else Answer(b"", 403)

    for name in shown:
        server.add(f"/files/{name}.jpg", guarded)
    names = ["/view/one", "/view/two", "/view/loop", "/view/self", "/view/many", "/view/says-no"]
    gallery = {"image_urls": [server.url(path) for path in (*names, *(f"/gone/{number}" for number in range(3)))]}
    done = run(server, tmp_path, gallery, VERDICT_MAX_FAILED="1")
    images = {image["url"].partition(server.url("/"))[2]: image for image in done.images}
    said = {name: image.get("reason") or image["status"] for name, image in images.items()}
    assert {name: said.pop(name) for name in [*said] if name.startswith("view")} == {
        "view/one": "downloaded", "view/two": "downloaded", "view/loop": "html", "view/self": "html",
        "view/many": "html", "view/says-no": "noimageai",
    }  # fmt: skip
    assert sorted(said.values()) == ["downloaded", "html", "html"]
    assert images["view/one"]["final_url"] == server.url("/files/one.jpg")
    assert sorted(done.files.values()) == sorted([shown["one"], shown["two"], jpeg(comment="sorry")])
    assert server.count("/files/far.jpg") == 0
    assert "Traceback" not in done.log
    again = run(server, tmp_path, gallery, VERDICT_MAX_FAILED="1", IMAGES_EXPIRES="0")
    statuses = [image["status"] for image in again.images[:2]]
    assert statuses == ["uptodate"] * 2


def test_a_photograph_within_its_page_is_stored(server: Server, tmp_path: Path) -> None:
    """As a browser shows it; what is no image in spite of its type is not, and what keeps a place is nothing."""
    photograph = encoded(picture(300, 200), "JPEG")
    within = f"data:image/jpeg;base64,{b64encode(photograph).decode()}"
    broken = f"data:image/jpeg;base64,{b64encode(photograph[:9_000]).decode()}"
    shown = "".join(f'<p><img src="{each}"></p>' for each in (within, broken, within[:2_000]))
    server.add("/g/1", f"<h1>One</h1>{shown}<img src=/a.jpg>".encode(), headers=HTML)
    server.add("/g/2", f'<h1>Two</h1><img src="{within}">'.encode(), headers=HTML)
    server.add("/a.jpg", jpeg())
    given = {"gallery": ",".join(server.url(f"/g/{n}") for n in (1, 2))}
    name = f"data:image/jpeg;sha256={sha256(photograph).hexdigest()}"
    for night in ("downloaded", "uptodate"):
        done = crawl(tmp_path, "gallery", given, CONCURRENT_REQUESTS="1", VERDICT_MAX_FAILED="1")
        assert done.code == 0, done.log
        (one,) = [item for item in done.items if item["title"] == "One"]
        assert [image.get("reason", image["status"]) for image in one["images"]][1] == "truncated"
        of_it = [image for image in done.images if image["url"] == name]
        assert sorted(image["status"] for image in of_it) == sorted((night, "duplicate"))
        assert {image["checksum"] for image in of_it} == {name[-64:]}
        assert [done.files[image["path"]] for image in of_it] == [photograph] * 2
        assert len((tmp_path / "items.json").read_text()) < 5_000
