"""Which architecture a MODEL has, and whether a LoRA is for it."""

from __future__ import annotations

from collections.abc import Iterable

import comfy.model_base
import comfy.supported_models

from ..architectures import ARCHITECTURES, Architecture, architecture_of_keys, labels
from ..loras.files import LoraError, LoraSource, split_key
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


def check_lora(source: LoraSource, keys: Iterable[str], patcher) -> None:
    """Raises LoraError for a LoRA file with these keys that is for another architecture than the MODEL."""
    stems = {parts[0] for key in keys if (parts := split_key(key)) is not None}
    architecture = architecture_of(patcher)
    meant = architecture_of_keys(stems, architecture)
    if meant.count(stems) > architecture.count(stems):
        raise LoraError(
            f"LoRA file {source.path} is for {meant.label}, and the MODEL is {architecture.label}. Load a checkpoint of "
            f"{meant.label}, or choose a LoRA for {architecture.label}."
        )
