"""ComfyUI's own sampler on a U-Net that is loaded already."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from ..settings import PreviewSettings
from . import device
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
    _check("sampler", wanted.sampler, SAMPLERS)
    _check("scheduler", wanted.scheduler, SCHEDULERS)
    patcher, where = denoiser.patcher, denoiser.device
    sigmas = comfy.samplers.KSampler(patcher, wanted.steps, where, wanted.sampler, wanted.scheduler).sigmas
    empty = torch.zeros(1, 4, wanted.height // 8, wanted.width // 8)
    guider = comfy.samplers.CFGGuider(patcher)
    guider.set_conds(_conditioning(positive), _conditioning(negative))
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


def _check(field: str, value: str, known: list[str]) -> None:
    if value not in known:
        raise ValueError(f"PreviewSettings: {field} is {value!r}, expected one of {', '.join(known)}.")


def _conditioning(encoded: Conditioning) -> list:
    context, pooled = encoded
    return [[context, {"pooled_output": pooled}]]
