from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from parsel import Selector

from imgcrawl.pages import captions_of, find_images
from imgcrawl.pages.shown import Caption, captions_kept, day_shown

PAGE = "https://site.example/walks/one.html"
DEEP = "<figure><img src=/{}.jpg><figcaption>"


def captions(html: str) -> dict[str, str]:
    """The captions of all images on a page, by the last parts of their addresses."""
    found = captions_of(Selector(html, type="html"), find_images(html, PAGE), PAGE)
    return {address.rpartition("/")[2]: said for address, said in captions_kept(found.items(), "").items()}


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<figure><img src=a.jpg alt='not this'><figcaption> A\n<b>sea</b>\t</figcaption></figure>", "A sea"),
        ("<figure><a href=a.jpg title='not this'><img src=/t/x.jpg></a><figcaption>Sea</figcaption></figure>", "Sea"),
        ("<a href=a.jpg><figure><picture><source srcset='a-2000x900.webp'><img src=a-300x200.jpg></picture>"
         "<div><figcaption>Sea</figcaption></div></figure></a>", "Sea"),
        ("<figure><figure><img src=a.jpg alt='A red boat'></figure><figure><figcaption>Other</figcaption></figure>"
         "</figure>", "A red boat"),
        ("<a href=a.jpg data-caption='<b>Two</b> &lt;i&gt;boats' title='no no'><img src=/t/x.jpg></a>", "Two boats"),
        ("<a href=a.jpg data-title=Boats><img src=/t/x.jpg alt='an alt text'></a>", "Boats"),
        ("<a href=a.jpg title='Boats at sea'><img src=/t/x.jpg alt='an alt text'></a>", "Boats at sea"),
        ("<a href=a.jpg title=Enlarge><img src=/t/x.jpg alt='an alt text'></a>", "an alt text"),
        ("<img src=a.jpg data-caption=Boats alt='an alt text'>", "Boats"),
        ("<img src=spacer.gif data-src=a.jpg alt='猫在花园里睡觉'>", "猫在花园里睡觉"),
        ("<img src=a.jpg alt=boat>", None),
        ("<img src=a.jpg alt='boat 12'>", None),
        ("<img src=red-boat.jpg alt='Red boat'>", None),
        ("<img src=/logo.png alt='My fine site'><p>", "My fine site"),
        ("<figure><figcaption>Boats</figcaption></figure><img src=a.jpg>", None),
    ],
)  # fmt: skip
def test_a_caption_is_what_a_reader_sees_as_one(html: str, said: str | None) -> None:
    assert [*captions(html).values()] == ([said] if said else [])


def test_what_several_images_say_alike_is_the_caption_of_none_but_in_a_figure() -> None:
    html = (
        "<img src=1.jpg alt='click to enlarge'><img src=2.jpg alt='click to enlarge'><img src=3.jpg alt='a red boat'>"
    )
    assert captions(html) == {"3.jpg": "a red boat"}
    both = "<figure><img src=1.jpg><img src=2.jpg><figcaption>Two</figcaption></figure>"
    assert captions(both) == {"1.jpg": "Two", "2.jpg": "Two"}


@pytest.mark.parametrize(
    "html",
    [
        "<img data-prev=/2.jpg src=/1.jpg alt='one of them'><img src=/2.jpg alt='the other'>",
        "<img alt='/2.jpg one of them' src=/1.jpg><img src=/2.jpg>",
        "<img data-image=/2.jpg src=/1-300x200.jpg alt='one of them'><a href=/1.jpg>1</a><img src=/2.jpg>",
    ],
)
def test_an_image_is_named_by_its_own_addresses(html: str) -> None:
    assert "one of them" in captions(html).get("1.jpg", "")
    assert "one of them" not in captions(html).get("2.jpg", "")
    assert captions("<img data-prev=/2.jpg alt='/2.jpg or so' src=data:,><img src=/2.jpg>") == {}


def test_a_figcaption_within_is_of_the_image_beside_it() -> None:
    one, two = (f"<div><img src=/{n}.jpg><figcaption>No. {n}</figcaption></div>" for n in (1, 2))
    assert captions(f"<figure>{one}{two}</figure>") == {"1.jpg": "No. 1", "2.jpg": "No. 2"}
    assert captions(f"<figure>{one}<div><img src=/2.jpg></div></figure>") == {"1.jpg": "No. 1"}
    lazy = "<div><img data-src=/1.jpg><noscript><img src=/1.jpg></noscript></div>"
    assert captions(f"<figure>{lazy}<div><figcaption>One</figcaption></div></figure>") == {"1.jpg": "One"}


def test_the_addresses_that_are_resolved_on_a_page_are_bounded() -> None:
    sizes = ", ".join(f"/ü{n}.jpg {n}w" for n in range(1, 26))
    late = "<img src=/b-300x200.jpg alt='a boat'><img src=/c.jpg alt='a dog'>"
    images = [f"https://site.example/{name}.jpg" for name in "bc"]
    for many, said in ((700, ["a boat", "a dog"]), (900, ["a dog"])):
        page = Selector(f"<img srcset='{sizes}' alt='a b'>" * many + late, type="html")
        assert [each.text for each in captions_of(page, images, PAGE).values()] == said


def test_captions_are_bounded() -> None:
    long = "<img src=a.jpg data-caption='" + "x y" * 10**5 + "'>"
    assert len(captions(long)["a.jpg"]) == 1000
    assert len(captions("".join(f"<img src={n}.jpg alt='boat {n} at sea'>" for n in range(2000)))) == 2000


@pytest.mark.parametrize(
    ("caption", "title", "same"),
    [
        ("Sunday walk", "Sunday Walk!", True),
        ("Sunday walk", "Sunday walk in June", True),
        ("Sunday walk - 3", "Sunday walk", True),
        ("雨夜 第3张", "雨夜", True),
        ("The pier", "Sunday walk", False),
        ("Sunday walk: the pier", "Sunday walk", False),
        ("Paris", "Rain in Paris", False),
        ("A boat", "", False),
    ],
)
def test_the_title_of_a_page_is_the_caption_of_none_of_its_images(caption: str, title: str, same: bool) -> None:
    kept = captions_kept([("a.jpg", Caption(caption, surely=True))], title)
    assert kept == ({} if same else {"a.jpg": caption})


def test_a_title_is_read_once_and_not_to_its_end() -> None:
    shown = [(f"{number}.jpg", Caption(f"boat {number} at sea", surely=True)) for number in range(1_000)]
    began = time.process_time()
    assert len(captions_kept(shown, "a title " * 10**5)) == 1_000
    assert time.process_time() - began < 1
    assert captions_kept(shown[:1], "a title " * 10**5 + shown[0][1].text)


TIME = "<time datetime='{}'>x</time>"


@pytest.mark.parametrize(
    ("html", "day"),
    [
        (f"<article>{TIME.format('2024-12-28')}{TIME.format('2025-01-01')}</article>", "2024-12-28"),
        (f"<main><p>{TIME.format(' 2024-12-28T10:00+01:00 ')}</main>", "2024-12-28T10:00+01:00"),
        ("<main><time datetime=2024-12-29></time><time pubdate datetime=2024-12-28></time></main>", "2024-12-28"),
        ("<main><time class=updated datetime=2024-12-29></time><time datetime=2024-12-28></time></main>", "2024-12-28"),
        ("<main><time datetime=PT3M></time><time datetime=10:00></time><time>2024</time></main>", ""),
        (f"<div>{TIME.format('2024-12-28')}</div>", ""),
        (f"<main><aside>{TIME.format('2024-12-28')}</aside></main>", ""),
        (f"<article><ol class='comment-list'><li>{TIME.format('2024-12-28')}</ol></article>", ""),
    ],
)
def test_the_day_of_a_page_is_that_of_its_article(html: str, day: str) -> None:
    assert day_shown(Selector(html, type="html")) == day


@pytest.mark.parametrize(
    "many",
    [
        lambda n: "".join(map(DEEP.format, range(min(n, 200)))) + "x y " * n,
        lambda n: "<figure>" * 200 + "<figure><img src=a.jpg></figure>" * n + "<figcaption>x",
        lambda n: f"<a href=a.jpg title='{'x y ' * n}'>" + "<img src=b.jpg>" * (n // 4),
        lambda n: "<picture>" + "<source srcset=a.jpg>" * n + "<img src=b.jpg alt='a b'>" * 3,
        lambda n: "<picture><source srcset=a.jpg>" + "<img src=b.jpg alt='a b'>" * n,
        lambda n: f"<a href=/{'x' * n}>" + "<img src=b.jpg alt='a b'>" * n,
        lambda n: "<main>" + "<time>" * n,
        lambda n: "<img src=a.jpg alt='" + "< a" * n + "'>",
        lambda n: "<figure><img src=a.jpg>" + "<p>" * n + "</figure>",
        lambda n: "<figure><p>" + "<noscript><img src=a.jpg></noscript>" * n + "</p>" + "<p></p>" * n + "</figure>",
    ],
)
def test_the_time_is_linear(many: Callable[[int], str]) -> None:
    def seconds(n: int) -> float:
        page = Selector(many(n), type="html")
        began = time.process_time()
        captions_of(page, [f"https://site.example/walks/{name}.jpg" for name in ("a", "b", *range(200))], PAGE)
        day_shown(page)
        return time.process_time() - began

    few = seconds(5_000)
    assert seconds(40_000) < 24 * few + 0.5
