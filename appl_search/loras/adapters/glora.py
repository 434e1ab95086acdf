"""GLoRA (Chavan et al., 2023): a low-rank part, and a low-rank multiple of the layer's own weight."""

from __future__ import annotations

import torch

from .base import Adapter, Parts, decomposition_fits, is_size, matrix, require, same_rank

A1, A2, B1, B2 = ".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight"


class Glora(Adapter):
    """W a1 a2 + b1 b2, a1 [in, r], a2 [r, in], b1 [out, r], b2 [r, in ...]; old files have both pairs the other way round."""

    name = "glora"
    endings = dict.fromkeys((A1, A2, B1, B2), ())
    scaled = ((B1,), (A1,))

    def check(self, parts: Parts) -> None:
        require(parts, A1, A2, B1, B2)
        for ending in (A1, A2, B1, B2):
            matrix(parts, ending)
        same_rank(parts, A1, A2, B1, B2, agree=_is_new(parts) or _is_old(parts))

    def fits(self, parts: Parts, weight: torch.Size) -> bool:
        a1, a2, b1, b2 = (parts[ending].shape for ending in (A1, A2, B1, B2))
        columns = weight[1:].numel()
        # ComfyUI takes what could be both for the old form when the weight is square, else for the new one.
        square = len(weight) > 1 and weight[0] == weight[1] == a2[0]
        if _is_old(parts) and (square or not _is_new(parts)):
            fits = is_size(weight, b2[0], b1[1:].numel()) and a2[0] == columns and a1[1:].numel() == columns
        else:
            inner = weight[1] if len(weight) > 1 else 0
            fits = is_size(weight, b1[0], b2[1:].numel()) and a1[0] == inner and a2[1:].numel() == inner
        return fits and decomposition_fits(parts, weight)

    def rank(self, parts: Parts) -> int:
        return parts[B2].shape[0 if _is_new(parts) else 1]

    def depends_on_weight(self, parts: Parts) -> bool:
        return True


def _is_new(parts: Parts) -> bool:
    a1, a2, b1, b2 = (parts[ending].shape for ending in (A1, A2, B1, B2))
    return b2[0] == b1[1] == a1[1] == a2[0] and a1[2:].numel() == b1[2:].numel() == 1


def _is_old(parts: Parts) -> bool:
    a1, a2, b1, b2 = (parts[ending].shape for ending in (A1, A2, B1, B2))
    return b2[1] == b1[0] == a1[0] == a2[1] and b2[2:].numel() == a2[2:].numel() == 1
