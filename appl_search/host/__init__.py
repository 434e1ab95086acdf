"""Everything that knows ComfyUI. No other part of the package imports ``comfy``."""
