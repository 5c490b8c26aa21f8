"""Pages that ask who is there, in the place of what was asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

# What a form to log in is told by: where it sends what is entered, and what that is called.
Form = tuple[str, ...]

_OF_WHOM = r"(?:(?:wp|users?|members?|admin|my|app|site|customer)[-_]|service|web|user|member|my|admin)?"
_PATH = re.compile(
    rf"/(?:{_OF_WHOM}(?:log|sign)[-_]?(?:in|on)(?:[-_]?(?:form|page|required))?|(?:o?auth2?|accounts?|sso|cas)"
    r"|sessions?/(?:new|create)|sessions?(?=/?$))(?=[/.;]|$)",
    re.IGNORECASE,
)
_QUERY = re.compile(
    r"(?:^|&)(?:act|action|mod|page|do|view|route|task|r)=(?:[\w/.-]*[/._-])?(?:log(?:ging|in|on|-in|_in)|sign-?_?in)(?:&|$)",
    re.IGNORECASE,
)
_FORMS = "//form[.//input[translate(@type, 'PASWORD', 'pasword')='password']]"
# What a form that stands on each page of a site is in.
_AROUND = frozenset({"header", "nav", "footer", "aside", "dialog"})
_AROUND_NAMES = re.compile(
    r"(?:(?:site|page|main|top|global)[-_]?)?(?:header|head|nav|navbar|navigation|bar|menu|footer|sidebar)"
    r"|modal|popup|dropdown|dropdown-menu|offcanvas|drawer|toolbar|userbar|widget|(?:quick|mini|fast)[-_]?log-?in",
    re.IGNORECASE,
)
_NO_PICTURE = re.compile(
    r"(?<![a-z])(?:logo|icon|favicon|avatar|captcha|seccode|vcode|qr-?code|banner|sprite|badge|background|bg|spacer)"
    r"(?:[0-9_-]\w*)?(?![a-z])",
    re.IGNORECASE,
)
_DECORATION, _OF_A_FORM = 2, 400  # images and characters of a page that is a form to log in


def is_login_address(url: str) -> bool:
    """Whether *url*, where a redirect has led, is by its looks that of a page to log in."""
    parts = urlsplit(url)
    return _PATH.search(parts.path) is not None or _QUERY.search(parts.query) is not None


def login_forms(page: Selector) -> set[Form]:
    """The forms to log in on *page*, but for those in its header, its menu and the like, where sites have one on each
    page."""
    return {_told(form.root) for form in page.xpath(_FORMS) if not _is_around(form.root)}


def is_login_page(page: Selector, images: Sequence[str], *, searched: bool, known: Collection[Form] = ()) -> bool:
    """Whether *page*, on which *images* were found, is nothing but a form to log in.

    *searched*: the images are all that the page has, not those that a site has declared; of such any page may have
    some. Forms in *known* stand on pages that show something.
    """
    if login_forms(page) <= set(known):
        return False
    shown = [image for image in images if not _NO_PICTURE.search(image.rpartition("/")[2])]
    if not shown:
        return True
    return searched and len(shown) <= _DECORATION and len(_text(page)) < _OF_A_FORM


def _text(page: Selector) -> str:
    return " ".join(page.xpath("string(//body)").get("").split())


def _told(form: Any) -> Form:
    names = sorted(field.get("name", "") for field in form.iter("input") if field.get("type") != "hidden")
    return (urlsplit(form.get("action") or "").path, *names)


def _is_around(form: Any) -> bool:
    for element in (form, *form.iterancestors()):
        if element.tag == "body":
            return False
        names = f"{element.get('class') or ''} {element.get('id') or ''}".split()
        if element.tag in _AROUND or any(map(_AROUND_NAMES.fullmatch, names)):
            return True
    return False
