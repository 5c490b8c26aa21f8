"""Settings, spiders' arguments and profiles from `imgcrawl.toml`, and from the environment.

What holds is, from the weakest to the strongest: the defaults (`imgcrawl/settings.py`), the file, the profile of the
file that was chosen, the environment (`IMGCRAWL_NAME` for the setting NAME), the command line.

    spiders = ["my_spiders"]              # folders with spiders of your own, beside this file

    [settings]
    USER_AGENT = "birds-archive/1.0 (+https://example.org/bot)"
    REDIS_URL = { file = "/run/secrets/redis_url" }   # or { env = "NAME" }: secrets stay out of this file

    [arguments.pximg]                     # as -a topic=nvshen
    topic = "nvshen"

    [profiles.night.settings]             # imgcrawl crawl pximg --config-profile night
    DOWNLOAD_DELAY = 2.0
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from scrapy.settings import BaseSettings

from imgcrawl.checks import check_kind, check_name
from imgcrawl.exceptions import InputError, describe
from imgcrawl.lines import Secret
from imgcrawl.ownfiles import is_of_a_stranger, read_file

NAME = "imgcrawl.toml"
PREFIX = "IMGCRAWL_"
FILE, PROFILE = PREFIX + "CONFIG", PREFIX + "PROFILE"  # where child processes find what their parent was told
_MAX_SIZE = 1 << 20  # bytes
_TABLES = ("settings", "arguments")
# Between Scrapy's "project" (20) and "spider" (30): what a person wrote is above what the project says.
_FROM_FILE, _FROM_PROFILE, _FROM_ENVIRONMENT = 21, 22, 35
SOURCES = {
    0: "Scrapy's default", 10: "the command", 15: "an add-on", 20: "the project", _FROM_FILE: "the file",
    _FROM_PROFILE: "the profile", 30: "the spider", _FROM_ENVIRONMENT: "the environment", 40: "the command line",
}  # fmt: skip


def take_options(argv: list[str]) -> tuple[list[str], str | None, str]:
    """*argv* without `--config FILE` and `--config-profile NAME`, and what these say: None and "" for nothing.

    A file that is "" is what a parent process says, which has found none. Raises InputError.
    """
    found = {"--config": os.environ.get(FILE), "--config-profile": os.environ.get(PROFILE, "")}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        if option in found:
            found[option] = value if equals else next(words, "")
            if not found[option]:
                raise InputError(f"{option}: expected {'a file' if option == '--config' else 'a name'} behind it")
        else:
            rest.append(word)
    return rest, found["--config"], found["--config-profile"] or ""


def find(named: str | None = None) -> Path | None:
    """The configuration file: the one *named* (none if that is ""), or that of the current folder, or of the user.

    Raises InputError if the one that was named is not there, or if a stranger has left one in a folder that many may
    write to: it may name code that is run.
    """
    if named == "":
        return None
    if named is not None:
        if not Path(named).exists():
            raise InputError(f"--config {named}: there is no such file; expected the path of an {NAME}")
        return Path(named).absolute()
    places = (Path.cwd(), platformdirs.user_config_path("imgcrawl"))
    found = next((place / NAME for place in places if os.path.lexists(place / NAME)), None)
    if found and is_of_a_stranger(found):
        raise InputError(f"{found} is of another user, and may name code to be run; --config {found} says you want it")
    return found


def apply(settings: BaseSettings, file: Path | None, profile: str = "") -> None:
    """Put what *file*, its *profile* and the environment say into *settings*.

    `CONFIG_FILE` and `SPIDER_ARGUMENTS` (spider -> arguments) are set as well. Raises InputError for a file that
    cannot be read, for what is not known in it, and for a profile that it does not have.
    """
    content = _read(file) if file else {}
    profiles = _table(content.pop("profiles", {}), "profiles", file)
    _add_spiders(settings, content.pop("spiders", []), file)
    arguments: dict[str, dict[str, str]] = {}
    _take(settings, arguments, content, file, _FROM_FILE)
    if profile:
        if profile not in profiles:
            known = ", ".join(profiles) or "none"
            raise InputError(f"--config-profile {profile}: expected one that {file or NAME} has ({known})")
        _take(settings, arguments, _table(profiles[profile], f"profiles.{profile}", file), file, _FROM_PROFILE)
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and name not in (FILE, PROFILE):
            known = check_name(settings, name.removeprefix(PREFIX), "environment")
            settings.set(known, check_kind(settings, known, value, "environment"), _FROM_ENVIRONMENT)
    settings.set("SPIDER_ARGUMENTS", arguments, _FROM_FILE)
    settings.set("CONFIG_FILE", str(file or ""), _FROM_FILE)
    os.environ[FILE], os.environ[PROFILE] = str(file or ""), profile


def _read(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(read_file(file, _MAX_SIZE).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {describe(error)}; expected TOML in UTF-8") from None
    for name in content:
        if name not in (*_TABLES, "profiles", "spiders"):
            raise InputError(f"{file}: {name!r} is not known; expected {', '.join(_TABLES)}, profiles or spiders")
    return content


def _take(
    settings: BaseSettings,
    arguments: dict[str, dict[str, str]],
    content: Mapping[str, Any],
    file: Path | None,
    priority: int,
) -> None:
    for name in content:
        if name not in _TABLES:
            raise InputError(f"{file}: {name!r} is not known in a profile; expected {' or '.join(_TABLES)}")
    for name, given in _table(content.get("settings", {}), "settings", file).items():
        value = check_kind(settings, check_name(settings, name, str(file)), _secret(name, given, file), str(file))
        settings.set(name, value, priority)
    for spider, options in _table(content.get("arguments", {}), "arguments", file).items():
        for name, value in _table(options, f"arguments.{spider}", file).items():
            held = _secret(name, value, file)
            arguments.setdefault(spider, {})[name] = held if isinstance(held, str) else str(held)


def _table(value: Any, name: str, file: Path | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{file}: {name} is {value!r:.60}; expected a table, [{name}]")
    return value


def _secret(name: str, value: Any, file: Path | None) -> Any:
    """*value*, or what the file or the variable that it names holds."""
    if not isinstance(value, dict) or not (value.keys() == {"file"} or value.keys() == {"env"}):
        return value
    if "env" in value:
        if (held := os.environ.get(str(value["env"]))) is None:
            raise InputError(f"{file}: {name} is in the variable {value['env']}, which is not set")
        return Secret(held)
    try:
        return Secret(read_file((file or Path()).parent / str(value["file"]), _MAX_SIZE).decode().strip())
    except (OSError, ValueError) as error:
        why = describe(error) if isinstance(error, OSError) else "it is no text in UTF-8"  # nothing of the secret
        raise InputError(f"{file}: {name} is in {value['file']}, which cannot be read: {why}") from None


def _add_spiders(settings: BaseSettings, folders: Any, file: Path | None) -> None:
    if not isinstance(folders, list):
        raise InputError(f"{file}: spiders is {folders!r:.60}; expected a list of folders")
    for folder in map(str, folders):
        place = ((file or Path()).parent / folder).resolve()
        if not place.is_dir() or not place.name.isidentifier():
            raise InputError(f"{file}: spiders in {folder!r}: expected a folder whose name is that of a package")
        sys.path.insert(0, str(place.parent))
        settings.set("SPIDER_MODULES", [*settings.getlist("SPIDER_MODULES"), place.name], _FROM_FILE)
        settings.set("NEWSPIDER_MODULE", place.name, _FROM_FILE)
