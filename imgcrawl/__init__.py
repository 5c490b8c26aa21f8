"""An image crawler that loses nothing: see README.md."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Addon":  # whoever only wants a part loads no other
        from imgcrawl.addon import Addon  # noqa: PLC0415 -- see above

        return Addon
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
