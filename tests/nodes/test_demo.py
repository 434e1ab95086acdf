"""The nodes on the demo's model, which has text encoders and a VAE: block BASE, CLIP and images."""

from __future__ import annotations

import comfy.sd
import comfy.utils
import pytest
import torch

from appl_search import SearchSettings, TrainingSet, demo
from tests.nodes.patched import assert_same_weights

LORA = "[demo] character"


@pytest.fixture(scope="module")
def checkpoint():
    from tests import pack

    return pack.load_pack().NODE_CLASS_MAPPINGS["ApplSearchTinySDXL"]().load()


def stock(model, clip, strength_model: float, strength_clip: float):
    """MODEL and CLIP as ComfyUI's own LoRA loader gives them."""
    tensors = comfy.utils.load_torch_file(str(demo.lora_paths()["character"]))
    return comfy.sd.load_lora_for_models(model, clip, tensors, strength_model, strength_clip)


def test_tiny_sdxl_gives_a_checkpoint_and_its_training_images(checkpoint):
    model, clip, vae, training_images, shown, text, unseen = checkpoint
    images, captions = demo.load_images("styled_train")
    assert [item.caption for item in training_images.items] == captions
    assert not training_images.notes
    assert [item.caption for item in unseen.items] == demo.load_images("styled_heldout")[1]
    assert torch.equal(shown, images) and text.splitlines() == captions
    assert vae.decode(vae.encode(images[:1])).shape == images[:1].shape
    assert model.model.diffusion_model and clip.cond_stage_model


def test_the_loader_acts_as_the_stock_one_on_clip_too(node, checkpoint):
    model, clip, *_ = checkpoint
    learnable = node("ApplSearchLoadLora").load(model, LORA, 0.6, clip)
    expected = stock(model, clip, 0.6, 0.6)
    assert_same_weights(learnable[0], expected[0])
    assert_same_weights(learnable[1].patcher, expected[1].patcher)
    assert learnable[1].patcher.patches and not clip.patcher.patches and not model.patches


@pytest.mark.parametrize("strengths", [(1.0, 1.0), (0.8, -0.5), (1.0, 0.0)])
def test_all_ones_are_exactly_the_stock_loader_on_clip_too(node, checkpoint, strengths):
    model, clip, *_ = checkpoint
    applied = node("ApplSearchApply").apply(model, LORA, *strengths, clip, text=",".join(["1"] * 20))["result"]
    expected = stock(model, clip, *strengths)
    assert_same_weights(applied[0], expected[0])
    if strengths[1]:
        assert_same_weights(applied[1].patcher, expected[1].patcher)
    else:
        assert not applied[1].patcher.patches


def test_block_base_alone_leaves_the_unet_as_it_is(node, checkpoint):
    model, clip, *_ = checkpoint
    applied = node("ApplSearchApply").apply(model, LORA, 1.0, 1.0, clip, text="1" + ",0" * 19)["result"]
    assert not applied[0].patches and applied[1].patcher.patches


def test_searches_from_images_and_captions_and_applies_base_to_clip(node, folders, checkpoint):
    model, clip, vae, *_ = checkpoint
    images, captions = demo.load_images("styled_train")
    training_images = TrainingSet.from_images(images[:2], captions[:2])
    learnable = node("ApplSearchLoadLora").load(model, LORA, 0.6, clip)
    out = node("ApplSearchRun").run(
        learnable[0], vae, training_images, learnable[1], SearchSettings(batch_size=2),
        method="adamw", samples=4, penalty=1e-4, seed=0,
    )["result"]
    expected = node("ApplSearchApply").apply(model, LORA, 1.0, 1.0, clip, block_weights=out[2])["result"]
    assert out[2].block_weights[0]["BASE"] not in (0.0, 0.6)
    assert_same_weights(out[0], expected[0])
    assert_same_weights(out[1].patcher, expected[1].patcher)
    assert not model.patches and not clip.patcher.patches


def test_text_encoder_keys_without_a_clip_are_refused(node, folders, checkpoint):
    model, _, vae, training_images, *_ = checkpoint
    learnable, _ = node("ApplSearchLoadLora").load(model, LORA, 0.6)["result"]
    with pytest.raises(ValueError, match="CLIP"):
        node("ApplSearchRun").run(learnable, vae, training_images, method="adamw", samples=4, penalty=1e-4, seed=0)


def test_the_lora_of_a_demo_result_is_found_again(node, folders):
    from tests.nodes.results import result_for

    node("ApplSearchSaveResult").save(result_for((demo.lora_paths()["character"], {})), "")
    assert node("ApplSearchLoadResult").load("character_00001.json")["ui"]["warnings"] == []
