"""From what LoRA files hold to the delta operators of each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import NUM_BLOCKS, block_of_key
from .deltas import BiasDifference, ConvGeometry, ConvLowRank, Dense, LinearLowRank
from .host.loras import Patch, dense_difference
from .lora import LoraError, LoraSource
from .patching import Delta, LayerDeltas


@dataclass(frozen=True)
class LoadedLora:
    """A LoRA file's patches by model key, and where it came from."""

    source: LoraSource
    patches: Mapping[str, Patch]


def layer_deltas(model: nn.Module, loras: Sequence[LoadedLora]) -> dict[str, LayerDeltas]:
    """The deltas of every layer of ``model`` that any LoRA patches, by module name.

    Keys of other models are left alone. Rates are numbered 20 * LoRA + block. Raises :class:`LoraError` with the file and the key where a shape does not fit the layer.
    """
    by_module: dict[str, list[tuple[int, str, Patch]]] = {}
    known = set(model.state_dict())
    for index, lora in enumerate(loras):
        for key, patch in lora.patches.items():
            if key in known:
                by_module.setdefault(key.rpartition(".")[0], []).append((index, key, patch))
    layers = {}
    for name, entries in by_module.items():
        build = _LayerBuilder(model.get_submodule(name))
        for index, key, patch in entries:
            build.add(loras[index].source, key, patch, index * NUM_BLOCKS + block_of_key(key))
        layers[name] = build.finish()
    return layers


class _LayerBuilder:
    """Collects the patches of one layer; low-rank ones are stacked, the others stay apart."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.rates: list[int] = []
        self.low_rank: dict[tuple[int, ...], list[tuple[Tensor, Tensor, int]]] = {}
        self.others: list[Delta] = []

    def add(self, source: LoraSource, key: str, patch: Patch, rate: int) -> None:
        if rate not in self.rates:
            self.rates.append(rate)
        position = self.rates.index(rate)
        parameter = key.rpartition(".")[2]
        target = getattr(self.module, parameter)
        if parameter == "bias":
            self.others.append(self._bias(source, key, patch, target, position))
        elif factors := _low_rank_factors(patch, source, key, target.shape, self.module):
            down, up = factors
            self.low_rank.setdefault(tuple(down.shape[2:]), []).append((down, up, position))
        else:
            self.others.append(self._dense(source, key, patch, position))

    def finish(self) -> LayerDeltas:
        stacked: list[Delta] = []
        for kernel, parts in self.low_rank.items():
            downs, ups, positions = zip(*parts)
            if kernel:
                stacked.append(ConvLowRank(downs, ups, positions, ConvGeometry.of(self.module)))
            else:
                stacked.append(LinearLowRank(downs, ups, positions))
        return LayerDeltas(stacked + self.others, self.rates)

    def _bias(self, source: LoraSource, key: str, patch: Patch, bias: Tensor, position: int) -> Delta:
        difference = patch.weights[0]
        if patch.kind != "diff" or difference.shape != bias.shape:
            raise _misfit(source, key, patch, bias.shape)
        channel_dim = 1 if isinstance(self.module, (nn.Conv2d, nn.GroupNorm)) else -1
        return BiasDifference(difference, channel_dim, position)

    def _dense(self, source: LoraSource, key: str, patch: Patch, position: int) -> Delta:
        module = self.module
        apply = _operation(module, source, key)
        if patch.kind in ("diff", "set") and patch.weights[0].shape != module.weight.shape:
            raise _misfit(source, key, patch, module.weight.shape)

        def difference() -> Tensor:
            return dense_difference(patch, module.weight, key)

        with torch.no_grad():
            made = difference()
        if not made.any() and all(part.any() for part in patch.weights if isinstance(part, Tensor)):
            # ComfyUI only logs a patch that fails and leaves the weight alone.
            raise _misfit(source, key, patch, module.weight.shape)
        return Dense(difference, apply, position)


def _low_rank_factors(
    patch: Patch, source: LoraSource, key: str, shape: torch.Size, module: nn.Module
) -> tuple[Tensor, Tensor] | None:
    """(down, up) with alpha / rank multiplied into up, or None if the patch has no such form."""
    if patch.kind != "lora":
        return None
    up, down, alpha, mid, dora_scale, *reshape = patch.weights
    if dora_scale is not None or any(part is not None for part in reshape):
        return None
    up, down = up.float(), down.float()
    rank = down.shape[0]
    scale = 1.0 if alpha is None else float(alpha) / rank
    if mid is not None:  # Tucker: down is 1 x 1 and the kernel is in between
        down = torch.einsum("rmhw,mi->rihw", mid.float(), down.flatten(1))
    wanted = (rank, *shape[1:])
    if up.flatten(1).shape != (shape[0], rank) or down.numel() != torch.Size(wanted).numel():
        raise _misfit(source, key, patch, shape)
    if not isinstance(module, (nn.Linear, nn.Conv2d)):
        return None
    return down.reshape(wanted), up.flatten(1) * scale


def _misfit(source: LoraSource, key: str, patch: Patch, shape: torch.Size) -> LoraError:
    shapes = [tuple(part.shape) for part in patch.weights if isinstance(part, Tensor)]
    return LoraError(
        f"LoRA file {source.path}: its {patch.kind} tensors of shapes {shapes} do not fit {key}, whose shape is "
        f"{tuple(shape)}. The file is damaged or for another model than this SDXL."
    )


def _operation(module: nn.Module, source: LoraSource, key: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The layer's own operation, with a weight to be given and no bias."""
    if isinstance(module, nn.Linear):
        return F.linear
    if isinstance(module, nn.Conv2d):
        g = ConvGeometry.of(module)
        return lambda x, weight: F.conv2d(x, weight, None, g.stride, g.padding, g.dilation, g.groups)
    if isinstance(module, nn.LayerNorm):
        return lambda x, weight: F.layer_norm(x, module.normalized_shape, None, None, module.eps) * weight
    if isinstance(module, nn.GroupNorm):
        return lambda x, weight: F.group_norm(x, module.num_groups, None, None, module.eps) * weight[:, None, None]
    if isinstance(module, nn.Embedding):
        return F.embedding
    raise LoraError(f"LoRA file {source.path}: {key} is a {type(module).__name__}, a kind of layer that no LoRA patches.")
