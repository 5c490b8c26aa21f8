"""What the commands' exit codes mean."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. `meaning` is one sentence of the documentation.

    A code that is not here, 137 say, is that of a signal which ended the process before it could say anything: what it
    had under way is done by the next start of the same command.
    """

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    DONE = 0, "the command did what it should"
    FAILED = 1, "it did not, or more failed than `VERDICT_MAX_FAILED` (a fifth), and the last lines on stderr say why"
    REFUSED = 2, "bad input, before anything was done; the sentence on stderr says what and what was expected"
    STOPPED = 3, "told to stop by Ctrl-C, SIGTERM or SIGHUP, and ended in order; the same command goes on"
