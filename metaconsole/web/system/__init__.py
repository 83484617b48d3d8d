"""Whether the metaconsole lives, is ready, and how it does."""
