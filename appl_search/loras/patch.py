"""One entry of a LoRA, as the host resolved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .adapters import Adapter
from .adapters.base import Factors


@dataclass(frozen=True)
class Patch:
    """What a LoRA file has for one parameter of a model.

    ``stem``: what the file's keys call the layer; ``parts``: the tensors, by the endings of their keys;
    ``host_object``: the same as ComfyUI resolved it.
    """

    adapter: Adapter
    stem: str
    parts: Mapping[str, Tensor]
    host_object: object

    @property
    def tensors(self) -> list[Tensor]:
        return list(self.parts.values())

    @property
    def is_linear(self) -> bool:
        """Whether ComfyUI's result is proportional to the strength: orthogonal adapters are not, nor those that set a weight."""
        return self.adapter.is_linear(self.parts)

    @property
    def depends_on_weight(self) -> bool:
        """Whether the difference is made from the weight that it is added to."""
        return self.adapter.depends_on_weight(self.parts)

    @property
    def whole(self) -> Tensor | None:
        """The difference, where the file has it as one tensor."""
        return self.adapter.whole(self.parts)

    def fits(self, shape: torch.Size) -> bool:
        """Whether this is for a parameter of this shape."""
        return self.adapter.fits(self.parts, shape)

    def low_rank_factors(self, shape: torch.Size) -> Factors | None:
        """(down [rank, in ...], up [out, rank]) in fp32 with every scale in ``up``, for a weight [out, in ...] of ``shape``.

        None if the patch has no such form, or one that is larger than the weight itself where a full
        difference would do. For a patch that :meth:`fits`.
        """
        if self.depends_on_weight or not self.is_linear or (factors := self.adapter.factors(self.parts)) is None:
            return None
        down, up = factors
        if self.adapter.name != "lora" and down.numel() + up.numel() > shape.numel():
            return None
        return down.reshape(down.shape[0], *shape[1:]), up
