"""The configured endpoints that satellites poll."""
