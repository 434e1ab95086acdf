"""A search as the node's panel on the page shows it: plain lists and numbers, short enough for a workflow's history."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...appl_search import BlockWeights, SearchResult
from ...appl_search.architectures import Architecture
from ...appl_search.comparing import findings
from ...appl_search.comparing.comparison import Candidate, Comparison
from ...appl_search.comparing.verdict import PICTURES, SENTENCES, Verdict
from ...appl_search.loras.layout import LoraLayout
from ...appl_search.loras.rules import BlockRules, Fixed, SameAs
from ...appl_search.report.curves import running_mean
from ...appl_search.weights.block_weights import layout_from_fields
from ...appl_search.weights.fields import Fields, finite
from ...appl_search.weights.formats import FORMATS
from ..support.common import DEFAULT_FORMAT, Json

CURVE_POINTS = 240
PATH_POINTS = 40


def lora(layout: LoraLayout, rules: BlockRules) -> Json:
    """Which LoRA it is, how many of its keys each block has, which rates are fixed, and which block each other's is tied to."""
    return {
        "name": layout.name,
        "sha256": layout.sha256,
        "architecture": layout.architecture.name,
        "groups": dict(layout.groups),
        "keys": list(layout.keys),
        "fixed": [isinstance(rule, Fixed) for rule in rules.rules],
        "same_as": [rule.block if isinstance(rule, SameAs) else None for rule in rules.rules],
    }


def of_result(result: SearchResult, file: str | None, previews: Json | None = None, chosen: float | None = None) -> Json:
    """All that the panel shows of a result. ``file``: its JSON below output/block_weights.

    ``previews``: of :func:`nodes.panel.preview_sheet.saved_sheet`. ``chosen``: the penalty whose block weights
    the node's outputs have, None for those of the search.
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
        "verdict": verdict(result),
        "penalty_chosen": settings.choose_penalty,
        "findings": [_finding(each) for each in result.findings],
        "loras": [_found(weights, rules) for weights, rules in zip(result.block_weights, result.rules)],
        **blocks(result.block_weights[0].layout.architecture),
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


def verdict(result: SearchResult) -> Json | None:
    """What the comparison at the search's end says, as a sentence and as what it is made of, and the comparison; None without one.

    "change" and "error": of each loss above that of what was found, and half its 95% interval, as parts of what was found's.
    """
    said, comparison = result.verdict, result.comparison
    if said is None or comparison is None:
        return None
    found = float(comparison.losses[0])
    rows = zip(comparison.candidates, comparison.losses.tolist(), comparison.difference[:, 0].tolist(), comparison.error[:, 0].tolist())
    return {
        "text": said.text,
        "kind": said.kind,
        "words": _said_in_parts(said, comparison),
        "rows": [
            {"name": each.name, "words": _name_in_parts(each), "loss": significant(loss), "change": significant(above / found), "error": significant(error / found)}
            for each, loss, above, error in rows
        ],
        "use_instead": {"strengths": rates(said.instead.strengths)} if said.instead and said.instead.strengths else None,
    }


def _said_in_parts(said: Verdict, comparison: Comparison) -> Json:
    """A verdict as the page translates it: English texts by the names of their places."""
    other = next(each for each in comparison.candidates if each.name == said.values["other"])
    where = {"key": PICTURES[said.values["where"]], "values": {"pictures": said.values["pictures"]}}
    return {"key": SENTENCES[said.kind], "values": {**said.values, "other": _name_in_parts(other), "where": where}}


def _finding(finding: findings.Finding) -> Json:
    """A sentence on what a block does, and its parts."""
    values = {name: {"key": value} if value in findings.PHRASES else value for name, value in finding.values.items()}
    return {"text": finding.text, "words": {"key": findings.SENTENCES[finding.key], "values": values}}


def _name_in_parts(candidate: Candidate) -> Json:
    """A candidate's name without the numbers in it."""
    numbers = ", ".join(f"{strength:.2f}" for strength in candidate.strengths or ())
    if not numbers or not candidate.name.endswith(numbers):
        return {"key": candidate.name}
    return {"key": f"{candidate.name.removesuffix(numbers)}{{strengths}}", "values": {"strengths": numbers}}


def blocks(architecture: Architecture) -> Json:
    """The names of the blocks, the sections of neighbours that they form, and what each block does."""
    sections = [{"name": section.name, "first": section.first, "count": section.count} for section in architecture.sections]
    return {"blocks": list(architecture.blocks), "sections": sections, "about": list(architecture.about)}


def formats() -> Json:
    """The formats that strings can be had in, and which one is shown first."""
    return {"formats": [[name, format.label] for name, format in FORMATS.items()], "default_format": DEFAULT_FORMAT}


def strings(weights: BlockWeights) -> Json:
    """The rates in every format: {format: {"text", "notes": what its reader will do otherwise than the rates say}}."""
    return {
        name: {"text": weights.to_string(name), "notes": format.warnings(weights)} for name, format in FORMATS.items()
    }


def strings_of(asked: Sequence[Fields]) -> list[Json]:
    """:func:`strings` of rates that the page chose: for each LoRA what :func:`lora` says of it, its "rates" and "errors".

    Raises ValueError for anything else.
    """
    return [strings(_asked(lora)) for lora in asked]


def _asked(lora: Fields) -> BlockWeights:
    layout = layout_from_fields(lora)
    blocks = len(layout.architecture.blocks)
    errors = [math.nan if error is None else finite(error, lora.place("errors"), 0) for error in lora.list("errors")]
    values = tuple(lora.tensor("rates", [blocks]).tolist())
    return BlockWeights(layout=layout, values=values, stderr=tuple(errors))


def rates(values: Sequence[float]) -> list[float]:
    """Rates rounded to 4 decimals, which is finer than anyone sets them."""
    return [round(value, 4) for value in values]


def errors(weights: BlockWeights) -> list[float | None]:
    """Standard errors for JSON, which has no NaN: None where there is none."""
    return [significant(error, 3) if math.isfinite(error) else None for error in weights.stderr]


def significant(value: float, digits: int = 5) -> float:
    """A number rounded to this many significant digits: losses differ in size from model to model."""
    return float(f"{value:.{digits}g}")


def _found(weights: BlockWeights, rules: BlockRules) -> Json:
    return {
        **lora(weights.layout, rules),
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
