"""`scrapy` with this project's settings, from any folder, and with a configuration file: what `imgcrawl` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from scrapy.cmdline import execute
from scrapy.settings import Settings
from scrapy.utils.project import get_project_settings

from imgcrawl.components import wrong_kind
from imgcrawl.configuration import apply, find, take_options
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.lines import printable

SETTINGS = "imgcrawl.settings"
NO_HOME = "/nonexistent"  # as Debian says it of users that have none


def run(argv: Sequence[str] | None = None) -> None:
    """Run a command of Scrapy's or of this project; ends the process with the command's exit code.

    `--config FILE` and `--config-profile NAME` may stand anywhere on the command line. Exit code 2, and one sentence on
    stderr, for a configuration that cannot be used.
    """
    try:
        Path.home()
    except (
        RuntimeError
    ):  # nobody says where: a user without a name, such as a service's; Scrapy looks for its file there
        os.environ["HOME"] = NO_HOME
    try:
        arguments, file, profile = take_options(list(sys.argv if argv is None else argv))
        settings = _settings()
        apply(settings, find(file), profile)
    except InputError as error:
        print(printable(str(error)), file=sys.stderr)  # noqa: T201 -- a command's own words to its user
        sys.exit(ExitCode.REFUSED)
    execute([*arguments[:1], "version"] if arguments[1:] == ["--version"] else arguments, settings)


def _settings() -> Settings:
    # Also what the commands' own child processes find: workers are crawls of the same project.
    os.environ["SCRAPY_SETTINGS_MODULE"] = SETTINGS
    try:
        return get_project_settings()
    except (TypeError, ValueError) as error:
        if wrong := wrong_kind(vars(import_module(SETTINGS))):
            raise InputError(f"{SETTINGS}: {wrong}") from error
        raise
