"""What the buttons of the panel hand out: LoRA files and reports of saved results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...appl_search import BlockWeights, SearchResult
from ...appl_search.weights.fields import Fields, wrong
from ..bake import save_baked
from ..figures import report_page
from ..support.common import Json
from ..support.files import load_result
from .preview_sheet import before_and_after


def bake(asked: Fields) -> Json:
    """{"file", "penalty", "strengths"} -> {"text": lines that say what was saved}: LoRA files in the first loras folder.

    ``penalty``, ``strengths``: null, or what the files have instead of the block weights found: those for another penalty, or
    one strength for each LoRA. Raises ValueError and LoraError for what cannot be baked.
    """
    result = load_result(asked.text("file"))
    if asked.has("penalty"):
        result = result.at_penalty(asked.number("penalty", 0))
    if asked.has("strengths"):
        count = len(result.block_weights)
        result = _at_strengths(result, asked.tensor("strengths", [count]).tolist())
    return {"text": save_baked(result, in_loras=True)[1]}


def report(file: str, penalty: str | None) -> str:
    """The report of a saved result as HTML, with the preview pictures before and after. ``penalty``: as in :func:`bake`."""
    result = load_result(file)
    if penalty is not None:
        result = result.at_penalty(_number(penalty))
    return report_page(result, {caption: [image] for caption, image in before_and_after(file).items()})


def _at_strengths(result: SearchResult, strengths: Sequence[float]) -> SearchResult:
    found = [BlockWeights(weights.layout, (strength,) * len(weights.blocks)) for weights, strength in zip(result.block_weights, strengths)]
    return replace(result, block_weights=tuple(found))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise wrong("penalty", text, "a number") from None
