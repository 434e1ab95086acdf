"""Blocks that the panel's user holds where they are: the text of the search node's widget, as the page sees and changes it."""

from __future__ import annotations

from collections.abc import Sequence

from ...appl_search.architectures import Architecture
from ...appl_search.loras.rules import BlockRules, Fixed, by_lora, rules_in
from ...appl_search.weights.block_weights import layout_from_fields
from ...appl_search.weights.fields import Fields
from ..support.common import Json

_DIGITS = 3  # those of strings


def pins(asked: Fields) -> Json:
    """{"text", "loras", "pin"} -> {"text", "pins"}.

    ``text``: of the widget. ``loras``: for each LoRA what :func:`nodes.panel.state.lora` says of it. ``pin``: null, or
    {"lora", "block", "rate"} with two indices: this block is held at the rate from now on, or searched with a rate of null.
    What comes back is the text after it, and for each LoRA the rate that each block is held at, null for one that is not.
    Raises ValueError for a text that has no meaning.
    """
    layouts = [layout_from_fields(lora) for lora in asked.objects("loras")]
    names = [layout.name for layout in layouts]
    text = asked.text("text", 100_000)
    texts = by_lora(text, names)
    rates = [_rates(own, layout.architecture) for own, layout in zip(texts, layouts)]
    if asked.has("pin"):
        pin = asked.object("pin")
        lora = pin.whole("lora", 0, len(layouts) - 1)
        texts[lora] = _changed(texts[lora], layouts[lora].architecture, pin)
        rates[lora] = _rates(texts[lora], layouts[lora].architecture)
        text = _joined(texts, names)
    return {"text": text, "pins": rates}


def _rates(text: str, architecture: Architecture) -> list[float | None]:
    """What each block is held at by the rules of one LoRA."""
    return [rule.rate if isinstance(rule, Fixed) else None for rule in BlockRules.parse(text, architecture).rules]


def _changed(text: str, architecture: Architecture, pin: Fields) -> str:
    """The rules of one LoRA after a pin. Whatever else they say is left as it is written."""
    block = pin.whole("block", 0, len(architecture.blocks) - 1)
    name = architecture.blocks[block]
    parts = [part for part in rules_in(text) if part.partition("=")[0].strip().upper() != name]
    if pin.has("rate"):
        parts.append(f"{name} = {round(pin.number('rate'), _DIGITS):g}")
    elif isinstance(BlockRules.parse("; ".join(parts), architecture).rules[block], Fixed):  # by a range, or a block that it is the same as
        parts.append(f"{name} = search")
    return "; ".join(parts)


def _joined(texts: Sequence[str], names: Sequence[str]) -> str:
    """Rules as a text that :func:`appl_search.loras.rules.by_lora` reads again: with the names of LoRAs where there are several."""
    if len(texts) == 1:
        return texts[0]
    heads = [name if names.count(name) == 1 and name.isprintable() else str(number) for number, name in enumerate(names, 1)]
    return "\n".join(f"{head}: {'; '.join(rules_in(text))}" for head, text in zip(heads, texts) if text)
