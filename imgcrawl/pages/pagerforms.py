"""Forms that lead to other pages of a list: by a button that says "next", or by the number on one, or in a choice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode

from parsel import Selector

from imgcrawl.digits import whole
from imgcrawl.pages.bounds import both_ends
from imgcrawl.pages.continued import is_page_name
from imgcrawl.pages.nextwords import number_said
from imgcrawl.pages.pagination import leads_on, says_next, words_of
from imgcrawl.urls import absolute, host_of

_FORMS, _PARTS, _OPTIONS = 100, 100, 1_000  # that are looked at
_LONGEST = 4_000  # characters of what a form sends that has many numbers
_MOST = 99_999
_COUNTS = re.compile("[0-9]{1,7}")


class Posted(str):
    """An address that is asked for by POST, with *body*: a form's, or JSON."""

    body: str

    def __new__(cls, url: str, body: str) -> Self:
        posted = super().__new__(cls, url)
        posted.body = body
        return posted


class Sent(NamedTuple):
    """What a form sends to *action* when something is pressed or chosen that says "next", or else a *number*."""

    action: str
    query: str
    number: int


def sent_by(page: Selector, url: str, encoding: str, method: str = "get") -> Iterator[Sent]:
    """What the forms on *page* with that *method* send that lead to another page of a list. One that is sent by POST
    has nothing to fill in."""
    for form in both_ends(page.root.iter("form"), _FORMS):
        if (form.get("method") or "get").strip().lower() != method:
            continue
        parts = both_ends(form.iter("button", "input", "select", "textarea"), _PARTS)
        pressed = [each for each in parts if _is_pressed(each)]
        chosen = [] if method == "post" else [each for each in parts if each.tag == "select" and _names_page(each)]
        turns = [*_turns_of(pressed), *_options_of(chosen)]
        if not turns or (method == "post" and any(map(_is_filled_in, parts))):
            continue
        others = [each for each in parts if not _is_button(each) and _is_sent(each)]
        around: dict[Any, str] = {}
        for what, number, value in turns:
            of_choice = what if what.tag == "select" else None
            if of_choice not in around:
                sent = [(each.get("name"), _value_of(each)) for each in others if each is not of_choice]
                around[of_choice] = _encoded(sent, encoding)
            if number and len(around[of_choice]) > _LONGEST:
                continue
            own = _encoded([(name, value)], encoding) if (name := what.get("name")) else ""
            query = "&".join(filter(None, (around[of_choice], own)))
            yield Sent(what.get("formaction") or form.get("action") or url, query, number)


def _encoded(sent: list[tuple[str, str]], encoding: str) -> str:
    return urlencode(sent, encoding=encoding, errors="xmlcharrefreplace")


def addressed_by(page: Selector, url: str, encoding: str) -> Iterator[tuple[str, int]]:
    """The addresses that forms lead to by GET, each with its number as `Sent` has it."""
    for sent in sent_by(page, url, encoding):
        yield f"{sent.action.partition('#')[0].partition('?')[0]}?{sent.query}", sent.number


def next_posted(page: Selector, url: str, base: str, encoding: str, number: int = 0) -> list[Posted]:
    """What a form sends by POST, to its own site, whose button says that it is for the next page, or for page *number*:
    one in which there is nothing to fill in, and that says a number."""
    found = []
    for sent in sent_by(page, url, encoding, "post"):
        address = absolute(base, sent.action, encoding)
        is_turned = any(_COUNTS.fullmatch(value) for _, value in parse_qsl(sent.query))
        if sent.number in (0, number) and address and is_turned and host_of(address) == host_of(url):
            found.append(Posted(address, sent.query))
    return found


def _turns_of(pressed: list[Any]) -> Iterator[tuple[Any, int, str]]:
    """The first of these buttons that says "next", and those with the numbers of pages; with 0, or that, and what it
    sends."""
    following = next((each for each in pressed if _says_next(each)), None)
    if following is not None:
        yield following, 0, following.get("value") or ""
    for button in pressed:
        said = words_of(button) if button.tag == "button" else button.get("value") or ""
        value = (button.get("value") or "").strip()
        if (told := whole(number_said(said.strip()), _MOST)) and _names_page(button) and value.isdecimal():
            yield button, told, value


def _options_of(chosen: list[Any]) -> Iterator[tuple[Any, int, str]]:
    """The options of each choice of a page, with the numbers of these."""
    for choice in chosen:
        for option in both_ends(choice.iter("option"), _OPTIONS):
            value = (option.get("value") or words_of(option)).strip()
            if value.isdecimal() and (told := whole(number_said(words_of(option)), _MOST)):
                yield choice, told, value


def _names_page(part: Any) -> bool:
    return is_page_name(part.get("name") or "") and "disabled" not in part.attrib


def _is_button(part: Any) -> bool:
    kind = (part.get("type") or "").strip().lower()
    return kind in ("submit", "image", "button", "reset") or (part.tag == "button" and not kind)


def _is_pressed(part: Any) -> bool:
    kind = (part.get("type") or "").strip().lower()
    return _is_button(part) and kind not in ("button", "reset", "image") and "disabled" not in part.attrib


def _is_filled_in(part: Any) -> bool:
    return not _is_button(part) and (part.get("type") or "").strip().lower() != "hidden"


def _is_sent(part: Any) -> bool:
    ticked = (part.get("type") or "").lower() not in ("checkbox", "radio") or "checked" in part.attrib
    return bool(part.get("name")) and ticked and "disabled" not in part.attrib


def _value_of(part: Any) -> str:
    """What *part* of a form, which is no button, says as the page comes."""
    if part.tag == "input":
        return part.get("value") or ""
    if part.tag == "textarea":
        return "".join(part.itertext())[:_LONGEST]
    options = both_ends(part.iter("option"), _OPTIONS)
    option = next((each for each in options if "selected" in each.attrib), options[0] if options else None)
    if option is None:
        return ""
    return option.get("value") if "value" in option.attrib else words_of(option)


def _says_next(button: Any) -> bool:
    return leads_on(button) or (button.tag == "input" and says_next(button.get("value") or ""))
