"""Whatever function of the engine fails, and however, MODEL, CLIP and VAE are bit for bit what they were."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import comfy.model_management
import comfy.ops
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from safetensors.torch import save_file
from torch import nn

import appl_search
from appl_search import LoraSource, SearchSettings, TrainingSet, search
from appl_search.demo import load_images, load_tiny_sdxl, lora_paths
from appl_search.host.undo import Undo
from tests import oracle

ENGINE = str(Path(appl_search.__file__).parent)
ONE_STEP = SearchSettings(samples=2, batch_size=2, validation=1, comparison=1)
KINDS = (RuntimeError, comfy.model_management.InterruptProcessingException, torch.OutOfMemoryError)
#: These end as fast as they can and in any order, like Python's own clean-up: an error in them goes nowhere.
NOT_CALLED_BY_THE_SEARCH = ("__del__",)


def looks(models: list[nn.Module]) -> list:
    """What a search could leave behind on models: everything that hangs on their modules, by identity."""
    found = []
    for name, module in itertools.chain.from_iterable(model.named_modules() for model in models):
        own = {key: id(value) for key, value in vars(module).items() if callable(value)}
        hooks = [value.copy() for key, value in vars(module).items() if key.endswith("hooks")]
        tensors = {key: (id(t), t.requires_grad) for key, t in [*module._parameters.items(), *module._buffers.items()] if t is not None}
        found.append((name, own, hooks, tensors))
    return found


def bits(models: list[nn.Module]) -> list[torch.Tensor]:
    return [tensor.clone() for model in models for tensor in model.state_dict().values()]


def is_of_the_engine(code: CodeType) -> bool:
    return code.co_filename.startswith(ENGINE) and code.co_name not in NOT_CALLED_BY_THE_SEARCH and not code.co_name.startswith("<")


def calls_of(work: Callable[[], object]) -> dict[CodeType, int]:
    """How often each function of the engine is called."""
    counts: dict[CodeType, int] = {}

    def count(frame: FrameType, event: str, _: object) -> None:
        if is_of_the_engine(frame.f_code):
            counts[frame.f_code] = counts.get(frame.f_code, 0) + 1

    with traced(count):
        work()
    return counts


@contextmanager
def traced(function: Callable) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(function)
    try:
        yield
    finally:
        sys.settrace(before)


def fail_at(code: CodeType, number: int, error: type[BaseException], work: Callable[[], object]) -> None:
    """Runs ``work`` with an error in the so-many-th call of a function."""
    numbers = itertools.count(1)

    def fail(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code is code and next(numbers) == number:
            raise error("injected")

    with traced(fail):
        work()


def inject_everywhere(work: Callable[[], object], models: list[nn.Module], choose: Callable[[CodeType], bool]) -> int:
    """An error of each kind in each function of the engine that ``work`` calls: in its first call, and of one kind in its last.

    Returns how many functions there were.
    """
    before, weights = looks(models), bits(models)
    counts = {code: count for code, count in calls_of(work).items() if choose(code)}
    for (turn, (code, count)), (number, error) in itertools.product(enumerate(counts.items()), enumerate(KINDS)):
        where = f"{error.__name__} in {Path(code.co_filename).stem}.{code.co_name}, line {code.co_firstlineno}"
        try:
            fail_at(code, count if turn % len(KINDS) == number else 1, error, work)
        except (*KINDS, ValueError) as raised:
            assert not isinstance(raised, ValueError) or raised.__context__ is not None, where
        for old, new in zip(before, looks(models), strict=True):
            assert old == new, f"{where}: {old[0]}"
    assert all(map(torch.equal, weights, bits(models)))
    return len(counts)


def tensors_in_memory() -> int:
    gc.collect()
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


#: SDXL with one level and one attention layer: a search takes a tenth of a second.
SMALLEST = {
    **oracle.UNET_CONFIG, "num_res_blocks": [1], "channel_mult": [1], "transformer_depth": [0], "transformer_depth_output": [1, 0],
    "transformer_depth_middle": -1, "model_channels": 64,
}  # fmt: skip


def smallest_model():
    layout = UNetModel(**SMALLEST, operations=comfy.ops.disable_weight_init).state_dict()
    generator = torch.Generator().manual_seed(0)
    weights = {key: torch.randn(part.shape, generator=generator) / max(part[0].numel(), 1) ** 0.5 for key, part in layout.items()}
    return oracle.sdxl(unet_config=SMALLEST, state_dict=weights)


def lora_of_every_way(path: Path) -> LoraSource:
    """Adapters of low rank, of full differences, and of a chain of both; for a linear layer, a convolution and a norm."""
    layers = {"lora": "output_blocks_0_1_proj_out", "loha": "input_blocks_1_0_in_layers_2", "dora": "output_blocks_0_1_proj_in", "diff": "output_blocks_0_1_norm"}
    tensors = {}
    for kind, layer in layers.items():
        is_conv, stem = layer.endswith("layers_2"), f"lora_unet_{layer}"
        into = 64 * 9 if is_conv else 64
        if kind == "diff":
            tensors[f"{stem}.diff"] = 0.1 * torch.ones(64)
        elif kind == "loha":
            tensors |= {f"{stem}.hada_w{n}_{part}": torch.full(shape, 0.1) for n in (1, 2) for part, shape in (("a", (64, 2)), ("b", (2, into)))}
        else:
            tensors |= {f"{stem}.lora_up.weight": torch.full((64, 2), 0.1), f"{stem}.lora_down.weight": torch.full((2, into), 0.1)}
            tensors |= {f"{stem}.dora_scale": torch.ones(64, 1)} if kind == "dora" else {}
    save_file(tensors, path)
    return LoraSource(path)


@pytest.fixture
def nobody_listens(monkeypatch):
    """An error in what Python calls by itself goes nowhere; pytest would keep it, with all that its frames hold."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


@pytest.mark.usefixtures("nobody_listens")
def test_an_error_in_any_function_changes_no_model_and_the_next_search_is_the_same(tmp_path):
    source, model = lora_of_every_way(tmp_path / "all.safetensors"), smallest_model()
    images = TrainingSet(oracle.training_set().items[:1])

    def work():
        return search(model, None, None, [source], images, ONE_STEP)

    expected = work().block_weights[0].values
    files, threads, tensors = open_files(), threading.active_count(), tensors_in_memory()
    before_any_model = ("architectures", "loras", "settings", "weights")
    assert inject_everywhere(work, [model.model], lambda code: Path(code.co_filename).parent.name not in before_any_model) > 200
    assert tensors_in_memory() == tensors
    assert work().block_weights[0].values == expected
    assert (open_files(), threading.active_count()) == (files, threads)
    assert not model.patches and model.model_options == {"transformer_options": {}}


@pytest.mark.usefixtures("nobody_listens")
def test_an_error_around_text_encoders_and_pictures_changes_no_model():
    model, clip, vae = load_tiny_sdxl()
    pictures, captions = load_images("train")
    images, sources = TrainingSet.from_images(pictures[:1], captions[:1]), [LoraSource(lora_paths()["character"])]
    modules = [model.model, clip.cond_stage_model, vae.first_stage_model]
    rooms = ("gradients/text.py", "gradients/encoders.py", "host/conditioning.py", "host/long_captions.py", "host/undo.py")
    rooms += ("images/examples.py", "images/encoding.py")
    quick = SearchSettings(samples=1, batch_size=1, validation=0, comparison=0, check_gradient=False)

    def work():
        return search(model, clip, vae, sources, images, quick)

    assert inject_everywhere(work, modules, lambda code: code.co_filename.endswith(rooms)) > 20
    assert "load_model" not in vars(clip)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_while_things_are_put_back_keeps_nothing_from_being_put_back(kind):
    def fail():
        raise kind("injected")

    attributes, done = {"kept": 1, "taken": 2}, []
    with pytest.raises(kind), Undo() as undo:
        undo.call(lambda: done.append("first"))
        undo.put(attributes, "kept", "other")
        undo.call(fail)
        undo.put(attributes, "new", "thing")
        undo.remove(attributes, "taken")
        undo.call(fail)
        undo.call(lambda: done.append("last"))
    assert attributes == {"kept": 1, "taken": 2} and done == ["last", "first"]
