from imgcrawl.basespiders import DeclaredGallerySpider


class AnySiteSpider(DeclaredGallerySpider):
    """Any site with list pages and galleries: tries declarations before a spider is written."""

    name = "gallery"
