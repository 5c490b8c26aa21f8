"""`python -m imgcrawl` is `imgcrawl`."""

from imgcrawl.console import main

main()
