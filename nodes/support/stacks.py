"""LORA_STACK, as several packs pass LoRAs on before they are loaded.

Efficiency Nodes (LoRA Stacker), LoRA Manager (Lora Stacker) and Comfyroll give a list of (name, strength of the U-Net, strength
of the text encoders); the name is that of a file in the loras folders, as ComfyUI lists it or with the other kind of slash,
and "None" where nothing is chosen. rgthree's nodes load LoRAs themselves and give no stack.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...appl_search import BlockWeights
from ...appl_search.architectures import TEXT_ENCODERS

_NOTHING = "None"


@dataclass(frozen=True)
class Stacked:
    """A LoRA of a stack: its name in the loras folders, and its strengths."""

    name: str
    strength_model: float
    strength_clip: float

    def in_words(self) -> str:
        return f"{self.name}: {self.strength_model:g}, text encoders {self.strength_clip:g}"

    def as_tuple(self) -> tuple[str, float, float]:
        """As a stack has it."""
        return self.name, self.strength_model, self.strength_clip


def read_stack(stack: Any) -> list[Stacked]:
    """The LoRAs of a stack. Raises ValueError for anything else, by its place in the stack."""
    if not isinstance(stack, (list, tuple)):
        raise ValueError(f"The LORA_STACK is a {type(stack).__name__}, expected a list of LoRAs. Connect a node that makes a LORA_STACK.")
    found = [_read(entry, number) for number, entry in enumerate(stack, 1) if not (entry and entry[0] == _NOTHING)]
    if not found:
        raise ValueError("The LORA_STACK is empty. Choose at least one LoRA in the node that makes it.")
    return found


def _read(entry: Any, number: int) -> Stacked:
    try:
        name, model, clip = entry
        strengths = float(model), float(clip)
    except (TypeError, ValueError):
        raise _wrong(entry, number) from None
    if not isinstance(name, str) or not all(map(math.isfinite, strengths)):
        raise _wrong(entry, number)
    return Stacked(name.replace("\\", "/").replace("/", os.sep), *strengths)


def _wrong(entry: Any, number: int) -> ValueError:
    return ValueError(f"LoRA {number} of the LORA_STACK is {str(entry)[:120]}, expected a file's name and two strengths.")


def stackable(weights: BlockWeights) -> tuple[float, float] | None:
    """The strengths (U-Net, text encoders) that do what block weights do, None where no strengths can: rates that differ."""
    rates = {group: weights.values[weights.layout.architecture.block_of_group(group)] for group, count in weights.layout.groups.items() if count}
    text = rates.pop(TEXT_ENCODERS, None)
    others = set(rates.values())
    if len(others) > 1:
        return None
    strength = others.pop() if others else text or 0.0
    return strength, strength if text is None else text


def describe_rates(weights: BlockWeights) -> str:
    """The lowest and the highest rate, with their blocks."""
    ends: Sequence[tuple[str, float]] = sorted(weights.items(), key=lambda item: item[1])
    return " to ".join(f"{rate:.3g} ({block})" for block, rate in (ends[0], ends[-1]))
