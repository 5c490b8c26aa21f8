"""Ways out of the store: images with their facts, as data sets, archives, sites and readers want them.

`picked` images go through one of `FORMATS`, which plans the parts that a target consists of, to a `Target`,
which writes those
that it does not have yet. Nothing here knows where the items come from.
"""
