"""LoRAs with any blocks, as layouts, as the model keys they patch, and as files."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import strategies as st
from safetensors.torch import save_file

from appl_search.loras.layout import LoraLayout
from appl_search.loras.source import LoraSource
from appl_search.weights.block_weights import BlockWeights

UNET_GROUPS = [
    *(f"input_blocks.{i}" for i in range(9)),
    *(f"middle_block.{i}" for i in range(3)),
    *(f"output_blocks.{i}" for i in range(9)),
]
ATTENTION_GROUPS = [
    *(f"input_blocks.{i}" for i in (4, 5, 7, 8)),
    "middle_block.1",
    *(f"output_blocks.{i}" for i in range(6)),
]

_KEYS = {
    "text_encoders": "clip_l.transformer.text_model.encoder.layers.{}.mlp.fc1.weight",
    "unet_other": "diffusion_model.time_embed.{}.weight",
}
_STEMS = {
    "text_encoders": "lora_te1_text_model_encoder_layers_{}_mlp_fc1",
    "unet_other": "lora_unet_time_embed_{}",
}


def layout_of(*groups: str, keys: int = 3, name: str = "style", **counts: int) -> LoraLayout:
    """A layout with so many keys in each group; ``counts`` for text_encoders or unet_other."""
    return LoraLayout(name, "0" * 64, {**dict.fromkeys(groups, keys), **counts})


def weights_of(layout: LoraLayout, **rates: float) -> BlockWeights:
    """Rates by block name; 0 for the others."""
    empty = BlockWeights(layout, (0.0,) * 20)
    return BlockWeights.from_dict({**empty.to_dict(), "block_weights": {**dict(empty.items()), **rates}})


def model_keys(layout: LoraLayout) -> list[str]:
    """The model keys that such a LoRA patches, in an order of no meaning."""
    keys = [
        _KEYS.get(group, f"diffusion_model.{group}.0.proj_{{}}.weight").format(i)
        for group, count in layout.groups.items()
        for i in range(count)
    ]
    return sorted(keys, key=lambda key: key[::-1])


def lora_file(folder: Path, layout: LoraLayout) -> LoraSource:
    """A file with that layout (kohya's names, tensors of one number)."""
    tensors = {}
    for group, count in layout.groups.items():
        stem = _STEMS.get(group, f"lora_unet_{group.replace('.', '_')}_0_proj_{{}}")
        for i in range(count):
            tensors[f"{stem.format(i)}.lora_up.weight"] = torch.zeros(1, 1)
            tensors[f"{stem.format(i)}.lora_down.weight"] = torch.zeros(1, 1)
    path = folder / f"{layout.name}.safetensors"
    save_file(tensors, path)
    return LoraSource(path)


def layouts() -> st.SearchStrategy[LoraLayout]:
    """Any groups with one to four keys each, at least one of them."""
    groups = st.sampled_from([*UNET_GROUPS, "text_encoders", "unet_other"])
    counts = st.dictionaries(groups, st.integers(1, 4), min_size=1)
    return counts.map(lambda found: LoraLayout("some style-v1.0", "0" * 64, found))


def rates() -> st.SearchStrategy[float]:
    """Rates of every size, with many exact zeros and ones, tiny ones and halves of the last decimal."""
    return st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.0005, -0.0005, 1e-9, -1e-9, 0.1235, 12.0]), st.floats(-20.0, 20.0)
    )


def block_weights() -> st.SearchStrategy[BlockWeights]:
    """Any rates for any layout."""
    return st.builds(BlockWeights, layouts(), st.lists(rates(), min_size=20, max_size=20).map(tuple))
