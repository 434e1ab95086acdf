"""What a LoRA adds to the output of one layer, with the strengths as the only thing learned.

Every class here is an operator ``add(y, x, strengths) -> y`` with ``x`` [batch, ..., in] the layer's
input, ``y`` its plain output, and ``strengths`` [batch or 1, n] the rates of the n LoRAs that patch
the layer. A delta of a weight is linear in the strength, so

    y_i + sum over n of strengths[i, n] * (delta_n applied to x_i)

is the output of the layer with its weight patched at those strengths, for each example i its own.
``y`` is changed in place.

The low-rank operators keep only ``x A^T`` (tokens x rank) for backward, never the product with B;
scalar gradients are reduced in fp32. LoRAs are stacked along the rank: the number of kernels does
not grow with the number of LoRAs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ConvGeometry:
    """stride, padding, dilation and groups of a 2-d convolution."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @classmethod
    def of(cls, module: torch.nn.Conv2d) -> ConvGeometry:
        return cls(tuple(module.stride), tuple(module.padding), tuple(module.dilation), module.groups)


class _Stacked:
    """Factors of several LoRAs, concatenated along the rank; moved to the layer's device and dtype on first use."""

    def __init__(self, downs: Sequence[Tensor], ups: Sequence[Tensor], positions: Sequence[int]):
        self.down, self.up = torch.cat(list(downs)), torch.cat(list(ups), dim=1)
        ranks = [down.shape[0] for down in downs]
        self.columns = torch.repeat_interleave(torch.tensor(positions), torch.tensor(ranks))

    def at(self, x: Tensor, strengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(down, up, strengths [batch, ranks]) where and as ``x`` is."""
        if self.down.dtype != x.dtype or self.down.device != x.device:
            self.down, self.up = self.down.to(x.device, x.dtype), self.up.to(x.device, x.dtype)
        if self.columns.device != strengths.device:
            self.columns = self.columns.to(strengths.device)
        return self.down, self.up, strengths.index_select(1, self.columns)


class LinearLowRank(_Stacked):
    """A linear layer's low-rank deltas: up_n @ down_n, stacked along the rank.

    ``downs``: [rank_n, in] each; ``ups``: [out, rank_n] each, any scale multiplied in;
    ``positions``: which column of ``strengths`` each of them uses.
    """

    def add(self, y: Tensor, x: Tensor, strengths: Tensor) -> Tensor:
        down, up, per_rank = self.at(x, strengths)
        return _AddLinear.apply(y, x, per_rank, down, up)


class ConvLowRank(_Stacked):
    """A convolution's low-rank deltas: a k x k convolution to the rank, then 1 x 1 up.

    ``downs``: [rank_n, in / groups, kh, kw] each, all of one kernel size; ``ups``: [out, rank_n] each.
    """

    def __init__(self, downs: Sequence[Tensor], ups: Sequence[Tensor], positions: Sequence[int], geometry: ConvGeometry):
        super().__init__(downs, ups, positions)
        self.geometry = geometry

    def add(self, y: Tensor, x: Tensor, strengths: Tensor) -> Tensor:
        down, up, per_rank = self.at(x, strengths)
        return _AddConv.apply(y, x, per_rank, down, up, self.geometry)


class Dense:
    """Any delta as a full difference of the layer's weight, made on demand and not kept.

    ``difference()`` gives the difference [same shape as the layer's weight]; ``apply(x, difference)``
    is the layer's own operation with the difference in place of its weight and without bias. Both are
    called once in forward and once in backward.
    """

    def __init__(self, difference: Callable[[], Tensor], apply: Callable[[Tensor, Tensor], Tensor], position: int):
        self.difference, self.apply, self.position = difference, apply, position

    def add(self, y: Tensor, x: Tensor, strengths: Tensor) -> Tensor:
        def delta(x: Tensor) -> Tensor:
            return self.apply(x, self.difference().to(y.device, y.dtype))

        return _AddDense.apply(y, x, strengths[:, self.position], delta)


class BiasDifference:
    """A difference [out] of a layer's bias. ``channel_dim``: where the output's channels are."""

    def __init__(self, difference: Tensor, channel_dim: int, position: int):
        self.difference, self.channel_dim, self.position = difference, channel_dim, position

    def add(self, y: Tensor, x: Tensor, strengths: Tensor) -> Tensor:
        bias = self.difference.to(y.device, y.dtype).view(-1, *[1] * (y.ndim - 1 - self.channel_dim % y.ndim))
        return y + _over_examples(strengths[:, self.position], y).to(y.dtype) * bias


def _over_examples(per_example: Tensor, like: Tensor) -> Tensor:
    """[batch] or [batch, k] -> shape that multiplies ``like`` [batch, ...] (k stays the last dimension)."""
    if per_example.ndim == 1:
        return per_example.view(-1, *[1] * (like.ndim - 1))
    return per_example.view(per_example.shape[0], *[1] * (like.ndim - 2), per_example.shape[1])


def _reduce_to(gradient: Tensor, batch: int) -> Tensor:
    """Sums over the batch when the strengths were shared by all examples."""
    return gradient if gradient.shape[0] == batch else gradient.sum(0, keepdim=True)


def _same_memory(y: Tensor) -> Tensor:
    """``y`` to be changed in place, as a new tensor for autograd.

    No layer keeps its own output for backward. To change a view in place (a linear layer's output is
    one) under autograd's eyes would cost copies in backward.
    """
    return y.detach()


class _AddLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y: Tensor, x: Tensor, s: Tensor, down: Tensor, up: Tensor) -> Tensor:
        hidden = F.linear(x, down)
        scaled = hidden * _over_examples(s, hidden).to(hidden.dtype)
        out = _same_memory(y)
        if out.is_contiguous():
            out.view(-1, out.shape[-1]).addmm_(scaled.reshape(-1, scaled.shape[-1]), up.t())
        else:
            out += F.linear(scaled, up)
        ctx.save_for_backward(hidden if s.requires_grad else None, s)
        ctx.factors = down, up
        return out

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        (hidden, s), (down, up) = ctx.saved_tensors, ctx.factors
        grad_scaled = grad_y @ up
        grad_x = grad_s = None
        if ctx.needs_input_grad[2]:
            products = hidden.float() * grad_scaled.float()
            per_example = products.flatten(1, -2).sum(1) if products.ndim > 2 else products
            grad_s = _reduce_to(per_example, s.shape[0])
        if ctx.needs_input_grad[1]:
            grad_x = (grad_scaled * _over_examples(s, grad_scaled).to(grad_scaled.dtype)) @ down
        return grad_y, grad_x, grad_s, None, None


class _AddConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y: Tensor, x: Tensor, s: Tensor, down: Tensor, up: Tensor, geometry: ConvGeometry) -> Tensor:
        hidden = F.conv2d(x, down, None, geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
        scaled = hidden * s[:, :, None, None].to(hidden.dtype)
        out = _same_memory(y)
        out += F.conv2d(scaled, up[:, :, None, None])
        ctx.save_for_backward(hidden if s.requires_grad else None, s)
        ctx.factors = down, up, geometry, x.shape
        return out

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        (hidden, s), (down, up, geometry, x_shape) = ctx.saved_tensors, ctx.factors
        grad_scaled = F.conv2d(grad_y, up.t()[:, :, None, None])
        grad_x = grad_s = None
        if ctx.needs_input_grad[2]:
            grad_s = _reduce_to((hidden.float() * grad_scaled.float()).sum((2, 3)), s.shape[0])
        if ctx.needs_input_grad[1]:
            grad_hidden = grad_scaled * s[:, :, None, None].to(grad_scaled.dtype)
            grad_x = torch.nn.grad.conv2d_input(
                x_shape, down, grad_hidden, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
            )
        return grad_y, grad_x, grad_s, None, None, None


class _AddDense(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y: Tensor, x: Tensor, s: Tensor, delta: Callable[[Tensor], Tensor]) -> Tensor:
        out = _same_memory(y)
        out += _over_examples(s, out).to(out.dtype) * delta(x)
        ctx.save_for_backward(x, s)
        ctx.delta = delta
        return out

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        x, s = ctx.saved_tensors
        needs_x, needs_s = ctx.needs_input_grad[1:3]
        with torch.enable_grad():
            leaf = x.detach().requires_grad_(needs_x)
            out = ctx.delta(leaf)
        grad_x = grad_s = None
        if needs_s:
            products = (out.detach().float() * grad_y.float()).flatten(1).sum(1)
            grad_s = _reduce_to(products, s.shape[0])
        if needs_x:
            (grad_x,) = torch.autograd.grad(out, leaf, grad_y * _over_examples(s, grad_y).to(grad_y.dtype))
        return grad_y, grad_x, grad_s, None
