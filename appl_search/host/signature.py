"""What a MODEL, CLIP, VAE or conditioning is, as a hash of its contents: the same in another process, another for any change.

Weights are read at a few places of each tensor, for reading all of a large model takes longer than a picture. That
finds every other checkpoint, merge or LoRA: they change weights everywhere.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Mapping
from typing import Any

import comfy.model_patcher
import comfy.sd
import torch
from torch import Tensor, nn

from ..digests import bytes_of
from .naming import name_of

#: Tensors of up to so many bytes count as a whole; of larger ones so many pieces of so many bytes.
_WHOLE, _PIECES, _PIECE = 1 << 19, 4, 512
_DEEPEST = 8  # objects inside each other that are looked into


def signature(*things: Any) -> str:
    """A hash, in hex, of models, conditionings, numbers, texts and containers of these.

    Of functions and objects that a pack has put on a MODEL count their names and the plain values that they hold.
    """
    digest = _Digest()
    for thing in things:
        digest.feed(thing)
    return digest.hex()


def versions(patcher) -> list[str]:
    """What else a picture depends on: the programs, and what computes."""
    where = patcher.load_device
    device = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return [torch.__version__, str(getattr(sys.modules.get("comfyui_version"), "__version__", "")), device]


class _Digest:
    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=20)
        self._inside: list[int] = []  # the objects that are looked into at the moment

    def hex(self) -> str:
        return self._digest.hexdigest()

    def feed(self, value: Any) -> None:
        """Everything that a value is made of."""
        if value is None or isinstance(value, (bool, int, float, str, bytes, torch.dtype, torch.device)):
            self._say(f"{type(value).__name__} {value!r}")
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif id(value) in self._inside or len(self._inside) > _DEEPEST:
            self._say("again")
        else:
            self._inside.append(id(value))
            self._composed(value)
            self._inside.pop()

    def _composed(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._named({str(key): each for key, each in value.items()})
        elif isinstance(value, (list, tuple, set, frozenset)):
            self._say(f"{len(value)} of a list")
            for each in sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value:
                self.feed(each)
        elif isinstance(value, comfy.model_patcher.ModelPatcher):
            self._patcher(value)
        elif isinstance(value, (comfy.sd.CLIP, comfy.sd.VAE)):
            self._say(type(value).__name__)
            self._named({name: each for name, each in vars(value).items() if _is_plain(each)})
            self.feed(value.patcher)
        elif isinstance(value, nn.Module):
            self._say(" ".join(each.__name__ for each in type(value).__mro__))
            self._named(value.state_dict())
        elif isinstance(value, (types.FunctionType, types.MethodType)):
            self._function(value)
        else:
            self._say(name_of(value))
            self._named({name: each for name, each in getattr(value, "__dict__", {}).items() if _counts(each)})

    def _patcher(self, patcher) -> None:
        """A model: its weights as they were loaded, what is patched on them, and everything else that is on it."""
        model = patcher.model
        self._say(type(model).__name__)
        for key, (own, *patches) in patcher.get_key_patches().items():
            self._say(key)
            self._tensor(own[0])
            self.feed(patches)
        self._named(patcher.model_options)
        self._named(patcher.object_patches)
        for name in ("wrappers", "injections", "hook_patches"):
            self._named({str(key): each for key, each in getattr(patcher, name, {}).items() if each})
        self.feed(getattr(model, "model_sampling", None))

    def _function(self, function: Any) -> None:
        self._say(name_of(function))
        self.feed(getattr(function, "__self__", None))
        function = getattr(function, "__func__", function)
        self.feed([function.__defaults__, function.__kwdefaults__])
        self.feed([_content(cell) for cell in function.__closure__ or ()])

    def _named(self, values: Mapping[str, Any]) -> None:
        for name in sorted(values):
            self._say(name)
            self.feed(values[name])

    def _tensor(self, tensor: Tensor) -> None:
        tensor = getattr(tensor, "_qdata", tensor).detach()  # the numbers of a quantised one
        self._say(f"{tensor.dtype} {tuple(tensor.shape)}")
        flat = tensor.reshape(-1).contiguous().view(torch.uint8)
        if len(flat) > _WHOLE:
            last = len(flat) - _PIECE
            starts = [last * number // (_PIECES - 1) for number in range(_PIECES)]
            flat = torch.cat([flat[start : start + _PIECE] for start in starts])
        self._digest.update(bytes_of(flat))

    def _say(self, text: str) -> None:
        self._digest.update(f"{text}\n".encode("utf-8", "replace"))


def _is_plain(value: Any) -> bool:
    """A number, a text, or a container of such."""
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, torch.dtype))


def _counts(value: Any) -> bool:
    """What of a foreign object counts: values, models and functions; not its bookkeeping, which is another one in each run."""
    kinds = (Tensor, nn.Module, comfy.model_patcher.ModelPatcher, types.FunctionType, types.MethodType, Mapping, list, tuple)
    return _is_plain(value) or isinstance(value, kinds)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None
