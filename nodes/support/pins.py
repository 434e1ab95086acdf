"""Rates that the user has pinned in the panel, or written into the search node."""

from __future__ import annotations

from collections.abc import Sequence

from ...appl_search import LoraSource
from ...appl_search.host.architectures import architecture_of
from ...appl_search.loras.rules import BlockRules, by_lora


def pinned_to(sources: Sequence[LoraSource], text: str, model, init: float) -> list[LoraSource]:
    """The LoRAs with the rules of a text for several (:func:`by_lora`) before their own, for the blocks that it names.

    ``init``: where a search starts that nothing else is said of. Raises ValueError for a text that cannot be read.
    """
    architecture = architecture_of(model)
    try:
        texts = by_lora(text, [source.name for source in sources])
        rules = [BlockRules.of(source, architecture).overridden(own) for source, own in zip(sources, texts)]
    except ValueError as error:
        raise ValueError(f"pinned: {error} Change the text, or empty it.") from error
    return [own.applied_to(source, init) for source, own in zip(sources, rules)]
