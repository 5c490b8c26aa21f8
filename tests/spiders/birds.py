from imgcrawl.basespiders import ImagePagesGallerySpider


class BirdsSpider(ImagePagesGallerySpider):
    """A site that is unlike the replica: five declarations."""

    name = "birds"
    list_url = "http://birds.example/api/albums"
    next_link = "paging.next"
    gallery_links = "albums[].page"
    image_page_links = "ul.thumbs a"
    image_links = "figure img"
