"""LoRA files with block weights multiplied in: every loader gives at strength 1 what the weights give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..loras.adapters import Parts, adapters_in
from ..loras.adapters.base import Factors, product_norm
from ..loras.adapters.difference import WEIGHT
from ..loras.adapters.lora import Lora
from ..loras.errors import LoraError, cut
from ..loras.source import LoraSource
from ..whole_files import written_whole
from .block_weights import BlockWeights
from .storing import stored, stored_factors, truncated

#: ``difference(source, stem, rate)``: what a LoRA adds to the weight of a stem at a rate, from a model.
Difference = Callable[[LoraSource, str, float], Tensor]


@dataclass(frozen=True)
class Merged:
    """Tensors and metadata of a new LoRA file.

    ``error``: what rounding and a lower rank cost: of merged files relative to the exact sum, by the Frobenius norm; of
    a single LoRA that of its worst tensor.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    error: float = 0.0

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        with written_whole(path) as temporary:
            save_file({key: tensor.contiguous() for key, tensor in self.tensors.items()}, temporary, self.metadata)


def bake(source: LoraSource, weights: BlockWeights, difference: Difference | None = None) -> Merged:
    """One LoRA with its block weights multiplied in. Muted blocks are left out; ranks and alphas stay, and the dtypes do
    where they keep the numbers.

    DoRA, OFT and BOFT do not scale with their factors; at rates other than 0 and 1 they become full
    differences, which need ``difference`` (a model). Raises LoraError without it, naming the key.
    """
    source = source.loaded()
    file = source.file
    of_adapters = {key for keys in file.keys.values() for key in keys.values()}
    tensors = {key: part for key, part in file.tensors.items() if key not in of_adapters and _rate(weights, key) != 0}
    errors = [0.0]
    for stem, keys in file.keys.items():
        rate = _rate(weights, stem)
        if rate == 1:
            tensors |= {key: file.tensors[key] for key in keys.values()}
        elif rate != 0:
            for key, part, dtypes in _at_rate(source, stem, rate, difference):
                tensors[key], error = stored(part, dtypes) if dtypes else (part, 0.0)
                errors.append(error)
    return Merged(tensors, _metadata([(source, weights)]), max(errors))


def _at_rate(source: LoraSource, stem: str, rate: float, difference: Difference | None) -> Iterator[tuple[str, Tensor, tuple]]:
    """The layer's (key, tensor, dtypes to store it in) at a rate; no dtypes for what stays as it is."""
    parts, keys = source.file.stems[stem], source.file.keys[stem]
    adapters = adapters_in(parts)
    stuck = [adapter for adapter in adapters if not adapter.is_scalable(parts)]
    if stuck and difference is None:
        raise LoraError(
            f"LoRA file {source.path}: {cut(stem)} is a DoRA or OFT, which at rate {rate:g} cannot be baked from the file "
            "alone. Connect the MODEL and CLIP that it is for, or give its block the rate 0 or 1."
        )
    replaced = {ending for adapter in stuck for ending in adapter.own(parts)}
    scaled = {ending for adapter in adapters for ending in adapter.to_scale(parts)}
    for ending, part in parts.items():
        if ending not in replaced:
            yield keys[ending], *((part.float() * rate, (part.dtype,)) if ending in scaled else (part, ()))
    if stuck:
        yield stem + WEIGHT, difference(source, stem, rate), (torch.float16,)


def merge(loras: Sequence[tuple[LoraSource, BlockWeights]], rank: int | None = None) -> Merged:
    """Several LoRAs as one file: the exact sum by concatenated ranks, or its best approximation of ``rank``.

    The approximation is by SVD of each key's sum; its error is told. Raises LoraError for adapters other than
    LoRA, LoCon and Tucker ones (bake those on their own), ValueError for a rank below 1.
    """
    if rank is not None and rank < 1:
        raise ValueError(f"rank is {rank}, expected a whole number of at least 1, or None for the exact sum.")
    loras = [(source.loaded(), weights) for source, weights in loras]
    factors: dict[str, list[Factors]] = {}
    for source, weights in loras:
        for stem, parts in source.file.stems.items():
            if rate := _rate(weights, stem):
                factors.setdefault(stem, []).append(_factors(source, stem, parts, rate))
    tensors: dict[str, Tensor] = {}
    lost = total = 0.0
    for stem, pairs in factors.items():
        if len({(up.shape[0], down.shape[1:]) for down, up in pairs}) > 1:
            raise LoraError(
                f"{cut(stem)} has other sizes in {' and '.join(str(s.path) for s, _ in loras)}: they are for different models."
            )
        kernel = pairs[0][0].shape[1:]
        up, down = torch.cat([up for _, up in pairs], 1), torch.cat([down.flatten(1) for down, _ in pairs])
        total += product_norm(up, down) ** 2
        if rank is not None and rank < down.shape[0]:
            up, down, missing = truncated(up, down, rank)
            lost += missing**2
        up, down, rounding = stored_factors(up, down)
        lost += rounding**2
        tensors[f"{stem}.lora_up.weight"] = up.view(*up.shape, *[1] * (len(kernel) - 1))
        tensors[f"{stem}.lora_down.weight"] = down.view(-1, *kernel)
        tensors[f"{stem}.alpha"] = torch.tensor(float(down.shape[0]))
    return Merged(tensors, _metadata(loras), (lost / total) ** 0.5 if total else 0.0)


def _rate(weights: BlockWeights, stem: str) -> float:
    """1 for what belongs to no block: it stays in the file as it is."""
    architecture = weights.layout.architecture
    group = architecture.group_of_key(stem)
    return 1.0 if group is None else weights.values[architecture.block_of_group(group)]


def _factors(source: LoraSource, stem: str, parts: Parts, rate: float) -> Factors:
    """(down [r, in, ...], up [out, r]) in fp32 with rate and alpha / r in up."""
    adapters = adapters_in(parts)
    if len(adapters) != 1 or not isinstance(adapters[0], Lora) or not adapters[0].is_scalable(parts):
        raise LoraError(
            f"LoRA file {source.path}: {cut(stem)} ({', '.join(ending[1:] for ending in parts)}) is no plain LoRA, LoCon or "
            "Tucker LoRA, and others cannot be merged. Save this LoRA in a file of its own."
        )
    down, up = adapters[0].factors(parts)
    return down, up * rate


def _metadata(loras: Sequence[tuple[LoraSource, BlockWeights]]) -> dict[str, str]:
    """The first file's metadata, and where the weights and the tensors came from."""
    metadata = dict(loras[0][0].file.metadata)
    metadata["appl_search.block_weights"] = json.dumps([weights.to_dict() for _, weights in loras])
    metadata["appl_search.source_sha256"] = ",".join(weights.layout.sha256 for _, weights in loras)
    stale = {"sshs_model_hash", "sshs_legacy_hash"}
    if len(loras) > 1:
        stale |= {"ss_network_dim", "ss_network_alpha"}
    return {key: value for key, value in metadata.items() if key not in stale}
