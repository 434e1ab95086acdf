"""OFT (Qiu et al., 2023) and BOFT (Liu et al., 2023): orthogonal matrices that turn a layer's outputs."""

from __future__ import annotations

import torch

from .base import Adapter, Parts, decomposition_fits, matrix, require, same_rank

BLOCKS, RESCALE = ".oft_blocks", ".rescale"


class Oft(Adapter):
    """Blocks [n, b, b], or for BOFT [m, n, b, b] for m butterflies, of n * b = out outputs."""

    name = "oft"
    endings = dict.fromkeys((BLOCKS, RESCALE), ())

    def check(self, parts: Parts) -> None:
        require(parts, BLOCKS)
        blocks = matrix(parts, BLOCKS, (3, 4))
        same_rank(parts, BLOCKS, agree=blocks[-1] == blocks[-2] and (len(blocks) == 3 or blocks[-1] % 2 == 0))

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        blocks = parts[BLOCKS].shape
        butterflies = blocks[0] if len(blocks) == 4 else 1
        out = blocks[-3] * blocks[-2]
        fits = len(weight) > 1 and weight[0] == out and butterflies < 32 and out % (blocks[-1] * 2 ** (butterflies - 1)) == 0
        rescale = parts[RESCALE].shape if RESCALE in parts else ()
        return fits and tuple(rescale) in ((), (1,), (out, *[1] * (len(weight) - 1))) and decomposition_fits(parts, weight)

    def is_linear(self, parts: Parts) -> bool:
        return False

    def depends_on_weight(self, parts: Parts) -> bool:
        return True

    def is_scalable(self, parts: Parts) -> bool:
        return False


