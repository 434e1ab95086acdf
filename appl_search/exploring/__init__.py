"""What each block of a LoRA does to a picture: pictures with one block off or alone, kept on disk, and how they differ."""
