"""The same numbers however little memory there is: fewer examples at a time, checkpointing, weights cast for each forward."""

from __future__ import annotations

import pytest
import torch

from appl_search import LoraSource, SearchSettings, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.gradients.batch import Gradients
from appl_search.gradients.draws import Draws
from appl_search.gradients.evaluator import opened
from appl_search.gradients.micro_batches import MicroBatches
from appl_search.host import autograd, device
from appl_search.host.undo import Undo
from appl_search.searching.run import Run
from appl_search.searching.team import Solo
from tests import oracle

SETTINGS = SearchSettings(samples=4, batch_size=4)
LORAS = (oracle.LORA_A, oracle.LORA_B)


def gradients(model=None, change=None, probes=2):
    """Of four examples, some of them probed; ``change(evaluator)`` before."""
    sources = [LoraSource(path) for path in LORAS]
    with opened(oracle.task(model or oracle.sdxl(), sources, SETTINGS)) as evaluator:
        if change is not None:
            change(evaluator)
        draw = Draws(evaluator.shapes, 4, 4, seed=3).current()
        found = evaluator.gradients(draw, evaluator.rates.all_rates(evaluator.rates.start), probes=probes)
        return found, evaluator._memory


def assert_same(found, expected, error=1e-4):
    for part in ("losses", "gradients", "probes"):
        one, other = getattr(found, part), getattr(expected, part)
        assert (one - other).norm() <= error * other.norm(), part


@pytest.fixture(scope="module")
def plain():
    return gradients()[0]


@pytest.mark.parametrize("size", [1, 3])
def test_the_micro_batch_does_not_matter(size, plain):
    assert_same(gradients(change=lambda evaluator: setattr(evaluator._memory, "size", size))[0], plain)


def test_checkpointing_does_not_matter(plain):
    found, memory = gradients(change=lambda evaluator: evaluator._memory._checkpoint())
    assert memory.checkpointing
    assert_same(found, plain)


def test_what_several_processes_compute_of_a_batch_is_what_one_computes(plain):
    """Each takes every third row; the probed rows come first in each part, as in the whole."""
    sources = [LoraSource(path) for path in LORAS]
    with opened(oracle.task(oracle.sdxl(), sources, SETTINGS)) as evaluator:
        draw = Draws(evaluator.shapes, 4, 4, seed=3).current()
        at = evaluator.rates.all_rates(evaluator.rates.start)
        parts = {}
        for process in range(3):
            rows = range(process, 4, 3)
            parts[rows] = evaluator.gradients(draw.of(rows), at, probes=sum(row < 2 for row in rows))
    losses, gradients = torch.empty_like(plain.losses), torch.empty_like(plain.gradients)
    probes = torch.empty_like(plain.probes)
    for rows, part in parts.items():
        losses[list(rows)], gradients[list(rows)] = part.losses, part.gradients
        probes[[row for row in rows if row < 2]] = part.probes
    assert_same(Gradients(losses, gradients, probes), plain)


def searched(method, change=lambda evaluator: None):
    """Block weights of a search on both LoRAs; ``change(evaluator)`` before it."""
    settings = SearchSettings(method=method, samples=12, batch_size=4, tolerance=0.0, validation=4, comparison=0, check_gradient=False)
    one = oracle.task(oracle.sdxl(), [LoraSource(oracle.LORA_A)], settings)
    with opened(one) as evaluator:
        change(evaluator)
        run = Run(one, evaluator, Solo(), print)
        for _ in run:
            pass
        return torch.tensor([weights.values for weights in run.finish().block_weights])


@pytest.mark.parametrize("method", ["gauss-newton", "adamw"])
def test_a_search_ends_the_same_however_it_is_computed(method):
    def with_two_threads(_):
        torch.set_num_threads(2)

    whole = searched(method)
    changes = [
        lambda evaluator: setattr(evaluator._memory, "size", 1),
        lambda evaluator: evaluator._memory._checkpoint(),
        out_of_memory_above(2),
        with_two_threads,
    ]
    try:
        for change in changes:
            assert (searched(method, change) - whole).abs().max() < 1.6e-4
    finally:
        torch.set_num_threads(1)


def out_of_memory_above(examples, checkpointed_only=False):
    """A U-Net that has memory for so many examples at a time."""

    def change(evaluator):
        plain_call = type(evaluator.denoiser).__call__

        class Small(type(evaluator.denoiser)):
            def __call__(self, noisy, *rest):
                if len(noisy) > examples or (checkpointed_only and not evaluator._memory.checkpointing):
                    raise device.OUT_OF_MEMORY("CUDA out of memory")
                return plain_call(self, noisy, *rest)

        evaluator.denoiser.__class__ = Small

    return change


def test_out_of_memory_halves_the_micro_batch_and_goes_on(plain):
    found, memory = gradients(change=out_of_memory_above(1))
    assert memory.size == 1 and not memory.checkpointing
    assert_same(found, plain)


def test_then_it_checkpoints(plain):
    found, memory = gradients(change=out_of_memory_above(1, checkpointed_only=True))
    assert memory.checkpointing
    assert_same(found, plain)


def test_only_then_it_fails_and_says_what_to_do():
    with pytest.raises(device.OUT_OF_MEMORY, match="one example at a time and gradient checkpointing. Use smaller"):
        gradients(change=out_of_memory_above(0))


@pytest.mark.parametrize("free, size, checkpointing", [(1e9, 16, False), (90.0, 3, False), (20.0, 5, True), (0.0, 1, True)])
def test_the_first_micro_batch_fits_the_free_memory(free, size, checkpointing, monkeypatch):
    class Denoiser:
        device, model, one_at_a_time = torch.device("cpu"), torch.nn.Module(), False

        def inference_memory(self, shape):
            return float(shape[0])

    monkeypatch.setattr(device, "free_memory", lambda _: free)
    with Undo() as undo:
        memory = MicroBatches(Denoiser(), torch.Size([4, 8, 8]), 16, undo)
        assert (memory.size, memory.checkpointing) == (size, checkpointing)


@pytest.mark.parametrize("stored", [torch.float16, torch.float8_e4m3fn], ids=["fp16", "fp8"])
def test_weights_stored_in_another_dtype_than_the_computation(stored):
    casting, rounded = oracle.sdxl(stored, manual_cast_dtype=torch.float32), oracle.sdxl()
    rounded.model.diffusion_model.to(stored).to(torch.float32)
    assert any(module.comfy_cast_weights for module in casting.model.modules() if isinstance(module, torch.nn.Linear))
    assert_same(gradients(casting)[0], gradients(rounded)[0])


def test_weights_in_a_buffer_that_the_host_overwrites_after_each_layer(plain, monkeypatch):
    model, lent = oracle.sdxl(torch.float16, manual_cast_dtype=torch.float32), []
    cast = autograd.comfy.ops.cast_bias_weight

    def cast_into_the_buffer(layer, *args, **kwargs):
        for tensor in lent:
            tensor.fill_(float("nan"))
        given = cast(layer, *args, **kwargs)
        lent[:] = [tensor for tensor in given[:2] if tensor is not None]
        return given

    monkeypatch.setattr(autograd.comfy.ops, "cast_bias_weight", cast_into_the_buffer)
    assert_same(gradients(model)[0], plain)
    assert lent


def test_pictures_are_encoded_in_tiles_when_the_vae_runs_out_of_memory(monkeypatch):
    # As in ComfyUI: the VAE comes from a node that ran in inference mode, and falls back to tiles by itself.
    with torch.inference_mode():
        model, clip, vae = load_tiny_sdxl()
    pictures, captions = load_images("train")
    images, sources = TrainingSet.from_images(pictures[:2], captions[:2]), [LoraSource(lora_paths()["style"])]
    quick = SearchSettings(method="adamw", samples=2, batch_size=2, validation=0, comparison=0, check_gradient=False)
    expected = search(model, clip, vae, sources, images, quick)
    encode, calls = vae.first_stage_model.encode, []

    def out_of_memory_at_first(pixels):
        calls.append(tuple(pixels.shape))
        if len(calls) == 1:
            raise torch.OutOfMemoryError("injected")
        return encode(pixels)

    monkeypatch.setattr(vae.first_stage_model, "encode", out_of_memory_at_first)
    found = search(model, clip, vae, sources, images, quick)
    assert len(calls) > 2
    assert found.block_weights[0].values == pytest.approx(expected.block_weights[0].values, abs=1e-4)
