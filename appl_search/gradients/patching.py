"""Puts deltas on a model's layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..host import autograd
from ..host.undo import Undo
from .deltas import LayerDeltas, OutputDeltas, Strengths


class Patched:
    """Layers of ``model`` with deltas, until ``undo`` puts them back.

    ``layers`` maps module names of ``model`` to their deltas. Set :attr:`strengths` [batch or 1, rates]
    before each forward. Its rows are equal: all examples see the same rates, and each row gets the
    gradient of its own example. Layers that use the same rates share one gathered copy, so that autograd
    sees one node per block and not one per layer. It is gathered at once, not in a layer, so that a layer
    that runs again in backward does exactly the same again. With None the model is the plain one.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, LayerDeltas | OutputDeltas], undo: Undo):
        self.model = model
        #: By their names: layers that are the plain ones for now; and, while they are sets, those that ran with a graph
        #: and those that a gradient came back to.
        self.left_out: frozenset[str] = frozenset()
        self.ran: set[str] | None = None
        self.reached: set[str] | None = None
        self._used = {layer.rates for layer in layers.values()}
        self.strengths = None
        for name, deltas in layers.items():
            module = model.get_submodule(name)
            wrap = self._patched_forward if isinstance(deltas, LayerDeltas) else self._adding_forward
            autograd.replace_forward(module, wrap(name, module, deltas), undo)

    @property
    def strengths(self) -> Tensor | None:
        return self._strengths

    @strengths.setter
    def strengths(self, value: Tensor | None) -> None:
        self._strengths = value
        if value is None:
            self._gathered = {}
            return
        first = value.detach()[0]
        numbers = first.tolist()
        self._gathered = {
            rates: (
                value[:, list(rates)],
                Strengths(tuple(numbers[rate] for rate in rates), first[list(rates)]),
            )
            for rates in self._used
        }

    def _patched_forward(self, name: str, module: nn.Module, deltas: LayerDeltas) -> Callable:
        plain, unknown = module.forward, autograd.is_own_kind(module)

        def forward(x: Tensor, *args, **kwargs) -> Tensor:
            nonlocal unknown
            if self._strengths is None or name in self.left_out:
                return plain(x, *args, **kwargs)
            if unknown:
                autograd.check_weight(module, plain, x)
                unknown = False
            x = autograd.scaled_input(module, x)
            y = _PatchedLayer.apply(x, *self._gathered[deltas.rates], module, deltas)
            if self.ran is not None and y.requires_grad:
                self.ran.add(name)
                y.register_hook(lambda _: self.reached.add(name))
            return y

        return forward

    def _adding_forward(self, name: str, module: nn.Module, deltas: OutputDeltas) -> Callable:
        plain = module.forward

        def forward(x: Tensor, *args, **kwargs) -> Tensor:
            y = plain(x, *args, **kwargs)
            return y if self._strengths is None or name in self.left_out else deltas.add(y, x, self._gathered[deltas.rates][0])

        return forward


class _PatchedLayer(torch.autograd.Function):
    """y = operation(x, patched weight, patched bias), with gradients by x and, for each example, by the strengths."""

    @staticmethod
    def forward(ctx, x: Tensor, strengths: Tensor, at: Strengths, module: nn.Module, deltas: LayerDeltas) -> Tensor:
        with autograd.borrowed_weights(module, x) as (weight, bias):
            y = deltas.operation.forward(x, deltas.weight(weight, at), deltas.bias(bias, at))
            by_rank = deltas.by_rank(x, weight)
        ctx.save_for_backward(deltas.kept(x, by_rank) if ctx.needs_input_grad[1] else None)
        ctx.given = at, module, deltas, x.shape, len(strengths), by_rank
        return y.detach()  # a linear layer's output is a view, which the host could not change in place

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        (kept,), (at, module, deltas, shape, rows, by_rank) = ctx.saved_tensors, ctx.given
        needs_x, needs_strengths = ctx.needs_input_grad[:2]
        grad_x = by_strength = None
        with autograd.borrowed_weights(module, grad_y) as (weight, _):
            if needs_strengths:
                by_strength = deltas.gradient(grad_y, kept, by_rank, weight, at)
                if len(by_strength) != rows:
                    by_strength = by_strength.sum(0, keepdim=True)
            if needs_x:
                grad_x = deltas.operation.input_gradient(grad_y, deltas.weight(weight, at), shape)
        return grad_x, by_strength, None, None, None
