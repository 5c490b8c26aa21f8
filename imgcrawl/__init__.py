"""An image crawler that loses nothing: see README.md."""

__version__ = "0.1.0"
