"""The U-Net of a MODEL, as ComfyUI's own sampler asks it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import comfy.samplers
import torch
from torch import Tensor

from . import compat, options
from .architectures import architecture_of
from .attention import check_override, use_differentiable
from .errors import ModelError
from .patches import around_the_sampler, described
from .schedule import Schedule
from .undo import Undo

#: A conditioning in the host's form, ready for the U-Net: {name: comfy.conds.COND...}.
ModelConds = dict


class Denoiser:
    """A ModelPatcher: its schedule and its predictions, with all of its patches, wrappers and object patches.

    ``schedule``: its noise levels, and what its network predicts. ``one_at_a_time``: whether examples of different
    noise levels may not share a call, because a patch could look at the first one's only.
    Raises :class:`ModelError` for a model of no architecture that there is, and for a sampling patch that cannot be searched with.
    """

    def __init__(self, patcher):
        architecture_of(patcher)
        self.patcher = patcher = options.uncompiled(patcher)
        self.model = patcher.model
        self.schedule = Schedule(patcher.get_model_object("model_sampling"))
        self._read_options()
        self.one_at_a_time = options.is_patched(self.model_options)
        #: Whether a negative is asked for in the same call, as samplers do at a guidance above 1.
        self.with_negative = False

    def _read_options(self) -> None:
        self.model_options = options.sampling_options(self.patcher)
        check_override(self.model_options["transformer_options"], self.device, torch.float32)

    @property
    def patchers(self) -> list:
        """All that has to be loaded: the MODEL, and the models that its patches brought along."""
        return [self.patcher, *compat.additional_models(self.patcher)]

    @property
    def notes(self) -> list[str]:
        """What a sampler would heed of the MODEL, and a search does not, in sentences."""
        left_out = around_the_sampler(self.model_options)
        if not left_out:
            return []
        return [
            f"The MODEL has {', '.join(left_out)}, which acts around a whole run of a sampler. A search asks the network alone and "
            "leaves it out: take the MODEL from before the node that adds it, if what was found does not fit."
        ]

    @property
    def computes_in(self) -> torch.dtype:
        """The dtype of most of the network's arithmetic."""
        return self.model.manual_cast_dtype or self.model.get_dtype()

    @property
    def patches(self) -> list[str]:
        """What is on the MODEL besides its weights, in words."""
        return described(self.patcher)

    @contextmanager
    def innermost(self, undo: Undo) -> Iterator[None]:
        """Makes the loaded model ready to be asked, until the end; inside, what replaces forwards goes below the host's own.

        The host puts bypass LoRAs around the layers of a loaded model ("injections").
        """
        patcher = self.patcher
        use_differentiable(undo)
        self._read_options()  # loading has moved patches to the device, some of them as new objects
        if compat.HAS_CALLBACKS:
            undo.call(lambda: comfy.samplers.cast_to_load_options(self.model_options, device=patcher.offload_device))
            comfy.samplers.cast_to_load_options(self.model_options, device=self.device, dtype=patcher.model_dtype())
            undo.put(vars(self.model), "current_patcher", patcher)
            undo.call(patcher.cleanup)
            patcher.pre_run()
        if not getattr(patcher, "is_injected", False):
            yield
            return
        undo.call(patcher.inject_model)
        patcher.eject_model()
        yield
        undo.call(patcher.eject_model)
        patcher.inject_model()

    @property
    def device(self) -> torch.device:
        return self.patcher.load_device

    def sigma_at(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Schedule.sigma_at`."""
        return self.schedule.sigma_at(u)

    def latent_in(self, latent: Tensor) -> Tensor:
        """A VAE's latent in the U-Net's own scale (SDXL: times 0.13025)."""
        return self.model.process_latent_in(latent)

    def inference_memory(self, batch_shape: tuple[int, ...]) -> float:
        """Bytes that the host reserves for sampling a batch of ``batch_shape`` [b, 4, h, w]."""
        return self.model.memory_required(list(batch_shape))  # ModelPatcherDynamic's own figure has a gigabyte of margin

    def conds(self, context: Tensor, pooled: Tensor, sizes: dict[str, int], latent_shape: Sequence[int]) -> ModelConds:
        """What the host gives the U-Net of one conditioning: context [1, tokens, c], pooled [1, c], and sizes in pixels.

        ``sizes``: width, height, crop_w, crop_h, target_width, target_height, as ComfyUI names them; ``latent_shape``
        [4, h, w]. Differentiable in ``context`` and ``pooled``. Raises :class:`ModelError` for widths that the MODEL has not.
        """
        given = {"cross_attn": context, "pooled_output": pooled, **sizes, "model_conds": {}}
        noise = torch.zeros(1, *latent_shape)
        (made,) = comfy.samplers.encode_model_conds(
            self.model.extra_conds, [given], noise, noise.device, "positive", latent_image=noise, denoise_mask=None, seed=None
        )
        conds = made["model_conds"]
        self._check_widths(conds)
        return conds

    def _check_widths(self, conds: ModelConds) -> None:
        """Raises :class:`ModelError` for conditioning of another kind of model."""
        config = self.model.model_config.unet_config
        for name, what, expected in (("c_crossattn", "context", "context_dim"), ("y", "pooled output with sizes", "adm_in_channels")):
            if name in conds and (width := conds[name].cond.shape[-1]) != config[expected]:
                raise ModelError(
                    f"The {what} of a conditioning has {width} channels, the MODEL expects {config[expected]}. Use the CLIP of a "
                    "checkpoint of its kind."
                )

    def __call__(self, noisy: Tensor, sigma: Tensor, conds: Sequence[ModelConds]) -> Tensor:
        """The network's prediction (:attr:`Schedule.prediction`) [b, 4, h, w], in fp32.

        As the host's sampler would ask for it: through every patch and wrapper, of one conditioning for the batch.
        ``noisy`` [b, 4, h, w]: of :meth:`Schedule.noisy`; ``sigma`` [b]; ``conds``: of each example, all of one shape.
        """
        together = {name: _together([each[name] for each in conds], noisy.device) for name in conds[0]}
        cond = {"model_conds": together, "uuid": uuid.uuid4()}
        model_options = dict(self.model_options)
        steps = torch.cat([sigma[:1], torch.zeros_like(sigma[:1])])  # as of a sampler that is at this noise level
        model_options["transformer_options"] = {**model_options["transformer_options"], "sample_sigmas": steps}
        asked = [[cond], [_opposite(cond)] if self.with_negative else None]  # at a guidance of 1 samplers leave it out
        with _random_numbers_of(noisy) if self.one_at_a_time else nullcontext():
            if "sampler_calc_cond_batch_function" in model_options:
                given = {"conds": asked, "input": noisy, "sigma": sigma, "model": self.model, "model_options": model_options}
                denoised = model_options["sampler_calc_cond_batch_function"](given)[0]
            else:
                denoised = comfy.samplers.calc_cond_batch(self.model, asked, noisy, sigma, model_options)[0]
        return self.schedule.output(denoised, noisy, sigma)


def _together(conds: list, where: torch.device):
    first = conds[0]
    made = first.concat(conds[1:]) if len(conds) > 1 else first.cond
    return type(first)(made.to(where) if isinstance(made, Tensor) else made)


def _opposite(cond: dict) -> dict:
    """A conditioning of the same shapes that says something else."""
    model_conds = {name: type(one)(-one.cond if isinstance(one.cond, Tensor) else one.cond) for name, one in cond["model_conds"].items()}
    return {"model_conds": model_conds, "uuid": uuid.uuid4()}


@contextmanager
def _random_numbers_of(noisy: Tensor) -> Iterator[None]:
    """Patches that draw random numbers (HyperTile, ToMe) draw the same for the same input, and nobody else notices."""
    with torch.random.fork_rng([noisy.device] if noisy.device.type == "cuda" else []):
        torch.manual_seed(seed_of(noisy))
        yield


def seed_of(noisy: Tensor) -> int:
    """A seed that depends on the input alone."""
    return int.from_bytes(noisy.flatten()[:1].cpu().numpy().tobytes(), "little")
