"""`imgcrawl`, which ends with a word where Ctrl-C comes before its command has begun."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from imgcrawl.exitcodes import ExitCode


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, as `commandline.run` does. Exit code 3 for Ctrl-C, also while what that needs is loaded."""
    try:
        from imgcrawl.commandline import run  # noqa: PLC0415 -- takes a second, in which somebody may change their mind

        run(argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 -- a command's own words to its user
        sys.exit(ExitCode.STOPPED)
