"""A search as the node's panel on the page shows it: plain lists and numbers, short enough for a workflow's history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...appl_search import BlockWeights, SearchResult
from ...appl_search.architectures.blocks import ABOUT, BLOCK_NAMES, NUM_BLOCKS, SECTIONS, block_of_group
from ...appl_search.loras.files import LoraLayout
from ...appl_search.report.curves import running_mean
from ...appl_search.weights.formats import FORMATS
from ..support.common import DEFAULT_FORMAT, Json

CURVE_POINTS = 240
PATH_POINTS = 40


def lora(layout: LoraLayout) -> Json:
    """Which LoRA it is, and how many of its keys each of the 20 blocks has."""
    keys = [0] * NUM_BLOCKS
    for group, count in layout.groups.items():
        keys[block_of_group(group)] += count
    return {"name": layout.name, "sha256": layout.sha256, "groups": dict(layout.groups), "keys": keys}


def whole(result: SearchResult, file: str, previews: Json | None = None, chosen: float | None = None) -> Json:
    """All that the panel shows of a result. ``file``: its JSON below output/block_weights.

    ``previews``: of :func:`nodes.panel.preview_sheet.saved_sheet`. ``chosen``: the penalty whose block weights the node's outputs have, None for those of the search.
    """
    settings = result.settings
    return {
        "file": file,
        "chosen": chosen,
        "previews": previews,
        "method": settings.method,
        "penalty": settings.penalty,
        "seed": settings.seed,
        "steps": settings.steps,
        "total": settings.samples,
        "step": len(result.history.loss),
        "samples": result.samples,
        "seconds": round(result.seconds, 1),
        **_curve(result.history.loss.tolist()),
        "single": single(result),
        "loras": [_found(weights) for weights in result.block_weights],
        **blocks(),
        **formats(),
        "path": [
            {
                "penalty": point.penalty,
                "loss": significant(point.predicted_loss),
                "rates": [rates(weights.values) for weights in point.block_weights],
                "errors": [errors(weights) for weights in point.block_weights],
            }
            for point in result.path(PATH_POINTS)
        ],
    }


def single(result: SearchResult) -> Json | None:
    """The best that one strength for each LoRA could do, as the search's model predicts it; None without a model."""
    if result.penalty_path is None:
        return None
    best = result.penalty_path.best_single()
    return {"strengths": rates(best.strengths), "loss": significant(best.predicted_loss)}


def blocks() -> Json:
    """The names of the blocks, the sections of neighbours that they form, and what each block does."""
    sections = [{"name": name, "first": places[0], "count": len(places)} for name, places in SECTIONS.items()]
    return {"blocks": list(BLOCK_NAMES), "sections": sections, "about": list(ABOUT)}


def formats() -> Json:
    """The formats that strings can be had in, and which one is shown first."""
    return {"formats": [[name, format.label] for name, format in FORMATS.items()], "default_format": DEFAULT_FORMAT}


def strings(weights: BlockWeights) -> Json:
    """The rates in every format: {format: {"text", "notes": what its reader will do otherwise than the rates say}}."""
    return {
        name: {"text": weights.to_string(name), "notes": format.warnings(weights)} for name, format in FORMATS.items()
    }


def strings_of(asked: Sequence[Mapping[str, Any]]) -> list[Json]:
    """:func:`strings` of rates that the page chose: for each LoRA what :func:`lora` says of it, its "rates" and "errors".

    Raises ValueError for anything else.
    """
    try:
        found = [
            BlockWeights(
                LoraLayout(str(one["name"]), str(one["sha256"]), {str(k): int(v) for k, v in one["groups"].items()}),
                tuple(float(rate) for rate in one["rates"]),
                tuple(math.nan if error is None else float(error) for error in one["errors"]),
            )
            for one in asked
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"Expected LoRAs with name, sha256, groups, rates and errors ({error!r}).") from error
    return [strings(weights) for weights in found]


def rates(values: Sequence[float]) -> list[float]:
    """Rates with as many decimals as anyone can use."""
    return [round(value, 4) for value in values]


def errors(weights: BlockWeights) -> list[float | None]:
    """Standard errors as JSON can have them: it knows no NaN."""
    return [None if math.isnan(error) else significant(error, 3) for error in weights.stderr]


def significant(value: float, digits: int = 5) -> float:
    """A loss, whose size differs from model to model, without the digits that are noise."""
    return float(f"{value:.{digits}g}")


def _found(weights: BlockWeights) -> Json:
    return {
        **lora(weights.layout),
        "rates": rates(weights.values),
        "errors": errors(weights),
        "strings": strings(weights),
    }


def _curve(loss: Sequence[float]) -> Json:
    """At most CURVE_POINTS points, of "every" steps each: their mean "loss", and the running "mean" at their last steps."""
    every = max(1, -(-len(loss) // CURVE_POINTS))
    starts = range(0, len(loss), every)
    parts = [loss[start : start + every] for start in starts]
    means = running_mean(loss)
    return {
        "every": every,
        "loss": [significant(sum(part) / len(part)) for part in parts],
        "mean": [significant(means[start + len(part) - 1]) for start, part in zip(starts, parts)],
    }
