"""A VAE and text encoders are told from all that encode otherwise, and from no other; where that cannot be told, it is said."""

from __future__ import annotations

import comfy.model_management
import pytest
import torch

from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host import checkpoint, conditioning
from appl_search.host.fingerprints import NoFingerprint, of_text_encoders, of_tokens, of_vae


@pytest.fixture(scope="module")
def models():
    return load_tiny_sdxl()


def with_lora(models, strength: float, name: str = "character"):
    return checkpoint.add_loras(*models[:2], [(lora_paths()[name], strength)])[1]


def test_the_same_file_loaded_again_has_the_same(models):
    _, clip, vae = load_tiny_sdxl()
    assert of_vae(vae) == of_vae(models[2]) and of_text_encoders(clip) == of_text_encoders(models[1])
    assert of_text_encoders(clip.clone()) == of_text_encoders(clip)


def test_patches_count_by_file_and_strength_and_in_the_same_way_while_they_are_on_the_weights(models):
    plain = of_text_encoders(models[1])
    half, whole = (of_text_encoders(with_lora(models, strength)) for strength in (0.5, 1.0))
    assert len({plain, half, whole}) == 3
    assert of_text_encoders(with_lora(models, 0.5, "style")) == plain  # which has no keys for them
    clip = with_lora(models, 0.5)
    weight = clip.patcher.model.state_dict()[next(iter(clip.patcher.patches))].clone()
    comfy.model_management.load_models_gpu([clip.patcher], force_full_load=True)
    try:
        assert not torch.equal(clip.patcher.model.state_dict()[next(iter(clip.patcher.patches))], weight)
        assert of_text_encoders(clip) == half and of_text_encoders(models[1]) == plain
    finally:
        comfy.model_management.unload_all_models()


def test_a_changed_weight_a_skipped_layer_and_another_padding_count():
    _, clip, vae = load_tiny_sdxl()
    skipped = clip.clone()
    skipped.clip_layer(-3)
    assert of_text_encoders(skipped) != of_text_encoders(clip)
    seen = {of_vae(vae)}
    convolution = next(module for module in vae.first_stage_model.modules() if isinstance(module, torch.nn.Conv2d))
    convolution.padding_mode = "circular"
    seen.add(of_vae(vae))
    with torch.no_grad():
        convolution.weight[0, 0, 0, 0] += 0.01
    seen.add(of_vae(vae))
    assert len(seen) == 3


@pytest.mark.parametrize(
    "carried",
    [
        lambda patcher: patcher.add_object_patch("forward", lambda *given: None),
        lambda patcher: patcher.model_options.update(hook=lambda *given: None),
    ],
)
def test_what_nobody_can_look_into_has_none_and_is_named(carried, models):
    clip = models[1].clone()
    carried(clip.patcher)
    with pytest.raises(NoFingerprint, match=r"(object_patches|model_options) with .*test_fingerprints.*lambda"):
        of_text_encoders(clip)


def test_captions_count_as_the_tokenizer_reads_them(models):
    clip = models[1]

    def of(text: str, most: int = 0) -> str:
        return of_tokens(conditioning.tokens_of(clip, text, most))

    assert of("a red zibby") == of("a  red zibby")
    assert len({of("a red zibby"), of("a (red:1.1) zibby"), of("zibby red a"), of("a red zibby", 150)}) == 4
    one, other = ({"l": [[(1, 1.0), (torch.full((4,), value), 1.0)]]} for value in (0.0, 1.0))  # embeddings
    assert of_tokens(one) != of_tokens(other)
