"""The sites and how they stand."""
