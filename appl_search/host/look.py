"""How much a LoRA changes each block of a MODEL and CLIP."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..architectures import TEXT_ENCODERS
from ..loras.adapters.base import norm
from ..loras.look import Change, LoraLook, changes_in_file, collected
from ..loras.patch import Patch
from ..loras.source import LoraSource
from .lora_loading import LoadedLora, load
from .lora_patches import patched_weight
from .own_weights import own_weights

#: Norms of weights by their keys, of each model as long as it lives: reading all of a large model's takes a second or more.
_known: weakref.WeakKeyDictionary[nn.Module, dict[str, float]] = weakref.WeakKeyDictionary()


def look_at(source: LoraSource, model, clip=None) -> LoraLook:
    """What a LoRA adds to each block at strength 1, and the norms of the weights that it is added to.

    ``model``: ModelPatcher; ``clip``: CLIP or None. Both stay as they are. Norms are had from the factors: of LoRA, LoCon and
    Tucker ones by Gram matrices, of LoKr as a product of two norms, of LoHa by Gram matrices of its Khatri-Rao
    factors or, where these are larger than the weight, from its elements. What is made from the weight (DoRA, GLoRA,
    OFT, BOFT, weights put in place) is computed as ComfyUI does, one layer at a time. Raises LoraError as loading does.
    """
    lora = load(source.loaded(), model, clip)
    changes = list(_changes(lora, model))
    if clip is not None:
        changes += _changes(lora, clip.patcher)
    else:
        changes += changes_in_file(lora.source, lora.layout, [TEXT_ENCODERS])
    return collected(lora.layout, changes, lora.notes)


def _changes(lora: LoadedLora, patcher) -> Iterator[Change]:
    """Of one of the two models."""
    weight_of, known = own_weights(patcher), _known.setdefault(patcher.model, {})
    architecture, there = lora.layout.architecture, patcher.model.state_dict().keys()
    with torch.no_grad():
        for key, patch in lora.patches.items():
            if key in there:
                if key not in known:
                    known[key] = norm(weight_of(key))
                added = patch.adapter.norm(patch.parts)
                if added is None:
                    added = _from_the_weight(patch, key, weight_of)
                kind, rank = patch.adapter.kind(patch.parts), patch.adapter.rank(patch.parts)
                yield Change(architecture.block_of_key(key), kind, rank, added, known[key])


def _from_the_weight(patch: Patch, key: str, weight_of: Callable[[str], Tensor]) -> float:
    """The norm of the full difference, by ComfyUI's own arithmetic."""
    weight = weight_of(key)
    return norm(patched_weight([(patch, 1.0)], weight, key) - weight)
