"""Live values: the newest of each series, and a stream of them."""
