"""Fuzzing that is guided by what the code does, of what tests/test_fuzz*.py state: by hand, as CONTRIBUTING says.

`pip install atheris && python -m tests.fuzz images CORPUS -max_total_time=600`: CORPUS is a folder of inputs, where
what is new is added; other options are those of libFuzzer. What breaks a statement becomes an example of its test.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-not-found] -- nothing else needs it

SUFFIXES = (".csv", ".txt", ".json", ".jsonl", ".gz", ".zip", ".parquet", "")
ENCODINGS = ("utf-8", "gb18030", "shift_jis", "utf-16-le", "iso-2022-jp")

LIBRARIES = {
    "images": ["PIL"],
    "pages": ["parsel", "w3lib"],
    "texts": ["protego"],
    "thumbnails": ["parsel"],
    "headers": ["PIL"],
}  # that are of interest, too

with atheris.instrument_imports(include=["imgcrawl", *LIBRARIES.get(sys.argv[1], ())]):
    from imgcrawl.images import frugal
    from imgcrawl.images.room import set_pixel_limit
    from tests import test_fuzz as states
    from tests import test_fuzz_readers as readers


def folder() -> Any:
    """What pytest's factory of temporary folders is to a test."""
    path = Path(tempfile.mkdtemp())
    return type("Factory", (), {"getbasetemp": staticmethod(lambda: path)})


def inner(test: Any, *fixtures: Any) -> Callable[..., None]:
    return lambda *values: test.hypothesis.inner_test(*fixtures, *values)


def of_choices(test: Any) -> Callable[[bytes], None]:
    """For what cannot be made of bytes but by hypothesis."""
    run: Callable[[bytes], None] = test.hypothesis.fuzz_one_input
    return run


def of_text(test: Callable[..., None]) -> Callable[[bytes], None]:
    return lambda source: test(source.decode("utf-8", "surrogateescape"))


def chosen(test: Callable[..., None], options: tuple[str, ...]) -> Callable[[bytes], None]:
    """The first byte says which of *options* goes with the rest."""
    return lambda source: test(source[1:], options[source[0] % len(options)]) if source else None


PAGES = [part.encode("utf-8", "replace") for part in [*readers.PARTS, "".join(readers.PARTS)]]
TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "images": (inner(states.test_images), [*states.SOURCES.values()]),
    "stills": (inner(states.test_images_of_which_no_picture_is_made), states.STILLS),
    "videos": (inner(states.test_videos, folder()), states.VIDEOS),
    "pages": (
        chosen(lambda page, encoding: inner(states.test_pages)(page.decode("utf-8", "replace"), encoding), ENCODINGS),
        [b"\0" + part.encode("utf-8", "replace") for part in [*states.PARTS, "".join(states.PARTS)]],
    ),
    "names": (of_text(inner(states.test_addresses_and_names)), [p.encode("utf-8", "replace") for p in states.PARTS]),
    "lists": (
        chosen(inner(states.test_lists, folder()), SUFFIXES),
        [bytes([n]) + rows for n in range(len(SUFFIXES)) for rows in states.ROWS],
    ),
    "heads": (lambda source: inner(states.test_heads)(source, source[-200:]), states.HEADS),
    "texts": (inner(states.test_robots_and_cookies, folder()), states.TEXTS),
    "redis": (
        inner(states.test_values_from_redis),
        [b'{"url": "http://x/", "meta": {"depth": 1}, "cookies": [{"name": "a"}], "headers": {"A": ["b"]}}'],
    ),
    "thumbnails": (of_text(inner(readers.test_pages_of_thumbnails)), PAGES),
    "series": (of_text(inner(readers.test_series_in_scripts)), PAGES),
    "within": (of_text(inner(readers.test_photographs_within_a_page)), PAGES),
    "long": (of_text(lambda text: inner(readers.test_addresses_without_end)(text, 70_000)), PAGES),
    "packed": (
        chosen(inner(readers.test_compressed_feeds, folder()), tuple(readers.PLUGINS)),
        [bytes([n]) + packed for n in range(3) for packed in readers.PACKED],
    ),
    "told": (
        lambda source: inner(readers.test_what_workers_tell_each_other)(source.split(b"\n"), 1e9),
        [b"placeholder/" + b"a" * 64, b"placeholder/" + b"0" * 64 + b" http://a/b\nplaceholder/"],
    ),
    "learned": (of_choices(readers.test_placeholders_are_learned), []),
    "headers": (inner(readers.test_pixels_that_a_header_tells), [*states.SOURCES.values()]),
}


def main() -> None:
    name, corpus, *options = sys.argv[1:]
    test, seeds = TARGETS[name]
    set_pixel_limit(1_000_000)
    if name == "stills":
        frugal._OF_PILLOW.update(dict.fromkeys(frugal._OF_PILLOW, 1e9))  # type: ignore[attr-defined] # any size
    Path(corpus).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], test)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
