"""A gallery of which a page shows a part, and the rest when a button is pressed that only a script answers."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest
from parsel import Selector

from imgcrawl.pages.saidnext import more_pressed
from imgcrawl.urls import absolute
from tests.support.crawling import crawl
from tests.support.server import Answer, Server, jpeg

OWN = ["http://h/i/1.jpg", "http://h/i/2.jpg", "http://h/i/3-large.jpg"]
HTML = {"Content-Type": "text/html"}
SHOWN = "<div id=album><img src=/i/1.jpg><img src=/i/2.jpg><a href=/i/3-large.jpg><img src=/i/3-small.jpg></a></div>"
CARDS = "<section><a href=/g/2><img src=/i/8.jpg></a><a href=/g/3><img src=/i/9.jpg></a></section>"

GALLERIES = {
    f"{SHOWN}<button id=load-more-images>Load 15 more files</button>": "Load 15 more files",
    f"{SHOWN}<div class=pager><a class='btn loadMore' href='#'>Load more</a></div>": "Load more",
    f"<main>{SHOWN}</main><div><div><button>View more photos</button></div></div>": "View more photos",
    f"<ul><li>{SHOWN}</ul><span class=load_more>加载更多</span>": "加载更多",
    "<img srcset='/i/1-300x200.jpg 300w, /i/1.jpg 900w'><button class=load-more>Mehr laden</button>": "Mehr laden",
    # Of others: cards, comments, who has written, a text.
    f"{SHOWN}{CARDS}<button class=load-more>Load more</button>": "",
    f"{SHOWN}<ol><li><img src=/face/1.png>Nice!</ol><button class=load-more>Load more</button>": "",
    f"{SHOWN}<button class=load-more>Load more comments</button>": "",
    f"{SHOWN}<p>One day …</p><button class=show-more>Show more</button>": "",
    f"{SHOWN}<ul class=replies><li>Nice!</ul><button class=load-more>Load more</button>": "",
    f"{SHOWN}<h3>More stories</h3><div id=feed></div><button id=load-more>Load more</button>": "",
    f"<article>{SHOWN}</article><aside><p><a href=/x>News</a><p><button class=load-more>Load more</button></aside>": "",
    f"{SHOWN}<p>3 of 60</p><button class=load-more>Load more</button>": "Load more",
    f"{SHOWN}<button class=load-more hidden>Load more</button>": "",
    f"<section class=related-galleries>{SHOWN}<div><button class=load-more>Load more</button></div></section>": "",
    f"<aside><h3>Popular</h3>{SHOWN}<button class=load-more>Load more</button></aside>": "",
    f"<div id=you-may-also-like>{SHOWN}<p><button>View more photos</button></p></div>": "",
    f"<div class='unrelated album'>{SHOWN}<button class=load-more>Load more</button></div>": "Load more",
    f"{SHOWN}<a class=load-more href=/g/1?page=2>Load more</a><button class=download>Download</button>": "",
    "<p>text</p><button class=load-more>Load more images</button>": "",
}


@pytest.mark.parametrize("markup", GALLERIES)
def test_what_loads_more_images_of_a_gallery_by_a_script_alone(markup: str) -> None:
    page = f"<body><h1>Album</h1>{markup}"
    assert more_pressed(Selector(page), page, OWN, lambda link: absolute("http://h/g/1", link)) == GALLERIES[markup]


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["one", "two"])
def test_a_gallery_that_a_button_goes_on_with_says_so(server: Server, tmp_path: Path, workers: list[str]) -> None:
    more = "<button class=load-more>Load more</button>"
    pages = {
        "/g/1": SHOWN + more,
        "/g/2": SHOWN.replace("/i/", "/j/") + CARDS + more,
        # What a link goes on with is no loss.
        "/g/3": f"<img src=/k/1.jpg><a rel=next href='/g/3?page=2'>2</a>{more}",
        "/g/3?page=2": "<img src=/k/2.jpg>",
        "/g/4": "<img src=/l/1.jpg><a rel=next href='/g/4?page=2'>2</a>",
        "/g/4?page=2": f"<img src=/l/2.jpg>{more}",
    }
    for path, body in pages.items():
        server.add(path, f"<h1>{path[:4]}</h1>{body}".encode(), headers=HTML)
    server.add("*", lambda request: Answer(jpeg(20 + crc32(request.path.encode()) % 500)))
    galleries = ",".join(server.url(f"/g/{n}") for n in range(1, 5))
    run = crawl(tmp_path, "gallery", {"gallery": galleries}, options=["-O", "items.json", *workers])
    told = {item["url"][-1]: item.get("left_out") for item in run.items}
    assert told == {"1": ["button"], "2": None, "3": None, "4": ["button"]}
    assert run.code == 1
    assert "2 galleries have more images than were found (button: 2)" in run.log
    assert f"gallery left_out (button): {server.url('/g/')}" in run.log
