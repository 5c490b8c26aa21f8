"""Lists of images that pages hold as plain text, or packed, for their scripts."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from imgcrawl.pages import find_images
from imgcrawl.pages.packed import unpacked_in

SITE = "https://site.example"
IMAGES = ["/d/a1.jpg", "/d/a2.jpg", "/d/a3.jpg"]
SHOWN = f"<img src={IMAGES[0]}>"
LISTED = ",".join(IMAGES)
ENCODED = [quote(image, safe="") for image in IMAGES]
OBJECT = json.dumps({"illust": {"1": {"urls": {"mini": "/c/48/p0_square.jpg", "original": "/d/a1.jpg"}}}})
WORDS = "var|pages|d|a1|jpg|a2|a3"
PACKED = (
    "eval(function(p,a,c,k,e,d){e=function(c){return c.toString(36)};while(c--){if(k[c]){p=p.replace(new RegExp("
    "'\\\\b'+e(c)+'\\\\b','g'),k[c])}}return p}"
    f"""('0 1=["/2/3.4","/2/5.4","/2/6.4"];',7,7,'{WORDS}'.split('|'),0,{{}}))"""
)


def found(body: str) -> list[str]:
    return [address.removeprefix(SITE) for address in find_images(f"<body>{body}", f"{SITE}/g/1")]


@pytest.mark.parametrize(
    "body",
    [
        f"{SHOWN}<div hidden id=imgs>{LISTED}</div>",
        f"{SHOWN}<p id=imgs style='display: none'>\n{LISTED.replace(',', chr(10))}\n</p>",
        f"{SHOWN}<div hidden id=imgs>a1.jpg;a2.jpg;a3.jpg</div>",
        f"<div hidden id=imgs>{LISTED}</div>",
        f"{SHOWN}<textarea>{LISTED.replace(',', ' ')}</textarea>",
        f"{SHOWN}<script type=text/plain>{LISTED.replace(',', '|')}</script>",
        f"<script type=text/plain>{LISTED}</script>",
        f"<script>var photos = '{LISTED}'.split(',')</script>",
        f'{SHOWN}<input type=hidden value="{LISTED}">',
        f'<input type=hidden name=images value="{LISTED}">',
        f'{SHOWN}<meta name=images content="{LISTED}">',
        f"{SHOWN}<script>var s={json.dumps(ENCODED)}.map(decodeURIComponent)</script>",
        f"{SHOWN}<script>var s=decodeURIComponent('{quote(LISTED, safe='')}').split(',')</script>",
        f"{SHOWN}<script>var s='{'|'.join(ENCODED)}'</script>",
        f"<script>{PACKED}</script>",
        f"{SHOWN}<script>{PACKED}</script>",
        "<object type=image/jpeg data=/d/a1.jpg></object><embed type=image/gif src=/d/a2.jpg><img src=/d/a3.jpg>",
        f"<textarea class=lazy-html>{SHOWN}<img src=/d/a2.jpg></textarea><img src=/d/a3.jpg>",
    ],
)
def test_lists_that_a_script_splits_are_the_images_of_the_page(body: str) -> None:
    assert found(body) == IMAGES


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'{SHOWN}<input type=hidden name=related value="{LISTED}">', IMAGES[:1]),
        (f'<input type=hidden name=related value="{LISTED}">', []),
        (f'{SHOWN}<input type=hidden name=recentlyViewed value="{LISTED}">', IMAGES[:1]),
        (f"{SHOWN}<div hidden id=imgs>/o/1.jpg,/o/2.jpg</div>", IMAGES[:1]),
        (f"{SHOWN}<p>{LISTED} are shown</p>", IMAGES[:1]),
        (f"{SHOWN}<textarea>&lt;a href=/x><img src=/t/a1.jpg></a></textarea>", IMAGES[:1]),
        (f"<div id=preload content='{OBJECT}'></div>", IMAGES[:1]),
        ("<object type=image/png data=/x></object><object data=/y type=text/html></object>", ["/x"]),
    ],
)
def test_what_else_is_written_there_is_none(body: str, expected: list[str]) -> None:
    assert found(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        "<script>eval(function(p,a,c,k,e,d){}('"
        + "0 " * 200_000
        + "',62,1,'"
        + "w" * 20_000
        + "'.split('|')))</script>",
        "<script>eval(function(p,a,c,k,e,d){split" + "}('" * 100_000 + "</script>",
        SHOWN + "<p>" + "/d/a1.jpg," * 100_000,
        SHOWN + "<p>" + '"/d/a1.jpg,' * 100_000,
        SHOWN + "<p>/" + "a.jpg " * 100_000 + "b</p>",
        "<script>x=[" + "'%2Fa'," * 100_000 + "</script>",
        "a.jpg?" * 100_000,
    ],
)
def test_what_is_meant_to_cost_time_is_read_in_bounded_time(body: str) -> None:
    before = time.process_time()
    found(body)
    assert time.process_time() - before < 4


def test_packed_scripts() -> None:
    assert list(unpacked_in(PACKED)) == ['var pages=["/d/a1.jpg","/d/a2.jpg","/d/a3.jpg"];']
    words = "|".join([*("" for _ in range(61)), "last", "ten"])
    code = f"eval(function(p,a,c,k,e,d){{}}('Z 10 b',62,63,'{words}'.split('|'),0,{{}}))"
    assert list(unpacked_in(code)) == ["last ten b"]
    assert not list(unpacked_in(PACKED.replace("7,7", "99,7")))
