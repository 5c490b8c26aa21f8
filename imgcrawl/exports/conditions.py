"""Which images: an expression on their fields, as a person writes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from imgcrawl.exceptions import InputError
from imgcrawl.items import IMAGE_FIELDS
from imgcrawl.patterns import is_in

Condition = Callable[[Mapping[str, Any]], bool]

# What an expression may call a field, too; a field of that name goes first.
ALIASES = {"size": "bytes", "site": "spider"}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "int": int,
    "float": float,
    "str": str,
    "matches": lambda text, pattern: is_in(pattern, str(text or "")),
}


class _Names(dict[str, Any]):
    """What an image has not is None."""

    def __missing__(self, name: str) -> None:
        return None


def condition(expression: str, fields: Collection[str]) -> Condition:
    """Whether the fields of an image make *expression* true: `format == 'JPEG' and width >= 1000`.

    It is Python's, evaluated by simpleeval: comparisons, `and`, `or`, `not`, `in`, arithmetic, methods of texts, and
    `len`, `int`, `float`, `str` and `matches(text, pattern)`. *fields* are the names that may stand in it, besides
    those of every image, `size` (its bytes) and `site` (its spider). What an image has not is None, and what cannot
    be compared is false. Raises `InputError` for what is no such expression.
    """
    try:
        simpleeval = import_module("simpleeval")  # for an expression only
    except ImportError as error:
        raise InputError("--where needs the library simpleeval; install it with imgcrawl[export]") from error
    invalid = simpleeval.InvalidExpression
    try:
        parsed = simpleeval.SimpleEval.parse(expression)
    except (SyntaxError, invalid, ValueError, RecursionError, MemoryError) as error:
        raise InputError(
            f'--where {expression!r} cannot be read ({error}); expected an expression like "width >= 1000"'
        ) from error
    known = {*fields, *IMAGE_FIELDS, *ALIASES, *_FUNCTIONS}
    named = {node.id for node in ast.walk(parsed) if isinstance(node, ast.Name)}
    if unknown := sorted(named - known - {"True", "False", "None"}):
        raise InputError(
            f"--where {expression!r}: no image has a field {unknown[0]!r}; expected some of "
            f"{', '.join(sorted(known - _FUNCTIONS.keys()))}"
        )
    evaluator = simpleeval.SimpleEval(functions=_FUNCTIONS)

    def holds(row: Mapping[str, Any]) -> bool:
        evaluator.names = _Names({alias: row.get(name) for alias, name in ALIASES.items()} | dict(row))
        try:
            return bool(evaluator.eval(expression, previously_parsed=parsed))
        except (simpleeval.AttributeDoesNotExist, simpleeval.IterableTooLong):
            return False  # of this image: it has no such text, or too long a one
        except (invalid, RecursionError) as error:
            raise InputError(f"--where {expression!r} is refused: {error}") from error
        except TimeoutError as error:
            raise InputError(
                f"--where {expression!r} takes too long on {row.get('path')!r}; expected a pattern without repeats in "
                "repeats, as (a+)+"
            ) from error
        except re.error as error:
            raise InputError(f"--where {expression!r}: a pattern cannot be read ({error})") from error
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            return False

    return holds
