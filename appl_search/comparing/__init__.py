"""Choices of block weights compared on the same draws: how much better one is than another, and how sure that is."""
