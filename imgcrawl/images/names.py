"""What the files of images are called: text from strangers in, names that every file system takes out."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import count
from typing import Any, Final

from pathvalidate import sanitize_filename

from imgcrawl.exceptions import InputError
from imgcrawl.possessive import compile_late

MAX_NAME: Final = 200  # bytes; file systems take 255, and the extension and a temporary suffix come on top
FILE_NAME: Final = "\ue000"  # in a path, for a name that a server will give: a character for private use
UNTITLED: Final = "untitled"  # what nothing is left of
_MAX_FILE_NAME: Final = 245  # bytes, with a whole checksum and without the extension
MAX_PATH: Final = 1000  # bytes; S3 takes 1024 for a whole key

# What is neither seen nor needed: control characters, bidi controls, zero-width spaces, half surrogates and
# noncharacters. ZWJ and ZWNJ stay, scripts and emoji are written with them.
_INVISIBLE: Final = compile_late(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_RESERVED_TOO: Final = ("CONIN$", "CONOUT$")  # pathvalidate's list lacks them
_EXTENSION: Final = re.compile(
    r"\.(?:apng|avif|avifs|bmp|gif|hei[cf]|ico|j2k|jfif|jp2|jpe|jpe?g|jxl|pjpe?g|png|psd|svg|tga|tiff?|webp"
    r"|3gp|avi|flv|m4v|mkv|mov|mp4|mpe?g|ogv|ts|webm|wmv)\s*$",
    re.IGNORECASE,
)
_ABSOLUTE: Final = compile_late(r"[/\\~]|[A-Za-z]:")
_WIDE: Final = re.compile(r"\d{4}")


def safe_name(text: str, *, max_bytes: int = MAX_NAME) -> str:
    """Return *text* as one path component, in Unicode's NFC, that every file system takes.

    Characters that one of them refuses become "_", invisible ones go; so do dots and spaces at either end. What
    is longer than *max_bytes* (32 to 255) of UTF-8 is cut at a character and ends in a hash of all of it. What
    nothing is left of is "untitled". A safe name is returned as it is.
    """
    if text.isdecimal() and text.isascii() and len(text) <= 32:
        return text
    # The same few come for every image: the spider's name, the gallery's title, 001 to 020. Long ones are not kept.
    return (_remembered if len(text) <= MAX_NAME else _safe_name)(text, max_bytes)


def _safe_name(text: str, max_bytes: int) -> str:
    whole = " ".join(_INVISIBLE.sub("", text).split()).strip(". ")
    # Bounded before what takes more than linear time; NFC makes one character of four at most.
    name = unicodedata.normalize("NFC", whole[: 4 * max_bytes])
    too_long = len(whole) > 4 * max_bytes or len(name.encode()) > max_bytes
    name = sanitize_filename(name, platform="universal", replacement_text="_").strip(". ")
    # Windows looks at what stands before the first dot, and not at spaces there.
    stem, dot, rest = name.partition(".")
    stem = stem.rstrip(" ")
    if stem != sanitize_filename(stem, platform="universal", additional_reserved_names=_RESERVED_TOO):
        name = f"{stem}_{dot}{rest}"
    if too_long or len(name.encode()) > max_bytes:
        digest = sha256(whole.encode()).hexdigest()[:8]
        name = f"{_cut(name, max_bytes - len(digest) - 1)}-{digest}"
    return name or UNTITLED


_remembered = lru_cache(4096)(_safe_name)


def path_for(template: str, fields: Mapping[str, object]) -> str:
    """Render *template* ("{spider}/{title}/{index:03}") to a relative POSIX path without an extension.

    Slashes of the template part folders; those in values do not. A missing or None field is empty, a format
    that does not fit a value (zeros for a text) is left out. No part is longer than `MAX_NAME` bytes, the whole
    not longer than `MAX_PATH`. Raises `InputError` for a template that `check_template` refuses for its form.
    """
    return PathTemplate(template, fields, ()).path({})


class PathTemplate:
    """`path_for` of one *template* and many paths: their *fields* are the same but for those that *differing* names.
    What depends on none of these is rendered once."""

    def __init__(self, template: str, fields: Mapping[str, object], differing: Collection[str]) -> None:
        self._template = template
        self._fields = fields
        parts = [part for part in template.split("/") if part]
        self._max_bytes = _part_bytes(parts)
        try:
            self._parts = [
                (part, None if any(field in differing for field in _fields_of(part)) else self._name(part, fields))
                for part in parts
            ]
        except (ValueError, IndexError) as error:
            raise self._no_path(error) from error

    def path(self, differing: Mapping[str, object]) -> str:
        """The path with these fields, which go before the others."""
        fields = {**self._fields, **differing}
        try:
            return "/".join([name or self._name(part, fields) for part, name in self._parts]) or UNTITLED
        except (ValueError, IndexError) as error:
            raise self._no_path(error) from error

    def _name(self, part: str, fields: Mapping[str, object]) -> str:
        return safe_name(_FORMATTER.vformat(part, (), fields), max_bytes=self._max_bytes)

    def _no_path(self, error: Exception) -> InputError:
        return InputError(f"The name template {self._template!r} cannot be rendered: {error}.")


def safe_path(path: str) -> str:
    """*path*, which may be anybody's, as a relative POSIX path within the bounds of `path_for`."""
    parts = [part for part in path.split("/") if part][: MAX_PATH // 33]
    return "/".join(safe_name(part, max_bytes=_part_bytes(parts)) for part in parts) or UNTITLED


def _part_bytes(parts: Sequence[str]) -> int:
    return max(32, min(MAX_NAME, (MAX_PATH + 1) // max(len(parts), 1) - 1))


def with_file_name(path: str, file_name: str) -> str:
    """*path*, made with `FILE_NAME` for a name that was not known yet, with that name, which may be anybody's."""
    return safe_path(path.replace(FILE_NAME, strip_extension(safe_name(file_name))))


def check_template(setting: str, template: str, known: Iterable[str]) -> None:
    """Raise `InputError` unless *template*, the value of *setting*, is one of relative paths with *known* fields."""
    fields = sorted(known)
    try:
        _check_parts(template, fields)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{setting} is {template!r}: {error}; "
            f'expected a relative path like "{{title}}/{{index:03}}" with fields of {", ".join(fields)}.'
        ) from error


def distinct(names: Sequence[str], *, max_bytes: int = MAX_NAME) -> list[str]:
    """Return *names* with "-2", "-3" … appended where one is the same as an earlier one.

    The same is what file systems that ignore case or Unicode's forms take for the same. A name that is given
    is never made for another; what is made has a last component of at most *max_bytes* bytes.
    """
    given = {folded(name) for name in names}
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    result = []
    for name in names:
        key = folded(name)
        chosen = name
        if key in taken:
            for number in count(numbers.get(key, 2)):
                numbers[key] = number + 1
                chosen = _suffixed(name, f"-{number}", max_bytes)
                if folded(chosen) not in given and folded(chosen) not in taken:
                    break
        taken.add(folded(chosen))
        result.append(chosen)
    return result


def file_names(path: str, extension: str, checksum: str, *, with_checksum: bool = False) -> tuple[str, ...]:
    """The names that the file of an image may get, best first: *path*, what its item asked for, and its *extension*,
    with a part of its *checksum* where the first is taken, or at once.

    They follow from the image alone, so doing it twice changes nothing. With the 64 bits of *with_checksum* two
    writers that know nothing of each other never mean different bytes by one name.
    """
    folder, slash, last = path.rpartition("/")
    if len(last.encode()) > (room := _MAX_FILE_NAME - len(checksum) - 1):
        last = safe_name(last, max_bytes=room)
    part, whole = f"{path}-{checksum[:16]}{extension}", f"{folder}{slash}{last}-{checksum}{extension}"
    return (part, whole) if with_checksum else (f"{path}{extension}", f"{path}-{checksum[:8]}{extension}", whole)


def strip_extension(name: str) -> str:
    """Return *name* without the extension of an image or a video: the bytes decide which one the file gets."""
    return _EXTENSION.sub("", name) or name


def folded(name: str) -> str:
    """What is the same for all names that a file system which ignores case or Unicode's forms takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class _Formatter(string.Formatter):
    """`str.format` for templates of the user and values of strangers: no attributes, no items, no nesting."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        if not field_name.isidentifier():
            raise ValueError(f"{{{field_name}}} is not the name of a field")
        value = kwargs.get(field_name)
        return "" if value is None else value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, str) and (not value or format_spec.startswith("0")):
            return value  # zeros make "700" of "7"
        try:
            return format(value, format_spec)
        except (ValueError, TypeError):
            return str(value)

    def parse(self, format_string: Any) -> Any:
        for literal, field, spec, conversion in super().parse(format_string):
            if spec and ("{" in spec or _WIDE.search(spec)):
                raise ValueError(f"{spec!r} is not a format for a name")
            yield literal, field, spec, conversion


_FORMATTER: Final = _Formatter()


def _fields_of(template: str) -> set[str]:
    return {field for _, field, _, _ in _FORMATTER.parse(template) if field}


def _check_parts(template: str, known: Sequence[str]) -> None:
    parts = template.split("/")
    if not template.strip():
        raise ValueError("it is empty")
    if _ABSOLUTE.match(template):
        raise ValueError("it is not relative")
    if not all(part.strip(". ") for part in parts) or "\\" in template:
        raise ValueError('a part of it is empty, "." or "..", or has a backslash')
    if len(parts) > MAX_PATH // 33:
        raise ValueError(f"it has more than {MAX_PATH // 33} parts")
    for part in parts:
        _FORMATTER.vformat(part, (), {})
        for _, field, spec, _ in string.Formatter().parse(part):
            if field is not None and field not in known:
                raise ValueError(f"{{{field}}} is not one of its fields")
            if spec and not _fits(spec):
                raise ValueError(f"{spec!r} is not a format")


def _fits(spec: str) -> bool:
    for value in (1, "text"):
        try:
            format(value, spec)
        except ValueError:
            continue
        return True
    return False


def _suffixed(name: str, suffix: str, max_bytes: int) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{_cut(last, max_bytes - len(suffix))}{suffix}"


def _cut(name: str, max_bytes: int) -> str:
    """Return as many whole characters of *name* as *max_bytes* bytes of UTF-8 hold."""
    return name.encode()[:max_bytes].decode(errors="ignore").rstrip(". ")
