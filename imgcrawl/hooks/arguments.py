"""The arguments of a command, with places for what a crawl knows: each value stays one argument, and no option."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Mapping
from typing import Any

from imgcrawl.exceptions import InputError

# What may stand in braces in COMMAND_FOR_GALLERY and COMMAND_AT_END.
GALLERY = ("spider", "url", "title", "folder", "store", "images")
END = ("spider", "verdict", "exit_code", "summary", "store")

_PLACE = re.compile(r"\{([a-z_]+)\}")
_OPTION_LIKE = "-+@"  # how arguments begin that programs take for options, or for files to read
_LONGEST = 10_000  # characters of a value


class Arguments:
    """The *arguments* that the *setting* of that name gives, in which {places} stand for facts of these *names*.

    A value begins no argument as an option would: what of it programs could take for one (`-`, `+`, `@`) is left out at
    the start of an argument, unless `--` stands before, and in no program's place. Raises `InputError`.
    """

    def __init__(self, arguments: Any, names: Collection[str], *, setting: str) -> None:
        name = setting
        self._arguments = _listed(name, arguments)
        for argument in self._arguments:
            for place in _PLACE.findall(argument):
                if place not in names:
                    raise InputError(f"{name}: {{{place}}} is not known; expected {', '.join(names)}")
        self.path: str | None = None  # of the program: looked for once
        if not self._arguments:
            return
        program = self._arguments[0]
        self.path = shutil.which(program)
        if _PLACE.search(program) or program.startswith("-") or self.path is None:
            raise InputError(f"{name}: {program!r:.100} is no program that can be run; expected one, by name or path")
        if os.name == "nt" and program.lower().endswith((".bat", ".cmd")):  # their arguments are read by a shell
            raise InputError(f"{name}: {program!r:.100} is run by a shell; expected a program")

    def __bool__(self) -> bool:
        return bool(self._arguments)

    @property
    def program(self) -> str:
        return self._arguments[0]

    def filled(self, facts: Mapping[str, str]) -> list[str]:
        """The arguments, with *facts* in their places."""
        filled: list[str] = []
        for argument in self._arguments:
            text = _PLACE.sub(lambda found: _value(facts[found[1]]), argument)
            if _PLACE.match(argument) and "--" not in self._arguments[: len(filled)]:
                text = text.lstrip(_OPTION_LIKE)
            filled.append(text)
        return filled


def _value(value: str) -> str:
    # Surrogates: no file system and no program takes half a character.
    return value[:_LONGEST].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _listed(name: str, arguments: Any) -> list[str]:
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = {}  # a line for a shell, of which there is none
    if arguments in ("", None):
        return []
    if not isinstance(arguments, list | tuple) or not all(isinstance(each, str) for each in arguments):
        raise InputError(f'{name}: expected a list of a program and its arguments, as in ["program", "--", "{{url}}"]')
    return list(arguments)
