"""Makes the pictures of an exploration by ComfyUI's own sampler, those that are not on disk yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from ..architectures import TEXT_ENCODERS
from ..gradients.task import Models
from ..host.conditioning import as_conditioning, encode_caption
from ..host.errors import ModelError
from ..host.lora_loading import LoadedLora, load
from ..host.lora_patches import apply, without
from ..host.pictures import decode
from ..host.sampling import sample_as_ksampler
from ..host.signature import signature, versions
from ..loras.source import LoraSource
from ..settings import PreviewSettings
from ..weights.block_weights import BlockWeights
from .exploration import COMPARED_WITH, WHAT_FITS, Exploration, Shown
from .kept import KeptPictures
from .variants import EACH_OFF, MODES, Variant, acting, variants

log = logging.getLogger("appl_search")

#: Told the step of all that are to be taken, from 1, how many these are, and the denoised latent [1, 4, h / 8, w / 8].
OnStep = Callable[[int, int, Tensor], object]


@dataclass(frozen=True, kw_only=True)
class ExplorerTask:
    """What is explored.

    ``models``: with or without the LoRA on them; they come back unchanged. ``weights``: the block weights that blocks are
    switched off from, any strength multiplied in. ``mode``: one of MODES. ``blocks``: which ones, by index; None for
    all that do anything. ``pictures``: prompts, sampler, seed and size. ``conditioning``: positive and negative
    CONDITIONING to use instead of the prompts, which need a CLIP; block BASE's text-encoder part is then not explored.
    ``compared_with``: one of COMPARED_WITH. Raises ValueError for another of the two.
    """

    models: Models
    source: LoraSource
    weights: BlockWeights
    pictures: PreviewSettings
    mode: str = EACH_OFF
    blocks: Sequence[int] | None = None
    conditioning: tuple[list, list] | None = None
    compared_with: str = WHAT_FITS

    def __post_init__(self) -> None:
        for name, allowed in (("mode", MODES), ("compared_with", COMPARED_WITH)):
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"Block Explorer: {name} is {value!r}, expected one of {', '.join(allowed)}.")


def explore(task: ExplorerTask, folder: Path, on_step: OnStep | None = None) -> Exploration:
    """The pictures of a task and how they differ. Each is kept in ``folder``, and taken from there when it is made again.

    Cancel ends it between any two steps by ComfyUI's own exception, and the pictures that were finished are kept. Raises
    LoraError as loading does, ModelError without a CLIP for the prompts, ValueError for a LoRA of which nothing acts.
    """
    with torch.no_grad():
        return _Explorer(task, KeptPictures(folder)).run(on_step or (lambda *_: None))


class _Explorer:
    """One exploration: the models without the LoRA, the LoRA, and what is known of the pictures."""

    def __init__(self, task: ExplorerTask, kept: KeptPictures):
        models = task.models
        if task.conditioning is None and models.clip is None:
            raise ModelError("There is no CLIP for the prompts. Connect the checkpoint's CLIP, or positive and negative CONDITIONING.")
        self._task, self._kept = task, kept
        self._lora = load(task.source.loaded(), models.model, models.clip)
        self._model, self._clip, there = without(models.model, models.clip, self._lora)
        live = acting(task.weights, _patched(self._lora, task.conditioning is None))
        if not live:
            raise ValueError(
                f"Nothing of LoRA {task.source.name} acts here: all blocks that it has keys for have the rate 0. Explore it at other "
                "block weights or at another strength."
            )
        self._weights = replace(task.weights, values=tuple(rate if block in live else 0.0 for block, rate in enumerate(task.weights.values)))
        self._variants = variants(task.mode, live if task.blocks is None else task.blocks)
        self._notes = [*self._lora.notes, *_notes(task, self._lora, there)]
        self._encoded: dict[float, tuple[list, list]] = {}

    def run(self, on_step: OnStep) -> Exploration:
        keys = self._keys()
        made = {key: pixels for key in dict.fromkeys(keys) if (pixels := self._kept.find(key)) is not None}
        found, missing = len(made), [key for key in dict.fromkeys(keys) if key not in made]
        steps = self._task.pictures.steps
        for number, key in enumerate(missing):
            variant = self._variants[keys.index(key)]
            log.info("Block Explorer: picture %d of %d: %s", number + 1, len(missing), self._label(variant))
            pixels = self._picture(variant, lambda step, x0: on_step(number * steps + min(step + 1, steps), len(missing) * steps, x0))  # noqa: B023
            made[key] = pixels
            self._kept.keep(key, pixels, f"{self._task.source.name}: {self._label(variant)}")
        return Exploration(
            name=self._task.source.name,
            weights=self._weights,
            pictures=tuple(Shown(variant, self._label(variant), made[key]) for variant, key in zip(self._variants, keys)),
            compared_with=self._task.compared_with,
            prompt=self._task.pictures.prompt,
            settings=self._settings(),
            sampled=len(missing),
            found=found,
            notes=tuple(self._notes),
        )

    def _picture(self, variant: Variant, on_step: Callable[[int, Tensor], object]) -> Tensor:
        """Pixels uint8 [h, w, 3] of a variant."""
        model, clip = apply(self._model, self._clip, self._lora, variant.of(self._weights))
        positive, negative = self._task.conditioning or self._prompts(clip, variant)
        latent = sample_as_ksampler(model, positive, negative, self._task.pictures, on_step)
        return (decode(self._task.models.vae, latent).clamp(0, 1) * 255).round().byte()

    def _prompts(self, clip, variant: Variant) -> tuple[list, list]:
        """Positive and negative CONDITIONING, encoded once for each rate that the text encoders have."""
        rate = variant.of(self._weights).values[_text_block(self._weights)]
        if rate not in self._encoded:
            wanted = self._task.pictures
            self._encoded[rate] = tuple(as_conditioning(*encode_caption(clip, text)) for text in (wanted.prompt, wanted.negative))
        return self._encoded[rate]

    def _keys(self) -> list[str]:
        """What each picture is made of, as a hash: block weights that do the same give the same."""
        task = self._task
        said = [self._clip, task.pictures.prompt, task.pictures.negative] if task.conditioning is None else [task.conditioning]
        common = signature(versions(self._model), self._model, task.models.vae, self._lora.source.contents.sha256, self._settings(), *said)
        return [signature(common, variant.of(self._weights).values) for variant in self._variants]

    def _settings(self) -> Mapping[str, object]:
        """Of the sampler, by their names."""
        left_out = ("prompt", "negative", "every")
        return {one.name: getattr(self._task.pictures, one.name) for one in fields(PreviewSettings) if one.name not in left_out}

    def _label(self, variant: Variant) -> str:
        return variant.label(self._weights.layout.architecture)


def _patched(lora: LoadedLora, with_text: bool) -> set[int]:
    """The blocks in which the LoRA changes anything for these pictures."""
    architecture = lora.layout.architecture
    groups = {architecture.group_of_key(key) for key in lora.patches}
    return {architecture.block_of_group(group) for group in groups if with_text or group != TEXT_ENCODERS}


def _text_block(weights: BlockWeights) -> int:
    return weights.layout.architecture.block_of_group(TEXT_ENCODERS)


def _notes(task: ExplorerTask, lora: LoadedLora, there: set[float]) -> list[str]:
    """What the user should know of the LoRA on the models, and of its text-encoder part."""
    notes = []
    if there:
        strengths = f"strength {min(there):g}" if len(there) == 1 else f"strengths from {min(there):g} to {max(there):g}"
        notes.append(
            f"LoRA {task.source.name} is on the MODEL or CLIP already, at {strengths}. For these pictures it is taken off, and put on at the "
            "block weights and strength of this node."
        )
    if task.conditioning is not None and TEXT_ENCODERS in lora.layout.groups:
        block = task.weights.blocks[_text_block(task.weights)]
        notes.append(
            f"LoRA {task.source.name} has a text-encoder part (block {block}), which is in the connected CONDITIONING or is not, and stays as "
            "it is. To explore it, disconnect the CONDITIONING, connect the CLIP and write the prompts here."
        )
    return notes
