from __future__ import annotations

from pathlib import Path

from tests.support.crawling import crawl
from tests.support.server import Server, jpeg

PAGE = """<html><head><meta charset=gbk><title>T</title><script type="application/ld+json">
{"@type": "ImageGallery", "author": {"name": "A. Author"}, "datePublished": "2024-05-17", "keywords": "rain, street",
 "license": "https://creativecommons.org/licenses/by/4.0/", "image": {"@type": "ImageObject", "url": "/made/main.jpg",
 "creditText": "Photo: P.", "acquireLicensePage": "https://site.example/buy"}}</script></head>
<body><h1>雨</h1><a href="/made/big.jpg"><img src="/made/small.jpg"></a>
<img src="图.jpg?名=图片"><img src="\\made\\b.jpg">
<img src="ftp://site.example/c.jpg"><img src="loading.gif" data-src="d.jpg"></body><base href="/made/"></html>"""
PATHS = ["main.jpg", "big.jpg", "%E5%9B%BE.jpg?%C3%FB=%CD%BC%C6%AC", "b.jpg", "d.jpg"]


def test_a_page_is_read_as_browsers_read_it_and_its_facts_stay_with_the_item(server: Server, tmp_path: Path) -> None:
    server.add("/list", b"<a class=g href=/g>g</a>", headers={"Content-Type": "text/html"})
    server.add("/g", PAGE.encode("gbk"), headers={"Content-Type": "text/html"})
    for number, path in enumerate(PATHS):
        server.add(f"/made/{path}", jpeg(64 + number))
    run = crawl(
        tmp_path, "gallery", {"list": server.url("/list"), "galleries": "a.g"}, PRIVATE_HOSTS_ALLOWED="127.0.0.1"
    )
    (item,) = run.items
    assert {image["url"].removeprefix(server.url("/made/")): image["status"] for image in item["images"]} == {
        **dict.fromkeys(PATHS, "downloaded"),
        "ftp://site.example/c.jpg": "refused",
    }
    assert [image["reason"] for image in item["images"] if "reason" in image] == ["scheme"]
    assert item["title"] == "雨"
    assert (item["author"], item["date"], item["tags"]) == ("A. Author", "2024-05-17", ["rain", "street"])
    assert item["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert item["image_facts"] == {
        server.url("/made/main.jpg"): {
            "credit_text": "Photo: P.",
            "acquire_license_page": "https://site.example/buy",
        }
    }
    kept = {image["url"]: image["facts"] for image in item["images"] if "facts" in image}
    assert kept == item["image_facts"], "what is stated about an image is kept with it"
    assert "small.jpg" not in " ".join(server.paths())
