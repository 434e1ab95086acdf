"""Whether the gradient is that of the loss: a layer or a patch without a backward would give wrong rates, and no error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..host.errors import ModelError
from .draws import Draw
from .evaluator import Evaluator
from .patching import Patched

#: The first step along the direction, in rates; and the change of the prediction, as a part of it, that the steps for
#: the difference are scaled to: little enough to be linear, and far above rounding.
_PILOT, _CHANGE = 0.1, 0.04
#: The largest step of those, for a LoRA of little effect, in rates; and how far gradient and difference may be apart, as a
#: part of the difference, beside what rounding explains. Measured on tiny models: 0.01 in fp32, 0.04 in fp16 and bf16.
_LARGEST_STEP = {True: 0.25, False: 0.1}
_ALLOWED = {True: 0.15, False: 0.03}
#: So many standard deviations of what rounding makes of the difference.
_DEVIATIONS = 6.0
#: What a second forward may differ in without any reason.
_REPEATED, _NOTHING = 3.0, 1e-6
#: How far apart predictions are, as a part of them, when it is not for the other size of the batch.
_MIXED = {True: 0.02, False: 1e-3}


def check_gradient(evaluator: Evaluator, draw: Draw) -> None:
    """Compares the gradient of one sample with finite differences along a random direction, at the search's start.

    ``draw``: of one sample. The derivative of the prediction along the direction is taken by central differences, and
    by backward; both are multiplied with the direction in which the prediction changes, where they are largest. Then
    layers that backward has not reached may have no effect. Takes three forwards and one gradient of the sample, and
    as many forwards again where there are such layers. Raises :class:`ModelError`, naming what is on the MODEL.
    """
    rates, is_half = evaluator.rates, _is_half(evaluator)
    start, direction = rates.start, _direction(len(rates))

    def prediction(step: float = 0.0) -> Tensor:
        (found,) = evaluator.predictions(draw, rates.all_rates(start + step * direction))
        return found.double()

    pilot = prediction(_PILOT)

    def towards_pilot(middle: Tensor) -> Tensor:
        change = pilot.to(middle.device, middle.dtype) - middle
        return change / change.square().mean().sqrt().clamp(min=torch.finfo(change.dtype).tiny)

    with _watched(evaluator.patched) as unreached:
        products, (middle,) = evaluator.pulled_back(draw, rates.all_rates(start), towards_pilot)
    along = towards_pilot(middle.float()).double()
    change = float((pilot - middle).norm() / middle.norm())
    if change > _NOTHING:
        step = min(_PILOT * _CHANGE / change, _LARGEST_STEP[is_half])
        above, below = prediction(step), prediction(-step)
        difference, explained = _difference(above, middle.double(), below, along)
        found = float(products[0] @ direction) * 2 * step
        if not abs(found - difference) <= _ALLOWED[is_half] * abs(difference) + explained:
            raise _error(f"along one direction it says {found:.4g}, where the prediction changes by {difference:.4g}", evaluator)
    if unreached:
        with _left_out(evaluator.patched, unreached):
            without = prediction()
        one, other = prediction(), prediction()
        if (without - one).norm() > _REPEATED * (other - one).norm() + _NOTHING * one.norm():
            raise _error(f"no gradient reaches {_some(unreached)}, which do change the prediction", evaluator)


def heeds_a_negative(evaluator: Evaluator, draw: Draw) -> bool:
    """Whether the prediction is another when a negative is asked for beside, as in sampling: a patch mixes the two.

    ``draw``: of one sample. Takes two forwards of it where there are patches, one of them with the negative.
    """
    denoiser, rates = evaluator.denoiser, evaluator.rates
    if not denoiser.one_at_a_time:
        return False

    def prediction() -> Tensor:
        (found,) = evaluator.predictions(draw, rates.all_rates(rates.start))
        return found

    alone = prediction()
    denoiser.with_negative = True
    try:
        beside = prediction()
    finally:
        denoiser.with_negative = False
    return bool((beside - alone).norm() > _MIXED[_is_half(evaluator)] * alone.norm())


def _is_half(evaluator: Evaluator) -> bool:
    return evaluator.denoiser.computes_in not in (torch.float32, torch.float64)


def _difference(above: Tensor, middle: Tensor, below: Tensor, along: Tensor) -> tuple[float, float]:
    """<along, above - below>, and how far rounding may have moved it.

    What is left of above + below - 2 middle where the prediction is nearly linear is rounding, of six times its variance.
    It is random; but where it is as large as the change, the host's rounding of patched weights swallows small changes
    and makes others larger, which a gradient does not follow. That is a part of the difference itself.
    """
    change, bend = above - below, above + below - 2 * middle
    difference = float((along * change).sum())
    random = _DEVIATIONS * float(bend.norm() * along.norm()) / (3 * along.numel()) ** 0.5
    swallowed = abs(difference) * float(bend.square().sum() / change.square().sum().clamp(min=1e-300))
    return difference, random + swallowed


def _direction(count: int) -> Tensor:
    signs = torch.randint(2, (count,), generator=torch.Generator().manual_seed(count))
    return 2.0 * signs.double() - 1


def _error(what: str, evaluator: Evaluator) -> ModelError:
    on_it = evaluator.denoiser.patches
    override = next((patch for patch in on_it if patch.startswith("attention override")), None)
    cause = f"The {override} on the MODEL has probably no backward" if override else "A custom node's patch probably cuts it"
    shown = f"On the MODEL are: {', '.join(on_it)[:300]}" if on_it else "The MODEL has no patch: ComfyUI's own attention may be one without backward"
    return ModelError(
        f"The gradient is wrong: {what}. {cause}, so the rates found would be wrong. {shown}. Take patches off for the search, "
        "or start ComfyUI without --use-sage-attention and --use-flash-attention; check_gradient off searches in spite of it."
    )


def _some(names: Sequence[str]) -> str:
    others = f" and {len(names) - 2} other layers" if len(names) > 2 else ""
    return ", ".join(names[:2]) + others


@contextmanager
def _watched(models: Sequence[Patched]) -> Iterator[list[str]]:
    """Gives a list of the layers with deltas that ran inside, but that no gradient came back to; filled on leaving."""
    unreached: list[str] = []
    for patched in models:
        patched.ran, patched.reached = set(), set()
    try:
        yield unreached
        for patched in models:
            unreached += sorted(patched.ran - patched.reached)
    finally:
        for patched in models:
            patched.ran = patched.reached = None


@contextmanager
def _left_out(models: Sequence[Patched], names: Sequence[str]) -> Iterator[None]:
    """Inside, these layers are the plain ones."""
    for patched in models:
        patched.left_out = frozenset(names)
    try:
        yield
    finally:
        for patched in models:
            patched.left_out = frozenset()
