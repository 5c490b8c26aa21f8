"""Which catalogue a project has, and what is told of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from scrapy.settings import Settings

from imgcrawl.catalogue.opening import catalogue_file, open_catalogue
from imgcrawl.exceptions import InputError
from imgcrawl.lines import printable
from tests.support.postgres import PASSWORD, PostgresServer


@pytest.mark.parametrize(
    ("store", "file"),
    [
        ("images", "images/.catalogue.sqlite3"),
        ("/srv/x", "/srv/x/.catalogue.sqlite3"),
        ("file:///srv/x", "/srv/x/.catalogue.sqlite3"),
        ("s3://bucket/x", ".catalogue.sqlite3"),
    ],
)
def test_it_is_beside_the_images(store: str, file: str) -> None:
    assert catalogue_file(Settings({"IMAGES_STORE": store})) == Path(file)


def test_a_command_that_reads_makes_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no catalogue"):
        open_catalogue(Settings({"IMAGES_STORE": str(tmp_path)}), must_exist=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("list.csv", "list.csv is no database; expected a catalogue of imgcrawl; move it away, or name another file"),
        (".", "is a folder; expected a catalogue of imgcrawl; move it away, or name another file in CATALOGUE_FILE"),
        ("list.csv/catalogue", "its folder cannot be written to: name another place in CATALOGUE_FILE"),
    ],
)
def test_a_file_of_the_users_own_is_not_told_to_be_removed(file: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\nhttps://example.org/1.jpg\n")
    with pytest.raises(InputError) as told:
        open_catalogue(Settings({"CATALOGUE_FILE": str(tmp_path / file)}))
    assert remedy in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:1/test",  # nobody listens
        "postgresql://me:s3/cret@127.0.0.1/test",
        "postgresql://me:s3cret@h:s3cret/test",
        "postgresql://me:s@3cret@127.0.0.1/test",
        "postgresql://me:s3cret%zz@127.0.0.1/test",
        "postgresql://127.0.0.1:1/test?password=s3cret&nonsense=1",
        "mysql://me:s3cret@127.0.0.1/test",
        "s3cret",
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(InputError) as told:
        open_catalogue(Settings({"CATALOGUE_URL": url}))
    sentence = printable(str(told.value))
    assert sentence.startswith("CATALOGUE_URL")
    assert "expected postgresql://host:port/database" in sentence
    assert "3cret" not in sentence
    assert "s3" not in sentence
    assert "\n" not in str(told.value)


def test_a_password_that_is_wrong_and_a_version_that_is_newer_are_told(postgres: PostgresServer) -> None:
    with pytest.raises(InputError, match="password authentication failed") as told:
        open_catalogue(Settings({"CATALOGUE_URL": postgres.url.replace(PASSWORD, "wr0ng")}))
    assert "wr0ng" not in str(told.value)
    settings = Settings({"CATALOGUE_URL": postgres.url})
    catalogue = open_catalogue(settings)
    with catalogue.transaction():
        catalogue._rows("UPDATE version SET version = 99")
    catalogue.close()
    with pytest.raises(InputError, match="catalogue of version 99") as told:
        open_catalogue(settings)
    assert PASSWORD not in str(told.value)
