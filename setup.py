"""For scrapyd-deploy, which would otherwise write a setup.py of its own that leaves out the data files."""

from setuptools import setup

setup()
