"""What a linear layer or a convolution does, and what backward needs of it, with the weight given each time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear:
    """x [batch, ..., in], weight [out, in] -> [batch, ..., out]."""

    channel_dim = -1

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, weight, bias)

    def input_gradient(self, grad_y: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """Gradient by x, which has the given shape."""
        return grad_y @ weight

    def weight_gradients(self, grad_y: Tensor, x: Tensor, shape: torch.Size) -> Tensor:
        """Gradient by the weight of the given shape for each example: [batch, out, in]."""
        return self.tokens(grad_y).mT @ self.tokens(x)

    def products_by_rank(self, grad_y: Tensor, projected: Tensor, up: Tensor) -> Tensor:
        """Sum over tokens of (grad_y up) * projected, fp32 [batch, ranks], for up [out, ranks]."""
        products = (grad_y @ up).float() * projected.float()
        return products if products.ndim == 2 else products.flatten(1, -2).sum(1)

    def tokens(self, y: Tensor) -> Tensor:
        """An output or an input as [batch, tokens, channels]."""
        return y.reshape(y.shape[0], -1, y.shape[-1])


@dataclass(frozen=True)
class Conv2d:
    """x [batch, in, h, w], weight [out, in, kh, kw] -> [batch, out, h', w']; methods as of :class:`Linear`."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    channel_dim = 1

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation)

    def input_gradient(self, grad_y: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        return nn.grad.conv2d_input(shape, weight, grad_y, self.stride, self.padding, self.dilation)

    def weight_gradients(self, grad_y: Tensor, x: Tensor, shape: torch.Size) -> Tensor:
        examples = zip(x.split(1), grad_y.split(1))
        where = self.stride, self.padding, self.dilation
        return torch.stack([nn.grad.conv2d_weight(one, shape, grad, *where).flatten(1) for one, grad in examples])

    def products_by_rank(self, grad_y: Tensor, projected: Tensor, up: Tensor) -> Tensor:
        return ((up.mT @ grad_y.flatten(2)).float() * projected.flatten(2).float()).sum(2)

    def tokens(self, y: Tensor) -> Tensor:
        return y.flatten(2).mT


def operation_of(module: nn.Module) -> Linear | Conv2d | None:
    """The operation of a layer; None for other kinds of layers.

    ComfyUI's quantised layers are linear without being nn.Linear.
    """
    if isinstance(module, nn.Linear) or (hasattr(module, "in_features") and getattr(module, "weight", None) is not None):
        return Linear() if module.weight.ndim == 2 else None
    if isinstance(module, nn.Conv2d) and module.groups == 1:
        return Conv2d(tuple(module.stride), tuple(module.padding), tuple(module.dilation))
    return None
