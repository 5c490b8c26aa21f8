"""ASK: how much may be asked of a host, by all workers of a crawl together."""
