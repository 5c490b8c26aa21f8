"""How any site, or any list, is walked. A spider inherits from one of these and states facts."""

from imgcrawl.addresses import addresses_in
from imgcrawl.basespiders.addresslists import AddressesSpider
from imgcrawl.basespiders.declared import DeclaredGallerySpider
from imgcrawl.basespiders.domains import DomainsSpider
from imgcrawl.basespiders.entries import EntriesSpider
from imgcrawl.basespiders.gallery import GallerySpider
from imgcrawl.basespiders.imagepages import ImagePagesGallerySpider
from imgcrawl.basespiders.listimages import ListImagesSpider
from imgcrawl.basespiders.rows import RowsSpider, VideoRowsSpider
from imgcrawl.basespiders.sitemaps import SitemapGallerySpider
from imgcrawl.basespiders.subpages import SubpageGallerySpider
from imgcrawl.items import Gallery

__all__ = [
    "AddressesSpider",
    "DeclaredGallerySpider",
    "DomainsSpider",
    "EntriesSpider",
    "Gallery",
    "GallerySpider",
    "ImagePagesGallerySpider",
    "ListImagesSpider",
    "RowsSpider",
    "SitemapGallerySpider",
    "SubpageGallerySpider",
    "VideoRowsSpider",
    "addresses_in",
]
