"""One folder per platform, each with one collector."""
