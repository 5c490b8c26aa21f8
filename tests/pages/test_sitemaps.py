from __future__ import annotations

import gzip

import pytest

from imgcrawl.pages import sitemaps
from imgcrawl.pages.sitemaps import SitemapEntry, read_sitemap

HERE = "https://h.example/feed"
RSS = b"""<?xml version="1.0"?><rss xmlns:media="http://search.yahoo.com/mrss/"><channel><link>https://h.example/</link>
<image><url>https://h.example/logo.png</url></image>
<item><title>A</title><link> https://h.example/g/1 </link><enclosure url="/i/1.jpg" type="image/jpeg" length="1"/>
 <media:content url="https://h.example/i/2.jpg" medium="image"/><media:content url="/v.mp4" type="video/mp4"/></item>
<item><guid>https://h.example/g/2</guid></item><item><guid isPermaLink="false">17</guid></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://h.example/"/><link rel="self" href="/feed"/>
<entry><id>x</id><link rel="edit" href="/no"/><link rel="alternate" href="/g/1"/><content type="html">x</content>
 <link rel="enclosure" type="image/png" href="/i/1.png"/></entry><entry><link href="/g/2"/></entry></feed>"""


@pytest.mark.parametrize(
    ("body", "entries"),
    [
        (RSS, [("/g/1", ("/i/1.jpg", "/i/2.jpg")), ("/g/2", ())]),
        (ATOM, [("/g/1", ("/i/1.png",)), ("/g/2", ())]),
    ],
)
def test_a_feed_names_galleries_as_a_sitemap_does(body: bytes, entries: list[tuple[str, tuple[str, ...]]]) -> None:
    site = "https://h.example"
    expected = [SitemapEntry(site + page, tuple(site + image for image in images)) for page, images in entries]
    assert list(read_sitemap(body, HERE)) == expected


def test_a_sitemap_with_more_entries_than_there_may_be_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps, "MAX_ENTRIES", 20)
    text = b"\n".join(b"https://h.example/%d" % number for number in range(21))
    entries = read_sitemap(text, HERE)
    assert [next(entries).address for _ in range(20)][-1] == "https://h.example/19"
    with pytest.raises(ValueError, match="more than 20 entries"):
        next(entries)
    assert len(list(read_sitemap(text.rpartition(b"\n")[0], HERE))) == 20


def urlset(entries: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> str:
    return f'{head}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'


ONE, TWO = (f"<url><loc>https://h.example/g/{number}</loc></url>" for number in (1, 2))
PATHS = [str(number * 7919 % 10007) for number in range(300)]
LONG = urlset("".join(f"<url><loc>https://h.example/{path}</loc></url>" for path in PATHS)).encode()
AMPERSAND = "<url><loc>/g?a=1&amp;b=2</loc></url>"
AMISS = [
    *(
        "<title>a&nbsp;b</title>",
        "<title>&eacute;</title>",
        "<title>\x01</title>",
        "<title>&#0;</title>",
    ),
    *(
        "<a b='1' b='2'/>",
        "<!-- a -- b -->",
        "<?xml version='1.0'?>",
        "<!foo>",
        "</>",
        "<title><![CDATA[</url>]]></title>",
    ),
]
ENCODINGS = ("us-ascii", "gb2312", "shift_jis", "euc-jp", "big5", "utf-8")
BAD_BYTE = b"""<?xml version="1.0" encoding="%b"?><urlset><url><loc>/g/0</loc><title>caf\xe9</title></url>
<url><loc>%b</loc></url></urlset>"""
SAYS_UTF16 = '<?xml version="1.0" encoding="UTF-16"?>'


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        # what stands for itself
        (urlset("<url><loc>/g?a=1&b=2</loc></url><url><loc>/g?a=3&amp;b=4</loc></url>"), ["g?a=1&b=2", "g?a=3&b=4"]),
        (urlset("<url><loc>https://h.example/g?a=1&copy=2</loc></url>"), ["g?a=1&copy=2"]),
        (urlset("<url><loc><![CDATA[/g?a=1&b]]></loc></url><url><loc>/g?c&d</loc></url>"), ["g?a=1&b", "g?c&d"]),
        (urlset(f"<url><loc>/g/0</loc><title>3 < 4</title></url>{ONE}"), ["g/0", "g/1"]),
        (urlset("<url><loc>https://h.example/caf&eacute;/1</loc></url>"), ["caf%C3%A9/1"]),
        (urlset("<url><loc><![CDATA[/g?a=1&amp;b]]></loc></url><!-- <url> & </url> -->"), ["g?a=1&amp;b"]),
        # what is not well formed, and what comes behind it
        *((urlset(f"<url><loc>/g/0</loc>{amiss}</url>{AMPERSAND}"), ["g/0", "g?a=1&b=2"]) for amiss in AMISS),
        (urlset("<url><loc>/g/0</loc><title>\xff</title></url>" + AMPERSAND).encode("latin1"), ["g/0", "g?a=1&b=2"]),
        # what stands in front
        (f"<br />\n<b>Notice</b>: Undefined x in <b>/a.php</b><br />\n{urlset(ONE + TWO)}", ["g/1", "g/2"]),
        (f"Warning: x in /a.php on line 3\n{urlset(ONE)}", ["g/1"]),
        (f"\ufeff\n\n{urlset(ONE)}", ["g/1"]),
        # encodings
        (urlset(ONE, SAYS_UTF16), ["g/1"]),
        (urlset(ONE, SAYS_UTF16).encode("utf-16"), ["g/1"]),
        ("https://h.example/g/1\nhttps://h.example/g/2\n".encode("utf-16"), ["g/1", "g/2"]),
        (urlset("<url><loc>/图</loc></url>", '<?xml version="1.0" encoding="gb2312"?>').encode("gbk"), ["%E5%9B%BE"]),
        ("\ufeff" + urlset("<url><loc>/é</loc></url>", "<?xml version='1.0' encoding='latin1'?>"), ["%C3%A9"]),
        *((urlset(ONE, f'<?xml version="1.0" encoding="{encoding}"?>'), ["g/1"]) for encoding in ("hex", "idna")),
        (urlset(ONE, SAYS_UTF16).encode("utf-16-le"), ["g/1"]),
        *((BAD_BYTE % (name.encode(), b"/g/1"), ["g/0", "g/1"]) for name in ENCODINGS),
        (BAD_BYTE % (b"windows-874", b"/\xa1"), ["g/0", "%E0%B8%81"]),
        # names
        (urlset(ONE).upper().replace("HTTPS://H.EXAMPLE/G", "https://h.example/g"), ["g/1"]),
        ("<s:urlset xmlns:s='x'><s:url><s:loc>/g/1</s:loc></s:url></s:urlset>", ["g/1"]),
        ("<urlset><url><loc>/g/1</loc><image:image><image:loc>/1</image:loc></image:image></url></urlset>", ["g/1"]),
        ("<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'/>", []),
        # gzip
        (gzip.compress(gzip.compress(urlset(ONE).encode())), ["g/1"]),
        (b"".join(gzip.compress(part) for part in (LONG[:60], LONG[60:500], LONG[500:])) + b"\0\0", PATHS),
    ],
)  # fmt: skip
def test_a_sitemap_is_read_as_sites_write_it(body: str | bytes, paths: list[str]) -> None:
    entries = read_sitemap(body if isinstance(body, bytes) else body.encode(), HERE)
    assert [entry.address for entry in entries] == [f"https://h.example/{path}" for path in paths]


@pytest.mark.parametrize(
    ("body", "least"),
    [
        (urlset(ONE + TWO)[:-40].encode(), 1),
        (urlset(ONE)[:-30].encode(), 0),
        (gzip.compress(LONG, mtime=0)[:-400], 100),
        (gzip.compress(b"https://h.example/1\nhttps://h.exam", mtime=0)[:-9], 0),
        (RSS[:-60], 1),
        (b"<rdf:RDF xmlns='x'><item><link>https://h.example/g/1</link></item><item><li", 1),
        (urlset(ONE.replace("</url>", "</url >") + TWO)[:-40].encode(), 1),
        (urlset(ONE + TWO)[:-40].upper().replace("HTTPS://H.EXAMPLE/G", "https://h.example/g").encode(), 1),
    ],
)
def test_a_sitemap_that_breaks_off_says_so_behind_its_last_whole_entry(body: bytes, least: int) -> None:
    found: list[SitemapEntry] = []
    with pytest.raises(ValueError, match="breaks off"):
        found.extend(read_sitemap(body, HERE))
    assert len(found) >= least
    whole = [
        entry.address for source in (LONG, urlset(ONE + TWO).encode(), RSS) for entry in read_sitemap(source, HERE)
    ]
    assert {entry.address for entry in found} <= {*whole, "https://h.example/1"}


@pytest.mark.parametrize(
    "amiss",
    [
        "</url>",
        "</p>",
        "</div></body></html>",
        "<url a=1><loc/></url>",
        "<!FOO>",
        "</urlset><!--",
        "<url>" * 300 + "</url>" * 300,
    ],
)
def test_entries_that_cannot_be_read_are_told_behind_those_that_are(amiss: str) -> None:
    found: list[SitemapEntry] = []
    with pytest.raises(ValueError, match=r"not well formed near its entry [23],"):
        found.extend(read_sitemap(urlset(ONE + TWO + amiss + ONE + TWO).encode(), HERE))
    assert [entry.address for entry in found] == ["https://h.example/g/1", "https://h.example/g/2"]
    assert len(list(read_sitemap(urlset(ONE + TWO + "</p>").encode(), HERE))) == 2  # nothing is behind it


def test_an_entry_that_is_not_closed_loses_no_address() -> None:
    entries = read_sitemap(urlset(f"<url><loc>/g/0</loc><p><br></p></url>{ONE}{TWO}").encode(), HERE)
    assert sorted(entry.address for entry in entries) == [f"https://h.example/g/{number}" for number in range(3)]


def test_what_is_amiss_in_a_feed_breaks_no_address_behind_it() -> None:
    amiss = (
        RSS.replace(b"<title>A", b"<title>caf&eacute;")
        .replace(b"/1.jpg", b"/1.jpg?a=1&amp;b")
        .replace(b"g/2", b"g/?a&amp;b")
    )
    assert list(read_sitemap(amiss.replace(b' xmlns:media="http://search.yahoo.com/mrss/"', b""), HERE)) == [
        SitemapEntry("https://h.example/g/1", ("https://h.example/i/1.jpg?a=1&b", "https://h.example/i/2.jpg")),
        SitemapEntry("https://h.example/g/?a&b"),
    ]


def test_a_page_is_no_sitemap() -> None:
    with pytest.raises(ValueError, match="a page of HTML, no sitemap"):
        list(read_sitemap(b"<!doctype html><html><body><item><link>https://h.example/x</link></item>", HERE))
