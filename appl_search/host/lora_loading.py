"""From a LoRA file to what it patches in a MODEL and CLIP, by ComfyUI's own key maps and loader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import comfy.lora
import torch
from torch import Tensor

from ..architectures import TEXT_ENCODERS, Architecture, labels
from ..loras.adapters import adapters_in
from ..loras.adapters.base import ALPHA, DORA_SCALE
from ..loras.adapters.lora import MAGNITUDE
from ..loras.errors import LoraError, cut
from ..loras.files import LoraFile
from ..loras.layout import LoraLayout, layout_of
from ..loras.names import other_names
from ..loras.patch import Patch
from ..loras.source import LoraSource
from .architectures import architecture_of


@dataclass(frozen=True)
class LoadedLora:
    """A LoRA on the way to a MODEL and CLIP.

    ``patches``: by the model's own keys. ``layout``: of what was loaded, with the text encoders' keys of the file when
    there is no CLIP. ``notes``: what the user should know of the rest of the file.
    """

    source: LoraSource
    layout: LoraLayout
    patches: Mapping[str, Patch]
    notes: tuple[str, ...]


def load(source: LoraSource, model, clip) -> LoadedLora:
    """What a LoRA file patches. ``model``: ModelPatcher; ``clip``: CLIP or None.

    Raises LoraError when the file fits neither, or is for another architecture, and for tensors that do not fit the
    parameter that they are for; ModelError for a MODEL of no known architecture.
    """
    file, architecture = source.file, architecture_of(model)
    whole = layout_of(file, source.name, architecture)
    if whole.architecture != architecture:
        raise _for_another_model(source, whole.architecture, architecture)
    key_map = _key_map(model, clip)
    shapes = _parameters(model, clip)
    names = {stem: name for stem in file.stems if (name := next((n for n in other_names(stem) if n in key_map), None))}
    _check_twice(file, names, key_map)
    left_out = [stem for stem in names if _has_flat_scale(file.stems[stem])]
    wanted = {stem: name for stem, name in names.items() if stem not in left_out}
    patches = {
        key: patch
        for key, patch in _patches(file, wanted, key_map).items()
        if key in shapes and architecture.group_of_key(key) is not None
    }
    if not patches:
        raise _nothing_loaded(file, left_out, names)
    for key, patch in patches.items():
        if not patch.fits(shapes[key]):
            raise misfit(source, key, patch, shapes[key])
    groups = Counter(architecture.group_of_key(key) for key in patches)
    if clip is None and TEXT_ENCODERS in whole.groups:
        groups[TEXT_ENCODERS] = whole.groups[TEXT_ENCODERS]
    notes = _notes(source, architecture, patches, left_out, clip)
    return LoadedLora(source, replace(whole, groups=dict(groups)), patches, tuple(notes))


def _nothing_loaded(file: LoraFile, left_out: list[str], names: Mapping[str, str]) -> LoraError:
    what = f"LoRA file {file.path}: none of its {len(file.tensors)} keys"
    if left_out:
        return LoraError(f"{what} can be applied. {_flat_scale_note(left_out)}")
    if names:
        return LoraError(f"{what} can be applied: this ComfyUI knows no such adapter for {cut(next(iter(names)))}.")
    shown = ", ".join(cut(key, 80) for key in list(file.tensors)[:2])
    return LoraError(
        f"{what} is a key of this MODEL or CLIP (it has {shown}). It is for another architecture than {labels()}."
    )


def _for_another_model(source: LoraSource, meant: Architecture, found: Architecture) -> LoraError:
    return LoraError(
        f"LoRA file {source.path} is for {meant.label}, and the MODEL is {found.label}. Load a checkpoint of "
        f"{meant.label}, or choose a LoRA for {found.label}."
    )


def misfit(source: LoraSource, key: str, patch: Patch, shape: torch.Size) -> LoraError:
    """The error for a patch that is not for a parameter of this shape."""
    shapes = ", ".join(str(tuple(part.shape)) for part in patch.tensors)
    return LoraError(
        f"LoRA file {source.path}: its {patch.adapter.name} tensors of shapes [{cut(shapes)}] do not fit {key}, whose "
        f"shape is {tuple(shape)}. The file is damaged or for another model than this one."
    )


def _key_map(model, clip) -> dict[str, str]:
    """The model's own key of each stem that a LoRA file may use."""
    key_map = comfy.lora.model_lora_keys_unet(model.model, {})
    return key_map if clip is None else comfy.lora.model_lora_keys_clip(clip.cond_stage_model, key_map)


def _parameters(model, clip) -> dict[str, torch.Size]:
    """The shape of each parameter that a patch can be for; of quantised ones that of what they stand for."""
    models = [model.model] if clip is None else [clip.cond_stage_model, model.model]
    return {key: part.shape for each in models for key, part in each.named_parameters(remove_duplicate=False)}


def _check_twice(file: LoraFile, names: Mapping[str, str], key_map: Mapping[str, str]) -> None:
    """Raises LoraError for a file that patches one parameter under two names: ComfyUI would drop one of them."""
    seen: dict[tuple[str, str], str] = {}
    for stem, name in names.items():
        for parameter in {p for adapter in adapters_in(file.stems[stem]) for p in adapter.parameters(file.stems[stem])}:
            other = seen.setdefault((key_map[name], parameter), stem)
            if other != stem:
                raise LoraError(f"LoRA file {file.path}: {cut(other)} and {cut(stem)} are two names of one layer.")


def _patches(file: LoraFile, names: Mapping[str, str], key_map: Mapping[str, str]) -> dict[str, Patch]:
    """ComfyUI's own reading of the layers that it knows; which tensors it took tells which adapter it was."""
    given: dict[str, Tensor] = {}
    origin: dict[int, tuple[str, str]] = {}
    for stem, name in names.items():
        for ending, part in file.stems[stem].items():
            if ending != MAGNITUDE:
                given[name + ending] = part
                origin[id(part)] = stem, ending
    loaded = comfy.lora.load_lora(given, {name: key_map[name] for name in names.values()})
    patches = {}
    for key, host_object in loaded.items():
        taken = [origin[id(part)] for part in tensors_of(host_object)]
        stem = taken[0][0]
        adapter = next(kind for _, ending in taken for kind in adapters_in({ending: None}))
        parts = {ending: file.stems[stem][ending] for _, ending in taken}
        parts |= {option: file.stems[stem][option] for option in adapter.options if option in file.stems[stem]}
        patches[key] = Patch(adapter, stem, parts, host_object)
    return patches


def tensors_of(host_object) -> list[Tensor]:
    """ComfyUI gives (kind, tensors) before 2025-04, and adapter objects since; a difference is a tuple still."""
    weights = host_object if isinstance(host_object, tuple) else getattr(host_object, "weights", ())
    flat: list[Tensor] = []
    for part in weights:
        flat += [part] if isinstance(part, Tensor) else tensors_of(part) if isinstance(part, tuple) else []
    return flat


def _has_flat_scale(parts: Mapping[str, Tensor]) -> bool:
    """A decomposition with a scale in one dimension: ComfyUI cannot apply it, or takes rows for columns."""
    return DORA_SCALE in parts and parts[DORA_SCALE].ndim < 2 and bool(adapters_in(parts))


def _flat_scale_note(stems: list[str]) -> str:
    return (
        f"{len(stems)} layers have a dora_scale in one dimension, which ComfyUI cannot apply; they are left out, e.g. "
        f"{cut(stems[0])}."
    )


def _notes(
    source: LoraSource, architecture: Architecture, patches: Mapping[str, Patch], left_out: list[str], clip
) -> Iterable[str]:
    """What of a file is not loaded, or acts otherwise than its makers meant."""
    file = source.file
    taken = {file.keys[patch.stem][ending] for patch in patches.values() for ending in patch.parts}
    magnitudes = [keys[MAGNITUDE] for keys in file.keys.values() if MAGNITUDE in keys]
    known = taken | set(magnitudes)
    known |= {key for stem in left_out for key in file.keys[stem].values()}
    known |= {keys[ALPHA] for keys in file.keys.values() if ALPHA in keys and known & set(keys.values())}
    text = set()
    if clip is None:
        text = {key for stem, keys in file.keys.items() if architecture.group_of_key(stem) == TEXT_ENCODERS for key in keys.values()} - known
    rest = [key for key in file.tensors if key not in known and key not in text]
    if magnitudes:
        yield (
            f"LoRA {source.name}: {len(magnitudes)} layers have a lora_magnitude_vector (DoRA of PEFT), which ComfyUI does "
            "not apply. They act as plain LoRAs here, as with the ordinary loader."
        )
    if left_out:
        yield f"LoRA {source.name}: {_flat_scale_note(left_out)}"
    if text:
        yield f"LoRA {source.name}: {len(text)} keys are for the text encoders; they act only with a CLIP connected."
    if rest:
        yield (
            f"LoRA {source.name}: ComfyUI loads nothing from {len(rest)} of its {len(file.tensors)} keys for this model; they "
            f"have no effect, e.g. {cut(rest[0])}."
        )


