"""Possessive groups of regular expressions, which Pythons before 3.11.5 read wrongly."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from imgcrawl.possessive import compile_late, compile_possessive

# Loads all modules, and says which patterns with a possessive group `re` was given by them.
WHO = """
import importlib, pkgutil, re, sys
from re import _constants as c, _parser
compiled, found = re.compile, []

def parts(pattern):
    for name, value in pattern:
        yield name, value
        for inner in _inner(name, value):
            yield from parts(inner)

def _inner(name, value):
    if name in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT): return [value[2]]
    if name is c.SUBPATTERN: return [value[3]]
    if name in (c.BRANCH, c.ASSERT, c.ASSERT_NOT): return value[1] if name is c.BRANCH else [value[1]]
    return [value] if name is c.ATOMIC_GROUP else []

def is_group(name, value):
    if name is c.ATOMIC_GROUP: return True
    return name is c.POSSESSIVE_REPEAT and (len(value[2]) > 1 or bool(_inner(*value[2][0])))

def compile(pattern, flags=0):
    by = sys._getframe(1).f_globals["__name__"]
    if by.startswith("imgcrawl") and by != "imgcrawl.possessive" and isinstance(pattern, (str, bytes)):
        if any(is_group(*part) for part in parts(_parser.parse(pattern, int(flags)))):
            found.append(f"{by}:{sys._getframe(1).f_lineno}")
    return compiled(pattern, flags)

re.compile = compile
import imgcrawl
for module in pkgutil.walk_packages(imgcrawl.__path__, "imgcrawl."):
    if "__main__" not in module.name:
        importlib.import_module(module.name)
globals()["__name__"] = "imgcrawl.test"
re.compile(r"(?:ab?c)*+d")
print(*found)
"""

# Loads all modules, and compiles each pattern that waits for its first use.
LATE = """
import gc, importlib, pkgutil
import imgcrawl
from imgcrawl.possessive import LatePattern
for module in pkgutil.walk_packages(imgcrawl.__path__, "imgcrawl."):
    if "__main__" not in module.name:
        importlib.import_module(module.name)
late = [each for each in gc.get_objects() if isinstance(each, LatePattern)]
print(len(late), len({each.pattern for each in late}))
"""


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"(?:ab?c)++", "aca", "ac"),
        (r"(?:ab?c)?+", "aca", "ac"),
        (r"(?:ab?c){1,3}+", "acabca", "acabc"),
        (rb"(?:=[^ >]*+|[^ >=]++)*+>", b"property=og:image>", b"property=og:image>"),
        (r"(?:\s*+=\s*+(?:\"([^\"]*+)\"|([^\s>]*+)))?+", " = x", " = x"),
    ],
)
def test_a_possessive_group_finds_the_same_on_every_python(
    pattern: str | bytes, text: str | bytes, found: str | bytes
) -> None:
    match = compile_possessive(pattern, re.ASCII | re.IGNORECASE).match(text)  # type: ignore[arg-type] # both are of one kind
    assert match
    assert match[0] == found


def test_a_late_pattern_finds_what_others_find() -> None:
    late = compile_late(r"(?P<word>[A-Z]++)(?:-([0-9]))?+", re.IGNORECASE)
    found = late.search("1 ab-2")
    assert found
    assert found.groupdict() == {"word": "ab"}
    assert late.sub(r"\2", "ab-2 c") == "2 "
    assert [match[0] for match in late.finditer("ab-2 c")] == ["ab-2", "c"]
    assert (late.split("1a2"), late.findall("a-1"), late.match("1")) == (["1", "a", None, "2"], [("a", "1")], None)
    assert (late.flags & re.IGNORECASE, late.groupindex["word"]) == (re.IGNORECASE, 1)
    assert compile_late(rb"a+").fullmatch(b"aa")


def test_each_late_pattern_can_be_compiled() -> None:
    told = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True).stdout.split()
    assert int(told[1]) > 100


def test_who_has_a_possessive_group_has_it_compiled_so() -> None:
    found = subprocess.run([sys.executable, "-c", WHO], capture_output=True, text=True, check=True).stdout.split()
    assert [who.partition(":")[0] for who in found] == ["imgcrawl.test"]  # the last line above
