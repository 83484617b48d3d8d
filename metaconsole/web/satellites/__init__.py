"""The satellites and how they do."""
