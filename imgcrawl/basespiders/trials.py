"""Queries that a page may make slow are tried in a process first, which is ended when they take too long.

libxml2 finds some sets of elements in as long as their sizes multiplied (`a.g, a.h`, `div div a`, `a ~ a`), and nothing
can stop it. What is a single step, and more steps to children, takes as long as the page and is not tried.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from parsel import Selector
from parsel.csstranslator import HTMLTranslator

from imgcrawl.children import import_path
from imgcrawl.exceptions import RequestRefused
from imgcrawl.longwork import WorkGivenUp
from imgcrawl.possessive import compile_possessive
from imgcrawl.stopping import are_over
from imgcrawl.trial import QUICK

if TYPE_CHECKING:
    from scrapy.http import Response, TextResponse

MAX_ELEMENTS: Final = 200_000  # and attributes, of a page that is tried: some 100 MB
_FEW: Final = 1_000  # elements, with which any query takes half a second at the most
_SHORT: Final = 256 * 1024  # characters of them
_LARGE: Final = 4 * 1024 * 1024  # bytes of a page whose memory the process does not keep
_SECONDS: Final = 2.0  # of CPU time that a query may take
_SECONDS_OF_FEW: Final = 0.2  # the same where there are few elements: of a regular expression
_WALL_CLOCK: Final = 60.0  # seconds, for a machine that is busy or has no clocks of CPU time

_BY_OTHERS: Final = {-number for number in (signal.SIGTERM, getattr(signal, "SIGKILL", 0)) if number}
_TEXTS = re.compile(r"\"[^\"]*+\"|'[^']*+'")
# In brackets stands a child, or else nothing but functions, attributes and numbers: no other axis, and no text of what
# is within; and no regular expressions (`re:test`), of which some take for ever on a text. What is asked of the element
# itself counts as an attribute.
_OF_ITSELF = re.compile(r"(?<![\w-])self::(?=[\w*])")
_TEST = r"\[(?:[\w-]++|(?:[^\[\]/.:|\w@-]++|@[\w*-]++|[\w-]++\(|(?:and|or|[0-9]++)\b|-)*+)\]"
_STEP = rf"(?:text\(\)|@?[\w*-]++)(?:{_TEST})*+"
_ONE_STEP = compile_possessive(
    rf"\(?(?:/?(?:descendant-or-self|descendant)::|\.?//?)?+{_STEP}(?:/{_STEP})*+\)?(?:{_TEST})?"
)
_TEXT_OF_ALL = re.compile(r"\b(?:string|normalize-space|string-length|number)\(\s*+\)")


def check_time(page: Response | Selector, query: str) -> None:
    """Raises `RequestRefused` (``too_large``) where *query*, XPath or CSS, takes too long on *page*, and `WorkGivenUp`
    where it may and the crawl is to end. Blocks."""
    if is_one_step(query):
        return
    kind, is_regular = "html", "re:" in query
    if isinstance(page, Selector):
        root: Any = page.root
        is_small = not hasattr(root, "iter") or sum(1 for _ in islice(root.iter(), _FEW + 1)) <= _FEW
        if is_small and not is_regular:
            return  # a text, or few elements
        text, kind = page.get(), page.type
    else:
        text = cast("TextResponse", page).text
        is_small = text.count("<") - text.count("</") <= _FEW and len(text) <= _SHORT
        if is_small and not is_regular:
            return
        kind = cast("TextResponse", page).selector.type
    nodes = text.count("<") - text.count("</") + text.count("=")
    if are_over():
        raise WorkGivenUp
    if nodes > MAX_ELEMENTS or not _is_quick(text, kind, query, is_small=is_small):
        why = f"{nodes} elements and attributes" if nodes > MAX_ELEMENTS else "it takes too long"
        raise RequestRefused("too_large", f"{query!r} is not searched for: {why}; one step would be, as a.x")


def is_css(query: str) -> bool:
    """Whether *query* is CSS, if it is not XPath."""
    return not query.startswith(("/", "./", "("))


@lru_cache(1000)
def is_one_step(query: str) -> bool:
    """Whether *query*, XPath or CSS, takes as long as the page at the most. False for what is neither."""
    if is_css(query):
        try:
            query = HTMLTranslator().css_to_xpath(query)
        except (ValueError, SyntaxError, RuntimeError):
            return True  # it is refused by who evaluates it
    bare = _OF_ITSELF.sub("@", _TEXTS.sub("''", query))
    return _ONE_STEP.fullmatch(bare) is not None and not _TEXT_OF_ALL.search(bare)


class _Trials:
    """A process that tries one query after the other. It is started for the first, and again after one that took too
    long; whoever ends leaves it without input, with which it ends, too."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ended_by_others = False

    def is_quick(self, page: bytes, **task: Any) -> bool:
        """Whether the query of *task* is answered on *page* in its time. Where others end the process it is asked once
        more."""
        with self._turn:
            return self._answers(page, task) or (self._was_ended_by_others and self._answers(page, task))

    def _answers(self, page: bytes, task: dict[str, Any]) -> bool:
        if self._process and self._process.poll() is not None:
            self._end()
        process = self._process or self._started()
        clock = threading.Timer(_WALL_CLOCK, process.kill)
        clock.daemon = True
        clock.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 -- both were asked for
            process.stdin.write(json.dumps({**task, "size": len(page)}).encode() + b"\n" + page)
            process.stdin.flush()
            answer = process.stdout.read(len(QUICK))
        except OSError:  # it has ended
            answer = b""
        except BaseException:  # it is given up: what is answered now must not be taken for the next one's
            clock.cancel()
            self._end()
            raise
        self._was_ended_by_others = clock.is_alive() and answer != QUICK and process.wait() in _BY_OTHERS
        clock.cancel()
        if answer != QUICK or len(page) > _LARGE:
            self._end()
        return answer == QUICK

    def close(self) -> None:
        with self._turn:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "imgcrawl.trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the crawl
            env={**os.environ, **import_path()},
        )
        atexit.unregister(self.close)
        atexit.register(self.close)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not read by it
                    assert pipe is not None  # noqa: S101 -- both were asked for
                    pipe.close()


_trials = _Trials()
_trials_of_few = _Trials()  # small pages are read in the event loop, which waits for no large one


def _is_quick(text: str, kind: str, query: str, *, is_small: bool) -> bool:
    page = text.encode("utf-8", "replace")
    seconds = min(_SECONDS, _SECONDS_OF_FEW) if is_small else _SECONDS
    return (_trials_of_few if is_small else _trials).is_quick(
        page, kind=kind, query=query, is_css=is_css(query), seconds=seconds
    )
