from __future__ import annotations

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
