"""What tells one address from another, and what does not."""

from __future__ import annotations

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.identity import SESSIONS, SIGNATURES, Identity
from tests.support.crawling import project_settings

IMAGES, PAGES = Identity(SIGNATURES, careful=True), Identity(SESSIONS)
SID = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("signed", "known_as"),
    [
        ("http://a/i.jpg?expires=1790000000&sig=ab", "http://a/i.jpg"),
        ("http://a/i.jpg?w=90&X-Amz-Date=1&X-Amz-Signature=%2F2#x", "http://a/i.jpg?w=90#x"),
        ("http://a/i.png?Policy=a&Signature=b&Key-Pair-Id=c", "http://a/i.png"),
        ("http://a/i.png?hdnts=exp=1~hmac=2", "http://a/i.png"),
        ("http://a/i.jpg?se=2026-01-01T00:00:00Z&sr=b&sig=X", "http://a/i.jpg?sr=b"),
        ("http://a/i.jpg?x-oss-process=w&x-oss-date=1&x-oss-signature=2", "http://a/i.jpg?x-oss-process=w"),
        ("http://a/i.jpg?auth_key=1-0-0-ab", "http://a/i.jpg"),
        (
            "http://a/i.jpg?q-sign-time=1;2&q-ak=k&q-signature=x&imageMogr2/format/webp",
            "http://a/i.jpg?imageMogr2/format/webp",
        ),
        ("http://a/i.jpg?x-tos-process=p&x-tos-date=1&x-expires=1&x-signature=2", "http://a/i.jpg?x-tos-process=p"),
        ("http://a/i.jpg?KID=imgbed,tva&Expires=1&ssig=2", "http://a/i.jpg"),
        ("http://a/i.jpg?validfrom=1&validto=2&rate=3", "http://a/i.jpg?rate=3"),
        ("http://a/images/172839?token=a", "http://a/images/172839"),
        ("http://a/show?name=a.jpg&token=a", "http://a/show?name=a.jpg"),
        # What might be the only thing that says which image it is, is not left out …
        ("http://a/image?token=a", "http://a/image?token=a"),
        ("http://a/get.php?v=2&token=a", "http://a/get.php?v=2&token=a"),
        # … and what is no signature never is.
        ("http://a/i.jpg?e=5&st=3&se=2", "http://a/i.jpg?e=5&st=3&se=2"),
        ("http://a/i.jpg", "http://a/i.jpg"),
    ],
)
def test_a_signed_image_is_known_without_its_signature(signed: str, known_as: str) -> None:
    assert IMAGES.of(signed) == known_as


def test_what_tells_two_images_of_one_gallery_apart_is_not_left_out() -> None:
    one, other, third = (f"http://a/i{name}.jpg?token={token}" for name, token in (("", 1), ("", 2), ("3", 3)))
    assert IMAGES.of_all([one, other, third, None, "http://a/b.jpg"]) == {third: "http://a/i3.jpg"}


@pytest.mark.parametrize(
    ("address", "known_as"),
    [
        ("http://a/g/1?PHPSESSID=x", "http://a/g/1"),
        ("http://a/g;jsessionid=x?p=1", "http://a/g?p=1"),
        (f"http://a/v?t=1&sid={SID}", "http://a/v?t=1"),
        ("http://a/v?sid=12", "http://a/v?sid=12"),
        ("http://a/v?utm_source=x&p=1", "http://a/v?p=1"),
    ],
)
def test_a_page_is_known_without_the_session_of_who_asks(address: str, known_as: str) -> None:
    assert PAGES.of(address) == known_as


def test_a_name_that_leaves_everything_out_is_refused() -> None:
    settings = project_settings()
    settings.set("IMAGES_QUERY_IGNORED", ["*"])
    with pytest.raises(InputError, match="names of parameters"):
        Identity.of_images(settings)
