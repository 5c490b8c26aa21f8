"""Pages that ask something, in the place of what was asked for: who one is, how old one is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

from imgcrawl.pages.candidates import file_name
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute

# What a form to log in is told by: where it sends what is entered, and what that is called.
Form = tuple[str, ...]

_OF_WHOM = r"(?:(?:wp|users?|members?|admin|my|app|site|customer)[-_]|service|web|user|member|my|admin)?"
_PATH = compile_late(
    rf"/(?:{_OF_WHOM}(?:log|sign)[-_]?(?:in|on)(?:[-_]?(?:form|page|required))?|(?:o?auth2?|sso)"
    # In the midst of a path these are of somebody, or a language.
    r"|sessions?/(?:new|create)|(?:sessions?|accounts?|cas)(?=/?$))(?=[/.;]|$)",
    re.IGNORECASE,
)
_QUERY = compile_late(
    r"(?:^|&)(?:act|action|mod|page|do|view|route|task|r)=(?:[\w/.-]*[/._-])?(?:log(?:ging|in|on|-in|_in)|sign-?_?in)(?:&|$)",
    re.IGNORECASE,
)
# That are looked at: forms in each other, of which a parser makes 2,000, would each be gone through to its end.
_MOST_FORMS, _MOST_FIELDS = 50, 200
_PASSWORDS = f"(/descendant::input[translate(@type, 'PASWORD', 'pasword')='password'])[position() <= {_MOST_FIELDS}]"
_MOST_ANSWERS, _MOST_LINKS = 100, 200
# What a form that stands on each page of a site is in.
_AROUND = frozenset({"header", "nav", "footer", "aside", "dialog"})
_AROUND_NAMES = compile_late(
    r"(?:(?:site|page|main|top|global)[-_]?)?(?:header|head|nav|navbar|navigation|bar|menu|footer|sidebar)"
    r"|modal|popup|dropdown|dropdown-menu|offcanvas|drawer|toolbar|userbar|widget|(?:quick|mini|fast)[-_]?log-?in",
    re.IGNORECASE,
)
_NO_PICTURE = re.compile(
    r"(?<![a-z])(?:logo|icon|favicon|avatar|captcha|seccode|vcode|qr-?code|banner|sprite|badge|background|bg|spacer|blur(?:red)?"
    r"|censored|pixelated)"
    r"(?:[0-9_-]\w*)?(?![a-z])",
    re.IGNORECASE,
)
# What says, without a form, that there is more for those who log in.
_LOGIN = compile_late(
    r"\b(?:log(?:ged)?[ -]?(?:in|on)|sign(?:ed)?[ -]?in|register(?:ed)?|a member)\b.{0,40}?"
    r"\b(?:to (?:view|see|continue|access|proceed|open|unlock|enjoy)|before|first)\b"
    r"|\b(?:must|need to|have to|required to|please) (?:be )?(?:log(?:ged)?[ -]?(?:in|on)|sign(?:ed)?[ -]?in)\b"
    r"|\b(?:members|subscribers|registered users) only\b|\blog[ -]?in (?:is )?required\b"
    r"|\b(?:bitte|erst) (?:anmelden|einloggen)|connectez-vous|inicia(?:r)? sesión|войдите|авторизуйтесь"
    r"|ログイン(?:して|が必要)|请先?登[录陆]|請先?登[錄入]",
    re.IGNORECASE,
)
_DECORATION, _OF_A_FORM = 2, 400  # images and characters of a page that is a form to log in, or asks how old one is
_DECLARED = 10  # images where a site has declared them, which no form has, whatever they are called
_OF_A_GATE = 1_500  # characters of one that asks how old one is
_AGE = compile_late(
    r"\b(?:age.{0,3}(?:verif|check|gate|confirm|restrict)|adults only"
    r"|(?:verif|confirm)\w* (?:your|that you\S*).{0,20}(?:age|1[68]|21)"
    r"|(?:i(?: a|['’])m|are you|you are|you['’]re|(?:must|should|have to|need to) be|aged) "
    r".{0,20}(?:1[68]|21|eighteen|adult|legal age|of age)\b"
    r"(?! (?:of \d|image|photo|picture|page|jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec))"
    r"|1[68] (?:ans|años|anni|jahre|лет|yaş)|(?:über|plus de|mayor de) 1[68])|[满滿]\s*1[68]|1[68]\s*[歳岁歲]",
    re.IGNORECASE,
)
_YES = compile_late(
    r"\b(?:i(?: a|['’])m|yes|enter|continue(?! reading)|confirm|over|agree|oui|sí|да|entrer|eintreten"
    # In small or in large letters only, these are languages, and numbers alone are pages.
    r"|(?-i:Ja|Si)|(?:ja|si)(?=[,!])|(?:1[68]|21) ?(?:years|or|ans|años|anni|jahre))\b|\b(?:1[68]|21) ?\+"
    r"|はい|是|进入|進入|同意",
    re.IGNORECASE,
)


def is_login_address(url: str) -> bool:
    """Whether *url*, where a redirect has led, is by its looks that of a page to log in."""
    parts = urlsplit(url)
    return _PATH.search(parts.path) is not None or _QUERY.search(parts.query) is not None


def login_forms(page: Selector) -> set[Form]:
    """The forms to log in on *page*, but for those in its header, its menu and the like, where sites have one on each
    page."""
    forms = (next(field.root.iterancestors("form"), None) for field in page.xpath(_PASSWORDS))
    found = islice(dict.fromkeys(form for form in forms if form is not None), _MOST_FORMS)
    return {_told(form) for form in found if not _is_around(form)}


def question_of(page: Selector, images: Sequence[str], *, searched: bool, known: Collection[Form] = ()) -> str:
    """What *page*, on which *images* were found, asks in the place of a gallery: to "login", to confirm an age
    ("age_gate"), or nothing.

    *searched*: the images are all that the page has, not those that a site has declared; of such any page may have
    some. Forms in *known* stand on pages that show something.
    """
    shown = [image for image in images if not _NO_PICTURE.search(file_name(image))]
    if len(shown) > _DECORATION or (not searched and (shown or len(images) > _DECLARED)):
        return ""
    if shown and len(_text(page)) >= _OF_A_FORM:
        return ""
    if not login_forms(page) <= set(known) or (not shown and asks_login(page)):
        return "login"
    return "age_gate" if asks_age(page) else ""


def asks_login(page: Selector) -> bool:
    """Whether *page* says little more than that one has to log in, and leads to where one does."""
    text = _text(page)
    if len(text) > _OF_A_FORM or not _LOGIN.search(text):
        return False
    given = (element.get("href" if element.tag == "a" else "action") for element in _elements(page, "a", "form"))
    led_to = islice(filter(None, given), _MOST_LINKS)
    return any(is_login_address(address) for link in led_to if (address := absolute("http://h/", link)))


def asks_age(page: Selector) -> bool:
    """Whether *page* says little more than that who goes on says how old they are."""
    text = _text(page)
    if len(text) > _OF_A_GATE or not _AGE.search(text):
        return False
    answers = islice(filter(_answers, _elements(page, "a", "button", "input")), _MOST_ANSWERS)
    return any(_YES.search(answer.get("value") or "".join(answer.itertext())) for answer in answers)


def _elements(page: Selector, *tags: str) -> Iterator[Any]:
    """Those with one of *tags*, in their order. (To unite two sets takes XPath as long as their sizes multiplied.)"""
    return chain.from_iterable(top.root.iter(*tags) for top in page.xpath("/*"))


def _answers(element: Any) -> bool:
    if element.tag == "input":
        is_button = (element.get("type") or "").lower() in {"submit", "button"}
        return is_button and next(element.iterancestors("form"), None) is not None
    return element.tag == "button" or element.get("href") is not None


def _text(page: Selector) -> str:
    return " ".join(page.xpath("string(//body)").get("").split())


def _told(form: Any) -> Form:
    fields = islice(form.iter("input"), _MOST_FIELDS)
    names = sorted(field.get("name", "") for field in fields if field.get("type") != "hidden")
    action = form.get("action") or ""
    with suppress(ValueError):  # http://[[host]]/ is none to Python
        action = urlsplit(action).path
    return (action, *names)


def _is_around(form: Any) -> bool:
    for element in (form, *form.iterancestors()):
        if element.tag == "body":
            return False
        names = f"{element.get('class') or ''} {element.get('id') or ''}".split()
        if element.tag in _AROUND or any(map(_AROUND_NAMES.fullmatch, names)):
            return True
    return False
