"""`python -m imgcrawl.demo`: serves a replica. Prints one line of JSON, its addresses or the error."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import fields

from imgcrawl.demo.server import options_for, run
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
            parser.add_argument(name, action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(name, type=type(option.default))
    arguments = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    site, port = arguments.pop("site"), arguments.pop("port")
    try:
        asyncio.run(run(site, port, options_for(site, arguments)))
    except InputError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
