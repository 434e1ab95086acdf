"""The training loss: SDXL's denoising objective through ComfyUI's own model, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .world import SIZE


def _clone_input(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].clone(), *inputs[1:])


def make_differentiable(root: nn.Module) -> None:
    """Let autograd through ComfyUI's transformer blocks: they add residuals in place to what their norms have saved."""
    norms = ("norm1", "norm2", "norm3", "layer_norm1", "layer_norm2")
    for block in root.modules():
        if type(block).__name__ in ("BasicTransformerBlock", "CLIPLayer"):
            for name in norms:
                norm = getattr(block, name, None)
                if norm is not None:
                    norm.register_forward_pre_hook(_clone_input)


class Denoiser:
    """The model in training form: prompts and latents in, prediction errors out.

    model: ComfyUI ModelPatcher of an SDXL; clip: ComfyUI CLIP. Both are put on the host's device with gradients off;
    set `requires_grad_` on what is to be trained.
    """

    def __init__(self, model: Any, clip: Any) -> None:
        self.device = model.load_device
        self.base = model.model.to(self.device).float()
        self.unet: nn.Module = self.base.diffusion_model
        self.text: nn.Module = clip.cond_stage_model.to(self.device).float()
        self._tokenize = clip.tokenize
        self._tokens: dict[str, tuple[list[int], list[int]]] = {}
        for module in (self.base, self.text):
            module.requires_grad_(False)
            make_differentiable(module)
        self.alphas = 1 / (self.base.model_sampling.sigmas.to(self.device) ** 2 + 1)

    def _token_ids(self, prompt: str) -> tuple[list[int], list[int]]:
        if prompt not in self._tokens:
            tokens = self._tokenize(prompt)
            self._tokens[prompt] = tuple([token for token, _weight in tokens[name][0]] for name in ("l", "g"))
        return self._tokens[prompt]

    def encode(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """Context [N, 77, 2 * text width] and SDXL's vector conditioning [N, 1536 + text width]."""
        ids_l, ids_g = (list(ids) for ids in zip(*(self._token_ids(prompt) for prompt in prompts), strict=True))
        hidden_l, _ = self.text.clip_l(ids_l)
        hidden_g, pooled = self.text.clip_g(ids_g)
        vector = self.base.encode_adm(pooled_output=pooled, width=SIZE, height=SIZE, device=self.device)
        return torch.cat([hidden_l, hidden_g], dim=-1), vector.to(self.device)

    def errors(self, latents: Tensor, prompts: list[str], timesteps: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of the predicted noise per example [N].

        latents: [N, 4, h, w] as the model sees them (times 0.13025); timesteps: int64 [N] in 0..999. On any device.
        """
        latents, timesteps, noise = (tensor.to(self.device) for tensor in (latents, timesteps, noise))
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        context, vector = self.encode(prompts)
        prediction = self.unet(noisy, timesteps.float(), context=context, y=vector)
        return (prediction - noise).square().mean(dim=(1, 2, 3))


def stratified_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """`count` timesteps, one from each of as many equal parts of 0..999, in random order."""
    parts = torch.arange(count) + torch.rand(count, generator=generator)
    return (parts * (1000 / count)).long().clamp(max=999)[torch.randperm(count, generator=generator)]
