"""Model families: their blocks, and which block a key belongs to. Knows nothing else of this package."""
