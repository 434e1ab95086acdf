"""LoRAs on a MODEL and CLIP whose block weights are to be searched."""

from __future__ import annotations

import itertools

from ..loras.source import LoraSource, told_apart
from .lora_loading import LoadedLora
from .lora_patches import add_patches, strip

_loading_order = itertools.count()


class LearnableRate(float):
    """A patch's strength that also says which LoRA it is to be searched for.

    ComfyUI keeps a patch's strength as it is given and copies it along with the MODEL, so a MODEL
    carries its learnable LoRAs in its ordinary patches and acts as the stock loader's everywhere.
    """

    source: LoraSource  # with the file's contents
    order: int  # of loading, over all LoRAs of this process

    def __new__(cls, value: float, source: LoraSource, order: int):
        rate = super().__new__(cls, value)
        rate.source, rate.order = source, order
        return rate

    def __deepcopy__(self, memo) -> LearnableRate:
        return self


def add_learnable(model, clip, lora: LoadedLora):
    """MODEL and CLIP with a LoRA that a search will find; until then it acts as where the search starts.

    That is what the LoRA's source says: its fixed rates, and a start for each other block.
    """
    architecture, source, order = lora.layout.architecture, lora.source.loaded(), next(_loading_order)
    rates = [LearnableRate((source.start | source.fixed)[name], source, order) for name in architecture.blocks]
    return add_patches(model, clip, lora.patches, lambda key: rates[architecture.block_of_key(key)])


def split_learnable(model, clip):
    """Takes the learnable LoRAs off a MODEL and CLIP: (model, clip, their sources in loading order).

    The patchers that come back are clones; LoRAs of stock loaders stay on them. The sources' names are all different.
    """
    new_model = model.clone()
    new_clip = clip.clone() if clip is not None else None
    found = _strip(new_model)
    if new_clip is not None:
        found |= _strip(new_clip.patcher)
    return new_model, new_clip, told_apart([source for _, source in sorted(found.items())])


def _strip(patcher) -> dict[int, LoraSource]:
    return {entry[0].order: entry[0].source for entry in strip(patcher, lambda _, entry: isinstance(entry[0], LearnableRate))}
