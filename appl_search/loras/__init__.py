"""LoRA files: where they lie, what they hold for which block, and their adapters. Knows no host."""
