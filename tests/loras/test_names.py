"""Other names of the same layers: they give the weights that ComfyUI's loader gives for kohya's names."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import save

from appl_search import BlockWeights, LoraError, LoraSource
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply
from appl_search.loras.files import parse_lora
from appl_search.loras.layout import read_layout
from appl_search.loras.source import told_apart
from tests import oracle
from tests.nodes.patched import patched_weights

ATTENTION = "attentions.0.transformer_blocks.0.attn1"
#: kohya's stem of a layer, its shape, and the same in other programs' dialects.
LAYERS = {
    "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_k": ((64, 64), [f"down_blocks.1.{ATTENTION}.to_k", "input_blocks.4.1.transformer_blocks.0.attn1.to_k"]),
    "lora_unet_up_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0": ((128, 128), [f"up_blocks.0.{ATTENTION}.to_out.0", "output_blocks.0.1.transformer_blocks.0.attn1.to_out.0"]),
    "lora_unet_mid_block_attentions_0_proj_in": ((128, 128), ["mid_block.attentions.0.proj_in", "middle_block.1.proj_in"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


def source_of(tensors, name="x.safetensors") -> LoraSource:
    from pathlib import Path

    return LoraSource(Path(name), contents=parse_lora(Path(name), save(tensors)))


def parts(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape[0], 4, generator=generator), torch.randn(4, shape[1], generator=generator)


def file_in(dialect) -> dict[str, torch.Tensor]:
    """The same LoRA with the names of a program: ``dialect(kohya's stem, diffusers' name, LDM's name)`` gives (up key, down key)."""
    tensors = {}
    for seed, (stem, (shape, (diffusers, ldm))) in enumerate(LAYERS.items()):
        up, down = dialect(stem, diffusers, ldm)
        tensors[up], tensors[down] = parts(shape, seed)
    return tensors


def old_diffusers(stem, diffusers, ldm):
    name = re.sub(r"attn1\.(to_\w)", r"attn1.processor.\1", diffusers).replace("to_out.0", "to_out")
    return f"unet.{name}_lora.up.weight", f"unet.{name}_lora.down.weight"


DIALECTS = {
    "kohya": lambda stem, diffusers, ldm: (f"{stem}.lora_up.weight", f"{stem}.lora_down.weight"),
    "diffusers with peft": lambda stem, diffusers, ldm: (f"unet.{diffusers}.lora_B.weight", f"unet.{diffusers}.lora_A.weight"),
    "diffusers with default adapter": lambda stem, diffusers, ldm: (f"unet.{diffusers}.lora_B.default.weight", f"unet.{diffusers}.lora_A.default.weight"),
    "peft": lambda stem, diffusers, ldm: (f"base_model.model.{diffusers}.lora_B.weight", f"base_model.model.{diffusers}.lora_A.weight"),
    "peft of a pipeline": lambda stem, diffusers, ldm: (f"base_model.model.unet.{diffusers}.lora_B.weight", f"base_model.model.unet.{diffusers}.lora_A.weight"),
    "attention processors": old_diffusers,
    "short processors": lambda stem, diffusers, ldm: tuple(key.removeprefix("unet.") for key in old_diffusers(stem, diffusers, ldm)),
    "ldm below unet": lambda stem, diffusers, ldm: (f"unet.{ldm}.lora_up.weight", f"unet.{ldm}.lora_down.weight"),
    "ldm of a checkpoint": lambda stem, diffusers, ldm: (f"model.diffusion_model.{ldm}.lora_B.weight", f"model.diffusion_model.{ldm}.lora_A.weight"),
    "comfyui": lambda stem, diffusers, ldm: (f"diffusion_model.{ldm}.lora_up.weight", f"diffusion_model.{ldm}.lora_down.weight"),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_lora_acts_the_same_under_every_programs_names(dialect, model):
    import comfy.sd

    expected = patched_weights(comfy.sd.load_lora_for_models(model, None, file_in(DIALECTS["kohya"]), 0.7, 0.7)[0])
    source = source_of(file_in(DIALECTS[dialect]))
    weights = BlockWeights.for_lora(source, {"IN04": 0.7, "OUT00": 0.7, "MID": 0.7})
    assert [name for name, _ in weights.items()] == ["IN04", "MID", "OUT00"]
    lora = load(source, model, None)
    found = patched_weights(apply(model, None, lora, weights)[0])
    assert found.keys() == expected.keys() and len(found) == 3 and not lora.notes
    for key, weight in found.items():
        torch.testing.assert_close(weight, expected[key])


def test_one_layer_under_two_names_is_refused(model):
    tensors = file_in(DIALECTS["kohya"]) | file_in(DIALECTS["peft"])
    with pytest.raises(LoraError, match="x.safetensors: base_model.model.* and lora_unet_.* are two names of one layer"):
        load(source_of(tensors), model, None)


def test_two_spellings_of_one_tensor_are_refused():
    stem = next(iter(LAYERS))
    tensors = file_in(DIALECTS["kohya"]) | {f"{stem}.lora_B.weight": torch.ones(64, 4)}
    with pytest.raises(LoraError, match=f"{stem}.lora_(up|B).weight and {stem}.lora_(up|B).weight are the same thing twice"):
        read_layout(source_of(tensors))


def names(*sources: tuple[str, str]) -> list[str]:
    return [source.name for source in told_apart([LoraSource(path, name) for path, name in sources])]


def test_files_of_one_name_are_told_apart_by_their_folders():
    assert names(("/l/a/x.st", ""), ("/l/b/x.st", ""), ("/l/y.st", "")) == ["a/x", "b/x", "y"]
    assert names(("/l/a/c/x.st", ""), ("/l/b/c/x.st", "")) == ["a/c/x", "b/c/x"]
    assert names(("/l/p.st", "same"), ("/l/q.st", "same")) == ["same (1)", "same (2)"]


def test_the_same_file_twice_keeps_its_name():
    assert names(("/l/x.st", ""), ("/l/x.st", "")) == ["x", "x"]
