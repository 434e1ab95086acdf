"""Choices of block weights that are to be compared, each with the LoRAs that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...appl_search import BlockWeights, LoraSource, SearchResult
from .lora_files import lora_path
from .matching import AUTO, rates_for, source_of
from .stacks import Stacked, read_stack


@dataclass(frozen=True)
class Choice:
    """A name, and block weights for each of its LoRAs; a LoRA of other choices that it does not have is off."""

    name: str
    loras: tuple[tuple[LoraSource, BlockWeights], ...]


def choice_of(name: str, lora_name: str, text: str, result: SearchResult | None, stack: Any) -> Choice:
    """From a text for one LoRA (a number or a string of block weights), from a result, or from a LORA_STACK.

    Raises ValueError unless exactly one of them is given.
    """
    given = [bool(text.strip()), result is not None, stack is not None]
    if sum(given) != 1:
        raise ValueError(
            "A choice is one of: a text (a strength, or a string of block weights), block_weights, or a lora_stack. "
            f"{'There is none' if not any(given) else 'There are several'} of them: fill in or connect exactly one."
        )
    if result is not None:
        loras = [(source_of(weights), weights) for weights in result.block_weights]
    elif stack is not None:
        loras = [_stacked(entry) for entry in read_stack(stack)]
    else:
        loras = [_written(lora_name, text.strip())]
    return Choice(name.strip() or _name_of(lora_name, text.strip(), loras), tuple(loras))


def _written(lora_name: str, text: str) -> tuple[LoraSource, BlockWeights]:
    try:
        strength = float(text)
    except ValueError:
        source, weights, _ = rates_for(lora_name, None, text, AUTO)
        return source, weights
    source = LoraSource(lora_path(lora_name))
    return source, BlockWeights.uniform(source, strength)


def _stacked(entry: Stacked) -> tuple[LoraSource, BlockWeights]:
    source = LoraSource(lora_path(entry.name))
    return source, BlockWeights.uniform(source, entry.strength_model, entry.strength_clip)


def _name_of(lora_name: str, text: str, loras: Sequence[tuple[LoraSource, BlockWeights]]) -> str:
    names = " + ".join(source.name for source, _ in loras)
    return f"{names} {text}" if text and len(text) <= 12 else names


def as_rates(choices: Sequence[Choice]) -> tuple[list[LoraSource], Mapping[str, list[list[float]]]]:
    """All LoRAs of the choices once each, and {name of a choice: rates [LoRAs][blocks]}, with numbers after names that come twice."""
    sources: dict[str, LoraSource] = {}
    blocks = 0
    for choice in choices:
        for source, weights in choice.loras:
            sources.setdefault(weights.layout.sha256, source)
            blocks = len(weights.blocks)
    named: dict[str, list[list[float]]] = {}
    for choice in choices:
        rates = {weights.layout.sha256: list(weights.values) for _, weights in choice.loras}
        name = choice.name
        while name in named:
            name += " (again)"
        named[name] = [rates.get(sha256, [0.0] * blocks) for sha256 in sources]
    return list(sources.values()), named
