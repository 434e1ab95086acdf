"""Trains the demo's two LoRAs on the tiny SDXL and writes them in kohya's format.

Both training sets are biased on purpose: the LoRAs learn more than they should, in some blocks more than in others.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .denoising import Denoiser, stratified_timesteps

log = logging.getLogger(__name__)


class LoraLayer(nn.Module):
    """The low-rank addition `up(down(x)) * alpha / rank` to one Linear or Conv2d, which a hook adds to its output."""

    def __init__(self, target: nn.Linear | nn.Conv2d, rank: int, alpha: float) -> None:
        super().__init__()
        if isinstance(target, nn.Conv2d):
            geometry = (target.kernel_size, target.stride, target.padding)
            self.down: nn.Module = nn.Conv2d(target.in_channels, rank, *geometry, bias=False)
            self.up: nn.Module = nn.Conv2d(rank, target.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(target.in_features, rank, bias=False)
            self.up = nn.Linear(rank, target.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)
        self.rank, self.alpha = rank, alpha
        self.handle = target.register_forward_hook(self._add)

    def _add(self, _target: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + self.up(self.down(inputs[0])) * (self.alpha / self.rank)


@dataclass(frozen=True)
class LoraRecipe:
    """What a LoRA covers and how it is trained.

    convolutions: also the residual blocks and the down- and upsamplers (LoCon / C3Lier); text: also both text encoders.
    """

    rank: int
    alpha: float
    convolutions: bool
    text: bool
    lr: float
    text_lr: float = 0.0
    batch: int = 8


def attach(denoiser: Denoiser, recipe: LoraRecipe) -> dict[str, LoraLayer]:
    """Hook a fresh LoRA onto the model; the keys are kohya's layer names."""
    targets: dict[str, nn.Module] = {}
    for path, module in denoiser.unet.named_modules():
        if not path.startswith(("input_blocks.", "middle_block.", "output_blocks.")) or path.startswith(
            "input_blocks.0."
        ):
            continue
        is_attention = "transformer_blocks" in path or path.endswith(("proj_in", "proj_out"))
        if isinstance(module, (nn.Linear, nn.Conv2d)) and (is_attention or recipe.convolutions):
            targets["lora_unet_" + path.replace(".", "_")] = module
    if recipe.text:
        for number, encoder in enumerate((denoiser.text.clip_l, denoiser.text.clip_g), start=1):
            for path, module in encoder.transformer.named_modules():
                if isinstance(module, nn.Linear) and ".layers." in path:
                    targets[f"lora_te{number}_" + path.replace(".", "_")] = module
    return {name: LoraLayer(target, recipe.rank, recipe.alpha).to(denoiser.device) for name, target in targets.items()}


def train_lora(
    path: Path, denoiser: Denoiser, recipe: LoraRecipe, steps: int, latents: Tensor, prompts: list[str], seed: int
) -> None:
    """Train a LoRA on `latents` [N, 4, 16, 16] with one prompt each, write it to `path`, and take it off the model."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layers = attach(denoiser, recipe)
    groups = [
        {"params": list(layer.parameters()), "lr": recipe.lr if name.startswith("lora_unet_") else recipe.text_lr}
        for name, layer in layers.items()
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start, recent = time.monotonic(), []
    for step in range(steps):
        chosen = torch.randint(len(latents), (recipe.batch,), generator=generator)
        noise = torch.randn(latents[chosen].shape, generator=generator)
        timesteps = stratified_timesteps(recipe.batch, generator)
        loss = denoiser.errors(latents[chosen], [prompts[i] for i in chosen.tolist()], timesteps, noise).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0 or step == steps - 1:
            mean = sum(recent) / len(recent)
            log.info("%s step %d: loss %.4f, %.0f s", path.stem, step + 1, mean, time.monotonic() - start)
            recent.clear()
    for layer in layers.values():
        layer.handle.remove()
    _save(path, recipe, steps, layers, len(latents), seed)


def _save(path: Path, recipe: LoraRecipe, steps: int, layers: dict[str, LoraLayer], pictures: int, seed: int) -> None:
    state: dict[str, Tensor] = {}
    for name, layer in layers.items():
        state[f"{name}.alpha"] = torch.tensor(layer.alpha)
        state[f"{name}.lora_down.weight"] = layer.down.weight.detach()
        state[f"{name}.lora_up.weight"] = layer.up.weight.detach()
    metadata = {
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_output_name": path.stem,
        "ss_seed": str(seed),
        "ss_network_module": "lycoris.kohya" if recipe.convolutions else "networks.lora",
        "ss_network_dim": str(recipe.rank),
        "ss_network_alpha": str(recipe.alpha),
        "ss_steps": str(steps),
        "ss_num_train_images": str(pictures),
        "ss_resolution": "(128, 128)",
        "ss_learning_rate": str(recipe.lr),
        "ss_text_encoder_lr": str(recipe.text_lr),
    }
    save_file({key: value.half().cpu().contiguous() for key, value in state.items()}, path, metadata=metadata)
