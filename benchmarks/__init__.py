"""How fast imgcrawl is, measured against others: `python -m benchmarks`."""
