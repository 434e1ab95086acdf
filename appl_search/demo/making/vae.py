"""A narrow autoencoder of the TAESD kind, trained on the toy world.

It has the layers of `comfy.taesd.taesd.TAESD` under the same names, with fewer channels. A channel of zeros stays zero
through its convolutions and ReLUs, so `tiny_sdxl.widen_vae` can pad it to the width that ComfyUI builds without
changing its output.
"""

from __future__ import annotations

import logging
import time

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

LATENT_FACTOR = 0.13025  # SDXL's latent format multiplies what the VAE gives by this
WIDTHS = (16, 16, 32, 48)  # channels at 128, 64, 32 and 16 pixels


def _conv(n_in: int, n_out: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, padding=1, stride=stride, bias=bias)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + x)


class _Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class NarrowTaesd(nn.Module):
    """Encoder and decoder with the layer names of ComfyUI's TAESD; images are [N, 3, H, W] in 0..1."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS, latent_channels: int = 4) -> None:
        super().__init__()
        encoder: list[nn.Module] = [_conv(3, widths[0]), _Block(widths[0])]
        for above, below in zip(widths, widths[1:], strict=False):
            encoder += [_conv(above, below, stride=2, bias=False), *(_Block(below) for _ in range(3))]
        self.taesd_encoder = nn.Sequential(*encoder, _conv(widths[-1], latent_channels))
        decoder: list[nn.Module] = [_Clamp(), _conv(latent_channels, widths[-1]), nn.ReLU()]
        for below, above in zip(widths[:0:-1], widths[-2::-1], strict=True):
            decoder += [
                *(_Block(below) for _ in range(3)),
                nn.Upsample(scale_factor=2),
                _conv(below, above, bias=False),
            ]
        self.taesd_decoder = nn.Sequential(*decoder, _Block(widths[0]), _conv(widths[0], 3))


def _initialise(model: NarrowTaesd) -> None:
    """Keep the variance through the ReLUs, begin with weak residuals, and with grey as the decoder's mean output."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            module.weight.data *= 0.25 if name.endswith("conv.4") else 1.0
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.constant_(model.taesd_decoder[-1].bias, 0.5)


def _moment_penalty(latent: Tensor) -> Tensor:
    """How far the latent channels of a batch are from mean 0 and standard deviation 1."""
    channels = latent.transpose(0, 1).flatten(1)
    return channels.mean(1).square().mean() + (channels.std(1) - 1).square().mean()


def train_vae(pictures: Tensor, steps: int, seed: int) -> dict[str, Tensor]:
    """Train on random crops of `pictures` and return a TAESD state dict (narrow), `vae_scale` and `vae_shift` included.

    pictures: uint8 [N, 128, 128, 3]. The latents of the result times 0.13025 have about mean 0 and deviation 1.
    """
    torch.manual_seed(seed)
    model = NarrowTaesd().to(memory_format=torch.channels_last)
    _initialise(model)
    _fit(model, pictures, steps, seed)
    state = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
    state["vae_scale"] = torch.tensor(LATENT_FACTOR)
    state["vae_shift"] = torch.tensor(0.0)
    state["vae_scale"] *= encode(state, pictures[:512]).std()
    return state


def _fit(
    model: NarrowTaesd, pictures: Tensor, steps: int, seed: int, batch: int = 16, crop: int = 64, lr: float = 2e-3
) -> None:
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, pct_start=0.08)
    start = time.monotonic()
    for step in range(steps):
        chosen = torch.randint(len(pictures), (batch,), generator=generator)
        y, x = torch.randint((pictures.shape[1] - crop) // 8 + 1, (2,), generator=generator) * 8
        target = pictures[chosen, y : y + crop, x : x + crop].permute(0, 3, 1, 2).float() / 255
        latent = model.taesd_encoder(target)
        noisy = latent + 0.04 * torch.randn(latent.shape, generator=generator)
        difference = model.taesd_decoder(noisy) - target
        error = difference.abs().mean()
        loss = error + 2 * difference.square().mean() + 0.02 * _moment_penalty(latent)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0 or step == steps - 1:
            log.info(
                "vae step %d: error %.4f, latent deviation %.2f, %.0f s",
                step + 1,
                error.item(),
                latent.std().item(),
                time.monotonic() - start,
            )


@torch.no_grad()
def encode(state: dict[str, Tensor], pictures: Tensor) -> Tensor:
    """Latents [N, 4, h / 8, w / 8] as the denoiser sees them (times 0.13025) of uint8 pictures [N, h, w, 3].

    The same as ComfyUI's VAE with the widened `state`, in a fraction of its time.
    """
    model = NarrowTaesd()
    model.load_state_dict({key: value for key, value in state.items() if key.startswith("taesd_")})
    model.to(memory_format=torch.channels_last)
    latents = [model.taesd_encoder(batch.permute(0, 3, 1, 2).float() / 255) for batch in pictures.split(64)]
    return torch.cat(latents) / state["vae_scale"] * LATENT_FACTOR
