"""Files that were sent to be run: kept once by their hash, fetched by the nodes that need them."""
