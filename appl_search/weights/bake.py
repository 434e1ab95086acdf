"""LoRA files with block weights multiplied in: every loader gives at strength 1 what the weights give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..loras.files import LoraError, LoraSource, read_metadata, read_tensors, split_key
from .block_weights import BlockWeights

#: What to multiply by the rate for each kind of adapter, so that all of it is scaled exactly once: the
#: first of each group that the file has. Source of the forms: ComfyUI's ``weight_adapter``.
_SCALED: tuple[tuple[str, ...], ...] = (
    (
        ".lora_up.weight", "_lora.up.weight", ".lora.up.weight", ".lora_B.weight", ".lora_B.default.weight", ".lora_B",
        ".lora_linear_layer.up.weight", ".hada_w1_a", ".lokr_w1", ".lokr_w1_a", ".b1.weight",
    ),
    (".a1.weight",),
    (".diff", ".w_norm"),
    (".diff_b", ".b_norm"),
)  # fmt: skip
#: With one of these the weight changes otherwise than in proportion to its factors.
_NOT_LINEAR = (".dora_scale", ".oft_blocks", ".set_weight", ".reshape_weight")
_UPS, _DOWNS = _SCALED[0][:7], (
    ".lora_down.weight", "_lora.down.weight", ".lora.down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora_A",
    ".lora_linear_layer.down.weight",
)  # fmt: skip

#: ``difference(source, stem, rate)``: what a LoRA adds to the weight of a stem at a rate, from a model.
Difference = Callable[[LoraSource, str, float], Tensor]


@dataclass(frozen=True)
class Merged:
    """Tensors and metadata of a new LoRA file. ``error``: relative to the exact sum, by the Frobenius norm."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    error: float = 0.0

    def save(self, path: Path) -> None:
        save_file({key: tensor.contiguous() for key, tensor in self.tensors.items()}, path, self.metadata)


def bake(source: LoraSource, weights: BlockWeights, difference: Difference | None = None) -> Merged:
    """One LoRA with its block weights multiplied in. Muted blocks are left out; ranks and alphas stay.

    DoRA, OFT and BOFT do not scale with their factors; at rates other than 0 and 1 they become full
    differences, which need ``difference`` (a model). Raises LoraError without it, naming the key.
    """
    tensors: dict[str, Tensor] = {}
    for stem, parts in _by_stem(read_tensors(Path(source.path))).items():
        rate = _rate(weights, stem)
        if rate == 0:
            continue
        if rate != 1 and any(suffix in parts for suffix in _NOT_LINEAR):
            if difference is None:
                raise LoraError(
                    f"LoRA file {source.path}: {stem} is a DoRA or OFT, which at rate {rate:g} cannot be baked from the file "
                    "alone. Connect the MODEL and CLIP that it is for, or give its block the rate 0 or 1."
                )
            parts = {".diff": difference(source, stem, rate).to(torch.float16)}
        elif rate != 1:
            parts = _scaled(parts, rate)
        tensors |= {stem + suffix: tensor for suffix, tensor in parts.items()}
    return Merged(tensors, _metadata([(source, weights)]))


def merge(loras: Sequence[tuple[LoraSource, BlockWeights]], rank: int | None = None) -> Merged:
    """Several LoRAs as one file: the exact sum by concatenated ranks, or its best approximation of ``rank``.

    The approximation is by SVD of each key's sum (Eckart and Young, 1936); its error is told. Raises
    LoraError for adapters other than LoRA, LoCon and Tucker ones (bake those on their own), ValueError
    for a rank below 1.
    """
    if rank is not None and rank < 1:
        raise ValueError(f"rank is {rank}, expected a whole number of at least 1, or None for the exact sum.")
    factors: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for source, weights in loras:
        for stem, parts in _by_stem(read_tensors(Path(source.path))).items():
            if rate := _rate(weights, stem):
                factors.setdefault(stem, []).append(_factors(source, stem, parts, rate))
    tensors, lost, total = {}, 0.0, 0.0
    for stem, pairs in factors.items():
        shapes = {(up.shape[0], down.shape[1:]) for up, down in pairs}
        if len(shapes) > 1:
            raise LoraError(f"{stem} has other sizes in {' and '.join(str(s.path) for s, _ in loras)}: they are for different models.")
        up, down = torch.cat([up for up, _ in pairs], 1), torch.cat([down for _, down in pairs])
        if rank is not None and rank < down.shape[0]:
            up, down, missing, size = _truncated(up, down, rank)
            lost, total = lost + missing, total + size
        elif rank is not None:
            total += float(torch.linalg.matrix_norm(up @ down.flatten(1)) ** 2)
        one_by_one = [1] * (down.ndim - 2)
        tensors[f"{stem}.lora_up.weight"] = up.view(*up.shape, *one_by_one).half()
        tensors[f"{stem}.lora_down.weight"] = down.half()
        tensors[f"{stem}.alpha"] = torch.tensor(float(down.shape[0]))
    return Merged(tensors, _metadata(loras), (lost / total) ** 0.5 if total else 0.0)


def _by_stem(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    stems: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        stem, suffix = split_key(key) or (key, "")
        stems.setdefault(stem, {})[suffix] = tensor
    return stems


def _rate(weights: BlockWeights, stem: str) -> float:
    """1 for what belongs to no block: it stays in the file as it is."""
    architecture = weights.layout.architecture
    group = architecture.group_of_key(stem)
    return 1.0 if group is None else weights.values[architecture.block_of_group(group)]


def _scaled(parts: Mapping[str, Tensor], rate: float) -> dict[str, Tensor]:
    chosen = {next((suffix for suffix in group if suffix in parts), None) for group in _SCALED}
    return {
        suffix: (tensor.float() * rate).to(tensor.dtype) if suffix in chosen else tensor
        for suffix, tensor in parts.items()
    }


def _factors(source: LoraSource, stem: str, parts: Mapping[str, Tensor], rate: float) -> tuple[Tensor, Tensor]:
    """(up [out, r], down [r, in, ...]) with rate and alpha / r in up, fp32."""
    up = next((parts[suffix] for suffix in _UPS if suffix in parts), None)
    down = next((parts[suffix] for suffix in _DOWNS if suffix in parts), None)
    if up is None or down is None or any(suffix in parts for suffix in _NOT_LINEAR):
        raise LoraError(
            f"LoRA file {source.path}: {stem} ({', '.join(parts)}) is no plain LoRA, LoCon or Tucker LoRA, and others "
            "cannot be merged. Save this LoRA in a file of its own."
        )
    up, down = up.float().flatten(1), down.float()
    alpha = float(parts[".alpha"]) / down.shape[0] if ".alpha" in parts else 1.0
    if (mid := parts.get(".lora_mid.weight")) is not None:
        down = torch.einsum("rmhw,mi->rihw", mid.float(), down.flatten(1))
    return up * (alpha * rate), down


def _truncated(up: Tensor, down: Tensor, rank: int) -> tuple[Tensor, Tensor, float, float]:
    """The best factors of ``rank``, and the squared norms of what is lost and of the whole."""
    # SVD of up @ down by way of two thin QRs: never the full matrix.
    q_up, r_up = torch.linalg.qr(up)
    q_down, r_down = torch.linalg.qr(down.flatten(1).T)
    u, s, v = torch.linalg.svd(r_up @ r_down.T)
    root = s[:rank].sqrt()
    new_up, new_down = q_up @ u[:, :rank] * root, (q_down @ v[:rank].T * root).T
    return new_up, new_down.reshape(-1, *down.shape[1:]), float((s[rank:] ** 2).sum()), float((s**2).sum())


def _metadata(loras: Sequence[tuple[LoraSource, BlockWeights]]) -> dict[str, str]:
    """The first file's metadata, and where the weights and the tensors came from."""
    metadata = read_metadata(Path(loras[0][0].path))
    metadata["appl_search.block_weights"] = json.dumps([weights.to_dict() for _, weights in loras])
    metadata["appl_search.source_sha256"] = ",".join(weights.layout.sha256 for _, weights in loras)
    stale = {"sshs_model_hash", "sshs_legacy_hash"}
    if len(loras) > 1:
        stale |= {"ss_network_dim", "ss_network_alpha"}
    return {key: value for key, value in metadata.items() if key not in stale}
