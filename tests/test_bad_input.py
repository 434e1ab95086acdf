"""Bad input: a clear error that names what is wrong, what was expected, and how to mend it."""

from __future__ import annotations

import comfy.model_base
import comfy.model_patcher
import comfy.model_sampling
import pytest
import torch
from safetensors.torch import load_file, save_file

from appl_search import LoraError, LoraSource, SearchSettings, TrainingSet, search
from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host.errors import ModelError
from appl_search.searching.events import SearchDiverged
from tests import oracle

QUICK = SearchSettings(method="adamw", samples=4, batch_size=2, check_gradient=False)


def run(path=oracle.LORA_A, model=None, training_set=None, clip=None, vae=None, settings=QUICK):
    model = model or oracle.sdxl()
    training_set = oracle.training_set() if training_set is None else training_set
    return search(model, clip, vae, [LoraSource(path)], training_set, settings)


def saved(tmp_path, tensors, name="bad.safetensors"):
    save_file(tensors, tmp_path / name)
    return tmp_path / name


def test_no_lora():
    with pytest.raises(ValueError, match="no LoRA to search"):
        search(oracle.sdxl(), None, None, [], oracle.training_set())


def test_missing_file(tmp_path):
    with pytest.raises(LoraError, match="gone.safetensors does not exist"):
        run(tmp_path / "gone.safetensors")


def test_truncated_file(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(oracle.LORA_A.read_bytes()[:5000])
    with pytest.raises(LoraError, match="half.safetensors cannot be read as safetensors.*truncated"):
        run(path)


def test_not_a_lora(tmp_path):
    path = saved(tmp_path, {"model.embed.weight": torch.zeros(2, 2)})
    with pytest.raises(LoraError, match="is not a LoRA.*model.embed.weight"):
        run(path)


@pytest.mark.parametrize(
    "stem, message",
    [
        ("lora_unet_double_blocks_0_img_attn_proj", "is for another model than SDXL.*double_blocks"),
        # The oracle's model has one transformer block per layer, SDXL ten.
        ("lora_unet_output_blocks_0_1_transformer_blocks_9_attn2_to_k", "none of its 2 keys is a key of this MODEL"),
    ],
    ids=["of Flux", "of layers that the model lacks"],
)
def test_lora_of_another_model(tmp_path, stem, message):
    tensors = {f"{stem}.lora_up.weight": torch.ones(8, 2), f"{stem}.lora_down.weight": torch.ones(2, 8)}
    with pytest.raises(LoraError, match=message):
        run(saved(tmp_path, tensors))


def test_lora_for_sd15_names_the_key_and_the_shapes(tmp_path):
    # SD 1.5 names its blocks as SDXL does, with other sizes.
    stem = "lora_unet_up_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{stem}.lora_up.weight": torch.ones(320, 4), f"{stem}.lora_down.weight": torch.ones(4, 768)}
    with pytest.raises(LoraError, match=r"\(320, 4\), \(4, 768\).*output_blocks.0.1.*attn2.to_k.weight.*\(128, 64\)"):
        run(saved(tmp_path, tensors))


def test_a_dense_patch_that_comfyui_would_drop_with_a_log_line(tmp_path):
    stem = "lora_unet_output_blocks_0_1_proj_in"
    parts = {"hada_w1_a": (9, 2), "hada_w1_b": (2, 9), "hada_w2_a": (9, 2), "hada_w2_b": (2, 9)}
    tensors = {f"{stem}.{part}": torch.ones(shape) for part, shape in parts.items()}
    with pytest.raises(LoraError, match="loha tensors.*output_blocks.0.1.proj_in.weight"):
        run(saved(tmp_path, tensors))


def test_text_encoder_lora_without_clip(tmp_path):
    stem = "lora_te1_text_model_encoder_layers_0_mlp_fc1"
    tensors = load_file(oracle.LORA_A) | {
        f"{stem}.lora_up.weight": torch.ones(8, 2), f"{stem}.lora_down.weight": torch.ones(2, 8)
    }  # fmt: skip
    with pytest.raises(LoraError, match="has 1 text-encoder keys, but there is no CLIP"):
        run(saved(tmp_path, tensors))


def test_model_that_is_not_sdxl():
    model = oracle.sdxl()
    model.model.__class__ = comfy.model_base.BaseModel
    with pytest.raises(ModelError, match="MODEL is BaseModel, expected SDXL or SD 1.5"):
        run(model=model)


def with_sampling(*bases):
    model = oracle.sdxl()
    model.add_object_patch("model_sampling", type("Patched", bases, {})())
    return model


def test_sampling_patches_that_cannot_be_searched_with():
    discrete, eps = comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS
    unknown = type("Guess", (), {"calculate_denoised": eps.calculate_denoised, "noise_scaling": eps.noise_scaling})
    squared = type("Squared", (eps,), {"calculate_denoised": lambda self, sigma, output, x: x - output**2})
    noiseless = type("Noiseless", (eps,), {"noise_scaling": lambda self, sigma, noise, latent: latent + 0 * noise})
    pictures = type("IMG_TO_IMG", (eps,), {})
    for kind, why in (
        (unknown, "predicts something unknown, expected eps, v, x0, edm or flow"),
        (squared, "not linear in the network's output"),
        (noiseless, "its latents have no noise"),
        (pictures, "predicts IMG_TO_IMG"),
    ):
        with pytest.raises(ModelError, match=rf"samples with Patched \(ModelSamplingDiscrete, {kind.__name__}\): .*{why}"):
            run(model=with_sampling(discrete, kind))


def test_no_image():
    with pytest.raises(ValueError, match="no training image"):
        TrainingSet.from_images(torch.zeros(0, 64, 64, 3), "a cat")
    with pytest.raises(ValueError, match="training set is empty"):
        run(training_set=TrainingSet())


def test_small_image():
    with pytest.raises(ValueError, match="image 2 is 32x64 pixels, expected at least 64"):
        TrainingSet.from_images([torch.zeros(1, 64, 64, 3), torch.zeros(1, 64, 32, 3)], "a cat")


def test_nan_pixels():
    images = torch.zeros(2, 64, 64, 3)
    images[1, 3, 4, 0] = float("nan")
    with pytest.raises(ValueError, match="image 2 has NaN"):
        TrainingSet.from_images(images, "a cat")


@pytest.mark.parametrize("captions", [["a", "b"], ["a", "b", "c", "d"], []])
def test_captions_that_do_not_fit_the_images(captions):
    with pytest.raises(ValueError, match=f"{len(captions)} captions for 3 images"):
        TrainingSet.from_images(torch.zeros(3, 64, 64, 3), captions)


def test_conditioning_without_pooled_output():
    with pytest.raises(ValueError, match="no pooled output"):
        TrainingSet.from_latents({"samples": torch.zeros(1, 4, 8, 8)}, [[torch.zeros(1, 77, 64), {}]])


def test_latent_of_another_kind_of_vae():
    with pytest.raises(ValueError, match=r"shape \(1, 16, 8, 8\), expected \(n, 4, h, w\)"):
        TrainingSet.from_latents({"samples": torch.zeros(1, 16, 8, 8)}, [[torch.zeros(1, 77, 64), {"pooled_output": 0}]])


@pytest.mark.parametrize(
    "context, pooled, message",
    [(32, 32, "context of a conditioning has 32 channels, the MODEL expects 64"), (64, 48, "sizes of a conditioning has 1584 .* 1568")],
)
def test_conditioning_of_another_kind_of_clip(context, pooled, message):
    conditioning = [[torch.zeros(1, 77, context), {"pooled_output": torch.zeros(1, pooled)}]]
    with pytest.raises(ModelError, match=message):
        run(training_set=TrainingSet.from_latents({"samples": torch.zeros(1, 4, 8, 8)}, conditioning))


@pytest.mark.parametrize(
    "shape, message",
    [((1, 16, 8, 8), r"latent of shape \(1, 16, 8, 8\) of 64x64 pixels"), ((1, 4, 4, 4), "latent of shape"), ((1, 4, 1, 8, 8), "latent of shape")],
)
def test_a_vae_of_another_kind(shape, message, monkeypatch):
    model, clip, vae = load_tiny_sdxl()
    monkeypatch.setattr(vae, "encode", lambda pixels: torch.zeros(shape))
    with pytest.raises(ModelError, match=f"{message}.*expected \\(1, 4, 8, 8\\). Use the checkpoint's own VAE"):
        search(model, clip, vae, [LoraSource(lora_paths()["style"])], TrainingSet.from_images(torch.zeros(1, 64, 64, 3), "a cat"), QUICK)


def test_a_clip_without_a_pooled_output(monkeypatch):
    model, clip, vae = load_tiny_sdxl()
    monkeypatch.setattr(clip, "encode_from_tokens", lambda tokens, return_pooled: (torch.zeros(1, 77, 64), None))
    with pytest.raises(ModelError, match="The CLIP gives no pooled output.*Use the checkpoint's own CLIP"):
        search(model, clip, vae, [LoraSource(lora_paths()["style"])], TrainingSet.from_images(torch.zeros(1, 64, 64, 3), "a cat"), QUICK)


def test_images_without_vae_or_clip():
    images = TrainingSet.from_images(torch.zeros(1, 64, 64, 3), "a cat")
    with pytest.raises(ModelError, match="need a VAE"):
        run(training_set=images)
    with pytest.raises(ModelError, match="need a CLIP"):
        run(training_set=images, vae=object())


def test_images_are_cropped_centrally_to_multiples_of_eight_and_it_says_so():
    image = torch.arange(67 * 70, dtype=torch.float32).view(1, 67, 70, 1).expand(-1, -1, -1, 3) / 5000
    images = TrainingSet.from_images(image, "a cat")
    picture = images.items[0]
    assert tuple(picture.pixels.shape) == (64, 64, 3)
    torch.testing.assert_close(picture.pixels, image[0, 1:65, 3:67])
    assert picture.sizes == {
        "width": 70, "height": 67, "crop_w": 3, "crop_h": 1, "target_width": 64, "target_height": 64
    }  # fmt: skip
    assert images.notes == ("Image 1 was cropped centrally from 70x67 to 64x64 pixels.",)
    assert images.size_note == (
        "1 of 1 images is far from the 1024x1024 pixels that SDXL was trained at; the first of them has 64x64. The "
        "training options width and height bring images to that size."
    )


def test_a_loss_that_is_not_finite_says_where_and_keeps_the_last_good_weights():
    model = oracle.sdxl()
    forward, calls = model.model.diffusion_model.forward, []

    def breaks_at_the_second_batch(*args, **kwargs):
        calls.append(None)
        out = forward(*args, **kwargs)
        if len(calls) == 2:
            out = out * torch.tensor([1.0, float("nan")]).view(2, 1, 1, 1)
        return out

    model.model.diffusion_model.forward = breaks_at_the_second_batch
    draws = list(oracle.recorded_draws())
    with pytest.raises(SearchDiverged) as error:
        search(model, None, None, [LoraSource(oracle.LORA_A)], oracle.training_set(), QUICK, draws=draws)
    timestep, image = int(draws[1][1][1]), int(draws[1][0][1]) + 1
    assert f"step 2, timestep {timestep}, latent {image}" in str(error.value)
    assert len(error.value.result.history.loss) == 1
    assert error.value.result.block_weights[0]["IN04"] != 0.5
