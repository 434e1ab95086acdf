"""Training pictures and captions. Knows no host."""
