"""REMEMBER: what is known of every address and every gallery, from night to night."""

from imgcrawl.catalogue.contract import (
    LOST,
    Catalogue,
    CatalogueCounts,
    CatalogueError,
    GalleryVisit,
    LastOutcome,
    Record,
    StoredGallery,
)
from imgcrawl.catalogue.opening import CATALOGUE_NAME, open_catalogue
from imgcrawl.catalogue.sqlite import SqliteCatalogue

__all__ = [
    "CATALOGUE_NAME",
    "LOST",
    "Catalogue",
    "CatalogueCounts",
    "CatalogueError",
    "GalleryVisit",
    "LastOutcome",
    "Record",
    "SqliteCatalogue",
    "StoredGallery",
    "open_catalogue",
]
