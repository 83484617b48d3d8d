"""Samples of series over a range of time."""
