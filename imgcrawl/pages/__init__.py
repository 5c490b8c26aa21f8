"""What the text of a page says: its images and the facts beside them. Pure: a page in, addresses and facts out."""

from imgcrawl.pages.facts import PageFacts, page_facts
from imgcrawl.pages.images import find_images, images_in
from imgcrawl.pages.links import count_links
from imgcrawl.pages.shown import captions_of

__all__ = ["PageFacts", "captions_of", "count_links", "find_images", "images_in", "page_facts"]
