"""Shows how far ComfyUI's sampler is with several pictures, as its own nodes do with one: a bar, and the picture as it forms."""

from __future__ import annotations

import sys

from torch import Tensor

from ...appl_search.host.progress import node_progress_bar


class SamplingProgress:
    """Called after each step. ``model``: ModelPatcher. Latent previews are those that the user has chosen in ComfyUI."""

    def __init__(self, model, node_id: str | None):
        self._model, self._node_id = model, node_id
        self._bar = self._previewer = None

    def __call__(self, step: int, steps: int, x0: Tensor) -> None:
        """``step``: from 1; ``x0``: the denoised latent [1, 4, h / 8, w / 8]."""
        if self._bar is None:
            self._bar = node_progress_bar(steps, self._node_id)
            previews = sys.modules.get("latent_preview")  # of ComfyUI; a program or a test without it shows none
            self._previewer = previews and previews.get_previewer(self._model.load_device, self._model.model.latent_format)
        preview = self._previewer and self._previewer.decode_latent_to_preview_image("JPEG", x0)
        self._bar.update_absolute(step, steps, preview)
