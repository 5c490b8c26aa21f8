"""The main image of pages as content management systems write them: publishers/<system>.html, each with its address in
a comment at the end. They have what the systems' own themes give, cut to what matters, with faults that are met."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import pytest

from imgcrawl.pages import find_images

PAGE = "https://site.example/2024/05/page/"
PUBLISHERS = sorted((Path(__file__).parent / "publishers").glob("*.html"))


@pytest.mark.parametrize("file", PUBLISHERS, ids=lambda file: file.stem)
def test_the_image_that_the_publisher_means_is_found_and_no_logo(file: Path) -> None:
    markup, _, image = file.read_text("utf-8").rpartition("\n<!-- ")
    found = find_images(markup, PAGE)
    assert urljoin(PAGE, image.removesuffix(" -->\n")) in found
    assert not [address for address in found if "logo" in address or "favicon" in address]
    assert len(found) <= 4


def test_what_is_broken_is_read_in_time_that_grows_with_its_length() -> None:
    for text in ('{"image":', '{"image":"', "/*", '"', ",", "[", "//", '"\\"'):
        assert find_images(f'<script type="application/ld+json">{text * 40_000}</script>', PAGE) == []
    for text in ('<p style="url(', "<p data-bg ", "url(", "<p style=", "<image ", "<link rel=preload "):
        assert find_images(f'<p style="{text * 20_000}" {text * 20_000}', PAGE) == []
