from __future__ import annotations

import time
import tracemalloc
from base64 import b64decode
from hashlib import sha256

import pytest
from parsel import Selector
from scrapy import Request

from imgcrawl.pages import count_links, find_images, images_in
from imgcrawl.pages.candidates import LAZY_ATTRIBUTES, ORIGINAL_ATTRIBUTES, VAGUE_ATTRIBUTES
from imgcrawl.pages.within import MAX_KEPT, photograph_within, refused_address

PAGE = "https://site.example/albums/one.html"
HERE = "https://site.example/albums/"


def both(html: str, url: str = PAGE) -> list[str]:
    """What the text and what its tree give: they must be the same."""
    found = find_images(html, url)
    assert find_images(Selector(text=html, type="html"), url) == found
    return found


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        # src, and how addresses are made absolute
        ('<img src="a.jpg">', [HERE + "a.jpg"]),
        ("<IMG SRC=a.jpg>", [HERE + "a.jpg"]),
        ("<img src='../b/a.jpg?x=1&amp;y=2#part'>", ["https://site.example/b/a.jpg?x=1&y=2"]),
        ('<img src="/a.jpg?x=1&copy=2&region=3">', ["https://site.example/a.jpg?x=1&copy=2&region=3"]),
        ('<img src="/&#97;&#x62;&eacute;.jpg">', ["https://site.example/ab%C3%A9.jpg"]),
        ('<img src="//cdn.example/a.jpg">', ["https://cdn.example/a.jpg"]),
        ('<img src="HTTP://cdn.example/a.jpg">', ["http://cdn.example/a.jpg"]),
        ('<img src="\n  https://cdn.example/long\n/name.jpg\t ">', ["https://cdn.example/long/name.jpg"]),
        ('<img src="a b.jpg">', [HERE + "a%20b.jpg"]),
        ('<img src="图片.jpg">', [HERE + "%E5%9B%BE%E7%89%87.jpg"]),
        ('<img src="x\\y.jpg">', [HERE + "x/y.jpg"]),
        ('<img src="//ws1.sinaimg.cn/bmiddle/a.jpg!dta">', ["https://ws1.sinaimg.cn/bmiddle/a.jpg!dta"]),
        ('<amp-img src="a.jpg"></amp-img>', [HERE + "a.jpg"]),
        # image servers of museums: all their files have one name
        (
            "<img src=/iiif/2/a/full/!600,600/0/default.jpg><a href=/iiif/2/a/full/max/0/default.jpg><img src=/iiif/2/a"
            "/full/90,/0/default.jpg></a><img src=/iiif/2/b/full/pct:25/0/native.png>"
            "<img src=/iiif/2/b/9,9,99,99/9,/0/gray.png>",
            [
                f"https://site.example/iiif/2/{part}"
                for part in ("a/full/max/0/default.jpg", "b/full/pct:25/0/native.png", "b/9,9,99,99/9,/0/gray.png")
            ],
        ),
        (
            '<script>{"id": "/iiif/2/a/full/full/0/default.jpg"}</script>',
            ["https://site.example/iiif/2/a/full/full/0/default.jpg"],
        ),
        # left out
        ("<img><img src><img src=''><img src=' '><img src='#'>", []),
        ("<img src='data:image/gif;base64,R0lGOD'>", []),
        ("<img src='about:blank'><img src='?'><img src='one.html#x'>", [PAGE + "?"]),
        ("<img src='t.php?id=1' width=1 height='1px'><img src='/u.gif' width=0 height=0>", []),
        ("<img src='/i/spacer.gif'><img src='/i/1x1.png?v=2'><img src='transparent.gif'>", []),
        ("<img src='wide.jpg' width=1>", [HERE + "wide.jpg"]),
        # what cannot be asked for is told by the one who asks
        (
            "<img src='file:///etc/passwd'><img src='javascript:1'><img src='blob:https://x/1'><img src='ftp://h/a.jpg'>",
            ["file:///etc/passwd", "javascript:1", "blob:https://x/1", "ftp://h/a.jpg"],
        ),
        ("<img src='http://../a.jpg'><img src='http://h:0/'>", ["http://../a.jpg", "http://h:0/"]),
        (
            "<img src='ftp://h/a.jpg' data-src=a.jpg><img src='data:x' data-src='ftp://h/b'>",
            [HERE + "a.jpg", "ftp://h/b"],
        ),
        (
            "<img src='http://[::1/a.jpg'><img src='http://h:99999/a.jpg'><img src='http://a b/a.jpg'>",
            ["http://[::1/a.jpg", "http://h:99999/a.jpg", "http://a b/a.jpg"],
        ),
        (
            "<meta property=og:image content='ftp://h/a.jpg'><a href='ftp://h/b.jpg'>b</a>",
            ["ftp://h/a.jpg", "ftp://h/b.jpg"],
        ),
        (
            "<picture><source srcset='ftp://h/a.jpg 2x'></picture><video poster='ftp://h/b.jpg'>",
            ["ftp://h/a.jpg", "ftp://h/b.jpg"],
        ),
        ("<a href='ftp://h/b.jpg'><img src=thumb.jpg></a>", ["ftp://h/b.jpg", HERE + "thumb.jpg"]),
        (
            "<p itemprop=image content='ftp://h/c.jpg'><svg><image href='http://[/d'/></svg>",
            ["ftp://h/c.jpg", "http://[/d"],
        ),
        ("<meta property=og:image content='data:image/png;base64,R0'><video poster='about:blank'>", []),
        # addresses as browsers read them
        ("<img src='http:///a.example/b.jpg'>", ["http://a.example/b.jpg"]),
        ("<img src='HTTPS:\\\\CDN.example\\x\\..\\b.jpg'>", ["https://cdn.example/b.jpg"]),
        ("<img src='http://0x7f.1/a.jpg'><img src='http://127.0.0.1:80/a.jpg'>", ["http://127.0.0.1/a.jpg"]),
        # no address twice, in order of appearance
        (
            "<img src=b.jpg><img src=a.jpg><img src=b.jpg#x><img src=/albums/a.jpg>",
            [HERE + "b.jpg", HERE + "a.jpg"],
        ),
        # lazy attributes and placeholders
        ("<img src=/lazy.png data-original=a.jpg>", [HERE + "a.jpg"]),
        ("<img data-src=a.jpg src='data:image/gif;base64,R0'>", [HERE + "a.jpg"]),
        ("<img src=thumb.jpg data-src=a.jpg>", [HERE + "a.jpg"]),
        ("<img src=a.jpg data-src=/img/loading.gif>", [HERE + "a.jpg"]),
        ('<img src=a.jpg data-src=true data-lazy=\'{"x": "/y"}\' data-image=17>', [HERE + "a.jpg"]),
        ("<img src=a.jpg data-src='data:image/png;base64,R0'>", [HERE + "a.jpg"]),
        ("<img src=a.jpg data-url=/page/3>", [HERE + "a.jpg"]),
        # attributes that are on no list, by the words in their names
        (
            "<img src=/wait.gif nitro-lazy-src=/a.jpg><img src=t.jpg data-src-large=/b.jpg><img data-x=/c.jpg>"
            "<img src=/blank.gif data-y=/d.jpg><img src=/t.jpg data-hi=/e.jpg srcset='/m.jpg 900w'>"
            "<img src=/wait.gif data-brsrcset='/s.jpg 300w, /f.jpg 900w'><img src=/wait.gif data-src-small=s.jpg>",
            [*(f"https://site.example/{name}.jpg" for name in "abcdef"), "https://site.example/wait.gif"],
        ),
        (
            "<img src=a.jpg data-hover-src=/b.jpg><img src=c.jpg data-pin-media=/d.jpg><img src=e.jpg data-x=/f.jpg>"
            "<img src=g.jpg data-title=/h.jpg data-large=/page/3>",
            [HERE + "a.jpg", HERE + "c.jpg", HERE + "e.jpg", "https://site.example/page/3"],
        ),
        (
            "<a href=/page/3 data-fancybox data-src=/a.jpg><img src=t.jpg></a><a data-full=/b.jpg><img src=t.jpg></a>"
            "<a href=/page/4 data-src=/page/5><img src=c.jpg></a>",
            ["https://site.example/a.jpg", "https://site.example/b.jpg", HERE + "c.jpg"],
        ),
        ("<img src=blank.jpg data-url=/big/3.jpg>", ["https://site.example/big/3.jpg"]),
        ("<img src=/loading.jpg>", ["https://site.example/loading.jpg"]),
        ("<img src=/lazy.gif data-src=a.jpg><img src=/lazy.gif>", [HERE + "a.jpg"]),
        ("<img src=a.jpg data-src=b.jpg data-original=c.jpg srcset='d.jpg 2x'>", [HERE + "c.jpg"]),
        # links to the site's own page that asks whether one wants to leave
        (
            "<a href='/out.php?id=3&amp;url=https%3A%2F%2Fi.example%2Fa.jpg'><img src=t.jpg></a><a href='/go?https://i.example/b.jpg'>"
            "<img src=t.jpg></a><a href=/link?to=aHR0cHM6Ly9pLmV4YW1wbGUvYy5qcGc><img src=t.jpg></a>",
            [f"https://i.example/{name}.jpg" for name in "abc"],
        ),
        (
            "<a href=https://share.example/?media=https://site.example/m.jpg><img src=a.jpg></a><a href=/go?url=https://i.example/p>"
            "<img src=b.jpg></a><a href=/link?to=aHR0c+++++><img src=c.jpg></a><a href=/go?u=https://i.example/d.jpg>source</a>",
            [HERE + "a.jpg", HERE + "b.jpg", HERE + "c.jpg"],
        ),
        # … and pages of the site that are told of an image as small as this one, or of one for all
        (
            "<a href='/view?img=https://site.example/t/7.jpg'><img src=/t/7.jpg srcset='/m/7.jpg 8w, /l/7.jpg 16w'></a>"
            "<a href='/add?id=8&amp;thumb=https%3A%2F%2Fi.example%2Ft%2F8.jpg'><img src=/l/8.jpg></a>"
            "<a href='/view?u=https://i.example/9_100x100.jpg'><img src=https://i.example/9.jpg></a>"
            "<a href='/out?u=https://i.example/10.jpg'><img src=https://i.example/10_100x100.jpg></a>",
            [
                f"https://{where}.jpg"
                for where in ("site.example/l/7", "site.example/l/8", "i.example/9", "i.example/10")
            ],
        ),
        (
            "<a href='/share?u=1&amp;image=https://i.example/og.jpg'><img src=/a.jpg></a>"
            "<a href='/share?u=1&amp;image=https://i.example/og.jpg'><img src=/b.jpg></a>",
            ["https://i.example/og.jpg", "https://site.example/a.jpg", "https://site.example/b.jpg"],
        ),
        # srcset
        ("<img src='image?id=7&w=1' srcset='image?id=7&w=4 400w, image?id=7&w=8 800w'>", [HERE + "image?id=7&w=8"]),
        (
            "<img src=a.jpg srcset=garbage><img src=b.jpg srcset='undefined 2x, [object Object]'>",
            [HERE + "a.jpg", HERE + "b.jpg"],
        ),
        ("<img src=s.jpg srcset='m.jpg 400w, l.jpg 1200w, s.jpg 100w'>", [HERE + "l.jpg"]),
        ("<img src=s.jpg srcset='s.jpg, l.jpg 2x, m.jpg 1.5x'>", [HERE + "l.jpg"]),
        ("<img src=s.jpg srcset='s.jpg 1x,l.jpg 2x'>", [HERE + "l.jpg"]),
        ("<img src=s.jpg srcset='tiny.jpg 0.5x'>", [HERE + "s.jpg"]),
        (
            "<img srcset='https://c.example/w_9,h_9/a.jpg 100w, https://c.example/w_99,h_9/a.jpg 990w'>",
            ["https://c.example/w_99,h_9/a.jpg"],
        ),
        ("<img srcset='a.jpg, b.jpg'>", [HERE + "a.jpg"]),
        ("<img srcset='\n a.jpg\n 1x,\n\n b.jpg\t3x\n'>", [HERE + "b.jpg"]),
        ("<img src=s.jpg srcset='a.jpg huge, b.jpg -2x, c.jpg 1e9x, ,,, d.jpg (2x, 3x'>", [HERE + "s.jpg"]),
        ("<img srcset='a.jpg huge'>", [HERE + "a.jpg"]),
        ("<img srcset='a.jpg 300w 200h, b.jpg 200w 900h'>", [HERE + "a.jpg"]),
        ("<img src=s.jpg srcset=',,, ,'>", [HERE + "s.jpg"]),
        ("<img srcset='data:image/gif;base64,R0lG 2000w, a.jpg 100w'>", [HERE + "a.jpg"]),
        ("<img srcset='http://[x 2000w, a.jpg 100w'>", [HERE + "a.jpg"]),
        ("<img data-src=m.jpg data-srcset='m.jpg 400w, l.jpg 800w' src=blank.gif>", [HERE + "l.jpg"]),
        ("<img src='a.jpg?w=2000' srcset='a.jpg?w=200 200w'>", [HERE + "a.jpg?w=2000"]),
        ("<img src=a.jpg srcset='a-300x200.jpg 300w, b.jpg 200w'>", [HERE + "a.jpg"]),
        ("<img src=a-90x60.jpg srcset='a-300x200.jpg 300w'>", [HERE + "a-300x200.jpg"]),
        # picture
        (
            "<picture><source srcset='a.webp 300w, b.webp 900w'><img src=a.jpg></picture><img src=z.jpg>",
            [HERE + "b.webp", HERE + "z.jpg"],
        ),
        (
            "<picture><source media='(max-width: 600px)' srcset='s.jpg 2x'>"
            "<source srcset=l.jpg><img src=l.jpg></picture>",
            [HERE + "l.jpg"],
        ),
        (
            "<picture><source media='(min-width:800px)' srcset=m.jpg>"
            "<source media='(min-width:1200px)' srcset=l.jpg><img src=s.jpg></picture>",
            [HERE + "l.jpg"],
        ),
        (
            "<picture><source data-srcset=a.webp></picture><picture><img data-src=b.jpg></picture>",
            [HERE + "a.webp", HERE + "b.jpg"],
        ),
        ("<video><source src=a.mp4><source src=b.webm></video><img src=a.jpg>", [HERE + "a.jpg"]),
        # what else names images
        (
            "<meta property=og:image content=/og.jpg><meta name='Twitter:Image' content='//t.example/t.jpg'>"
            "<meta property=og:image:width content=100><meta name=description content=/no.jpg>",
            ["https://site.example/og.jpg", "https://t.example/t.jpg"],
        ),
        ("<meta property=og:image><meta content=x.jpg>", []),
        ("<link rel='image_src' href=i.jpg><link rel=icon href=favicon.png>", [HERE + "i.jpg"]),
        (
            "<a href=full.JPEG?dl=1#x><img src=thumb.jpg></a><a href=two.html>2</a><a>3</a>",
            [HERE + "full.JPEG?dl=1"],
        ),
        (
            "<a href=a.jpg!dta>1</a><a href=/b.png:large>2</a><a href=c.svg>3</a><a href=d.jpg.html>4</a>",
            [HERE + "a.jpg!dta", "https://site.example/b.png:large"],
        ),
        ("<a href=/wiki/File:Cat.jpg>page</a><a href=/wiki/File%3ACat.jpg>page</a>", []),
        ("<div style='background-image:url(a.jpg)'></div><style>p {background: url(b.jpg)}</style>", [HERE + "a.jpg"]),
        ("<div style='background: url(\"\"), url(a.jpg)'></div><p style=\"background:url('')\">", [HERE + "a.jpg"]),
        ("<div style='background:url(\"a.svg\")'></div><p data-bg=b.gif><p data-bg='c.webp'>", [HERE + "c.webp"]),
        # noscript
        ("<img class=lazy src=blank.gif><noscript><img src=a.jpg></noscript>", [HERE + "a.jpg"]),
        ("<img class=lazy src=/loading.jpg><noscript><img src=a.jpg></noscript>", [HERE + "a.jpg"]),
        ("<img data-src=a.jpg><noscript><img src=a.jpg></noscript>", [HERE + "a.jpg"]),
        ("<noscript><img height=1 width=1 src='https://t.example/tr?id=1'></noscript>", []),
        # links around a small copy that lead to the image itself, whatever its address looks like
        ("<a href=/file/123><img src=t.jpg></a><img src=b.jpg>", ["https://site.example/file/123", HERE + "b.jpg"]),
        ("<a href=/show?id=1 data-fancybox=g><img src=t.jpg></a>", ["https://site.example/show?id=1"]),
        ("<a class='file js-lbImage' href=/a/x-jpg.3/><img src=t.jpg></a>", ["https://site.example/a/x-jpg.3/"]),
        ("<a class='glightbox x' href=/big/a><span><img src=t.jpg></span></a>", ["https://site.example/big/a"]),
        ("<a download href=/get?id=9><img src=t.jpg></a>", ["https://site.example/get?id=9"]),
        ("<a href=/file/123>text</a><img src=b.jpg>", [HERE + "b.jpg"]),
        ("<a href=/photo/123><img src=t.jpg></a><a href=/files/><img src=u.jpg></a>", [HERE + "t.jpg", HERE + "u.jpg"]),
        ("<a data-fancybox href='https://youtu.be/x'><img src=t.jpg></a>", [HERE + "t.jpg"]),
        ("<a data-fancybox data-type=iframe href=/x/1><img src=t.jpg></a>", [HERE + "t.jpg"]),
        # … and links that lead to a page, or may do so: what they show stays
        *(
            (f"<a {link}><img src=t.jpg></a>", [HERE + "t.jpg"])
            for link in (
                "class=cat-chocolate href=/x/1",
                "class=cat-chocolat href=/x/1",
                "class=magnificent href=/x/1",
                "class=no-lightbox href=/x/1",
                "class='fancybox fancybox.iframe' href=/x/1",
                "class='ajax fancybox' href=/x/1",
                "class=video-lightbox href=/x/1",
                "data-elementor-open-lightbox=no href=/x/1",
                "data-lightbox=false href=/x/1",
                "data-type=inline class=fancybox href=/x/1",
                "data-fancybox-type=iframe class=fancybox href=/x/1",
                "type=text/html class=fancybox href=/x/1",
                "href=/downloads/wallpaper-12",
                "href=/files/album12",
                f"download href=/{'a' * 2_000}",
            )
        ),
        *(
            (f"<a {link}><img src=t.jpg><img src=u.jpg></a>", ["https://site.example/x/1"])
            for link in ("class=chocolat-image href=/x/1", "data-lightbox=1 href=/x/1", "class=magnificPopup href=/x/1")
        ),
        *(
            (f"<a href={link}><img src=t.jpg></a>", [f"https://site.example{link}"])
            for link in ("/originals/u/9f86d081", "/file/0b5a3c1e-77aa-4f0e", "/download/x/A1b2C3")
        ),
        # what only scripts name, where nothing else is shown
        (
            "<img src=/img/logo.png><script>var images=['/i/1.jpg', \"https:\\/\\/cdn.example\\/2.jpg?x=1\"]</script>",
            ["https://site.example/img/logo.png", "https://site.example/i/1.jpg", "https://cdn.example/2.jpg?x=1"],
        ),
        (
            '<script id=__NEXT_DATA__ type="application/json">{"a":12345,"src":"https:\\u002F\\u002Fc.example/3.webp",'
            '"b":"{\\"u\\":\\"/i/4.jpg\\"}","c":"/img/loading.jpg","d":"/icons/x.svg","e":"/logo.png"}</script>',
            ["https://c.example/3.webp", "https://site.example/i/4.jpg"],
        ),
        (
            r"<script>var d = JSON.parse('[\u0022\/i\/1.jpg\u0022,\x22/i/it\u0027s.jpg\x22]')</script>",
            ["https://site.example/i/1.jpg", "https://site.example/i/it's.jpg"],
        ),
        ("<img src=a.jpg><script>var images=['/i/1.jpg']</script>", [HERE + "a.jpg"]),
        *(
            (f"<script>var images=['/i/{name}.jpg']</script>", [f"https://site.example/i/{name}.jpg"])
            for name in ("403", "404", "1404", "DSC_14030", "20140403_1", "9f3ad71", "ad71f")
        ),
        *((f"<img src={name}.jpg><script>'/i/1.jpg'</script>", [f"{HERE}{name}.jpg"]) for name in ("1404", "9f3ad71")),
        *(
            (f"<img src={name}.jpg><script>'/i/1.jpg'</script>", [f"{HERE}{name}.jpg", "https://site.example/i/1.jpg"])
            for name in ("404", "error-404", "ads", "top_ad1")
        ),
        # what only styles show, where nothing else does
        (
            "<style>a {background: url(/i/1.jpg)}\nb::before {content: url('/i/2.webp')} c {background: url(/logo.png)}"
            "</style><style>@media print { .d { background-image: image-set('/i/3.jpg' 1x, '/i/4.jpg' 2x) } }</style>",
            [f"https://site.example/i/{name}" for name in ("1.jpg", "2.webp", "4.jpg")],
        ),
        # base
        ("<base href='//cdn.example/x/'><img src=a.jpg>", ["https://cdn.example/x/a.jpg"]),
        ("<img src=a.jpg><base target=_top><base href=/x/><base href=/y/>", ["https://site.example/x/a.jpg"]),
        ("<base href='data:,x'><img src=a.jpg>", [HERE + "a.jpg"]),
        ("<base href='http://[x'><img src=a.jpg>", [HERE + "a.jpg"]),
        # what is no markup
        ("<!-- <img src=a.jpg> --><img src=b.jpg>", [HERE + "b.jpg"]),
        ("<script>document.write('<img src=a.jpg>')</script><img src=b.jpg>", [HERE + "b.jpg"]),
        ("<textarea><img src=a.jpg></textarea><img src=b.jpg>", [HERE + "b.jpg"]),
        ("<p title='<img src=a.jpg>'><img src=b.jpg>", [HERE + "b.jpg"]),
        # broken pages
        ("", []),
        ("<", []),
        ("just text, 3 < 4", []),
        ("<div><p><b><img src=a.jpg</b><img src=b.jpg></div></div></i>", [HERE + "a.jpg%3C/b", HERE + "b.jpg"]),
        ("<img alt='x' src=a.jpg src=b.jpg>", [HERE + "a.jpg"]),
        ("<img alt=\"it's\" src='a.jpg'title=x>", [HERE + "a.jpg"]),
        ("<img/src=a.jpg/>", [HERE + "a.jpg/"]),
    ],
)
def test_page(html: str, expected: list[str]) -> None:
    assert both(html) == expected


@pytest.mark.parametrize("attribute", [*ORIGINAL_ATTRIBUTES, *LAZY_ATTRIBUTES, *VAGUE_ATTRIBUTES])
def test_every_lazy_attribute_beats_the_src(attribute: str) -> None:
    assert both(f'<img src="/i/wait.gif" {attribute}="/i/real.jpg">') == ["https://site.example/i/real.jpg"]


def test_photographs_within_the_page_are_told_and_what_keeps_a_place_is_not() -> None:
    first, second = (f"data:image/jpeg;base64,/9j/4AAQ{'A' * 9_001}{end}" for end in ("one", "two"))
    blurred = f"data:image/jpeg;base64,/9j/{'A' * 2_000}"
    html = f"<img src='{first}'><img src='{second}'><img src='{blurred}'><img src='{first}' data-src=a.jpg>"
    found = find_images(html, PAGE)
    bodies = [b64decode(image.partition(",")[2]) for image in (first, second)]
    names = [f"data:image/jpeg;sha256={sha256(body).hexdigest()}" for body in bodies]
    assert found == [*names, HERE + "a.jpg"]
    assert [photograph_within(name) for name in names] == bodies
    assert photograph_within(names[0]) is None, "once"


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ("data:image/png;base64," + "QUJD" * 3_000, b"ABC" * 3_000),
        ("DATA:Image/PNG;charset=x;BASE64," + "QUJD\n" * 3_000 + "QQ", b"ABC" * 3_000 + b"A"),
        ("data:image/png," + "%41B" * 3_000, b"AB" * 3_000),
        ("data:image/png;base64," + "!" * 9_000, None),
        ("data:image/svg+xml;base64," + "QUJD" * 3_000, None),
        ("data:text/html," + "A" * 9_000, None),
    ],
)
def test_a_photograph_within_the_page_as_it_is_written(data: str, body: bytes | None) -> None:
    found = find_images(f"<img src='{data}'>", PAGE)
    assert (photograph_within(found[0]) or None if found else None) == body


def test_photographs_within_pages_that_nobody_takes_are_forgotten() -> None:
    data = [f"data:image/png,{number:09}{'A' * 4_000_000}" for number in range(MAX_KEPT // 4_000_000 + 2)]
    names = [refused_address(None, each) for each in data]
    assert [photograph_within(name) is None for name in names] == [True, True] + [False] * (len(names) - 2)


def test_unclosed_things_hide_no_image() -> None:
    assert find_images('<!-- <img src=a.jpg> <script> <img src=b.jpg> <img src="c.jpg>', PAGE) == [
        HERE + "a.jpg",
        HERE + "b.jpg",
        HERE + "c.jpg",
    ]
    assert find_images("<img src=a.jpg><img src=cut-o", PAGE) == [HERE + "a.jpg"]


def test_the_widths_that_an_image_comes_in_may_stand_on_what_is_around_it() -> None:
    image = "data-cmp-src=/a.coreimg{.width}.jpeg/1/a.jpeg"
    assert find_images(f"<div {image} data-cmp-widths=320,1600></div>", PAGE) == [
        "https://site.example/a.coreimg.1600.jpeg/1/a.jpeg"
    ]
    assert find_images(f"<div {image}><img src=b.jpg></div>", PAGE) == [HERE + "b.jpg"]


@pytest.mark.parametrize(
    "stated",
    [
        "data-lightbox=/o/1.jpg", "data-popup=/o/1.jpg", "data-at2x=/o/1.jpg", "data-enlarge=/o/1.jpg",
        "original=/o/1.jpg",
        "largeimg=/o/1.jpg", "longdesc=/o/1.jpg", "data-download-url=/o/1.jpg",
        "data-photo=/o/1.jpg", "data-img-url=/o/1.jpg",
    ],
)  # fmt: skip
def test_what_an_image_states_beside_a_thumbnail_is_its_original(stated: str) -> None:
    for src in ("/t/1.jpg", "/i/thumb_1.jpg", "/i/1_small.jpg"):
        assert find_images(f"<img src={src} {stated}>", PAGE) == ["https://site.example/o/1.jpg"]
    for of_other in ("data-hover=/h.jpg", "data-alt-src=/h.jpg", "data-photo=/page/1", "data-photo=/h.html"):
        assert find_images(f"<img src=/t/1.jpg {of_other}>", PAGE) == ["https://site.example/t/1.jpg"]
    assert find_images("<img src=/i/1.jpg data-photo=/h.jpg>", PAGE) == ["https://site.example/i/1.jpg"]
    shop = "<img src=/small/1.jpg data-flip=/small/2.jpg><img src=/small/3.jpg data-flip=/small/4.jpg>"
    assert find_images(shop, PAGE) == ["https://site.example/small/1.jpg", "https://site.example/small/3.jpg"]


def test_a_link_may_state_something_larger_than_what_it_leads_to() -> None:
    for name in ("data-pswp-src", "data-full", "data-orig-file"):
        assert find_images(f"<a href=/m/1.jpg {name}=/o/1.jpg><img src=/t/1.jpg></a>", PAGE) == [
            "https://site.example/o/1.jpg"
        ]


def test_comments_end_as_in_browsers() -> None:
    images = [f"<img src={number}.jpg>" for number in range(6)]
    page = "{}<!-- <img src=a.jpg> --!>{}<!-->{}<!--->{}<!-- <img src=b.jpg> -- > <img src=c.jpg> -->{}".format(*images)
    assert find_images(page, PAGE) == [f"{HERE}{number}.jpg" for number in range(5)]


def test_part_of_a_page() -> None:
    page = Selector(text="<base href=/x/><img src=logo.jpg><div><img src=a.jpg></div><img src=b.jpg>", type="html")
    assert find_images(page.css("div")[0], PAGE) == ["https://site.example/x/a.jpg"]


def test_selectors_that_are_no_element() -> None:
    assert find_images(Selector(text='{"src": "a.jpg"}'), PAGE) == []
    assert find_images(Selector(text="<p>a.jpg", type="html").css("p::text")[0], PAGE) == []
    assert find_images(Selector(text="<!-- x --><p>", type="html").xpath("//comment()")[0], PAGE) == []


def test_xhtml_with_a_namespace() -> None:
    page = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><img src="a.jpg"/></body></html>'
    assert find_images(page, PAGE) == find_images(Selector(text=page, type="xml"), PAGE) == [HERE + "a.jpg"]


def test_page_without_a_usable_address() -> None:
    assert find_images("<img src=a.jpg><img src=http://h/b.jpg>", "about:blank") == ["http://h/b.jpg"]


def test_half_a_surrogate_pair() -> None:
    assert find_images("<img src='\ud800.jpg'><img src=a.jpg>", PAGE)[-1] == HERE + "a.jpg"


@pytest.mark.parametrize(
    "address",
    [
        "https://h.example/a.jpg?x-oss-process=image/resize,m_fill,w_80/quality,q_90/format,webp",
        "https://h.example/a%20b.jpg",
        "https://h.example/ü/ä.jpg?q=ö",
        "https://bücher.example/a.jpg",
        "https://h.example:8080/a|b[1]{2}.jpg",
        "https://h.example/100%.jpg",
        "https://user:pw@h.example/a'b.jpg",
    ],
)
def test_addresses_are_what_a_request_will_ask_for(address: str) -> None:
    (found,) = both(f'<img src="{address}">')
    assert Request(found).url == Request(address).url


NESTED = 10_000_000


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * (NESTED // 5) + "<img src=a.jpg>",
        "<img src=a.jpg " + " ".join(f"a{i}=1" for i in range(300_000)) + ">",
        "<img src=a.jpg>" + "<" * NESTED,
        "<img src=a.jpg>" + "<!--" * (NESTED // 4),
        "<img src=a.jpg>" + "<script>" * (NESTED // 8),
        "<img src=a.jpg srcset='a.jpg " + "(" * NESTED + "'>",
        "<img src=a.jpg alt='&#" + "9" * NESTED + ";'>",
        "<img src=a.jpg><picture>" + "<source srcset=x media='" + "min-width:" * (NESTED // 10) + "'",
    ],
    ids=["depth", "attributes", "angles", "comments", "scripts", "srcset", "digits", "unfinished"],
)
def test_ten_megabytes_of_malice(html: str) -> None:
    begin = time.process_time()
    assert find_images(html, PAGE) == [HERE + "a.jpg"]
    # Quadratic work on these sizes takes many minutes; linear work takes a few seconds.
    assert time.process_time() - begin < 60


@pytest.mark.parametrize("script", ["<script" * 300_000, "<script>'" + "/a'" * 700_000, "<script>'" + "a" * 2_000_000])
def test_scripts_are_looked_through_in_linear_time(script: str) -> None:
    begin = time.process_time()
    assert find_images(script, PAGE) == []
    assert time.process_time() - begin < 20


def test_links_are_counted_once() -> None:
    html = """<a href=/1>1</a><a href="/1#two">1</a><a href=https://site.example/1>1</a><a href=//other.example/>2</a>
    <a href=#top>no</a><a href=" #x">no</a><a href=mailto:a@b>no</a><a href=javascript:void(0)>no</a><a>no</a>
    <area href=/3><a href='http://[x'>no</a><link href=/4>"""
    assert count_links(html, PAGE) == 3
    assert count_links(Selector(text=html, type="html", base_url=PAGE)) == 3
    assert count_links(Selector(text=html, type="html")) == 1
    assert count_links("") == 0


def test_images_in_elements_are_those_that_their_text_would_have() -> None:
    html = """<div><img src=/1.jpg srcset='/1-2.jpg 2x'><img data-original="/2.jpg?a=1&amp;b='2'" src=loading.gif>
    <img width=1 height=1 src=/no.gif><img src=/small.jpg itemprop=image data-original=/3.jpg><img alt=none>
    <a href=/4.jpg><img src=/4s.jpg></a><img src='data:,x'><img src=ftp://x/5.jpg></div>
    <picture><source srcset='/6s.webp 300w, /6.webp 900w'><source srcset='/6m.jpg 600w'><img src=/6s.jpg></picture>
    <a href=/file/7><picture><source srcset=/7.webp><img src=/7s.jpg></picture></a>"""
    page = Selector(text=html, type="html")
    each = [images_in([image], PAGE, PAGE) for image in page.css("img")]
    there = "https://site.example"
    assert each == [
        [f"{there}/1-2.jpg"],
        [f"{there}/2.jpg?a=1&b=%272%27"],
        [],
        [f"{there}/small.jpg", f"{there}/3.jpg"],
        [],
        [f"{there}/4.jpg"],
        [],
        ["ftp://x/5.jpg"],
        [f"{there}/6.webp"],
        [f"{there}/file/7"],
    ]


def test_the_original_behind_a_page_that_asks_is_that_of_an_element_too() -> None:
    html = "<a href=/out.php?url=https://i.example/a.jpg><img src=t.jpg></a>"
    assert images_in(Selector(html).css("img"), PAGE, PAGE) == ["https://i.example/a.jpg"]
    share = "<a href=/share?image=https://i.example/og.jpg><img src=/{}.jpg></a>"
    shared = Selector(share.format("a") + share.format("b") + share.format("b"))
    expected = ["https://i.example/og.jpg", "https://site.example/a.jpg", "https://site.example/b.jpg"]
    for query in ("img", "a", "body"):
        assert images_in(shared.css(query), PAGE, PAGE) == expected, query
    smaller = Selector("<a href=/view?u=https://i.example/9_100x100.jpg><img src=https://i.example/9.jpg></a>")
    assert images_in(smaller.css("img"), PAGE, PAGE) == ["https://i.example/9.jpg"]


def test_an_element_with_a_name_that_is_none_is_searched_all_the_same() -> None:
    page = Selector(text=f"<div><ahref='https:' x=1><img src={HERE}a.jpg></div>", type="html")
    assert images_in(page.css("div"), PAGE, PAGE) == [HERE + "a.jpg"]


def test_what_is_around_the_images_of_a_page_is_left_out_and_of_what_was_asked_for_is_not() -> None:
    junk = {
        "icon": "<img src=/a/mail.png width=24 height=24>",
        "icon, in pixels": "<img src=/a/fb.jpg width=64px height='32'>",
        "logo": "<img src=/theme/images/Site-Logo.svg>",
        "stars": "<img src=/plugins/rating/5.svg>",
        "counter": "<noscript><img src='https://www.facebook.com/tr?id=1&amp;ev=PageView'></noscript>",
        "other counter": "<img src='//b.scorecardresearch.com/p?c1=2'>",
    }
    kept = {
        "http://h/1.jpg": "<img src=1.jpg width=64 height=65>",
        "http://h/big-2.jpg": "<img src=2.jpg width=60 height=60 srcset='2.jpg 60w, big-2.jpg 1200w'>",
        "http://h/3-full.jpg": "<img src=3.jpg width=60 height=60 data-large_image=3-full.jpg>",
        "http://h/4-full.jpg": "<a href=4-full.jpg><img src=4.jpg width=60 height=60></a>",
        "http://h/5.jpg": "<img src=5.jpg width=60>",
        "http://h/6.svg": "<img src=6.svg>",
        "http://h/logo-7.jpg": "<img src=logo-7.jpg>",
        "https://www.facebook.com/trips/8.jpg": "<img src=https://www.facebook.com/trips/8.jpg>",
    }
    for name, markup in junk.items():
        assert find_images(markup, "http://h/page") == [], name
        assert len(images_in(Selector(markup).css("img"), "http://h/page", "http://h/page")) == 1, name
    assert find_images("".join([*junk.values(), *kept.values()]), "http://h/page") == list(kept)
    shared = "<meta property=og:image content=/a/mail.png>" + junk["icon"]
    assert find_images(shared, "http://h/page") == ["http://h/a/mail.png"]


def test_pictures_of_those_who_write_on_a_page_are_left_out_beside_others() -> None:
    junk = {
        "http://h/a/1.jpg": "<img class='avatar avatar-96 photo' src=/a/1.jpg>",
        "http://h/a/2.jpg": "<a class='avatar avatar--m' href=/members/2><img src=/a/2.jpg></a>",
        "http://h/image.php?u=3": "<a href=/member.php?u=3 class=postuseravatar><img src=/image.php?u=3></a>",
        "http://h/a/4.jpg": "<img class=user-avatar_img srcset='/a/4-48x48.jpg 48w, /a/4.jpg 400w' src=/a/4-48x48.jpg>",
    }
    shown = {f"http://h/i/{number}.jpg": f"<img src=/i/{number}.jpg>" for number in range(5, 8)}
    shown |= {
        "http://h/i/8.jpg": "<img class=no-avatars src=/i/8.jpg>",
        "http://h/i/9.jpg": "<a class=avatars><img src=/i/9.jpg></a>",
        **{
            f"http://h/i/{name}.jpg": f"<img class={name} src=/i/{name}.jpg>"
            for name in ("avatar-2009", "avatar-gallery", "avatar-the-last-airbender")
        },
        "http://h/i/me.jpg": "<img class=avatar src=/i/me.jpg><img src=/i/me.jpg>",
        "http://h/i/bg.jpg": "<p style='background:url(/i/bg.jpg)'></p><img class=avatar src=/i/bg.jpg>",
    }
    everything = "".join([*junk.values(), *shown.values()])
    left_out: set[str] = set()
    assert find_images(everything, "http://h/", authors=left_out) == list(shown)
    assert left_out == set(junk)
    stated = "<meta property=og:image content=/a/1.jpg>" + everything
    assert find_images(stated, "http://h/") == ["http://h/a/1.jpg", *shown]


def test_a_gallery_of_avatars_keeps_them() -> None:
    avatars = {
        f"http://h/avatars/{number}.png": f"<img class=avatar src=/avatars/{number}.png>" for number in range(12)
    }
    for beside in ((), ("logo.png",), ("banner/x.jpg",), ("i/1.jpg", "i/2.jpg")):
        others = {f"http://h/{name}": f"<img src=/{name}>" for name in beside}
        left_out: set[str] = set()
        found = find_images("".join((avatars | others).values()), "http://h/", authors=left_out)
        assert (found, left_out) == (list(avatars | others), set())
    others |= {"http://h/i/3.jpg": "<img src=/i/3.jpg>"}  # many have written about three
    assert find_images("".join((avatars | others).values()), "http://h/") == list(others)


def test_what_is_shown_of_an_image_that_may_be_a_page_is_known() -> None:
    page = (
        "<a href=/file/12><img src=t.jpg srcset='s.jpg 300w'></a><a href=/file/13><p><img src=u.jpg></p></a>"
        "<a href=/b.jpg><img src=v.jpg></a><a href=/c/14><img src=w.jpg></a>"
    )
    found: dict[str, str] = {}
    images = find_images(page, HERE, copies=found)
    site = "https://site.example/"
    assert images == [f"{site}file/12", f"{site}file/13", f"{site}b.jpg", f"{HERE}w.jpg"]
    assert found == {f"{site}file/12": f"{HERE}s.jpg", f"{site}file/13": f"{HERE}u.jpg"}
    for query, shown in (("img", {f"{site}file/12": f"{HERE}s.jpg"}), ("a", found), ("body", found)):
        copies: dict[str, str] = {}
        assert images_in(Selector(page).css(query), HERE, HERE, copies=copies)
        assert copies == shown


def test_a_link_around_an_image_that_is_served_as_it_is_may_be_its_original() -> None:
    originals = {
        "/index.php?action=dlattach;topic=2.0;attach=61;image": "/index.php?action=dlattach;topic=2.0;attach=62;image",
        "/attachment.php?aid=100": "/attachment.php?thumbnail=100",
        "/download/file.php?id=8&mode=view": "/download/file.php?id=8&t=1",
        "/attachment/12-a-jpg/": "/attachment/12-a-jpg/?thumbnail=1",
        "/attachments/a-jpeg.13/": "/data/attachments/13/13-abc.jpg",
        "/g/picture.php?id=3": "/g/thumbnail.php?id=3",
        "/zp/full-image.php?a=x&i=b.jpg&q=75": "/cache/x/b_595.jpg",
        "/popup?img=..%2Fbig%2F1.jpg": "/small/1.jpg",
    }
    others = {
        "/album.php?id=3": "/t/3.jpg",
        "/view/4": "/g/thumbnail.php?id=4",
        "/g/view.php?id=6": "/g/thumbnail.php?id=7",
        "/?user=3": "/?picture=3",
        "/?img=8.jpg": "/t/8.jpg",
        "/photo.php?img=t/9.jpg": "/t/9.jpg",
        "https://other.example/g/picture.php?id=5": "/g/thumbnail.php?id=5",
    }
    site = "https://site.example"
    links = originals | others
    page = "".join(f"<a href='{link}'><img src='{shown}'></a>" for link, shown in links.items())
    copies: dict[str, str] = {}
    found = find_images(page, PAGE, copies=copies)
    assert found == [*(site + link for link in originals), *(site + shown for shown in others.values())]
    assert copies == {site + link: site + shown for link, shown in originals.items()}
    of_elements: dict[str, str] = {}
    assert images_in(Selector(page).css("img"), PAGE, PAGE, copies=of_elements) == found
    assert of_elements == copies
    declared, of_links = Selector("<a href=/f.php?id=1><img src=/t/1.jpg></a><a href=/f/2><img src=/t/2.jpg></a>"), {}
    assert images_in(declared.css("a"), PAGE, PAGE, copies=of_links) == [f"{site}/f.php?id=1", f"{site}/t/2.jpg"]
    assert of_links == {f"{site}/f.php?id=1": f"{site}/t/1.jpg"}
    assert find_images("<a class=avatar href=/image.php?u=3><img src='/image.php?u=3&t=1'></a>", PAGE) == [
        f"{site}/image.php?u=3&t=1"
    ]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("/a.jpg?format=100w", "/a.jpg?format=1500w"),  # Squarespace
        ("/a_300x.jpg?v=1", "/a_1080x.jpg?v=1"),  # Shopify
        ("/a.jpg_50x50.jpg_.webp", "/a.jpg_640x640q90.jpg"),  # Alibaba's
        ("/a.jpg_640x640.jpg", "/a.jpg_Q90.jpg_.webp"),
        ("/a.png_Q90.jpg", "/a.png"),
        ("/m/a.jpg/v1/fill/w_147,h_98,al_c,blur_2,enc_auto/a.jpg", "/m/a.jpg/v1/fill/w_980,h_653/a.jpg"),  # Wix
        ("/x/rs:fit:300:200/plain/http%3A%2F%2Fh%2Fa.jpg", "/x/rs:fit:1200:800/plain/http%3A%2F%2Fh%2Fa.jpg"),
        ("/_ipx/w_200&f_webp/a.jpg", "/_ipx/w_900&f_webp/a.jpg"),  # Nuxt
        ("/tr:w-300,h-200/a.jpg", "/tr:q-80,w-1200/a.jpg"),  # ImageKit
        ("/a.jpg", "/a@2x.jpg"),
        ("/a_300x200@2x.jpg", "/a_500x333@2x.jpg"),
        ("/a_500x333.jpg", "/a_300x200@2x.jpg"),
        ("/blog_photos/s320/a.jpg", "/blog_photos/s1600/a.jpg"),  # a folder that only looks like a size
        ("/sites/site_a/styles/thumb/public/a.jpg", "/sites/site_a/a.jpg"),
    ],
)  # fmt: skip
def test_sizes_of_one_image_by_their_addresses(smaller: str, larger: str) -> None:
    for pair in ((smaller, larger), (larger, smaller)):
        page = "".join(f'<img src="{each.replace("&", "&amp;")}">' for each in pair)
        assert find_images(page, PAGE) == [f"https://site.example{larger}"]


def test_folders_that_are_numbered_are_no_sizes() -> None:
    pages = [f"https://site.example/{letter}_{number}/001.jpg" for letter in "hw" for number in (1, 2)]
    assert find_images("".join(f"<img src={page}>" for page in pages), PAGE) == pages


@pytest.mark.parametrize("src", ["data:image/jpeg;base64,{}", "/a/{}.jpg", "/a.jpg?x={}"])
def test_escapes_without_end_take_little_memory(src: str) -> None:
    page = f"<img src='{src.format('%41' * 300_000)}'>"
    find_images("<img src=/a.jpg>", PAGE)
    tracemalloc.start()
    try:
        find_images(page, PAGE)
        assert tracemalloc.get_traced_memory()[1] < 15 * len(page)
    finally:
        tracemalloc.stop()


FETCHED = "https://t.example/unsafe/128x128/https%3A%2F%2Fi.example%2Fa.1000x1000x1.jpg"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"<img src={FETCHED}>", {FETCHED: None}),
        (
            f'<img src={FETCHED}><script>s={{"art":"https:\\/\\/i.example\\/a.1000x1000x1.jpg"}}</script>',
            {"https://i.example/a.1000x1000x1.jpg": FETCHED},
        ),
        (
            f"<img src={FETCHED}><meta content='{{&quot;art&quot;:&quot;https://i.example/a.1000x1000x1.jpg&quot;}}'>",
            {"https://i.example/a.1000x1000x1.jpg": FETCHED},
        ),
        (
            "<img src='/_next/image?url=%2Fp%2Fa-1024x600.jpg&w=640&q=75'><script>s={'p':'/p/a.jpg'}</script>",
            {"https://site.example/p/a.jpg": "https://site.example/_next/image?url=%2Fp%2Fa-1024x600.jpg&w=640&q=75"},
        ),
        (
            "<img src='/_next/image?url=%2Fp%2Fa.jpg&w=640'><img src='/_next/image?url=%2Fp%2Fa.jpg&w=1200'>",
            {"https://site.example/_next/image?url=%2Fp%2Fa.jpg&w=1200": None},
        ),
        (
            "<img src='/_next/image?url=%2Fp%2Fa.jpg&w=640'><script>s=['/q/a.jpg','/b.jpg']</script>",
            {"https://site.example/_next/image?url=%2Fp%2Fa.jpg&w=640": None},
        ),
    ],
)
def test_the_original_that_a_page_names_of_what_a_server_makes_a_size_of(
    body: str, expected: dict[str, str | None]
) -> None:
    copies: dict[str, str] = {}
    assert find_images(body, PAGE, copies=copies) == list(expected)
    assert copies == {original: copy for original, copy in expected.items() if copy}, "where it is not to be had"
