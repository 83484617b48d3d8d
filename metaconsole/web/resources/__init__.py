"""What is observed, and what is known of it."""
