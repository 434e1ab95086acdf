"""What a step of the search costs, in units of the plain U-Net forward on the same batch."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path

import models
import naive
import torch

from appl_search.architectures.sdxl import SDXL
from appl_search.gradients.layers import layer_deltas
from appl_search.gradients.patching import Patched
from appl_search.host import autograd
from appl_search.host.denoiser import Denoiser
from appl_search.host.lora_loading import load
from appl_search.host.undo import Undo
from appl_search.loras.source import LoraSource


@dataclass(frozen=True)
class Case:
    """``loras``: (rank, with convolutions) of each; ``side``: of the latents; ``width``: the model is so many times wider."""

    name: str
    loras: tuple[tuple[int, bool], ...]
    batch: int
    side: int
    checkpointing: bool = False
    width: int = 1


@dataclass(frozen=True)
class Row:
    """Ratios to the plain forward; memory kept for backward as a ratio to what the plain graph keeps.

    ``peak``: most memory that a step takes, besides weights, as a ratio to what the plain forward takes.
    """

    case: Case
    forward_seconds: float
    plain_backward: float
    search: float
    search_with_probe: float
    naive: float
    kept: float
    kept_naive: float
    peak: float
    peak_bytes: int


CPU_CASES = [
    Case("1 LoRA, attention, rank 8", ((8, False),), 2, 32),
    Case("2 LoRAs, attention, rank 8", ((8, False),) * 2, 2, 32),
    Case("8 LoRAs, attention, rank 16", ((16, False),) * 8, 2, 32),
    Case("1 LoRA with convolutions, rank 8", ((8, True),), 2, 32),
    Case("2 LoRAs, one with convolutions, rank 8", ((8, False), (8, True)), 2, 32),
    Case("1 LoRA, attention, rank 64", ((64, False),), 2, 32),
    Case("1 LoRA, attention, rank 8, batch 8", ((8, False),), 8, 32),
    Case("1 LoRA, attention, rank 8, latents 64 x 64", ((8, False),), 2, 64),
    Case("1 LoRA, attention, rank 8, checkpointed", ((8, False),), 2, 32, True),
    Case("1 LoRA, attention, rank 8, 4 times as wide", ((8, False),), 1, 32, width=4),
    Case("1 LoRA with convolutions, rank 8, 4 times as wide", ((8, True),), 1, 32, width=4),
    Case("8 LoRAs, attention, rank 16, 4 times as wide", ((16, False),) * 8, 1, 32, width=4),
]
GPU_CASES = [
    Case(f"{n} LoRA, rank 16, {side * 8} px, batch {b}{', checkpointed' if c else ''}", ((16, False),) * n, b, side, c)
    for n, side, b, c in ((1, 64, 4, False), (1, 96, 2, False), (1, 128, 1, False), (1, 128, 1, True), (8, 128, 1, False))
]  # fmt: skip


def measure(cases: list[Case], config: dict, dtype: torch.dtype, repeats: int) -> list[Row]:
    """One row per case; each figure is the median of ``repeats`` interleaved runs."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for width, of_width in groupby(cases, lambda case: case.width):
            patcher = models.sdxl({**config, "model_channels": width * config["model_channels"]}, dtype)
            rows += [_row(case, patcher, Path(folder), repeats) for case in of_width]
    return rows


def _row(case: Case, patcher, folder: Path, repeats: int) -> Row:
    denoiser, model = Denoiser(patcher), patcher.model
    where, config = denoiser.device, model.model_config.unet_config
    sources = [
        LoraSource(models.random_lora(patcher, folder / f"{i}.safetensors", rank, convolutions, i))
        for i, (rank, convolutions) in enumerate(case.loras)
    ]
    loaded = [load(source, patcher, None) for source in sources]
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(case.batch, 4, case.side, case.side, generator=generator).to(where)
    sigma, _ = denoiser.schedule.sigma_at(torch.rand(case.batch, generator=generator))
    pooled = config["adm_in_channels"] - 6 * 256
    conds = [
        denoiser.conds(
            torch.randn(1, 77, config["context_dim"], generator=generator), torch.randn(1, pooled, generator=generator), {}, latent.shape[1:]
        )
        for _ in range(case.batch)
    ]
    rest = sigma.to(where), conds
    seed = torch.randn(latent.shape, generator=generator).to(where)
    parts = naive.factors(model, loaded)
    constants = [*model.parameters(), *(tensor for part in parts for tensor in part[1:3])]
    strengths = torch.full((case.batch, len(sources) * len(SDXL.blocks)), 0.5, device=where)

    def plain_forward() -> None:
        with torch.no_grad():
            denoiser(latent, *rest)

    def plain_backward() -> None:
        noisy = latent.clone().requires_grad_()
        torch.autograd.grad(denoiser(noisy, *rest), noisy, seed)

    def search(probes: int) -> None:
        patched.strengths = strengths.clone().requires_grad_()
        prediction = denoiser(latent, *rest)
        for left in range(probes, -1, -1):
            torch.autograd.grad(prediction, patched.strengths, seed, retain_graph=left > 0)
        patched.strengths = None

    def naive_step() -> None:
        weights = torch.nn.Parameter(strengths[0].clone())
        noisy = latent.clone().requires_grad_()
        with naive.hooked(parts, weights):
            (denoiser(noisy, *rest) * seed).sum().backward()

    with torch.inference_mode(False), Undo() as undo:
        with denoiser.innermost(undo):
            autograd.allow_gradients(model, undo)
            patched = Patched(model, layer_deltas(model, loaded, SDXL), undo)
        kept = [_kept(work, constants) for work in (plain_backward, lambda: search(0), naive_step)]
        if case.checkpointing:
            autograd.checkpoint_blocks(model, undo)
        peaks = [_peak(work, where) for work in (plain_forward, lambda: search(0))]
        works = [plain_forward, plain_backward, lambda: search(0), lambda: search(1), naive_step]
        seconds = _medians(works, repeats, where)
    ratios = (each / seconds[0] for each in seconds[1:])
    return Row(case, seconds[0], *ratios, kept[1] / kept[0], kept[2] / kept[0], peaks[1] / peaks[0], peaks[1])


def _medians(works: list[Callable[[], None]], repeats: int, where: torch.device) -> list[float]:
    times: list[list[float]] = [[] for _ in works]
    for number in range(repeats + 1):
        for work, into in zip(works, times):
            _wait(where)
            started = time.perf_counter()
            work()
            _wait(where)
            if number:
                into.append(time.perf_counter() - started)
    return [statistics.median(each) for each in times]


def _peak(work: Callable[[], None], where: torch.device) -> int:
    """Most bytes that ``work`` has allocated at a time."""
    if where.type == "cuda":
        before = torch.cuda.memory_allocated(where)
        torch.cuda.reset_peak_memory_stats(where)
        work()
        return torch.cuda.max_memory_allocated(where) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    changes = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes.sort(key=lambda event: event.start_ns())
    return max(accumulate(event.nbytes() for event in changes))


def _wait(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def _kept(work: Callable[[], None], constants: list[torch.Tensor]) -> int:
    """Bytes that autograd keeps for backward, each storage once, without ``constants`` (weights, factors)."""
    ignored = {tensor.untyped_storage().data_ptr() for tensor in constants}
    storages: dict[int, int] = {}
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)  # so that no address is used twice
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(size for address, size in storages.items() if address not in ignored)
