"""A search that can be watched step by step, stopped after any of them, and taken up again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from ..gradients.batch import Gradients
from ..gradients.check import check_gradient, heeds_a_negative
from ..gradients.draws import ABLATION, CHECK, SEARCH, SINGLE, VALIDATION, Draw, Draws, RecordedDraws
from ..gradients.evaluator import Evaluator, opened
from ..gradients.task import Task
from ..images.groups import groups_of
from . import methods
from .best_single import best_single
from .events import Event, SearchDiverged
from .groups import Groups
from .held_out import split
from .insight import Measuring, ablation_by_models, likeness_by_models
from .judge import Judge
from .penalty_path import PenaltyPath
from .previews import Preview, Previewer
from .record import Record
from .result import SearchResult
from .state import StateError
from .team import Solo, Team
from .validation import best_of

#: How far predictions of the same model may be from each other, as a part of them: on another device, say.
_SAME_MODEL = 3e-3
_NO_NEGATIVE = (
    "A patch on the MODEL lets the negative prompt change what the positive one predicts (as Normalized Attention Guidance does). "
    "A search has no negative, so what was found is for the model without that."
)
_PENALTY_NOT_CHOSEN = (
    "The penalty is {penalty:g}, as given: choosing it takes the method gauss-newton, at least two images, and a comparison."
)


@contextmanager
def open_search(
    task: Task, team: Team = Solo(), on_preview: Callable[[Preview], object] = lambda preview: None
) -> Iterator[Run]:
    """A :class:`Run` of the task, inside the ``with`` block; the models are left as they were.

    ``on_preview`` is given each preview picture. Raises LoraError, ModelError and ValueError for inputs that cannot be
    used.
    """
    with opened(task) as evaluator:
        yield Run(task, evaluator, team, on_preview)


class Run(Iterator[Event]):
    """Iterating takes one step at a time, until the samples are used up or the method is done.

    Minimises the denoising loss + settings.penalty * (sum |rate| + negative_penalty * sum over rates below 0 of
    |rate|); kohya-ss/sd-scripts, train_network_appl_weights. The first step raises ModelError before anything else where
    the gradient is not that of the loss. A step raises :class:`SearchDiverged` for a loss that is
    not finite, and the host's own exception when the user cancels; it has not been taken then.
    """

    def __init__(self, task: Task, evaluator: Evaluator, team: Team, on_preview: Callable[[Preview], object]):
        self.task, self.team = task, team
        settings, self._evaluator, self._rates = task.settings, evaluator, evaluator.rates
        self._method = methods.create(self._rates, settings)
        self._split = split(task.images, evaluator.examples.items, settings, keeps_all=task.draws is not None)
        if task.draws is None:
            self._draws = self._some_draws(SEARCH, settings.samples)
        else:
            recorded = itertools.islice(task.draws, settings.steps)
            self._draws = RecordedDraws(recorded, evaluator.timesteps, settings.seed)
        self._record = Record(self._rates, self._rates.layouts, settings, self._method, evaluator.prediction)
        folds = self._split.folds if self._needs_folds else ()
        self._groups = Groups(self._rates, settings, folds, len(evaluator.examples)) if self._method.has_model else None
        self._pictures = Previewer(evaluator, task.previews if team.is_main else (), on_preview)
        self._signature: Tensor | None = None
        self._checked = False
        self.is_between_steps = True

    def __next__(self) -> Event:
        draw = self._draws.current()
        if draw is None or self._method.is_done():
            raise StopIteration
        if self.task.settings.check_gradient and not self._checked:
            check_gradient(self._evaluator, self._check_draw())
            if heeds_a_negative(self._evaluator, self._check_draw()):
                self._evaluator.notes.append(_NO_NEGATIVE)
            self._checked = True
        at = self._rates.all_rates(self._method.parameters)
        self._pictures.at(self._record.samples, at)
        started = time.perf_counter()
        self._read_ahead()
        batch = self._gradients(draw, at, self._method.probes(len(draw)))
        self._check_finite(batch, draw)
        penalty = self._penalty(at)
        self.is_between_steps = False
        if self._groups is not None:
            self._groups.add(self._method.parameters, batch, draw)
        self._method.step(batch)
        self._record.add(batch, penalty, time.perf_counter() - started)
        self._draws.advance()
        self.is_between_steps = True
        return self._event(float(batch.losses.mean()), penalty)

    @property
    def samples(self) -> int:
        """How many were used so far."""
        return self._record.samples

    @property
    def losses(self) -> list[float]:
        """The batch's denoising loss of each step so far."""
        return self._record.losses

    def result(self) -> SearchResult:
        """What was found so far."""
        return self._result(self._method.solution())

    def finish(self) -> SearchResult:
        """What the search ends with: the method's solution, or a candidate that is better on fresh draws, and how good it is."""
        settings, notes = self.task.settings, [self._split.note]
        without_folds = (self._groups.without_folds() if self._groups is not None else None) or []
        judge = self._judge()
        if settings.choose_penalty and without_folds and settings.comparison:
            settings = replace(settings, penalty=judge.penalty(self._method.model(), without_folds))
            found = self._method.model().minimum(settings.penalty, self._method.parameters)
        else:
            found = self._best()
            if settings.choose_penalty:
                notes.append(_PENALTY_NOT_CHOSEN.format(penalty=settings.penalty))
        result, comparison = replace(self._result(found), settings=settings), None
        if settings.comparison and self.samples:
            comparison, more = judge.comparison(found, self._best_single(), settings.penalty, without_folds)
            notes += more
        result = replace(result, comparison=comparison, **self._insight(found, notes))
        self._pictures.last(result.samples, self._rates.all_rates(found))
        return replace(result, notes=(*result.notes, *filter(None, notes)))

    def _result(self, parameters: Tensor) -> SearchResult:
        result = self._record.result(parameters)
        return replace(result, notes=(*result.notes, *self._evaluator.notes))

    def state_dict(self) -> dict:
        """Plain tensors and numbers, from which another run of the same task goes on. Between two steps only."""
        if not self.is_between_steps:
            raise RuntimeError("The search was stopped in the middle of a step, so its state cannot be saved.")
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {**parts, "model": {"prediction": self.signature()}}

    def signature(self) -> Tensor:
        """A part of what the models predict at the start for one picture: other models or patches give another."""
        if self._signature is None:
            start = self._rates.all_rates(self._rates.start)
            (prediction,) = self._evaluator.predictions(self._check_draw(), start)
            self._signature = prediction.flatten()[:4096].clone()
        return self._signature

    def load_state_dict(self, state: dict) -> None:
        """The inverse of :meth:`state_dict`. Raises :class:`StateError` for a state of another model."""
        before, now = state["model"]["prediction"], self.signature()
        if before.shape != now.shape or not (before - now).norm() <= _SAME_MODEL * now.norm():
            raise StateError(
                "The state is of another model: it predicted something else for the same picture. Search with the MODEL, CLIP, "
                "VAE and patches that the state was saved with, or anew."
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    @property
    def _needs_folds(self) -> bool:
        settings = self.task.settings
        return settings.comparison > 0 and (settings.choose_penalty or not self._split.holds_out_enough)

    def _judge(self) -> Judge:
        settings = self.task.settings
        return Judge(
            rates=self._rates,
            settings=settings,
            split=self._split,
            shapes=self._evaluator.shapes,
            losses=self._losses,
            all_rates=self._record.all_rates,
            samples=min(settings.comparison, self.samples),
        )

    def _insight(self, found: Tensor, notes: list[str | None]) -> dict:
        """What the blocks do at what was found [p]: measured where the settings ask for it, else by the models of the loss."""
        settings, thirds = self.task.settings, self._groups.by_thirds() if self._groups is not None else ()
        pictures = self._split.pictures
        if settings.ablation and self.samples:
            draws, groups = self._some_draws(ABLATION, settings.ablation, range(len(pictures))), groups_of(self.task.images)
            ablation, more = Measuring(self._rates, draws, self._losses, pictures, groups).ablation(self._record.all_rates(found))
            notes += more
        else:
            ablation = ablation_by_models(self._rates, thirds, found, self.samples, len({pictures[one] for one in self._split.searched}))
        return {"ablation": ablation, "likeness": likeness_by_models(self._rates, thirds, found)}

    def _best_single(self) -> Sequence[float]:
        """The best single strength of each LoRA, by the method's model or else by some more samples."""
        model, settings = self._method.model(), self.task.settings
        if model is not None:
            return PenaltyPath(model, self._rates.parameter_of, self._rates.constant).best_single().strengths
        draws = self._some_draws(SINGLE, min(settings.comparison, self.samples))
        return best_single(
            self._rates, settings, draws,
            lambda draw, parameters, probes: self._gradients(draw, self._rates.all_rates(parameters), probes),
        )  # fmt: skip

    def _some_draws(self, purpose: str, samples: int, examples: Sequence[int] | None = None) -> Draws:
        """Of these examples; of those that are searched, unless given."""
        settings, shapes = self.task.settings, self._evaluator.shapes
        examples = self._split.searched if examples is None else examples
        return Draws(shapes, samples, settings.batch_size, settings.seed, purpose, settings.levels, examples)

    def _check_draw(self) -> Draw:
        """One picture with as much noise as half of the samples have, which no step sees."""
        draw = Draws(self._evaluator.shapes, 1, 1, self.task.settings.seed, CHECK, self.task.settings.levels).current()
        return replace(draw, levels=torch.full_like(draw.levels, 0.5))

    def _parts(self) -> dict:
        parts = {"method": self._method, "draws": self._draws, "record": self._record, "previews": self._pictures}
        return parts if self._groups is None else {**parts, "groups": self._groups}

    def _event(self, loss: float, penalty: float) -> Event:
        record, settings = self._record, self.task.settings
        return Event(
            step=record.steps,
            steps=settings.steps,
            samples=record.samples,
            total_samples=settings.samples,
            loss=loss,
            penalty=penalty,
            seconds=record.seconds,
            block_weights=record.block_weights,
            result=self.result,
        )

    def _gradients(self, draw: Draw, rates: Tensor, probes: int) -> Gradients:
        def compute(part: Draw, rows: list[int]) -> Gradients:
            return self._evaluator.gradients(part, rates, sum(row < probes for row in rows))

        return self._shared_out(draw, compute)

    def _read_ahead(self) -> None:
        """What this process needs of the next batch comes from the disk while this batch is computed."""
        coming = self._draws.coming()
        self._evaluator.examples.read_ahead([coming[row] for row in self.team.mine(len(coming))])

    def _losses(self, draw: Draw, rates: Tensor) -> Tensor:
        def compute(part: Draw, rows: list[int]) -> Gradients:
            nothing = torch.empty(len(rows), 0, dtype=torch.float64)
            return Gradients(self._evaluator.losses(part, rates), nothing, nothing[:0])

        return self._shared_out(draw, compute).losses

    def _shared_out(self, draw: Draw, compute: Callable[[Draw, list[int]], Gradients]) -> Gradients:
        """What the whole team computes of a batch."""
        rows, part, failed = list(self.team.mine(len(draw))), None, None
        try:
            part = compute(draw.of(rows), rows)
        except BaseException as error:
            failed = error
        self.team.agree(error=failed)
        return self.team.gather(part)

    def _penalty(self, rates: Tensor) -> float:
        return self._rates.penalty(rates, self.task.settings.negative_penalty)

    def _best(self) -> Tensor:
        settings = self.task.settings
        return best_of(
            [self._method.solution(), *self._method.candidates()],
            self._some_draws(VALIDATION, settings.validation),
            lambda draw, parameters: self._losses(draw, self._rates.all_rates(parameters)),
            lambda parameters: settings.penalty * self._penalty(self._rates.all_rates(parameters)),
        )

    def _check_finite(self, batch: Gradients, draw: Draw) -> None:
        good = batch.losses.isfinite() & batch.gradients.isfinite().all(1)
        if good.all():
            return
        row = int((~good).nonzero()[0])
        raise SearchDiverged(
            f"The denoising loss became {float(batch.losses[row])} (or its gradient did) at step {self._record.steps + 1}, "
            f"timestep {self._evaluator.timestep(draw.levels[row]):.0f}, {self._evaluator.examples[int(draw.indices[row])].name}. The model "
            "overflows there: load it in bf16 or fp32, or set bounds on the rates. The last good block weights are kept.",
            self.result(),
        )
