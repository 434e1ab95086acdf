"""Baked files against the block weights that are in them, by ComfyUI's own loader and arithmetic."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from appl_search import BlockWeights, LoraError, LoraSource
from appl_search.host.lora_loading import load
from appl_search.host.lora_patches import apply, differences
from appl_search.weights.bake import bake, merge
from tests import adapters, oracle
from tests.nodes.patched import patched_weights, stock

RATES = [0.0, 0.0, 0.4, -0.3, 1.0, 0.7, 0.0, 1.3, 0.2, 0.9, 0.5, 0.6, -1.1, 0.0, 0.8, 1.0, 0.35, 0.1, 0.0, 2.0]


@pytest.fixture(scope="module")
def model():
    return oracle.sdxl()


def assert_same_model(model, path, sources_and_weights, tolerance):
    """The stock loader's model of a file, against the block weights as patches."""
    wanted = model
    for source, weights in sources_and_weights:
        wanted, _ = apply(wanted, None, load(source, wanted, None), weights)
    found, expected, plain = patched_weights(stock(model, path, 1.0)), patched_weights(wanted), model.model.state_dict()
    assert found.keys() == expected.keys()
    for key, weight in found.items():
        error = (weight - expected[key]).norm() / (expected[key] - plain[key]).norm()
        assert error < tolerance, (key, float(error))


@pytest.mark.parametrize("path", [oracle.LORA_A, oracle.LORA_B])
def test_the_stock_loader_gives_at_strength_one_what_the_block_weights_give(model, path, tmp_path):
    source = LoraSource(path)
    weights = BlockWeights.for_lora(source, RATES)
    bake(source, weights).save(tmp_path / "baked.safetensors")
    assert_same_model(model, tmp_path / "baked.safetensors", [(source, weights)], 1e-3)


def test_muted_blocks_are_left_out_and_ranks_and_alphas_stay(tmp_path):
    source = LoraSource(oracle.LORA_B)
    baked, before = bake(source, BlockWeights.for_lora(source, RATES)).tensors, load_file(oracle.LORA_B)
    assert baked.keys() < before.keys()
    assert not any("output_blocks_7" in key or "input_blocks_5" in key for key in baked)
    for key, tensor in baked.items():
        assert tensor.shape == before[key].shape and tensor.dtype == before[key].dtype
        if not key.endswith("lora_up.weight"):
            assert torch.equal(tensor, before[key])


@pytest.mark.parametrize("kind, layer", adapters.CASES)
def test_every_adapter(model, kind, layer, tmp_path):
    save_file(adapters.tensors(kind, layer), tmp_path / "one.safetensors")
    source = LoraSource(tmp_path / "one.safetensors")
    weights = BlockWeights.for_lora(source, {adapters.BLOCKS[layer]: -0.7})
    bake(source, weights, differences(model, None)).save(tmp_path / "baked.safetensors")
    assert_same_model(model, tmp_path / "baked.safetensors", [(source, weights)], 2e-3)


def test_dora_at_a_rate_between_needs_a_model(tmp_path):
    save_file(adapters.tensors("dora", adapters.LINEAR), tmp_path / "dora.safetensors")
    source = LoraSource(tmp_path / "dora.safetensors")
    with pytest.raises(LoraError, match=f"dora.safetensors: lora_unet_{adapters.LINEAR} is a DoRA.*rate 0.5"):
        bake(source, BlockWeights.for_lora(source, {"OUT00": 0.5}))
    baked = bake(source, BlockWeights.for_lora(source, {"OUT00": 1.0})).tensors
    assert all(torch.equal(tensor, baked[key]) for key, tensor in load_file(source.path).items())


def test_metadata_is_kept_and_says_where_it_came_from(tmp_path):
    path = tmp_path / "with.safetensors"
    save_file(load_file(oracle.LORA_A), path, {"ss_output_name": "mine", "sshs_model_hash": "stale"})
    source = LoraSource(path)
    weights = BlockWeights.for_lora(source, RATES)
    bake(source, weights).save(tmp_path / "baked.safetensors")
    with safe_open(tmp_path / "baked.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["ss_output_name"] == "mine" and "sshs_model_hash" not in metadata
    assert metadata["appl_search.source_sha256"] == weights.layout.sha256
    (saved,) = json.loads(metadata["appl_search.block_weights"])
    assert BlockWeights.from_dict(saved).values == weights.values


def both():
    sources = [LoraSource(oracle.LORA_A), LoraSource(oracle.LORA_B)]
    return [(source, BlockWeights.for_lora(source, RATES)) for source in sources]


def test_several_loras_merge_into_one_exactly(model, tmp_path):
    merged = merge(both())
    merged.save(tmp_path / "merged.safetensors")
    assert merged.error < 1e-3
    assert_same_model(model, tmp_path / "merged.safetensors", both(), 2e-3)


def test_a_merge_of_lower_rank_tells_its_error_and_it_is_the_least_there_is():
    exact, merged = merge(both()), merge(both(), rank=2)
    lost = total = 0.0
    for key in (key for key in exact.tensors if key.endswith("up.weight")):
        product, approximation = (
            file.tensors[key].float().flatten(1) @ file.tensors[key.replace("up", "down")].float().flatten(1)
            for file in (exact, merged)
        )
        singular = torch.linalg.svdvals(product)
        assert torch.linalg.matrix_norm(product - approximation) <= singular[2:].norm() + 1e-3 * singular.norm()
        lost, total = lost + singular[2:].square().sum(), total + singular.square().sum()
    assert merged.error == pytest.approx(float((lost / total).sqrt()), rel=1e-2)


def test_adapters_that_cannot_be_merged_are_named(tmp_path):
    save_file(adapters.tensors("loha", adapters.LINEAR), tmp_path / "loha.safetensors")
    source = LoraSource(tmp_path / "loha.safetensors")
    with pytest.raises(LoraError, match="loha.safetensors: .*hada_w1_a.*cannot be merged"):
        merge([*both(), (source, BlockWeights.for_lora(source, {}))])


def lora_file(path, up, down, **more) -> LoraSource:
    stem = f"lora_unet_{adapters.LINEAR}"
    save_file({f"{stem}.lora_up.weight": up, f"{stem}.lora_down.weight": down} | {f"{stem}.{k}": v for k, v in more.items()}, path)
    return LoraSource(path)


def product(tensors) -> torch.Tensor:
    """What a file adds to the layer, by its definition: up down alpha / rank, in fp64."""
    up, down = (tensors[f"lora_unet_{adapters.LINEAR}.lora_{part}.weight"].double() for part in ("up", "down"))
    return up @ down * float(tensors.get(f"lora_unet_{adapters.LINEAR}.alpha", len(down))) / len(down)


@pytest.mark.parametrize(
    "up, down, alpha",
    [(1e-9, 1e4, 4.0), (1e3, 1.0, 512.0), (1e-12, 1e-3, 4.0), (1e4, 1e5, 512.0), (0.02, 0.3, 4.0), (3e-7, 3e-7, 4.0)],
)
def test_merged_factors_neither_vanish_nor_overflow_and_the_error_is_the_true_one(up, down, alpha, tmp_path):
    generator = torch.Generator().manual_seed(0)
    factors = [size * torch.randn(shape, generator=generator) for size, shape in ((up, (128, 2)), (down, (2, 64)))]
    source = lora_file(tmp_path / "one.safetensors", *factors, alpha=torch.tensor(alpha))
    merged = merge([(source, BlockWeights.for_lora(source, {}))] * 2)
    exact = 2 * product(load_file(source.path))
    error = float((product(merged.tensors) - exact).norm() / exact.norm())
    assert merged.error == pytest.approx(error, rel=0.05, abs=1e-6) and error < 3e-3


def test_a_merge_of_lower_rank_tells_the_error_of_rounding_too(tmp_path):
    source = lora_file(tmp_path / "one.safetensors", torch.randn(128, 8), torch.randn(8, 64))
    merged = merge([(source, BlockWeights.for_lora(source, {}))], rank=3)
    exact = product(load_file(source.path))
    assert merged.error == pytest.approx(float((product(merged.tensors) - exact).norm() / exact.norm()), rel=1e-2)


@pytest.mark.parametrize(
    "dtype, size, rate", [(torch.float8_e4m3fn, 1.0, 0.3), (torch.float16, 6e4, 3.0), (torch.float16, 1e-6, 0.1), (torch.bfloat16, 1.0, 0.3)]
)
def test_a_baked_file_keeps_the_numbers_in_a_wider_dtype_where_its_own_does_not(dtype, size, rate, tmp_path):
    up = (size * torch.rand(128, 4, generator=torch.Generator().manual_seed(0))).to(dtype)
    source = lora_file(tmp_path / "one.safetensors", up, torch.rand(4, 64).to(dtype))
    baked = bake(source, BlockWeights.for_lora(source, {"OUT00": rate}))
    exact = rate * product(load_file(source.path))
    error = float((product(baked.tensors) - exact).norm() / exact.norm())
    assert error <= 1.5 * baked.error + 1e-7 and baked.error < 3e-3


def test_a_baked_layer_keeps_the_bias_beside_a_dora(model, tmp_path):
    tensors = adapters.tensors("dora", adapters.CONV) | {f"lora_unet_{adapters.CONV}.diff_b": torch.ones(64)}
    save_file(tensors, tmp_path / "both.safetensors")
    source = LoraSource(tmp_path / "both.safetensors")
    weights = BlockWeights.for_lora(source, {"IN04": 0.5})
    bake(source, weights, differences(model, None)).save(tmp_path / "baked.safetensors")
    assert_same_model(model, tmp_path / "baked.safetensors", [(source, weights)], 2e-3)


def test_other_names_of_layers_stay_in_a_baked_file(tmp_path):
    key = "base_model.model.unet.mid_block.attentions.0.proj_in.lora_"
    save_file({f"{key}A.weight": torch.ones(4, 128), f"{key}B.weight": torch.ones(128, 4)}, tmp_path / "peft.safetensors")
    source = LoraSource(tmp_path / "peft.safetensors")
    baked = bake(source, BlockWeights.for_lora(source, {"MID": 0.5})).tensors
    assert torch.equal(baked[f"{key}B.weight"], torch.full((128, 4), 0.5)) and torch.equal(baked[f"{key}A.weight"], torch.ones(4, 128))


def test_a_baked_file_is_written_whole_or_not_at_all_and_as_other_files_are(tmp_path, monkeypatch):
    source = LoraSource(oracle.LORA_A)
    baked = bake(source, BlockWeights.for_lora(source, RATES))
    (tmp_path / "other").touch()
    baked.save(tmp_path / "whole.safetensors")
    assert (tmp_path / "whole.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    before = {path.name for path in tmp_path.iterdir()}

    def half(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("appl_search.weights.bake.save_file", half)
    with pytest.raises(OSError, match="No space left"):
        baked.save(tmp_path / "half.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == before
