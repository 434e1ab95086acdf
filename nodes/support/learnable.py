"""A LoRA on a MODEL and CLIP for a search to find: what the nodes that load such ones share."""

from __future__ import annotations

from dataclasses import replace

from ...appl_search import LoraSource
from ...appl_search.architectures import TEXT_ENCODERS
from ...appl_search.host.learnable import add_learnable
from ...appl_search.host.lora_loading import LoadedLora, load
from ...appl_search.loras.rules import BlockRules
from .common import BLOCK_RULES
from .lora_files import lora_path

CLIP = ("CLIP", {"tooltip": "The checkpoint's CLIP. Needed for LoRAs that also train the text encoders (block BASE)."})
RULES = (BLOCK_RULES, {"tooltip": "From Block Rules: which blocks are searched, and which stay at a rate of your own or share one. All are searched without it."})  # fmt: skip


def loaded(lora_name: str, model, clip) -> LoadedLora:
    """The LoRA file of a widget, whose contents stay whatever becomes of it."""
    return load(LoraSource(lora_path(lora_name)).loaded(), model, clip)


def learnable(model, clip, lora: LoadedLora, init: float, rules: str = "", text_init: float | None = None):
    """MODEL and CLIP with the LoRA. Raises ValueError for ``rules`` that cannot be read.

    ``init``: where the search starts in every block, but for ``text_init`` where the text encoders are, if the LoRA has any.
    """
    architecture = lora.layout.architecture
    start = dict.fromkeys(architecture.blocks, init)
    if text_init is not None and lora.layout.groups.get(TEXT_ENCODERS):
        start[architecture.blocks[architecture.block_of_group(TEXT_ENCODERS)]] = text_init
    source = BlockRules.parse(rules, architecture).applied_to(replace(lora.source, start=start), init)
    return add_learnable(model, clip, replace(lora, source=source))
