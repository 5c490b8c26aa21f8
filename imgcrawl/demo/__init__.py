"""The replica: a local copy of a site, with pictures made by code and a known truth about each of them."""
