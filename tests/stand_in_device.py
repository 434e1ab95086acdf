"""A device without fp64, such as Apple's, acted out on the CPU: tensors know where they would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import _engine_run_backward
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

DEVICE, CPU = torch.device("mps", 0), torch.device("cpu")
#: What may be given tensors of both.
_TAKES_BOTH = ("to", "__getitem__", "__setitem__", "copy_", "index_put_", "__set__", "_has_compatible_shallow_copy_type")
#: What makes no tensor: much is asked, and one of these is Module.to's for its arguments.
_ONLY_TELLS = {"numel", "element_size", "size", "stride", "dim", "is_floating_point", "is_contiguous", "data_ptr", "_parse_to"}
_WHERE = "_stand_in_device"
#: Where the numbers of weights on the device are: a search puts other tensors over the same numbers.
_weights: set[int] = set()
_PLAIN_APPLY = next(vars(base)["apply"] for base in torch.autograd.Function.__mro__ if "apply" in vars(base))


def tag(tensor: Tensor, place: torch.device) -> Tensor:
    """The tensor, which is there from now on."""
    setattr(tensor, _WHERE, place)
    return tensor


def put_on_device(patcher: Any, model: nn.Module) -> None:
    """A ModelPatcher and its model's weights, in place; it stays there."""
    patcher.load_device = patcher.offload_device = DEVICE
    model.device = DEVICE
    for tensor in (*model.parameters(), *model.buffers()):
        tag(tensor, DEVICE)
        _weights.add(tensor.untyped_storage().data_ptr())


class StandInDevice(TorchFunctionMode):
    """While it is on, tensors go to DEVICE and back as they would, and what a device refuses raises an error like its own.

    That is fp64, and arithmetic with tensors of the CPU. Weights and what autograd makes are on the device; of other tensors
    that are not known (made before) nothing is said. Arithmetic inside torch's own functions is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._in_backward = False
        self.seen = 0  # how many tensors were on the device

    def __enter__(self) -> StandInDevice:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(torch.autograd, "grad", self._backward)
        self._patch.setattr(torch.autograd.Function, "apply", classmethod(lambda function, *args: self._apply(function, *args)), raising=False)
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        self._patch.undo()
        super().__exit__(*error)

    def __torch_function__(self, function: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in _ONLY_TELLS:
            return function(*args, **kwargs)
        if name == "__get__" and not isinstance(found := function(*args), Tensor):
            return (self._where(args[0]) or found) if isinstance(found, torch.device) else found
        given = [*_leaves(args), *_leaves(kwargs)]
        tensors = [leaf for leaf in given if isinstance(leaf, Tensor)]
        places = [self._where(tensor) for tensor in tensors]
        if len({place for place, tensor in zip(places, tensors) if tensor.ndim} - {None}) > 1 and name not in _TAKES_BOTH:
            raise RuntimeError(f"Expected all tensors to be on the same device, but {name} got some on {DEVICE} and some on {CPU}.")
        place = self._asked_for(name, args, kwargs)
        if place is None:
            place = CPU if not places else DEVICE if DEVICE in places else None if None in places else CPU
        if any(map(_is_device, given)):
            args, kwargs = tree_map(lambda leaf: CPU if _is_device(leaf) else leaf, (args, kwargs))
        out = function(*args, **kwargs)
        if isinstance(out, Tensor):
            return self._put(out, place, name)
        if not any(isinstance(leaf, Tensor) for leaf in _leaves(out)):
            return out
        return tree_map(lambda leaf: self._put(leaf, place, name) if isinstance(leaf, Tensor) else leaf, out)

    def _where(self, tensor: Tensor) -> torch.device | None:
        if (place := getattr(tensor, _WHERE, None)) is not None:
            return place
        with torch._C.DisableTorchFunction():
            is_weight = type(tensor) is nn.Parameter and tensor.untyped_storage().data_ptr() in _weights
        return DEVICE if is_weight or self._in_backward else None

    def _asked_for(self, name: str, args: tuple, kwargs: dict) -> torch.device | None:
        """Where a call wants its result, if it says so."""
        if name == "cpu":
            return CPU
        asked = [kwargs.get("device"), *(args[1:] if name == "to" else ()), *([kwargs.get("other")] if name == "to" else ())]
        for one in asked:
            if isinstance(one, Tensor):
                return self._where(one)
            if isinstance(one, (torch.device, str)):
                return DEVICE if _is_device(one) else CPU
        return None

    def _put(self, tensor: Tensor, place: torch.device | None, name: str) -> Tensor:
        if place == DEVICE and tensor.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"Cannot convert a MPS Tensor to float64 dtype: {name}.")
        if place is not None and self._where(tensor) not in (None, place):
            tensor = tensor.clone()  # a copy was asked for, which the CPU has spared
        self.seen += place == DEVICE
        return tensor if place is None else tag(tensor, place)

    def _apply(self, function: type, *args: Any) -> Any:
        """As torch.autograd.Function.apply, whose output is where its input is."""
        out = _PLAIN_APPLY.__get__(None, function)(*args)
        is_here = any(isinstance(one, Tensor) and self._where(one) == DEVICE for one in args)
        return self._put(out, DEVICE, function.__name__) if is_here and isinstance(out, Tensor) else out

    def _backward(self, outputs: Tensor, inputs: Any, grad_outputs: Tensor, retain_graph: bool = False, allow_unused: bool = False) -> Any:
        """As torch.autograd.grad, which would turn this off for what runs in backward."""
        before, self._in_backward = self._in_backward, True
        try:
            wanted = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
            found = _engine_run_backward((outputs,), (grad_outputs,), retain_graph, False, wanted, allow_unused, accumulate_grad=False)
        finally:
            self._in_backward = before
        return tuple(one if one is None else self._put(one, DEVICE, "grad") for one in found)


def _leaves(value: Any) -> Iterator[Any]:
    """What is in tuples, lists and dicts. A search makes 1e5 calls, in which pytree's leaves take most of the time."""
    if isinstance(value, (tuple, list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    else:
        yield value


def _is_device(value: Any) -> bool:
    return isinstance(value, (torch.device, str)) and str(value).partition(":")[0] == DEVICE.type
