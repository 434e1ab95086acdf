"""Figures as ComfyUI's IMAGEs, and pictures that a node shows in itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from PIL import Image

from .files import write_new

DOTS_PER_INCH = 100
THEMES = ("dark", "light")
#: Widgets of nodes that draw a figure.
THEME = (list(THEMES), {"tooltip": "Dark for the screen, light for print."})


def side(default: int, least: int) -> tuple:
    """A widget for the width or the height of a figure."""
    return ("INT", {"default": default, "min": least, "max": 4000, "step": 10, "tooltip": "Of the image, in pixels."})


def drawn(draw: Callable[[float, float], Any], width: int, height: int) -> tuple[torch.Tensor, dict[str, str]]:
    """A figure as an IMAGE [1, height, width, 3], and as :func:`shown_in_node`. ``draw``: makes it, of a size in inches.

    Raises ModuleNotFoundError that says how to get matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(draw(width / DOTS_PER_INCH, height / DOTS_PER_INCH))
    except ModuleNotFoundError as error:
        raise needs_matplotlib(error) from error
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    return torch.from_numpy(pixels.astype(np.float32) / 255)[None], shown_in_node(Image.fromarray(pixels))


def needs_matplotlib(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """What to raise where matplotlib is missing."""
    return ModuleNotFoundError(
        f"Figures need matplotlib, which this Python does not have ({error}). Install it with: {sys.executable} -m pip install matplotlib",
        name=error.name,
    )


def shown_in_node(picture: Image.Image) -> dict[str, str]:
    """Saves a picture in ComfyUI's temporary folder, and returns where it is in the form that ComfyUI's page expects."""
    folder = Path(folder_paths.get_temp_directory())
    path = write_new(folder, "block_weights", ".png", lambda path: picture.save(path, "PNG", compress_level=1))
    return {"filename": path.name, "subfolder": "", "type": "temp"}
