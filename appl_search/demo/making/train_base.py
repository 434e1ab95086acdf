"""Trains U-Net and text encoders of the tiny SDXL together, and writes the model's files."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...host.tiny_sdxl import (
    MODEL_FILE,
    START_TOKEN,
    TEXT_ENCODER_FILE,
    TOKENIZER_FOLDER,
    UNET_PREFIX,
    VAE_PREFIX,
    TinyConfig,
    build_clip,
    build_model,
    pack_rows,
)
from .denoising import Denoiser, stratified_timesteps
from .pool import Pool
from .tokenizer import write_tokenizer
from .world import caption

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_LARGEST_WEIGHT = 40.0  # of the v-prediction-like weights 1 / abar, which let the prompts be learnt at high noise
_EMPTY_PROMPTS = 0.1  # share of examples without caption, for classifier-free guidance


def train_base(
    folder: Path,
    config: TinyConfig,
    vae_state: dict[str, Tensor],
    pool: Pool,
    latents: Tensor,
    steps: int,
    seed: int,
    batch: int = 24,
    lr: float = 1.5e-3,
) -> None:
    """Train a model of shape `config` on `pool` and write it to `folder` (see `tiny_sdxl`).

    latents: [N, 4, 16, 16], the pool's pictures as the model sees them; vae_state: what `train_vae` gave, stored along.
    """
    torch.manual_seed(seed)
    tokenizer = folder / TOKENIZER_FOLDER
    tokens = write_tokenizer(tokenizer)
    (tokenizer / TEXT_ENCODER_FILE).write_text(
        json.dumps(config.text_encoder_config(), indent=2) + "\n", encoding="utf-8"
    )
    model, clip = build_model(config), build_clip(tokenizer, config)
    _initialise(model.model.diffusion_model, clip.cond_stage_model)
    denoiser = Denoiser(model, clip)
    tables = [
        _CompactTable(encoder.transformer.get_input_embeddings(), tokens)
        for encoder in (denoiser.text.clip_l, denoiser.text.clip_g)
    ]
    _fit(denoiser, tables, pool, latents, steps, seed, batch, lr)
    for table in tables:
        table.write_back()
    _save(folder / MODEL_FILE, config, denoiser, vae_state, tokens)


def _initialise(unet: nn.Module, text: nn.Module) -> None:
    """Set the weights, which ComfyUI leaves unset: as torch does, but the last layers of residuals to zero."""
    kinds: tuple[Any, ...] = (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm)
    for module in (*unet.modules(), *text.modules()):
        for kind in kinds:
            if isinstance(module, kind):
                kind.reset_parameters(module)
    for name, module in unet.named_modules():
        if name.endswith((".out_layers.3", ".proj_out")) or name == "out.2":
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    for name, parameter in text.named_parameters():
        if "embedding" in name:
            nn.init.normal_(parameter, std=1.0 if "token" in name else 0.1)
        elif parameter.ndim == 2:
            nn.init.xavier_normal_(parameter)
    width = text.clip_g.transformer.text_projection.weight.shape[0]
    with torch.no_grad():
        unet.label_emb[0][0].weight[:, :width].normal_(std=width**-0.5)  # the rest of the vector is constant


class _CompactTable(nn.Module):
    """Stands in for a token table of 49,408 rows while training: the rows in use only, looked up by a hook."""

    def __init__(self, embedding: nn.Embedding, tokens: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(pack_rows("token_embedding.weight", embedding.weight.detach(), tokens))
        self._full = [embedding.weight]  # in a list: not a parameter of this module
        self._tokens = tokens
        self._handle = embedding.register_forward_hook(self._look_up)

    def _look_up(self, _embedding: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        ids = inputs[0]
        return nn.functional.embedding(
            torch.where(ids >= START_TOKEN, ids - START_TOKEN + self._tokens, ids), self.rows
        )

    @torch.no_grad()
    def write_back(self) -> None:
        self._handle.remove()
        self._full[0][: self._tokens] = self.rows[:-2]
        self._full[0][START_TOKEN:] = self.rows[-2:]


@dataclass(frozen=True)
class _Batch:
    """Examples of one step; see `Denoiser.errors` for the shapes."""

    latents: Tensor
    prompts: list[str]
    timesteps: Tensor
    noise: Tensor

    def part(self, rows: slice) -> _Batch:
        return _Batch(self.latents[rows], self.prompts[rows], self.timesteps[rows], self.noise[rows])


def _draw(pool: Pool, latents: Tensor, count: int, generator: torch.Generator, rng: Random) -> _Batch:
    chosen = torch.randint(len(latents), (count,), generator=generator)
    prompts = ["" if rng.random() < _EMPTY_PROMPTS else caption(pool.scenes[i], rng) for i in chosen.tolist()]
    noise = torch.randn(latents[chosen].shape, generator=generator)
    return _Batch(latents[chosen], prompts, stratified_timesteps(count, generator), noise)


def _gradients(
    denoiser: Denoiser, trained: list[nn.Parameter], weights: Tensor, batch: _Batch
) -> tuple[float, tuple[Tensor, ...]]:
    """The sum of the plain losses of `batch`, and the gradients of the sum of its weighted losses."""
    errors = denoiser.errors(batch.latents, batch.prompts, batch.timesteps, batch.noise)
    loss = (errors * weights[batch.timesteps.to(weights.device)]).sum()
    return errors.sum().item(), torch.autograd.grad(loss, trained, materialize_grads=True)


def _fit(
    denoiser: Denoiser,
    tables: list[_CompactTable],
    pool: Pool,
    latents: Tensor,
    steps: int,
    seed: int,
    count: int,
    lr: float,
) -> None:
    generator, rng = torch.Generator().manual_seed(seed), Random(seed)
    trained = [
        parameter.requires_grad_()
        for module in (denoiser.unet, denoiser.text, *tables)
        for name, parameter in module.named_parameters()
        if not name.endswith(("logit_scale", "token_embedding.weight"))
    ]
    optimizer = torch.optim.AdamW(trained, lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps, pct_start=0.05, cycle_momentum=False, div_factor=20, final_div_factor=50
    )
    weights = (1 / denoiser.alphas).clamp(max=_LARGEST_WEIGHT)
    weights /= weights.mean()
    start, recent = time.monotonic(), []
    with _Workers(denoiser.device) as workers:
        for step in range(steps):
            batch = _draw(pool, latents, count, generator, rng)
            parts = [batch.part(rows) for rows in workers.slices(count)]
            results = workers.map(partial(_gradients, denoiser, trained, weights), parts)
            sums, gradients = zip(*results, strict=True)
            for parameter, *summands in zip(trained, *gradients, strict=True):
                parameter.grad = sum(summands) / count
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            recent.append(sum(sums) / count)
            if (step + 1) % 50 == 0 or step == steps - 1:
                mean = sum(recent) / len(recent)
                log.info("base step %d: loss %.4f, %.0f s", step + 1, mean, time.monotonic() - start)
                recent.clear()
    for parameter in trained:
        parameter.requires_grad_(False)


class _Workers:
    """Splits batches over the processor's cores, one thread each; on an accelerator there is one part.

    For layers as small as these that is faster than several threads within each operation.
    """

    def __init__(self, device: torch.device) -> None:
        self._threads = torch.get_num_threads()
        self._count = self._threads if device.type == "cpu" else 1

    def __enter__(self) -> _Workers:
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(self._count, initializer=torch.set_num_threads, initargs=(1,))
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.shutdown()
        torch.set_num_threads(self._threads)

    def slices(self, count: int) -> list[slice]:
        """range(count) in equal parts, one per worker."""
        edges = [count * i // self._count for i in range(self._count + 1)]
        return [slice(*pair) for pair in zip(edges, edges[1:], strict=False)]

    def map(self, function: Callable[[_Batch], _Result], parts: list[_Batch]) -> list[_Result]:
        return list(self._pool.map(function, parts))


def _save(path: Path, config: TinyConfig, denoiser: Denoiser, vae_state: dict[str, Tensor], tokens: int) -> None:
    state = {UNET_PREFIX + key: value for key, value in denoiser.unet.state_dict().items()}
    state |= {VAE_PREFIX + key: value for key, value in vae_state.items()}
    state |= {
        key: pack_rows(key, value, tokens)
        for key, value in denoiser.text.state_dict().items()
        if not key.endswith("logit_scale")
    }
    save_file(
        {key: value.half().cpu().contiguous() for key, value in state.items()},
        path,
        metadata={"config": json.dumps(asdict(config))},
    )
