"""`python -m imgcrawl.demo`: serves a replica. Prints one line of JSON, its addresses or the error."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import fields

from imgcrawl.demo.server import run
from imgcrawl.demo.site import Options
from imgcrawl.exceptions import InputError


def main() -> int:
    """Serves until told to stop; 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m imgcrawl.demo", description=__doc__)
    parser.add_argument("--site", default="pximg")
    parser.add_argument("--port", type=int, default=0)
    for option in fields(Options):
        name = f"--{option.name.replace('_', '-')}"
        if option.type == "bool":
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=option.default)
        else:
            parser.add_argument(name, type=type(option.default), default=option.default)
    arguments = vars(parser.parse_args())
    try:
        asyncio.run(run(arguments.pop("site"), arguments.pop("port"), Options(**arguments)))
    except InputError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
