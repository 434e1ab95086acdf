"""ComfyUI nodes. Each turns its widgets into values of `appl_search`, calls it, and hands on what comes back."""
