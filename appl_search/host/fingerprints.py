"""Hashes of a VAE and of text encoders, with all that is patched onto them: equal ones encode equally."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from ..digests import digest_of
from .naming import name_of

_THREADS = 4
_PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, torch.device, torch.Size)
#: What a ModelPatcher may carry beside patches of weights.
_CARRIED = ("object_patches", "weight_wrapper_patches", "model_options", "wrappers", "injections", "additional_models", "forced_hooks")


class NoFingerprint(Exception):
    """Something is patched on whose effect cannot be told from its parts; the message says what."""


def of_vae(vae) -> str:
    """Raises :class:`NoFingerprint`."""
    return digest_of((_of_patcher(vae.patcher), str(getattr(vae, "vae_dtype", None)), type(vae).__qualname__))


def of_text_encoders(clip) -> str:
    """Without the tokenizer, whose work is in the tokens. Raises :class:`NoFingerprint`."""
    return digest_of((_of_patcher(clip.patcher), clip.layer_idx, type(clip).__qualname__))


def of_tokens(tokens: Mapping[str, Any]) -> str:
    """Of what a tokenizer makes of a caption, embeddings included."""

    def other(value: Any) -> str:
        if isinstance(value, Tensor):
            return digest_of(value)
        raise NoFingerprint(f"tokens with {name_of(value)}")

    return digest_of(json.dumps(tokens, sort_keys=True, default=other))  # a thousand captions have some 300,000 tokens


def _of_patcher(patcher) -> str:
    """Of a ModelPatcher: its weights without patches, the patches, and whatever else it carries."""
    weights = dict(patcher.model.state_dict())
    weights |= {key: kept.weight for key, kept in patcher.backup.items()}  # of what is patched right now
    weights |= getattr(patcher, "backup_buffers", {})
    with ThreadPoolExecutor(_THREADS) as pool:
        hashes = pool.map(digest_of, weights.values())
    carried = {name: getattr(patcher, name, None) for name in _CARRIED}
    return digest_of(
        (
            dict(zip(weights, hashes)),
            repr(patcher.model),  # layers and what they were made with, such as the padding of convolutions
            patcher.load_device.type,
            _plain(patcher.patches, "patches"),
            {name: _plain(each, name) for name, each in carried.items() if not _is_empty(each)},
        )
    )


def _is_empty(value: Any) -> bool:
    """Whether nothing is in it, however deep."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or (isinstance(value, (list, tuple)) and not value)


def _plain(value: Any, where: str) -> Any:
    """The same in tensors, numbers, texts, lists and dicts only, with adapters as the tensors that they are made of."""
    if isinstance(value, (Tensor, *_PLAIN)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each, where) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, where) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(getattr(value, "weights", None), (list, tuple)) and not isinstance(value, Callable):
        return [type(value).__qualname__, _plain(value.weights, where)]
    raise NoFingerprint(f"{where} with {name_of(value)}")
