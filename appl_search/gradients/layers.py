"""From what LoRA files hold to the deltas of each layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..architectures import Architecture
from ..host.autograd import borrowed_weights
from ..host.lora_loading import LoadedLora, misfit
from ..host.lora_patches import patched_weight
from ..host.operations import operation_of
from ..loras.errors import LoraError
from ..loras.patch import Patch
from ..loras.source import LoraSource
from .deltas import Chain, Dense, LayerDeltas, LowRank, OutputDeltas, WeightDelta


def layer_deltas(
    model: nn.Module, loras: Sequence[LoadedLora], architecture: Architecture
) -> dict[str, LayerDeltas | OutputDeltas]:
    """The deltas of every layer of ``model`` that any LoRA patches, by module name.

    Keys of other models are left alone. Rates are numbered LoRA * blocks + block. Raises :class:`LoraError` with
    the file and the key where a patch does not fit its layer.
    """
    by_module: dict[str, list[_Entry]] = {}
    known = set(model.state_dict())
    for index, lora in enumerate(loras):
        for key, patch in lora.patches.items():
            if key in known:
                rate = index * len(architecture.blocks) + architecture.block_of_key(key)
                entry = _Entry(lora.source, key, patch, rate)
                by_module.setdefault(key.rpartition(".")[0], []).append(entry)
    return {name: _deltas_of(model.get_submodule(name), entries) for name, entries in by_module.items()}


@dataclass(frozen=True)
class _Entry:
    """One patch of one parameter of a layer; ``rate``: which of all rates scales it."""

    source: LoraSource
    key: str
    patch: Patch
    rate: int

    @property
    def parameter(self) -> str:
        return self.key.rpartition(".")[2]

    def misfit(self, shape: torch.Size) -> LoraError:
        return misfit(self.source, self.key, self.patch, shape)

    def full_difference(self, shape: torch.Size) -> Tensor:
        """The tensor of a patch that is one already."""
        if self.patch.whole is None or not self.patch.fits(shape):
            raise self.misfit(shape)
        return self.patch.whole


def _deltas_of(module: nn.Module, entries: Sequence[_Entry]) -> LayerDeltas | OutputDeltas:
    rates = list(dict.fromkeys(entry.rate for entry in entries))
    weights = [entry for entry in entries if entry.parameter != "bias"]
    biases = [
        (rates.index(entry.rate), entry.full_difference(module.bias.shape)) for entry in entries if entry.parameter == "bias"
    ]
    operation = operation_of(module)
    if operation is None:
        apply, channel_dim = _output_operation(module, entries[0])
        full = [(rates.index(entry.rate), entry.full_difference(module.weight.shape)) for entry in weights]
        return OutputDeltas(apply, full, biases, channel_dim, rates)
    return LayerDeltas(operation, _weight_deltas(module, weights, rates), biases, rates)


def _weight_deltas(module: nn.Module, entries: Sequence[_Entry], rates: Sequence[int]) -> list[WeightDelta]:
    """Low-rank patches stacked, the others one by one; all together where one depends on those before it."""
    shape = module.weight.shape
    if any(not entry.patch.is_linear or (entry.patch.depends_on_weight and number) for number, entry in enumerate(entries)):
        for entry in entries:
            _check_fits(entry, module)
        return [_chain(entries, [rates.index(entry.rate) for entry in entries])]
    stacked: list[tuple[Tensor, Tensor, int]] = []
    others: list[WeightDelta] = []
    for entry in entries:
        position = rates.index(entry.rate)
        if not entry.patch.fits(shape):
            raise entry.misfit(shape)
        if factors := entry.patch.low_rank_factors(shape):
            stacked.append((*factors, position))
        else:
            _check_fits(entry, module)
            others.append(Dense(_difference(entry), position))
    return [LowRank(*zip(*stacked), len(rates)), *others] if stacked else others


def _difference(entry: _Entry) -> Callable[[Tensor], Tensor]:
    return lambda weight: patched_weight([(entry.patch, 1.0)], weight, entry.key) - weight


def _chain(entries: Sequence[_Entry], positions: Sequence[int]) -> Chain:
    def patched(weight: Tensor, numbers: Sequence[float]) -> Tensor:
        steps = [(entry.patch, numbers[position]) for entry, position in zip(entries, positions)]
        return patched_weight(steps, weight, entries[0].key)

    return Chain(patched)


def _check_fits(entry: _Entry, module: nn.Module) -> None:
    """Raises LoraError for a patch that ComfyUI would only log and leave out."""
    like = torch.empty(0, device=module.weight.device)
    with torch.no_grad(), borrowed_weights(module, like) as (weight, _):
        made = _difference(entry)(weight)
    if made.shape != weight.shape or (not made.any() and all(part.any() for part in entry.patch.tensors)):
        raise entry.misfit(weight.shape)


def _output_operation(module: nn.Module, entry: _Entry) -> tuple[Callable[[Tensor, Tensor], Tensor], int]:
    """The operation of a layer with a weight to be given and no bias, and the dimension of its output's channels."""
    if isinstance(module, nn.LayerNorm):
        return lambda x, weight: F.layer_norm(x, module.normalized_shape, None, None, module.eps) * weight, -1
    if isinstance(module, nn.GroupNorm):
        return lambda x, weight: F.group_norm(x, module.num_groups, None, None, module.eps) * weight[:, None, None], 1
    if isinstance(module, nn.Embedding):
        return F.embedding, -1
    raise LoraError(
        f"LoRA file {entry.source.path}: {entry.key} is a {type(module).__name__}, a kind of layer that no LoRA patches."
    )
