"""Files go to where today's IMAGES_NAME has them, once, whatever is in the way and whenever it is interrupted."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from imgcrawl.catalogue import GalleryVisit, LastOutcome, Record, SqliteCatalogue
from imgcrawl.catalogue.sql import IMAGES, gallery_key
from imgcrawl.exceptions import InputError
from imgcrawl.pipelines.staging import Staging
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.upkeep.naming import Naming
from imgcrawl.upkeep.renameplan import RenamePlan
from imgcrawl.upkeep.renaming import NOTES, Renaming
from tests.commands.test_nights import command
from tests.support.crawling import project_settings

TEMPLATE = "{spider}/{title}/{index:02}"
# What each address has: its file, the bytes in it, and the name that it had asked for; or nothing.
FIRST = {
    "swap1": ("s/T/02.jpg", b"one", "s/T/02"),
    "swap2": ("s/T/01.jpg", b"two", "s/T/01"),
    "chain1": ("s/T/04.jpg", b"three", "s/T/04"),
    "chain2": ("s/T/05.jpg", b"four", "s/T/05"),
    "lost": ("s/T/lost.jpg", b"", "s/T/lost"),
    "same as swap1": ("s/T/02.jpg", b"one", "s/T/99"),
    "in the way": ("old/a.png", b"seven", "old/a"),
    "failed": None,
    "right": ("s/T/09.gif", b"nine", "s/T/09"),
}
SECOND = {"other title": ("x/1.jpg", b"eight", "x/1"), "of another": ("o/1.jpg", b"ten", "s/T/x")}
FOREIGN = {"his": ("o/1.jpg", b"ten", "o/1"), "ours": ("s/T/01.jpg", b"two", "o/2")}
THUMBNAILS = {"thumbs/small/s/T/01.jpg": b"small two", "thumbs/small/old/a.png": b"small seven"}


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def key(name: str) -> bytes:
    return hashlib.sha1(name.encode(), usedforsecurity=False).digest()


def gallery(catalogue: SqliteCatalogue, spider: str, url: str, images: dict[str, Any]) -> None:
    outcomes = []
    with catalogue.transaction():
        for name, stored in images.items():
            status, reason, path = ("downloaded", "", "") if stored else ("failed", "http_503", "old/failed")
            known = gallery_key(spider, url)
            values = (f"http://h/{name}", spider, known, url, status, reason, path, "", 1, 1.0, 1.0)
            outcomes.append(LastOutcome(key(name), *values))
            if stored:
                file, body, wanted = stored
                facts = (len(body), "JPEG", 3, 2, 1, "", "", "", "2026", 1.5)
                catalogue.put(Record(key(name), wanted, file, sha(body), *facts))
    fields = {"spider": spider, "url": url, "title": "T"}
    catalogue.note([GalleryVisit(spider, url, "T", fields, IMAGES, outcomes, 1.0, complete=True)])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    root.mkdir()
    with closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue:
        gallery(catalogue, "s", "http://h/1", FIRST)
        gallery(catalogue, "s", "http://h/2", SECOND)
        gallery(catalogue, "o", "http://h/3", FOREIGN)
    files = {path: body for path, body, _ in (*filter(None, FIRST.values()), *SECOND.values(), *FOREIGN.values())}
    for path, body in {**files, **THUMBNAILS, "s/T/07.png": b"nobody's", "old/mine.txt": b"mine"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
    (root / "s/T/lost.jpg").unlink()
    return root


@cache
def naming(template: str) -> Naming:
    settings = project_settings()
    settings.set("IMAGES_NAME", template)
    return Naming(settings, "s", {"spider", "title"})


def rename(root: Path, template: str = TEMPLATE) -> list[str]:
    """The names that files were to get and could not, or that are not there."""
    files = FileStore(root)
    with (
        closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue,
        RenamePlan(catalogue, files, naming(template)) as plan,
        Renaming(catalogue, files) as renaming,
    ):
        list(plan.read())
        list(renaming.carry_out(plan))
        return [*plan.gone(), *(new for _, new in renaming.failed)]


def state(root: Path) -> dict[str, Any]:
    """All files, and what each address has and asks for."""
    found: dict[str, Any] = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".catalogue")
    }
    with closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue:
        names = [*FIRST, *SECOND, *FOREIGN]
        found |= {
            name: (record.path, record.wanted) for name in names if (record := catalogue.find(key(name))) is not None
        }
        (failed,) = catalogue.outcomes([key("failed")])
        assert failed
        return found | {"failed": failed.requested_path}


def without_links(*_: Any, **__: Any) -> None:
    raise PermissionError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("has_links", [True, False])
def test_files_go_where_the_template_has_them_and_replace_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", without_links)
    inode = (store / "s/T/02.jpg").stat().st_ino
    assert rename(store) == ["s/T/lost.jpg"]
    eighth = f"s/T/01-{sha(b'eight')[:8]}.jpg"
    seventh = f"s/T/07-{sha(b'seven')[:8]}.png"
    assert state(store) == {
        "swap1": ("s/T/01.jpg", "s/T/01"),
        "swap2": ("s/T/02.jpg", "s/T/02"),
        "chain1": ("s/T/03.jpg", "s/T/03"),
        "chain2": ("s/T/04.jpg", "s/T/04"),
        "lost": ("s/T/lost.jpg", "s/T/lost"),
        "same as swap1": ("s/T/01.jpg", "s/T/06"),
        "in the way": (seventh, "s/T/07"),
        "failed": "s/T/08",
        "right": ("s/T/09.gif", "s/T/09"),
        "other title": (eighth, "s/T/01"),
        "of another": ("o/1.jpg", "s/T/02"),
        "his": ("o/1.jpg", "o/1"),
        "ours": ("s/T/02.jpg", "o/2"),
        **{"s/T/01.jpg": b"one", "s/T/02.jpg": b"two", "s/T/03.jpg": b"three", "s/T/04.jpg": b"four"},
        **{"s/T/09.gif": b"nine", "s/T/07.png": b"nobody's", seventh: b"seven", eighth: b"eight", "o/1.jpg": b"ten"},
        **{"thumbs/small/s/T/02.jpg": b"small two", f"thumbs/small/{seventh}": b"small seven"},
        "old/mine.txt": b"mine",
    }
    assert (store / "s/T/01.jpg").stat().st_ino == inode
    assert not (store / "x").exists()
    done = state(store)
    assert rename(store) == ["s/T/lost.jpg"]
    assert state(store) == done


class Killed(BaseException):
    pass


def killed(root: Path, number: int) -> bool:
    """Rename, and do nothing any more before one of its steps on the disk; whether it came to that. Each third time
    there are no hard links."""
    left = number

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        if number % 3 == 0:
            patch.setattr(os, "link", without_links)
        places = (
            (os, "link"),
            (os, "rename"),
            (os, "unlink"),
            (os, "rmdir"),
            (SqliteCatalogue, "rename"),
            (Renaming, "_note"),
        )
        for place, name in places:
            patch.setattr(place, name, watched(getattr(place, name)))
        try:
            rename(root)
        except Killed:
            return True
    return False


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder that nothing waits for the disk for, where the system has such."""
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108 -- ours alone
        yield Path(folder)


def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(store: Path, in_memory: Path) -> None:
    whole = in_memory / "whole"
    shutil.copytree(store, whole)
    rename(whole)
    expected = state(whole)
    number = 0
    was_killed = True
    while was_killed:
        again = in_memory / f"again{number}"
        shutil.copytree(store, again)
        was_killed = killed(again, number)
        if was_killed and number % 5 == 0:  # with another template in between nothing is left of the first
            rename(again, "{title}-{index}")
        rename(again)
        assert state(again) == expected, number
        assert not (again / NOTES).exists()
        number += 1
    assert number > 30


def test_a_store_that_somebody_uses_is_left_alone_and_one_that_is_renamed_is_not_used(store: Path) -> None:
    crawl = Staging(store)
    crawl.open()
    told = command(store.parent, "rename", "pximg")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1), told.stderr
    assert "is used by another process" in told.stderr
    crawl.close()
    alone = Staging(store)
    alone.open(alone=True)
    for wanted in (False, True):
        with pytest.raises(InputError, match="is used by another process"):
            Staging(store).open(alone=wanted)
    alone.close()
    crawl.open()
    crawl.close()
    told = command(store.parent, "rename", "pximg", "-s", "IMAGES_STORE=s3://bucket/images")
    assert (told.returncode, told.stderr) == (
        2,
        "IMAGES_STORE=s3://bucket/images: files of a store that is no folder are not renamed; expected a folder\n",
    )
