"""Cards that are no links: a click on them leads on by a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from parsel import Selector

from imgcrawl.pages.links import pressed_address, pressed_elements, told_address
from imgcrawl.pages.proposals import propose_galleries
from imgcrawl.pages.repeated import PagePlaces
from tests.basespiders.test_every_gallery import add, add_galleries, names
from tests.support.crawling import crawl
from tests.support.server import Server

CARDS = {
    "onclick=\"location.href='/g/{}'\"": "/g/{}",
    "onclick='window.location = \"/g/{}\"; return false'": "/g/{}",
    "onclick=\"window.location.assign('/g/{}')\"": "/g/{}",
    "onclick=\"window.open('/g/{}', '_blank')\"": "/g/{}",
    "data-href=/g/{}": "/g/{}",
    "role=link data-url=/g/{}": "/g/{}",
    # What is put together there, and what may be loaded into it.
    "onclick=\"location.href = '/g/' + this.id\"": "",
    "onclick=\"open_menu('/g/{}')\"": "",
    "onclick=\"mylocation='/g/{}'\"": "",
    "data-url=/g/{}": "",
}


@pytest.mark.parametrize("stated", CARDS)
def test_what_a_click_leads_to(stated: str) -> None:
    page = Selector(f"<body><div {stated.format(7)}>x</div>")
    assert pressed_address(page.css("div")[0].root) == CARDS[stated].format(7)


DECLARED = {
    "<a href=\"javascript:openAlbum('/g/7')\">": "/g/7",
    "<a href=' JavaScript:void openAlbum(\"https://h.org/g/7\", this)'>": "https://h.org/g/7",
    "<a href='#' onclick=\"show('//h.org/g/7'); return false\">": "//h.org/g/7",
    "<option value=/g/7>": "/g/7",
    "<option value=show.php?g=7>": "show.php?g=7",
    # Words, a number, and what is put together.
    "<option value=all>": "",
    "<option value='a / b'>": "",
    "<a href='javascript:openAlbum(7)'>": "",
    "<a href=\"javascript:openAlbum('seven')\">": "",
    "<a href=/g/8 title=\"('/g/7')\">": "",
}


@pytest.mark.parametrize("markup", DECLARED)
def test_what_a_click_leads_to_on_what_the_user_named(markup: str) -> None:
    element = Selector(f"<body>{markup}x").css("body > *")[0].root
    assert told_address(element) == DECLARED[markup]
    assert pressed_address(element, is_declared=True) == ""


def test_what_is_around_a_link_or_in_one_is_left_to_that() -> None:
    links = "<div data-href=/1><p><a href=/a>x</a></p></div><a href=/b><i data-href=/2></i></a>"
    page = Selector(f"<body>{links}<i data-href=/3>")
    assert [address for _, address in pressed_elements(page.root)] == ["/3"]
    nested = Selector("<body>" + "<div data-href=/x>" * 100 + "<a href=/a>x</a>" * 3_000)
    assert list(pressed_elements(nested.root)) == []


@pytest.mark.parametrize("stated", [stated for stated, address in CARDS.items() if address])
def test_such_cards_are_proposed_for_galleries(stated: str) -> None:
    cards = (f"<div class=card {stated.format(n)}><img src=/t/{n}.jpg><h3>Album {n}</h3></div>" for n in range(6))
    page = f"<body><nav><a href=/about>About</a><a href=/login>Login</a></nav><main>{''.join(cards)}</main>"
    found = propose_galleries(PagePlaces(Selector(page), "http://h/list"))
    assert (found.css, found.addresses) == ("div.card", tuple(f"http://h/g/{n}" for n in range(6)))


@pytest.mark.parametrize("galleries", [".card", ""])
def test_a_list_of_such_cards_is_walked(server: Server, tmp_path: Path, galleries: str) -> None:
    add_galleries(server)
    stated = list(CARDS)[:3] if galleries else list(CARDS)[:1] * 3
    cards = "".join(
        f"<div class=card {how.format(n)}><img src=/t/{n}.jpg><h3>x</h3></div>" for n, how in enumerate(stated, 1)
    )
    dead = (
        "<div class=card data-url=/g/4>x</div><div class=card><a href='#' onclick=\"location.href='/g/5'\">x</a></div>"
        "<a class=card href=\"javascript:show('/g/6')\">x</a><select><option class=card value=/g/7>x"
        "<option class=card value=''>Choose an album …<option class=card value=all>All<option class=card>g/9</select>"
        "<div class=card><b onclick=\"vote('/g/8')\">+1</b></div>"
    )
    add(server, {"/list": f"<h1>All</h1>{cards}{dead if galleries else ''}"})
    arguments = {"galleries": galleries} if galleries else {}
    run = crawl(tmp_path, "gallery", {"list": server.url("/list"), **arguments})
    assert names(run) == ([*"12345679"] if galleries else ["1", "2", "3"])
    assert run.code == 0, run.log  # nothing else was asked for
