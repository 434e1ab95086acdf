"""Loading a model through ComfyUI's own memory management, and making it fit for autograd."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from comfy import model_management
from comfy.ldm.modules.attention import BasicTransformerBlock

OUT_OF_MEMORY = model_management.OOM_EXCEPTION


def load(patchers: Sequence, memory: int = 0) -> None:
    """Brings models to their device with their patches, moving others out; ``memory``: bytes needed besides."""
    model_management.load_models_gpu(list(patchers), memory_required=memory)


def check_interrupted() -> None:
    """Raises ComfyUI's own exception when the user has pressed Cancel."""
    model_management.throw_exception_if_processing_interrupted()


def compute_device() -> torch.device:
    return model_management.get_torch_device()


@contextmanager
def gradients_allowed(*models: torch.nn.Module) -> Iterator[None]:
    """Inside, autograd can run through the models' frozen weights; afterwards they are as before.

    ComfyUI runs nodes in inference mode and loads weights there, and autograd refuses to save such
    weights for backward. Each gets a normal tensor over the same storage meanwhile: no copy.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for model in models:
            stack.enter_context(_normal_weights(model))
            if _ADDS_RESIDUALS_IN_PLACE:
                stack.enter_context(_cloned_norm_inputs(model))
        yield


@contextmanager
def _normal_weights(model: torch.nn.Module) -> Iterator[None]:
    replaced = []
    try:
        for module in model.modules():
            for name, weight in module._parameters.items():
                if weight is not None and (weight.is_inference() or weight.requires_grad):
                    replaced.append((module, name, weight))
                    module._parameters[name] = torch.nn.Parameter(_alias(weight), requires_grad=False)
            for name, buffer in module._buffers.items():
                if buffer is not None and buffer.is_inference():
                    replaced.append((module, name, buffer))
                    module._buffers[name] = _alias(buffer)
        yield
    finally:
        for module, name, original in replaced:
            own = module._parameters if name in module._parameters else module._buffers
            own[name] = original


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    alias = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    alias.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
    return alias


#: ComfyUI before 0.3.41 writes ``x += n`` in its transformer block, over the inputs that its norms
#: have saved for backward.
_ADDS_RESIDUALS_IN_PLACE = "x += n" in inspect.getsource(BasicTransformerBlock)


@contextmanager
def _cloned_norm_inputs(model: torch.nn.Module) -> Iterator[None]:
    handles = []
    try:
        for module in model.modules():
            if isinstance(module, BasicTransformerBlock):
                for norm in (module.norm1, module.norm2, module.norm3):
                    if norm is not None:
                        handles.append(norm.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(),)))
        yield
    finally:
        for handle in handles:
            handle.remove()
