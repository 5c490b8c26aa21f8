"""Python processes that we start."""

from __future__ import annotations

import os
import sys


def import_path() -> dict[str, str]:
    """What the environment of a child needs, so that it finds what this process can import: in an egg or a folder."""
    return {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109 -- a text
