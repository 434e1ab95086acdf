"""Which architecture a MODEL has."""

from __future__ import annotations

import comfy.model_base
import comfy.supported_models

from ..architectures import ARCHITECTURES, Architecture, labels
from .errors import ModelError


def architecture_of(patcher) -> Architecture:
    """Of a ModelPatcher, by the class that the host gave its model. Raises :class:`ModelError` for any other model."""
    model = patcher.model
    if isinstance(model, comfy.model_base.SDXL):
        return ARCHITECTURES["sdxl"]
    if isinstance(getattr(model, "model_config", None), comfy.supported_models.SD15):
        return ARCHITECTURES["sd15"]
    raise ModelError(
        f"The MODEL is {type(model).__name__}, expected {labels()}. Load a checkpoint of one of these: block weights are "
        "for no other models."
    )
