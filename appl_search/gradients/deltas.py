"""What LoRAs add to the weight and bias of one layer, with the strengths as the only thing learned.

A patched layer computes with the weight that ComfyUI itself would have patched in at these strengths,
so forward and the gradient by the input cost what they cost without LoRAs. That leaves the gradient by
the strengths, for each example: <dL/dweight, dweight/dstrength>. With a delta up @ down of rank r,

    sum over tokens of (dL/dy up) . (x down^T)

needs x down^T (tokens x rank) only, which is all that is kept for backward. LoRAs are stacked along the
rank: the number of kernels does not grow with the number of LoRAs. When the ranks add up to more than
the layer's own size, or a delta has no factors, dL/dweight is made for each example instead, once for
all the LoRAs of the layer.

"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..host.operations import Conv2d, Linear


@dataclass(frozen=True)
class Strengths:
    """The strengths of the n (LoRA, block) pairs that patch a layer: as numbers, and [n] on the device in fp32.

    Both, because a number costs no kernel and a tensor can be multiplied with.
    """

    numbers: tuple[float, ...]
    tensor: Tensor


class WeightDelta(Protocol):
    """A part of what is added to a weight. ``weight`` is the layer's own, as the host computes with it."""

    def added(self, patched: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        """``patched`` with the delta on top, as a new tensor of the same dtype."""

    def gradient(self, grads: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        """By the strengths, fp32 [batch, n], from the gradients ``grads`` [batch, out, in] by the patched weight."""


class LowRank:
    """Deltas up_n @ down_n of any number of LoRAs, stacked along the rank.

    ``downs``: [rank_n, in] or [rank_n, in, kh, kw] each; ``ups``: [out, rank_n] each, any scale
    multiplied in; ``positions``: which of the layer's ``count`` strengths each of them has.
    """

    def __init__(self, downs: Sequence[Tensor], ups: Sequence[Tensor], positions: Sequence[int], count: int):
        self._down, self._up = torch.cat(list(downs)), torch.cat(list(ups), dim=1)
        ranks = torch.tensor([down.shape[0] for down in downs])
        of_rank = torch.repeat_interleave(torch.tensor(positions), ranks)
        self._members = torch.nn.functional.one_hot(of_rank, count).float()  # [ranks, n]

    def is_cheaper_by_rank(self, weight: Tensor, tokens: int) -> bool:
        """Whether the gradient by rank takes fewer multiplications than :meth:`gradient` with what that needs."""
        by_rank = tokens * (self._down.numel() + self._up.numel())
        return by_rank <= (tokens + self._down.shape[0]) * weight.numel()

    def _factors(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """(down, up) on the device and in the dtype of the computation; moved on first use."""
        if self._down.dtype != like.dtype or self._down.device != like.device:
            self._down, self._up = self._down.to(like.device, like.dtype), self._up.to(like.device, like.dtype)
            self._members = self._members.to(like.device)
        return self._down, self._up

    def added(self, patched: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        down, up = self._factors(weight)
        down, flat = down.flatten(1), patched.flatten(1)
        if len(at.numbers) == 1:
            return torch.addmm(flat, up, down, alpha=at.numbers[0]).view_as(patched)
        scaled = up * torch.mv(self._members, at.tensor).to(up.dtype)
        return torch.addmm(flat, scaled, down).view_as(patched)

    def project(self, x: Tensor, operation: Linear | Conv2d) -> Tensor:
        """x down^T [batch, ..., ranks]: what :meth:`gradient_by_rank` needs of the input."""
        return operation.forward(x, self._factors(x)[0])

    def gradient_by_rank(self, grad_y: Tensor, projected: Tensor, operation: Linear | Conv2d) -> Tensor:
        """By the strengths, fp32 [batch, n], from the gradient by the output and :meth:`project`."""
        return operation.products_by_rank(grad_y, projected, self._factors(grad_y)[1]) @ self._members

    def gradient(self, grads: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        down, up = self._factors(grads)
        return ((up.mT @ grads).float() * down.flatten(1).float()).sum(2) @ self._members


class Dense:
    """A delta that is linear in its strength, as a full difference made on demand and not kept.

    ``difference(weight)`` gives it in fp32 or better, in the weight's shape.
    """

    def __init__(self, difference: Callable[[Tensor], Tensor], position: int):
        self._difference, self._position = difference, position

    def added(self, patched: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        return (patched + at.numbers[self._position] * self._difference(weight)).to(patched.dtype)

    def gradient(self, grads: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        found = torch.zeros(len(grads), len(at.numbers), device=grads.device)
        found[:, self._position] = _products(grads, self._difference(weight))
        return found


class Chain:
    """Deltas that are not linear in their strengths, or that depend on the weight after those before them.

    ``patched(weight, numbers)`` gives the layer's weight at any strengths in fp32 or better. Derivatives
    are its central differences, exact for squares.
    """

    def __init__(self, patched: Callable[[Tensor, Sequence[float]], Tensor]):
        self._patched = patched

    def added(self, patched: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        return self._patched(weight, at.numbers).to(patched.dtype)

    def gradient(self, grads: Tensor, weight: Tensor, at: Strengths) -> Tensor:
        derivatives = (self._derivative(weight, at.numbers, position) for position in range(len(at.numbers)))
        return torch.stack([_products(grads, derivative) for derivative in derivatives], dim=1)

    def _derivative(self, weight: Tensor, numbers: tuple[float, ...], position: int) -> Tensor:
        step = 2.0**-16 if weight.dtype == torch.float64 else 2.0**-7
        above, below = (
            self._patched(weight, (*numbers[:position], numbers[position] + move, *numbers[position + 1 :]))
            for move in (step, -step)
        )
        return (above - below) / (2 * step)


def _products(grads: Tensor, difference: Tensor) -> Tensor:
    """<gradient, difference> for each example, fp32 [batch]."""
    return grads.flatten(1).float() @ difference.flatten().float()


class LayerDeltas:
    """All that LoRAs add to one linear layer or convolution.

    ``rates``: indices into the search's strengths [batch, LoRAs * blocks]; positions above index this list.
    ``biases``: (position, difference [out]) each.
    """

    def __init__(
        self,
        operation: Linear | Conv2d,
        weights: Sequence[WeightDelta],
        biases: Sequence[tuple[int, Tensor]],
        rates: Sequence[int],
    ):
        self.operation, self.rates = operation, tuple(rates)
        self._weights, self._biases = tuple(weights), list(biases)
        only = weights[0] if len(weights) == 1 else None
        self._low_rank = only if isinstance(only, LowRank) else None

    def weight(self, weight: Tensor, at: Strengths) -> Tensor:
        """The patched weight; the layer's own is left as it is."""
        patched = weight
        for delta in self._weights:
            patched = delta.added(patched, weight, at)
        return patched

    def bias(self, bias: Tensor | None, at: Strengths) -> Tensor | None:
        """The patched bias."""
        for position, difference in self._biases:
            bias = bias + at.numbers[position] * difference.to(bias)
        return bias

    def by_rank(self, x: Tensor, weight: Tensor) -> bool:
        """Which of its two ways :meth:`gradient` is to go for this input."""
        tokens = x.numel() // (x.shape[0] * x.shape[self.operation.channel_dim])
        return self._low_rank is not None and self._low_rank.is_cheaper_by_rank(weight, tokens)

    def kept(self, x: Tensor, by_rank: bool) -> Tensor | None:
        """What :meth:`gradient` needs of the input."""
        if by_rank:
            return self._low_rank.project(x, self.operation)
        return x if self._weights else None

    def gradient(self, grad_y: Tensor, kept: Tensor | None, by_rank: bool, weight: Tensor, at: Strengths) -> Tensor:
        """By the strengths, for each example: fp32 [batch, n]."""
        if by_rank:
            found = self._low_rank.gradient_by_rank(grad_y, kept, self.operation)
        elif self._weights:
            scale = _scale(grad_y)
            grads = self.operation.weight_gradients(grad_y if scale == 1 else grad_y * scale, kept, weight.shape)
            found = sum(delta.gradient(grads, weight, at) for delta in self._weights) / scale
        else:
            found = torch.zeros(len(grad_y), len(at.numbers), device=grad_y.device)
        for position, difference in self._biases:
            by_bias = self.operation.tokens(grad_y).sum(1, dtype=torch.float32)
            found[:, position] += by_bias @ difference.to(by_bias)
        return found


def _scale(grad_y: Tensor) -> float:
    """A power of two that keeps sums over the output's tokens within the range of fp16."""
    return 2.0 ** -round(math.log2(grad_y[0].numel()) / 4) if grad_y.dtype == torch.float16 else 1.0


class OutputDeltas:
    """What LoRAs add to a layer of another kind, whose output is linear in its weight: a norm, an embedding.

    ``apply(x, difference)`` is the layer's operation with the difference in place of its weight and
    without bias. ``weights``, ``biases``: (position, difference) each; ``channel_dim``: where the
    output's channels are. Few and small: autograd differentiates them.
    """

    def __init__(
        self,
        apply: Callable[[Tensor, Tensor], Tensor],
        weights: Sequence[tuple[int, Tensor]],
        biases: Sequence[tuple[int, Tensor]],
        channel_dim: int,
        rates: Sequence[int],
    ):
        self.rates = tuple(rates)
        self._apply, self._weights, self._biases, self._channel_dim = apply, list(weights), list(biases), channel_dim

    def add(self, y: Tensor, x: Tensor, strengths: Tensor) -> Tensor:
        def over_examples(position: int) -> Tensor:
            return strengths[:, position].to(y.dtype).view(-1, *[1] * (y.ndim - 1))

        for position, difference in self._weights:
            y = y + over_examples(position) * self._apply(x, difference.to(y))
        for position, difference in self._biases:
            channels = difference.to(y).view(-1, *[1] * (y.ndim - 1 - self._channel_dim % y.ndim))
            y = y + over_examples(position) * channels
        return y
