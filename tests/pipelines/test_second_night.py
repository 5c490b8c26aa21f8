"""What a second run takes for intact: by size, time and inode (IMAGES_CHECK=stat), or by the bytes (hash)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.pipelines.settings import PipelineSettings
from tests.pipelines.test_images import picture, run
from tests.support.crawling import project_settings
from tests.support.server import Server

NAMES = ("as-it-was", "touched", "restored", "longer", "rotten", "gone")


def test_what_is_as_noted_is_intact_what_differs_is_read_and_hash_reads_all(server: Server, tmp_path: Path) -> None:
    bodies = [picture("JPEG", (60 + number, 50)) for number in range(len(NAMES))]
    for name, body in zip(NAMES, bodies, strict=True):
        server.add(f"/{name}.jpg", body)
    item = {"title": "g", "image_urls": [server.url(f"/{name}.jpg") for name in NAMES]}
    first = run(server, tmp_path, item)
    files = [tmp_path / "images" / image["path"] for image in first.images]
    assert [file.read_bytes() for file in files] == bodies

    _, touched, restored, longer, rotten, gone = files
    os.utime(touched, ns=(1, 1))
    copy = restored.with_suffix(".copy")
    copy.write_bytes(bodies[2])  # another inode
    copy.replace(restored)
    longer.write_bytes(bodies[3] + b"\0")
    times = rotten.stat()
    rotten.write_bytes(bodies[4][:-1] + b"\0")
    os.utime(rotten, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a disk does that errs
    gone.unlink()

    for check, again in (("stat", ["longer", "gone"]), ("hash", ["rotten"])):
        server.forget()
        done = run(server, tmp_path, item, IMAGES_CHECK=check)
        assert {f"/{name}.jpg" for name in again} == {path for path in server.paths() if ".jpg" in path}, done.log
        assert [
            name for name, image in zip(NAMES, done.images, strict=True) if image["status"] == "downloaded"
        ] == again
    assert [file.read_bytes() for file in files] == bodies


def test_a_check_that_is_none_is_one_sentence() -> None:
    settings = project_settings()
    settings.set("IMAGES_CHECK", "mtime")
    with pytest.raises(InputError, match="IMAGES_CHECK is 'mtime': expected stat or hash"):
        PipelineSettings.from_settings(settings, "IMAGES_NAME")
