"""IMAGES_VERIFY: images that a crawl does not decode, and `scrapy audit`, which does so later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgcrawl.catalogue import SqliteCatalogue
from imgcrawl.exceptions import InputError
from imgcrawl.pipelines.settings import PipelineSettings
from tests.commands.test_nights import command
from tests.images.test_structure import chunk
from tests.pipelines.test_images import picture, run
from tests.support.crawling import project_settings
from tests.support.server import Server


def test_what_was_not_decoded_says_so_and_an_audit_decodes_it(server: Server, tmp_path: Path) -> None:
    png = picture("PNG")
    bodies = {
        "/whole.jpg": picture("JPEG"),
        "/empty.png": png[:33] + chunk(b"IDAT", b"no rows") + png[-12:],
        "/tail.png": png + b"\r\n",
        "/odd.tga": picture("TGA"),
        "/cut.jpg": picture("JPEG", (70, 50))[:-40],
        "/small.gif": picture("GIF", (20, 20)),
    }
    for path, body in bodies.items():
        server.add(path, body)
    urls = [server.url(path) for path in bodies]
    wanted = {"IMAGES_VERIFY": "structure", "IMAGES_MIN_WIDTH": "30"}
    done = run(server, tmp_path, {"title": "g", "image_urls": urls}, **wanted)
    found = [(image.get("verified"), image.get("warnings"), image.get("reason")) for image in done.images]
    assert found == [
        ("structure", None, None),
        ("structure", None, None),
        ("structure", ["trailing_bytes"], None),
        (None, None, None),
        (None, None, "truncated"),
        (None, None, "too_small"),
    ], done.log
    assert done.images[0]["width"] == 60

    told = command(tmp_path, "audit")
    assert told.stderr == (
        "3 images were never decoded: scrapy audit --verify decode does it\n4 files are as they were\n"
    )
    assert told.returncode == 0
    told = command(tmp_path, "audit", "--verify", "decode", "--json")
    assert (told.returncode, told.stderr) == (1, "3 files are as they were; undecodable: 1\n")
    assert json.loads(told.stdout) == {"found": "undecodable", "path": "items/g/002.png"}
    catalogue = SqliteCatalogue(tmp_path / "images" / ".catalogue.sqlite3")
    kept = {record.path: (record.verified, record.warnings) for record in catalogue.records()}
    catalogue.close()
    assert kept == {
        "items/g/001.jpg": ("", ""),
        "items/g/002.png": ("structure", ""),
        "items/g/003.png": ("", "trailing_bytes"),
        "items/g/004.tga": ("", ""),
    }

    again = run(server, tmp_path, {"title": "g", "image_urls": urls[:2]}, **wanted)
    assert [(image["status"], image.get("verified")) for image in again.images] == [
        ("uptodate", None),
        ("uptodate", "structure"),
    ]


def test_a_depth_that_is_none_is_one_sentence() -> None:
    settings = project_settings()
    settings.set("IMAGES_VERIFY", "deep")
    with pytest.raises(InputError, match="IMAGES_VERIFY is 'deep'; expected decode, structure, bytes"):
        PipelineSettings.from_settings(settings, "IMAGES_NAME")
