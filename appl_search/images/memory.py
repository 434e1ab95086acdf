"""Encoded examples in ordinary memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Size, Tensor

_BLOCK = 1 << 24  # numbers of 4 bytes: 64 MiB


@dataclass(frozen=True)
class MemoryEntry:
    """Tensors by their names."""

    tensors: Mapping[str, Tensor]

    @property
    def shapes(self) -> Mapping[str, Size]:
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def load(self) -> Mapping[str, Tensor]:
        return self.tensors


class Blocks:
    """Room for many tensors that stay, in few large pieces.

    Each in a place of its own they lie between the pictures that come and go, whose memory glibc then cannot use again (its
    aligned blocks, before 2.38): a thousand pictures took 8 GB instead of 1.
    """

    def __init__(self) -> None:
        self._block, self._used = torch.empty(0), 0

    def keep(self, tensor: Tensor) -> Tensor:
        """The same numbers in fp32, where they stay."""
        count = tensor.numel()
        if count > _BLOCK // 4:
            return tensor.float().clone()
        if self._used + count > len(self._block):
            self._block, self._used = torch.empty(_BLOCK), 0
        place = self._block[self._used : self._used + count].view(tensor.shape)
        self._used += count
        return place.copy_(tensor)
