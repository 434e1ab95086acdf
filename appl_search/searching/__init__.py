"""The search: draws, steps, methods, and the result."""
