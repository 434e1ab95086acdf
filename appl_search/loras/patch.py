"""One entry of a LoRA, as the host resolved it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Patch:
    """One entry of a LoRA as ComfyUI resolved it. ``kind``: "lora", "loha", "diff" ...; ``weights``: its tensors."""

    kind: str
    weights: tuple
    host_object: object

    @property
    def tensors(self) -> list[Tensor]:
        return [part for part in self.weights if isinstance(part, Tensor)]

    @property
    def is_nonlinear(self) -> bool:
        """Whether ComfyUI's result is not linear in the strength: orthogonal adapters, and those that set a weight."""
        return self.kind in ("oft", "boft", "set")

    @property
    def depends_on_weight(self) -> bool:
        """Whether the difference is made from the weight that it is added to: GLoRA, weight decomposition, padding."""
        if self.kind not in _DORA_SCALE_AT:
            return self.kind != "diff"
        return self.kind == "glora" or any(part is not None for part in self.weights[_DORA_SCALE_AT[self.kind] :])


#: Where ComfyUI keeps the scale of a weight decomposition (and, for LoRA, the shape to pad to after it).
_DORA_SCALE_AT = {"lora": 4, "loha": 7, "lokr": 8, "glora": 5}
