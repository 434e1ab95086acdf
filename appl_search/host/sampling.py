"""ComfyUI's own sampler: on a U-Net that a search has loaded, and as the KSampler node runs it."""

from __future__ import annotations

from collections.abc import Callable

import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from ..settings import PreviewSettings
from . import device
from .conditioning import as_conditioning
from .denoiser import Denoiser

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS

Conditioning = tuple[Tensor, Tensor]  # context [1, tokens, c] and pooled [1, p]


def sample(denoiser: Denoiser, positive: Conditioning, negative: Conditioning, wanted: PreviewSettings) -> Tensor:
    """Latent [4, height / 8, width / 8], in the VAE's scale, that ComfyUI's KSampler makes of this conditioning.

    KSampler itself would have the model loaded first, and that may move weights which a search works with: here the
    U-Net stays where it is. The state of torch's random numbers is left as it was.
    Raises ValueError for a sampler or scheduler that ComfyUI does not have.
    """
    _check(wanted)
    patcher, where = denoiser.patcher, denoiser.device
    sigmas = comfy.samplers.KSampler(patcher, wanted.steps, where, wanted.sampler, wanted.scheduler).sigmas
    empty = torch.zeros(1, 4, wanted.height // 8, wanted.width // 8)
    guider = comfy.samplers.CFGGuider(patcher)
    guider.set_conds(as_conditioning(*positive), as_conditioning(*negative))
    guider.set_cfg(wanted.cfg)
    guider.inner_model, guider.model_options = patcher.model, denoiser.model_options
    guider.conds = {name: [dict(one) for one in conds] for name, conds in guider.original_conds.items()}
    sampler = comfy.samplers.sampler_object(wanted.sampler)
    with torch.no_grad(), torch.random.fork_rng([where] if where.type == "cuda" else []):
        noise = comfy.sample.prepare_noise(empty, wanted.seed)
        latent = guider.inner_sample(
            noise.to(where), empty.to(where), where, sampler, sigmas, None, lambda *_: device.check_interrupted(), True, wanted.seed
        )
    return latent[0].float().cpu()


def sample_as_ksampler(
    patcher, positive: list, negative: list, wanted: PreviewSettings, on_step: Callable[[int, Tensor], object]
) -> Tensor:
    """Latent [4, height / 8, width / 8], in the VAE's scale: what the KSampler node makes of a MODEL, which it loads first.

    ``positive``, ``negative``: CONDITIONING. ``on_step``: called after each step with its number from 0 and the denoised latent.
    Raises ValueError for a sampler or scheduler that ComfyUI does not have, and ComfyUI's own exception after Cancel.
    """
    _check(wanted)

    def after_step(step: int, x0: Tensor, *_: object) -> None:
        on_step(step, x0)
        device.check_interrupted()

    device.check_interrupted()
    empty = torch.zeros(1, 4, wanted.height // 8, wanted.width // 8)
    noise = comfy.sample.prepare_noise(empty, wanted.seed)
    latent = comfy.sample.sample(
        patcher, noise, wanted.steps, wanted.cfg, wanted.sampler, wanted.scheduler, positive, negative, empty,
        callback=after_step, disable_pbar=True, seed=wanted.seed,
    )  # fmt: skip
    return latent[0].float().cpu()


def _check(wanted: PreviewSettings) -> None:
    for field, known in (("sampler", SAMPLERS), ("scheduler", SCHEDULERS)):
        if (value := getattr(wanted, field)) not in known:
            raise ValueError(f"PreviewSettings: {field} is {value!r}, expected one of {', '.join(known)}.")
