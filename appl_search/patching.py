"""Adds deltas to the outputs of a model's layers for as long as a ``with`` block runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor


class Delta(Protocol):
    def add(self, y: Tensor, x: Tensor, strengths: Tensor) -> Tensor: ...


class LayerDeltas:
    """The deltas of one layer, and which of the search's rates scale them.

    ``rates``: indices into the last dimension of the search's strengths [batch, LoRAs * 20]; the
    deltas' positions index this list.
    """

    def __init__(self, deltas: Sequence[Delta], rates: Sequence[int]):
        self.deltas, self.rates = tuple(deltas), tuple(rates)


class Patched(AbstractContextManager):
    """Hooks on the layers of ``model``; taken off again on leaving, whatever happened inside.

    ``layers`` maps module names of ``model`` to their deltas. Set :attr:`strengths` [batch or 1,
    rates] before each forward; layers that use the same rates share one gathered copy of them, so
    that autograd sees one node per block and not one per layer. It is gathered at once, not in a
    layer, so that a layer that runs again in backward does exactly the same again.
    """

    def __init__(self, model: torch.nn.Module, layers: Mapping[str, LayerDeltas]):
        self._modules = {name: model.get_submodule(name) for name in layers}
        self._layers = dict(layers)
        self._used = {layer.rates for layer in layers.values()}
        self._handles: list = []
        self._strengths: Tensor | None = None
        self._gathered: dict[tuple[int, ...], Tensor] = {}

    @property
    def strengths(self) -> Tensor | None:
        return self._strengths

    @strengths.setter
    def strengths(self, value: Tensor | None) -> None:
        self._strengths = value
        self._gathered = {} if value is None else {rates: _columns(value, rates) for rates in self._used}

    def __enter__(self) -> Patched:
        try:
            for name, module in self._modules.items():
                self._handles.append(module.register_forward_hook(self._hook(self._layers[name])))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.strengths = None

    def _hook(self, layer: LayerDeltas):
        def add_deltas(module, inputs, output):
            if self._strengths is None:
                return output
            for delta in layer.deltas:
                output = delta.add(output, inputs[0], self._gathered[layer.rates])
            return output

        return add_deltas


def _columns(strengths: Tensor, rates: tuple[int, ...]) -> Tensor:
    return strengths.index_select(1, torch.tensor(rates, device=strengths.device))
