from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from parsel import Selector

from imgcrawl.pages import PageFacts, find_images, images_in, page_facts

PAGE = "https://site.example/albums/one.html"
HERE = "https://site.example/albums/"


def linked(data: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(data)}</script>'


GRAPH = {
    "@context": "https://schema.org",
    "@graph": [
        {"@type": "WebSite", "name": "A site", "image": "/site.jpg"},
        {"@type": "Organization", "name": "Publisher", "logo": {"@type": "ImageObject", "url": "/logo.png"}},
        {"@type": "WebPage", "name": "Page", "primaryImageOfPage": {"@id": "#main"}, "thumbnailUrl": "/thumb.jpg"},
        {
            "@type": ["ImageGallery", "Thing"],
            "headline": "  A walk\nin the rain ",
            "description": "Streets &amp; rain",
            "author": [{"@type": "Person", "name": "A. Author", "image": "/portrait.jpg"}],
            "datePublished": "2024-05-17",
            "keywords": ["rain", "street, night", {"@type": "DefinedTerm", "name": "town"}],
            "license": "https://creativecommons.org/licenses/by/4.0/",
            "image": [{"@id": "#main"}, "/second.jpg?v=1&amp;x=2"],
        },
        {
            "@id": "#main",
            "@type": "ImageObject",
            "contentUrl": "/main.jpg",
            "caption": "Rain",
            "creator": {"name": "P. Photographer"},
            "license": "https://site.example/licence",
            "acquireLicensePage": "https://site.example/buy",
            "creditText": "Photo: P.",
        },
        {"@type": "VideoObject", "contentUrl": "/film.mp4", "thumbnailUrl": "/poster.jpg"},
    ],
}


ODD: list[Any] = [
    None, True, 7, -1.5, 10**4000, float("inf"), "", "\ud800", "\0", [], [[]], ["x", 1], {}, {"@id": ["x"]},
    {"@id": {"a": 1}}, {"@type": [["x"]], "name": [{}]}, {"@value": [1]}, [{"@list": {}}],
]  # fmt: skip


def with_each_value_odd(data: Any, odd: object) -> Iterator[Any]:
    """*data* again and again, each time with *odd* in the place of another value."""
    yield odd
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            for inner in with_each_value_odd(data[key], odd):
                yield {**data, key: inner} if isinstance(data, dict) else [*data[:key], inner, *data[key + 1 :]]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_of_values_that_are_not_what_schema_org_wants_the_rest_is_read(odd: Any) -> None:
    for data in with_each_value_odd(GRAPH, odd):
        html = f"<title>T</title>{linked(data)}<img src=/a.jpg>"
        assert page_facts(html, PAGE).title
        assert find_images(html, PAGE)


def test_what_a_page_states_in_json_ld() -> None:
    html = linked(GRAPH) + "<title>T</title><h1>H</h1>"
    find_images(html, PAGE, facts=(with_images := PageFacts()))
    facts = page_facts(html, PAGE)
    assert (
        facts
        == with_images
        == PageFacts(
            title="A walk in the rain",
            caption="Streets & rain",
            author="A. Author",
            date="2024-05-17",
            license="https://creativecommons.org/licenses/by/4.0/",
            tags=["rain", "street", "night", "town"],
            image="https://site.example/main.jpg",
            images=["https://site.example/main.jpg", "https://site.example/second.jpg?v=1&x=2"],
            image_facts={
                "https://site.example/main.jpg": {
                    "caption": "Rain",
                    "author": "P. Photographer",
                    "license": "https://site.example/licence",
                    "credit_text": "Photo: P.",
                    "acquire_license_page": "https://site.example/buy",
                }
            },
        )
    )


@pytest.mark.parametrize(
    "html",
    [
        "<meta property=og:title content=T><meta property=og:description content=C><meta name=author content=A>"
        "<meta property=article:published_time content=2024><meta property=article:tag content=x>"
        "<meta property='article:tag' content=y><link rel=license href=/by><meta property=og:image content=/i.jpg>",
        "<html itemscope itemtype=https://schema.org/ImageGallery><h2 itemprop=headline>T</h2>"
        "<p itemprop=description>C</p>"
        "<span itemprop=author itemscope itemtype=https://schema.org/Person><b itemprop=name>A</b><img itemprop=image"
        " src=/portrait.jpg width=1 height=1></span><time itemprop=datePublished datetime=2024>now</time>"
        "<i itemprop=keywords>x, y</i><a itemprop=license href=/by></a><link itemprop=image href=/i.jpg>",
        "<div vocab='https://schema.org/' typeof=Photograph><h2 property=headline>T</h2>"
        "<p property='schema:description'>C</p><span property=author>A</span>"
        "<meta property=datePublished content=2024><meta property=keywords content='x,y'>"
        "<a property=license rel=license href=/by></a><img property=image src=/i.jpg></div>",
        linked({"@type": "Photograph", "name": "T", "caption": "C", "author": "A", "keywords": "x,y"})
        + "<meta name=date content=2024><a rel='nofollow license' href=/by>l</a>"
        + "<meta name=twitter:image content=/i.jpg>",
    ],
    ids=["open-graph", "microdata", "rdfa", "mixed"],
)
def test_what_a_page_states_in_other_ways(html: str) -> None:
    facts = page_facts(html, PAGE)
    assert (facts.title, facts.caption, facts.author, facts.date, facts.tags) == ("T", "C", "A", "2024", ["x", "y"])
    assert (facts.license, facts.image) == ("/by", "https://site.example/i.jpg")


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>T</title><h1>\n<a href=/>H <b>1</b></a></h1>", "H 1"),
        ("<h1><img src=logo.png></h1><h1>Second</h1>", "Second"),
        ("<title>T &amp; T</title>", "T & T"),
        ("<h1>H</h1><meta property=og:title content=Shared>", "Shared"),
        (linked({"@type": "FAQPage", "mainEntity": [{"@type": "Question", "name": "Why?"}]}) + "<h1>H</h1>", "H"),
        ("", ""),
    ],
)
def test_a_title(html: str, title: str) -> None:
    assert page_facts(html, PAGE).title == title


@pytest.mark.parametrize(
    "script",
    [
        '<!-- {"@type": "Photograph", "image": "/i.jpg"} -->',
        '//<![CDATA[\n{"@type": "Photograph", "image": "/i.jpg"}\n//]]>',
        '{"@type": "Photograph", "name": "two\nlines", "image": ["/i.jpg",],}',
        '{"https://schema.org/x": 1, "@type": "schema:Photograph", "schema:image": {"schema:url": "/i.jpg"}}',
        '[[{"mainEntity": {"image": {"@list": 1, "url": "/i.jpg"}}}]]',
        '[{"@type": ["http://schema.org/Recipe"], "http://schema.org/image": [{"@id": "/i.jpg"}]}]',
        '{"https:\\/\\/schema.org\\/image" : {"http://schema.org/contentUrl": [{"@value": "/i.jpg"}]}}',
    ],
)
def test_json_ld_as_sites_write_it(script: str) -> None:
    html = f"<script TYPE='application/ld+json; charset=utf-8'>{script}</script>"
    assert page_facts(html, PAGE).images == find_images(html, PAGE) == ["https://site.example/i.jpg"]


def test_facts_are_bounded() -> None:
    facts = page_facts(linked({"headline": "x" * 10**5, "keywords": [str(i) for i in range(10**4)]}), PAGE)
    assert len(facts.title) == 1_000
    assert len(facts.tags) == 100


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<meta property=og:image content=a-300x200.jpg><img src=a.jpg>", ["a.jpg"]),
        ("<img src=a-768x512.jpg><img src=b.jpg><img src=a-1024x683.jpg>", ["a-1024x683.jpg", "b.jpg"]),
        (
            "<img src=a.jpg?w=300><img src='a.jpg?h=900&w=1200&fit=crop'><img src=a.jpg?id=2>",
            ["a.jpg?h=900&w=1200&fit=crop", "a.jpg?id=2"],
        ),
        ("<img src=a_600x.jpg><img src=a_1200x.jpg?v=1>", ["a_600x.jpg", "a_1200x.jpg?v=1"]),
        ("<img src=/w_300,c_fill/a.jpg><img src=/q_auto,w_900/a.jpg>", ["/q_auto,w_900/a.jpg"]),
        ("<img src='a=s300'><img src='a=w1200-h630-p'>", ["a=w1200-h630-p"]),
        ("<img src=/s320/a.jpg><img src=/s1600/a.jpg>", ["/s1600/a.jpg"]),
        ("<img src=/styles/thumb/public/a.jpg><img src=/a.jpg>", ["/a.jpg"]),
        ("<img srcset='/c/size/w300/a.jpg 300w, /c/size/w2000/format/webp/a.jpg 2000w' src=/c/a.jpg>", ["/c/a.jpg"]),
        ("<img src=/w/thumb/1/12/A.jpg/300px-A.jpg><img src=/w/1/12/A.jpg>", ["/w/1/12/A.jpg"]),
        ("<img srcset='a.jpg 300w'><img src=a-900x600.jpg>", ["a-900x600.jpg"]),
        ("<img src=http://site.example/a.jpg><img src=/a.jpg>", ["http://site.example/a.jpg"]),
        # a crop that the publisher names as the page's main image shows another part
        (linked({"image": ["a.jpg", "a-500x500.jpg", "a-500x375.jpg"]}), ["a.jpg", "a-500x500.jpg"]),
        (linked({"image": ["a-1200x800.jpg", "a-600x400.jpg"]}), ["a-1200x800.jpg"]),
        (
            "<meta property=og:image content=a.jpg><meta property=og:image content=a-819x1024.jpg>"
            "<meta name=twitter:image content=a-600x600.jpg>",
            ["a.jpg", "a-600x600.jpg", "a-819x1024.jpg"],
        ),
        # of other names for an image those count where nothing else names one
        ("<meta name=thumbnail content=a.jpg><meta property=x:featured_image content=b.jpg>", ["a.jpg", "b.jpg"]),
        ("<meta name=thumbnail content=a.jpg><meta property=og:image content=b.jpg>", ["b.jpg"]),
        ("<meta name=msapplication-TileImage content=a.jpg><meta name=x:image:width content=b.jpg>", []),
        # what shows in a link to an image is a copy of it
        ("<a href=big.jpg><img src=small.jpg></a><a href=/page><img src=b.jpg></a>", ["big.jpg", "b.jpg"]),
    ],
)
def test_several_sizes_of_an_image_are_one_the_largest(html: str, expected: list[str]) -> None:
    resolved = [
        each if ":" in each else ("https://site.example" if each[0] == "/" else HERE) + each for each in expected
    ]
    assert find_images(html, PAGE) == resolved


ELEMENTS = """<article>
  <a href="full.jpg"><picture><source srcset="s.webp"><img src="small.jpg"></picture></a>
  <img src="loading.gif" data-src="lazy.jpg"><img srcset="s.jpg 300w, l.jpg 900w" src="s.jpg">
  <img src="data:image/gif;base64,R0"><img src=""><img src="#top"><img src="one.html"><img src="ftp://h/x.jpg">
</article><img src="other.jpg"><a class="more" href="/download/7">get</a>"""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("article img", ["full.jpg", "lazy.jpg", "l.jpg", "ftp://h/x.jpg"]),
        ("article, article img", ["full.jpg", "lazy.jpg", "l.jpg", "ftp://h/x.jpg"]),
        ("article a", ["full.jpg"]),
        ("article picture", ["full.jpg"]),
        ("a.more", ["/download/7"]),
        (
            "article img::attr(src)",
            ["small.jpg", "loading.gif", "s.jpg", "ftp://h/x.jpg"],
        ),
        ("a::attr(href)", ["full.jpg", "/download/7"]),
    ],
)
def test_images_of_a_selector(query: str, expected: list[str]) -> None:
    resolved = [
        each if ":" in each else ("https://site.example" if each[0] == "/" else HERE) + each for each in expected
    ]
    assert images_in(Selector(text=ELEMENTS, type="html").css(query), PAGE, PAGE) == resolved


NESTED = 1_000_000


@pytest.mark.parametrize(
    "made",
    [
        lambda: "<div itemscope>" * (NESTED // 40) + "<b itemprop=image>",
        lambda: "<h1>" * (NESTED // 20),
        lambda: "<b itemprop=name>" * (NESTED // 50),
        lambda: linked([]).replace("[]", '{"image":' * 100_000 + "1" + "}" * 100_000),
        lambda: linked([]).replace("[]", "[" * NESTED),
        lambda: linked([{"@id": "x", "url": "a.jpg", "caption": [1] * 10**5}, *[{"image": {"@id": "x"}}] * 20_000]),
        lambda: linked([{"image": f"{i}.jpg"} for i in range(500_000)]),
        lambda: "<script type=application/ld+json>{}</script>" * (NESTED // 200),
        lambda: "".join(f'<img src="/{i}={"s10-" * 490}x">' for i in range(NESTED // 10_000)),
        lambda: "".join(f'<img src="/{i}/{"w_1," * 490}x/y">' for i in range(NESTED // 10_000)),
        lambda: "".join(f'<img src="/{i}?{"w=1&" * 490}">' for i in range(NESTED // 10_000)),
    ],
    ids=["scopes", "headings", "names", "deep", "lists", "shared", "10MB", "scripts", "suffixes", "folders", "queries"],
)
def test_malice_in_facts_costs_time_linear_in_its_length(made: Callable[[], str]) -> None:
    html = made()
    begin = time.process_time()
    page_facts(html, PAGE)
    find_images(html, PAGE)
    # Quadratic work on these sizes takes minutes; linear work takes a second or two.
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("author", "known", "expected"),
    [
        ({"@id": "#ada"}, {"@id": "#ada", "@type": "Person", "name": "Ada"}, "Ada"),
        ({"@id": "https://site.example/ada"}, {"@id": "https://site.example/ada", "name": "Ada"}, "Ada"),
        ([{"@id": "#ada"}, {"name": "Bob"}, "Cy", {"@id": "#ada"}], {"@id": "#ada", "name": "Ada"}, "Ada, Bob, Cy"),
        ({"@id": "#ada"}, {"@id": "#ada", "@type": "Person"}, "by meta"),
        ({"@id": "_:b0"}, {}, "by meta"),
        ({"@id": "https://site.example/#/schema/person/1"}, {}, "by meta"),
        ({"@id": ["#ada"]}, {"@id": "#ada", "name": "Ada"}, "by meta"),
        ({"@id": "#ada", "url": "https://site.example/ada"}, {}, "https://site.example/ada"),
    ],
)
def test_authors_that_are_only_referred_to_are_called_by_their_names(author: Any, known: Any, expected: str) -> None:
    image = {"@type": "ImageObject", "contentUrl": "/i.jpg", "creator": author}
    page = {"@type": "Article", "headline": "One", "author": author, "image": image}
    facts = page_facts(linked({"@graph": [page, known]}) + "<meta name=author content='by meta'>", PAGE)
    assert facts.author == expected
    stated = facts.image_facts.get("https://site.example/i.jpg", {}).get("author", "by meta")
    assert stated == expected
