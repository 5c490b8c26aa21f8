"""Files go to where today's IMAGES_NAME has them, once, whatever is in the way and whenever it is interrupted."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from itemadapter import ItemAdapter
from scrapy import Request

from imgcrawl.catalogue import GalleryVisit, LastOutcome, Record, SqliteCatalogue
from imgcrawl.catalogue.sql import IMAGES, gallery_key
from imgcrawl.commands.rename import Command
from imgcrawl.exceptions import InputError
from imgcrawl.images.formats import FOREIGN_EXTENSIONS
from imgcrawl.images.names import file_names
from imgcrawl.pipelines.images import ImagesPipeline
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


def gallery(
    catalogue: SqliteCatalogue,
    spider: str,
    url: str,
    images: dict[str, Any],
    media: str = IMAGES,
    seen_at: float = 1.0,
    **fields: str,
) -> None:
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
    fields = {"spider": spider, "url": url, "title": "T"} | fields
    catalogue.note([GalleryVisit(spider, url, "T", fields, media, outcomes, seen_at, complete=True)])


def made(root: Path, *galleries: dict[str, Any], **more: bytes) -> Path:
    """A store with *galleries* of images, each with its title, if it has one, and with *more* files."""
    root.mkdir()
    files = {**more}
    with closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue:
        for number, images in enumerate(galleries):
            fields = {"title": images.pop("title", "T")}
            gallery(catalogue, "s", f"http://h/{number}", images, **fields)
            files |= {path: body for path, body, _ in images.values()}
    for path, body in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
    return root


def files_in(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.relative_to(root).as_posix().startswith(".")
    }


def note(root: Path, *step: str) -> None:
    """What is left of a renaming that was interrupted in *step*."""
    with closing(sqlite3.connect(root / NOTES)) as notes:
        notes.execute("CREATE TABLE moves (old TEXT, new TEXT, checksum TEXT, thumbnails TEXT)")
        notes.execute("INSERT INTO moves VALUES (?, ?, ?, ?)", step)
        notes.commit()


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
        return [*plan.gone(), *(new for _, new in plan.stuck()), *(move.new for move in renaming.failed)]


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


@pytest.mark.parametrize("at_old", [b"another", b"one"])
def test_what_an_interrupted_renaming_left_ends_without_the_files_that_a_crawl_has_stored_since(
    tmp_path: Path, at_old: bytes
) -> None:
    small = ("thumbs/small/x/1.jpg", "thumbs/small/s/T/01.jpg")
    more = {"x/1.jpg": at_old, small[0]: b"small, of " + at_old}
    root = made(tmp_path / "images", {"a": ("s/T/01.jpg", b"one", "s/T/01")}, **more)
    note(root, "x/1.jpg", "s/T/01.jpg", sha(b"one"), json.dumps([small]))
    if at_old == b"one":
        (root / "s/T/01.jpg").unlink()  # a power cut
        assert rename(root) == []
        assert files_in(root) == {"s/T/01.jpg": b"one", small[1]: b"small, of one"}
    else:
        (root / small[1]).parent.mkdir(parents=True)
        (root / small[1]).write_bytes(b"small, of one")
        assert rename(root) == []
        assert files_in(root) == {"s/T/01.jpg": b"one", small[1]: b"small, of one", **more}


def test_notes_are_closed_where_what_was_interrupted_cannot_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made(tmp_path / "images", {"a": ("x/1.jpg", b"one", "x/1")})
    note(root, "x/1.jpg", "s/T/01.jpg", sha(b"one"), "[]")
    opened: list[sqlite3.Connection] = []

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(sqlite3.Connection(*args, **options))
        return opened[-1]

    def fail(*args: object) -> None:
        raise OSError("in the way")

    monkeypatch.setattr(sqlite3, "connect", connect)
    monkeypatch.setattr(Renaming, "_recover", fail)
    with pytest.raises(OSError, match="in the way"):
        rename(root)
    for notes in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            notes.execute("SELECT 1")
    assert opened


def test_notes_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    root = made(tmp_path / "images", {"a": ("x/1.jpg", b"one", "x/1")})
    (root / NOTES).write_bytes(b"SQLite format 3\0" + b"damaged" * 100)
    with pytest.raises(InputError, match=f"{NOTES} cannot be read or written .file is not a database.; expected"):
        rename(root)
    (root / NOTES).unlink()
    with closing(sqlite3.connect(root / NOTES)) as notes:
        notes.execute("PRAGMA user_version = 2")
    with pytest.raises(InputError, match=f"{NOTES} is of version 2, from a later release of imgcrawl; expected 1"):
        rename(root)
    assert files_in(root) == {"x/1.jpg": b"one"}


def test_what_galleries_of_another_spider_had_shown_first_stays_there_though_a_list_names_it_too(
    tmp_path: Path,
) -> None:
    shown = {name: (f"g/A/{name}.jpg", name.encode(), f"g/A/{name}") for name in ("both", "again")}
    store = made(tmp_path / "store", **{path: body for path, body, _ in shown.values()}, **{"s/own.jpg": b"own"})
    with closing(SqliteCatalogue(store / ".catalogue.sqlite3")) as catalogue:
        gallery(catalogue, "gallery", "http://h/g", shown, seen_at=1.0)
        gallery(catalogue, "pximg", "http://h/list", shown | {"own": ("s/own.jpg", b"own", "s/own")}, seen_at=2.0)
    given = ("-s", f"IMAGES_STORE={store}", "-s", "IMAGES_NAME={spider}/new/{name}")
    done = command(tmp_path, "rename", "pximg", *given)
    assert files_in(store) == {"g/A/both.jpg": b"both", "g/A/again.jpg": b"again", "pximg/new/own.jpg": b"own"}
    assert done.returncode == 0
    assert (
        "2 images are left where gallery has them, whose galleries showed them first: scrapy rename gallery"
        in done.stderr
    )
    with closing(SqliteCatalogue(store / ".catalogue.sqlite3")) as catalogue:
        assert [record.wanted for record in catalogue.find_all([key("both"), key("again")]) if record] == [
            "g/A/both", "g/A/again",
        ]  # fmt: skip
    command(tmp_path, "rename", "gallery", *given)
    assert sorted(files_in(store)) == ["gallery/new/again.jpg", "gallery/new/both.jpg", "pximg/new/own.jpg"]


def test_each_file_keeps_its_extension(tmp_path: Path) -> None:
    extensions = sorted({*FOREIGN_EXTENSIONS.values(), ".jpg", ".ppm"})
    images = {f"a{each}": (f"x/a{each}", each.encode(), f"x/a{each}") for each in extensions}
    assert rename(made(tmp_path / "images", images)) == []
    assert files_in(tmp_path / "images") == {
        f"s/T/{number:02}{each}": each.encode() for number, each in enumerate(extensions, 1)
    }


def test_thumbnails_stay_with_files_of_other_formats_that_get_the_names_of_each_other(tmp_path: Path) -> None:
    images = {f"a{n}": (f"s/T/{n:02}.{kind}", b"%d" % n, f"s/T/{n:02}") for n, kind in enumerate(("jpg", "jpg", "png"))}
    small = {f"thumbs/small/s/T/{n:02}.jpg": b"small %d" % n for n in range(3)}
    root = made(tmp_path / "images", images, **small)
    assert rename(root) == []
    assert files_in(root) == {
        **{"s/T/01.jpg": b"0", "s/T/02.jpg": b"1", "s/T/03.png": b"2"},
        **{f"thumbs/small/s/T/{n + 1:02}.jpg": b"small %d" % n for n in range(3)},
    }


def test_the_longest_names_are_exchanged_as_short_ones_are(tmp_path: Path) -> None:
    one, other = ("n" * 199 + each for each in "12")
    images = {one: (f"{other}.jpg", b"one", other), other: (f"{one}.jpg", b"other", one)}
    assert rename(made(tmp_path / "images", images), "{name}") == []
    assert files_in(tmp_path / "images") == {f"{one}.jpg": b"one", f"{other}.jpg": b"other"}
    names = [file_names(f"s/{name}", ".djvu", sha(b"one"))[-1] for name in (one, other)]
    assert len({*names}) == 2
    assert max(len(name.partition("/")[2]) for name in names) <= 255


def test_files_that_no_name_is_free_for_stay_and_keep_their_names_from_others(tmp_path: Path) -> None:
    linked = {"title": "linked", "a": ("M/01.jpg", b"one", "M/01")}
    root = made(tmp_path / "images", {"title": "M", "b": ("y/1.jpg", b"two", "y/1")}, linked)
    (tmp_path / "elsewhere").mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        assert rename(root, "{title}/{index:02}") == ["linked/01.jpg"]
        assert files_in(root) == {"M/01.jpg": b"one", f"M/01-{sha(b'two')[:8]}.jpg": b"two"}
    with closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue:
        stuck, moved = catalogue.find(key("a")), catalogue.find(key("b"))
    assert stuck
    assert moved
    assert (stuck.wanted, moved.wanted) == ("M/01", "M/01")


def test_names_that_differ_in_capitals_alone_are_given_once(tmp_path: Path) -> None:
    images = {"a": ("x/1.jpg", b"one", "x/1")}, {"title": "t", "b": ("x/2.jpg", b"two", "x/2")}
    assert rename(made(tmp_path / "images", *images)) == []
    assert files_in(tmp_path / "images") == {"s/T/01.jpg": b"one", f"s/t/01-{sha(b'two')[:8]}.jpg": b"two"}


def test_what_could_not_be_moved_is_told_once_and_what_another_file_has_brought_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcrawl.upkeep.renaming.BATCH", 1)
    same = [{each: (f"x/{each}.jpg", b"same", f"x/{each}")} for each in ("a", "b")]
    images = {"title": "U", "c": ("s/T/01.jpg", b"c", "s/T/01"), "lost": ("x/lost.jpg", b"lost", "x/lost")}
    root = made(tmp_path / "images", *same, images)
    files = FileStore(root)
    with (
        closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue,
        RenamePlan(catalogue, files, naming(TEMPLATE)) as plan,
        Renaming(catalogue, files) as renaming,
    ):
        list(plan.read())
        (root / "s/U").mkdir()
        (root / "s/U/02.jpg").write_bytes(b"nobody's")
        (root / "x/lost.jpg").unlink()
        list(renaming.carry_out(plan))
        told = [(move.old, move.new, reason) for move, reason in renaming.failed.items()]
        assert catalogue.has_file("s/T/01.jpg", sha(b"same"))
    assert told == [("x/lost.jpg", "s/U/02.jpg", "it is gone")]
    assert files_in(root) == {"s/T/01.jpg": b"same", "s/U/01.jpg": b"c", "s/U/02.jpg": b"nobody's"}


class Derived(ImagesPipeline):
    IMAGES_URLS_FIELD = "picture_urls"


class OfItsOwn(ImagesPipeline):
    def get_media_requests(self, item: Any, info: Any) -> Iterator[Request]:
        yield Request(item["src"])


def test_names_are_those_of_a_pipelines_own_settings_or_none() -> None:
    settings = project_settings()
    settings.set("ITEM_PIPELINES", {Derived: 1})
    settings.set("DERIVED_IMAGES_NAME", "{title}-{index}")
    requests = Naming(settings, "s").requests_for("picture_urls images")
    assert requests
    assert requests.paths(ItemAdapter({"title": "T"}), ["http://h/a.jpg"], "s") == ["T-1"]
    settings.set("ITEM_PIPELINES", {OfItsOwn: 1})
    with pytest.raises(InputError, match=r"OfItsOwn .* names itself \(get_media_requests\)"):
        Naming(settings, "s")


def test_the_fields_of_images_are_those_of_the_crawl() -> None:
    settings = project_settings()
    settings.set("ITEM_PIPELINES", {Derived: 1})
    assert Naming(settings, "s").media == ["picture_urls images"]
    settings.set("IMAGES_RESULT_FIELD", "pictures")
    settings.set("DERIVED_IMAGES_URLS_FIELD", "own_urls")
    assert Naming(settings, "s").media == ["own_urls pictures"]


def test_dates_and_numbers_give_the_names_from_the_catalogue_that_they_gave_in_the_crawl() -> None:
    item = {"day": date(2026, 1, 31), "price": Decimal("1.50"), "id": UUID(int=7), "tags": ["a"], "none": None}
    settings = project_settings()
    settings.set("IMAGES_NAME", "{day}/{price}-{id}{tags}{none}")
    requests = Naming(settings, "s", item.keys()).requests_for(IMAGES)
    assert requests
    for fields in (item, json.loads(json.dumps(item, default=str))):
        assert requests.paths(ItemAdapter(fields), ["http://h/a.jpg"], "s") == [f"2026-01-31/1.50-{UUID(int=7)}"]


def execute(root: Path, *, simulate: bool = False, **settings: str) -> int:
    """The exit code of `scrapy rename urls`."""
    command = Command()
    command.settings = project_settings()
    command.settings.setdict({"IMAGES_STORE": str(root), **settings}, "cmdline")
    return command.execute(["urls"], Namespace(simulate=simulate))


def test_a_list_s_columns_name_files_and_what_no_pipeline_knows_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = made(tmp_path / "images", **{"x/1.jpg": b"one"})
    with closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue:
        gallery(catalogue, "urls", "list.csv:2", {"a": ("x/1.jpg", b"one", "x/1")}, colour="red")
    assert execute(root, IMAGES_NAME="{spider}/{title}/{index:03}") == 0
    assert files_in(root) == {"urls/T/001.jpg": b"one"}
    with pytest.raises(InputError, match=r"\{color\} is not one of its fields"):
        execute(root, IMAGES_NAME="{color}/{index}")
    synced: list[None] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(sync(handle)))
    assert execute(root, IMAGES_NAME="{spider}/{index}") == 0
    assert synced == []
    assert execute(root, IMAGES_NAME="{spider}/{colour}/{index}", DURABILITY="fsync") == 0
    assert files_in(root) == {"urls/red/1.jpg": b"one"}
    assert synced
    with closing(SqliteCatalogue(root / ".catalogue.sqlite3")) as catalogue:
        gallery(catalogue, "urls", "http://h/2", {"b": ("x/2.jpg", b"two", "x/2")}, "picture_urls pictures")
        gallery(catalogue, "urls", "http://h/3", {}, "film_urls films")
    capsys.readouterr()
    assert execute(root, simulate=True, IMAGES_NAME="{spider}/{colour}/{index}") == 1
    told = capsys.readouterr().err
    assert told.startswith("1 galleries whose images are in the fields picture_urls pictures are left as they are")
    assert told.count("left as they are") == 1
    nowhere = tmp_path / "nowhere"
    with pytest.raises(InputError, match="nowhere: there is no such folder"):
        execute(nowhere, simulate=True, CATALOGUE_FILE=str(root / ".catalogue.sqlite3"))
    assert not nowhere.exists()


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
