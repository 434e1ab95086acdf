"""Makes ComfyUI's models fit for autograd for a while, without copying or changing their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import comfy.ops
import torch
from comfy.clip_model import CLIPLayer
from comfy.ldm.modules.attention import BasicTransformerBlock
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from . import compat
from .errors import ModelError
from .operations import Conv2d, Linear, operation_of
from .undo import Undo


def allow_gradients(model: nn.Module, undo: Undo) -> None:
    """Autograd can run through the model's frozen weights, until they are put back; outside inference mode only."""
    _use_normal_weights(model, undo)
    _rerun_casting_layers(model, undo)
    _clone_norm_inputs(model, undo)


def _use_normal_weights(model: nn.Module, undo: Undo) -> None:
    """Autograd refuses to save weights that ComfyUI loaded in inference mode: normal tensors over the same storage."""
    for module in model.modules():
        for own in (module._parameters, module._buffers):
            for name, tensor in own.items():
                if tensor is not None and (tensor.is_inference() or tensor.requires_grad):
                    alias = _alias(tensor)
                    undo.put(own, name, nn.Parameter(alias, requires_grad=False) if own is module._parameters else alias)


def _alias(tensor: Tensor) -> Tensor:
    alias = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    alias.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
    return alias


def replace_forward(module: nn.Module, forward: Callable, undo: Undo) -> None:
    """``forward`` in place of the module's own, until the end."""
    undo.put(vars(module), "forward", forward)


@contextmanager
def borrowed_weights(layer: nn.Module, like: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """(weight, bias) of a layer as ComfyUI computes with them: in the dtype and on the device of ``like``.

    They may lie in a buffer that the host uses again: do not keep them.
    """
    if not _casts(layer):
        yield layer.weight, layer.bias
        return
    own = getattr(layer, "cast_bias_weight", None)
    weight, bias, *stream = compat.cast_weights(layer, like) if own is None else own(like)
    try:
        yield _plain(weight, like), _plain(bias, like)
    finally:
        if stream and own is None:
            comfy.ops.uncast_bias_weight(layer, weight, bias, *stream)


def _plain(weight: Tensor | None, like: Tensor) -> Tensor | None:
    """Quantised tensors of newer hosts claim the dtype that they stand for."""
    if weight is None:
        return None
    return (weight.dequantize() if hasattr(weight, "_qdata") else weight).to(like.dtype)


def is_own_kind(layer: nn.Module) -> bool:
    """Whether a layer computes with its weight in a way of its own: quantised, or with a cast of another pack."""
    weight = layer.weight
    return hasattr(layer, "cast_bias_weight") or hasattr(weight, "_qdata") or not weight.is_floating_point()


def own_weight(layer: nn.Module, like: Tensor) -> Tensor:
    """A copy of a layer's weight as the layer itself computes with it, without patches where it is a plain tensor."""
    if not is_own_kind(layer):
        return layer.weight.detach().to(like, copy=True)
    with borrowed_weights(layer, like) as (weight, _):
        return weight.detach().to(like, copy=True)


def scaled_input(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer multiplies its weight with: some quantised ones scale the channels of their input before (AWQ)."""
    scale = getattr(layer, "pre_quant_scale", None)
    return x if scale is None else x * scale.to(x)


def check_weight(layer: nn.Module, forward: Callable, x: Tensor) -> None:
    """Raises :class:`ModelError` when a layer does not compute with the weight that :func:`borrowed_weights` gives.

    Up to what rounding the input to few bits changes.
    """
    x = x.detach()
    with torch.no_grad(), borrowed_weights(layer, x) as (weight, bias):
        expected, found = forward(x).float(), operation_of(layer).forward(scaled_input(layer, x), weight, bias).float()
    if not (found - expected).norm() < 0.3 * expected.norm():
        raise ModelError(
            f"A layer of the MODEL is a {type(layer).__module__}.{type(layer).__qualname__}, which computes with its weights in "
            "a way that a search does not know. Load the checkpoint in another form (fp16, bf16, fp8) for the search."
        )


def _rerun_casting_layers(model: nn.Module, undo: Undo) -> None:
    """Layers whose weights ComfyUI casts or brings in for each forward, into buffers that it may use again.

    A weight kept from forward to backward could have been overwritten by then. Such a layer runs
    without a graph; backward brings its weight in once more.
    """

    def rerunning(layer: nn.Module) -> Callable:
        forward, operation = layer.forward, None if is_own_kind(layer) else operation_of(layer)

        def rerun(x: Tensor, *args, **kwargs) -> Tensor:
            if not (torch.is_grad_enabled() and x.requires_grad):
                return forward(x, *args, **kwargs)
            if operation is not None:
                return _Affine.apply(x, lambda x: forward(x, *args, **kwargs), layer, operation)
            return _Rerun.apply(x, lambda x: forward(x, *args, **kwargs))

        return rerun

    for module in model.modules():
        if _casts(module):
            replace_forward(module, rerunning(module), undo)


def _casts(module: nn.Module) -> bool:
    if getattr(module, "weight", None) is None or isinstance(module, nn.Embedding):
        return False
    functions = getattr(module, "weight_function", None), getattr(module, "bias_function", None)
    casting = getattr(module, "comfy_cast_weights", False) or any(functions) or hasattr(module, "_v")
    return bool(casting) or is_own_kind(module)


class _Affine(torch.autograd.Function):
    """A layer whose gradient needs its weight only, not its input."""

    @staticmethod
    def forward(ctx, x: Tensor, run: Callable[[Tensor], Tensor], layer: nn.Module, operation: Linear | Conv2d) -> Tensor:
        ctx.given = layer, operation, x.shape
        return run(x).detach()  # autograd would treat a view as one of x

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        layer, operation, shape = ctx.given
        with borrowed_weights(layer, grad_y) as (weight, _):
            return operation.input_gradient(grad_y, weight, shape), None, None, None


class _Rerun(torch.autograd.Function):
    """Any other layer: it runs again in backward, to be differentiated at once."""

    @staticmethod
    def forward(ctx, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.run = run
        ctx.save_for_backward(x)
        return run(x).detach()

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        (x,) = ctx.saved_tensors
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            y = ctx.run(x)
        return torch.autograd.grad(y, x, grad_y)[0], None


def checkpoint_blocks(model: nn.Module, undo: Undo, keep_random_state: bool = False) -> None:
    """The U-Net's blocks keep only their inputs and run again in backward (Chen et al., 2016), until the end.

    ``keep_random_state``: the second run draws the same random numbers, for patches that draw some.
    """

    def checkpointing(block: nn.Module) -> Callable:
        forward = _sparing_its_input(block.forward) if compat.ADDS_RESIDUALS_IN_PLACE else block.forward

        def again(*args, **kwargs):
            if not torch.is_grad_enabled():
                return forward(*args, **kwargs)
            # ComfyUI writes the running block's number into this dict: keep what it says now.
            args = [dict(arg) if isinstance(arg, dict) else arg for arg in args]
            kwargs = {key: dict(arg) if isinstance(arg, dict) else arg for key, arg in kwargs.items()}
            return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=keep_random_state, **kwargs)

        return again

    for module in model.modules():
        if isinstance(module, (ResBlock, BasicTransformerBlock)):
            replace_forward(module, checkpointing(module), undo)


def _sparing_its_input(forward: Callable) -> Callable:
    return lambda x, *args, **kwargs: forward(x.clone(), *args, **kwargs)


def _norms_before_residuals(model: nn.Module) -> Iterator[nn.Module]:
    """Norms whose input, saved for backward, the host overwrites afterwards."""
    for module in model.modules():
        if isinstance(module, BasicTransformerBlock) and compat.ADDS_RESIDUALS_IN_PLACE:
            yield from (norm for norm in (module.norm1, module.norm2, module.norm3) if norm is not None)
        elif isinstance(module, CLIPLayer):
            yield from (module.layer_norm1, module.layer_norm2)


def _clone_norm_inputs(model: nn.Module, undo: Undo) -> None:
    for norm in _norms_before_residuals(model):
        replace_forward(norm, _sparing_its_input(norm.forward), undo)
