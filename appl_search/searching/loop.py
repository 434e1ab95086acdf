"""The search itself: draws -> gradients -> method -> events."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..architectures.blocks import NUM_BLOCKS
from ..gradients.batch import Gradients
from ..gradients.draws import VALIDATION, Draw, Draws, RecordedDraws
from ..gradients.evaluator import Evaluator, opened
from ..gradients.rates import Rates
from ..images.training_set import TrainingSet
from ..loras.files import LoraLayout, LoraSource, read_layout
from ..settings import PreviewSettings, SearchSettings
from . import methods
from .methods import Method
from .penalty_path import PenaltyPath
from .previews import Preview, Previewer
from .result import History, SearchResult, block_weights_of


@dataclass(frozen=True)
class Event:
    """A finished step, for whoever watches.

    ``block_weights`` [LoRAs, 20]: after the step. ``loss``: the batch's denoising loss. ``result()``
    makes the result so far.
    """

    step: int
    steps: int
    samples: int
    total_samples: int
    loss: float
    penalty: float
    seconds: float
    block_weights: Tensor
    result: Callable[[], SearchResult]


class SearchDiverged(RuntimeError):
    """The loss became NaN or infinite. ``result``: the search up to the last good step."""

    def __init__(self, message: str, result: SearchResult):
        super().__init__(message)
        self.result = result


def search(
    model,
    clip,
    vae,
    loras: Sequence[LoraSource],
    training_set: TrainingSet,
    settings: SearchSettings = SearchSettings(),
    on_event: Callable[[Event], object] | None = None,
    previews: PreviewSettings | None = None,
    on_preview: Callable[[Preview], object] = lambda preview: None,
    draws: Iterable[tuple[Tensor, Tensor, Tensor]] | None = None,
) -> SearchResult:
    """Block weights for the LoRAs that bring the model closest to the training set.

    ``model``, ``clip``, ``vae``: ComfyUI's ModelPatcher, CLIP and VAE; they come back unchanged. ``clip``
    and ``vae`` may be None when the training set is encoded and no LoRA has text-encoder keys.
    ``on_event`` is called after each step; when it returns True the search finishes with what it has.
    ``previews``: pictures to sample before the first step, now and then, and with what was found; ``on_preview``
    is given each of them. They do not change what is found.
    ``draws``: recorded (indices [b], timesteps [b], noise [b, 4, h, w]) to use instead of drawing.

    Minimises the denoising loss + settings.penalty * (sum |rate| + negative_penalty * sum over rates
    below 0 of |rate|); kohya-ss/sd-scripts, train_network_appl_weights. Raises LoraError, ModelError
    and ValueError for inputs that cannot be used, :class:`SearchDiverged` for a loss that is not
    finite, and the host's own exception when the user cancels.
    """
    if not loras:
        raise ValueError("There is no LoRA to search block weights for. Add at least one.")
    layouts = [read_layout(source) for source in loras]
    rates = Rates(loras, layouts, settings)
    prompts = [previews.prompt, previews.negative] if previews is not None else []
    with opened(model, clip, vae, loras, rates, training_set, settings, prompts) as evaluator:
        method = methods.create(rates, settings)
        pictures = Previewer(evaluator, previews, on_preview)
        pictures.at(0, rates.all_rates(method.parameters))
        log = _Log(rates, layouts, settings, method, evaluator.prediction)
        if draws is None:
            batches = Draws(evaluator.shapes, settings.samples, settings.batch_size, settings.seed)
        else:
            batches = RecordedDraws(itertools.islice(draws, settings.steps), evaluator.timesteps, settings.seed)
        for draw in batches:
            at = rates.all_rates(method.parameters)
            batch = evaluator.gradients(draw, at, method.probes(len(draw)))
            _check_finite(batch, draw, log, evaluator)
            method.step(batch)
            event = log.add(float(batch.losses.mean()), rates.penalty(at, settings.negative_penalty), len(draw))
            if on_event is not None and on_event(event) is True or method.is_done():
                break
            if event.step < event.steps:
                pictures.at(event.samples, rates.all_rates(method.parameters))
        found = _best(method, evaluator, rates, settings)
        result = log.result(found)
        pictures.last(result.samples, rates.all_rates(found))
        return result


def _best(method: Method, evaluator: Evaluator, rates: Rates, settings: SearchSettings) -> Tensor:
    """The method's solution, or the candidate that beats it on fresh draws, the same for all of them."""
    candidates = [method.solution(), *method.candidates()]
    if len(candidates) == 1:
        return candidates[0]
    totals = torch.zeros(len(candidates), dtype=torch.float64)
    for draw in Draws(evaluator.shapes, settings.validation, settings.batch_size, settings.seed, VALIDATION):
        totals += torch.stack([evaluator.losses(draw, rates.all_rates(each)).sum() for each in candidates])
    prices = [rates.penalty(rates.all_rates(each), settings.negative_penalty) for each in candidates]
    return candidates[int((totals / settings.validation + settings.penalty * torch.tensor(prices)).argmin())]


def evaluate(
    model,
    clip,
    vae,
    loras: Sequence[LoraSource],
    training_set: TrainingSet,
    block_weights: Sequence[Sequence[Sequence[float]]],
    settings: SearchSettings = SearchSettings(),
) -> Tensor:
    """Denoising losses [candidates, samples] of several choices of block weights on the same draws.

    ``block_weights`` [candidates][LoRAs][20]. The draws are those of ``settings`` (samples, batch_size,
    seed), so that differences between candidates are far less noisy than the losses themselves.
    """
    layouts = [read_layout(source) for source in loras]
    rates = Rates(loras, layouts, settings)
    candidates = torch.tensor(block_weights, dtype=torch.float64).view(len(block_weights), -1)
    losses = []
    with opened(model, clip, vae, loras, rates, training_set, settings) as evaluator:
        for draw in Draws(evaluator.shapes, settings.samples, settings.batch_size, settings.seed):
            losses.append(torch.stack([evaluator.losses(draw, candidate) for candidate in candidates]))
    return torch.cat(losses, dim=1)


class _Log:
    """Collects the history and makes results of it."""

    def __init__(self, rates: Rates, layouts: Sequence[LoraLayout], settings: SearchSettings, method: Method, prediction: str):
        self._rates, self._layouts, self._settings = rates, layouts, settings
        self._method, self._prediction = method, prediction
        self._block_weights = [self._all(method.parameters)]
        self._losses: list[float] = []
        self._penalties: list[float] = []
        self._samples = 0
        self._started = time.perf_counter()

    def _all(self, parameters: Tensor) -> Tensor:
        return self._rates.all_rates(parameters).view(-1, NUM_BLOCKS)

    def add(self, loss: float, penalty: float, samples: int) -> Event:
        self._losses.append(loss)
        self._penalties.append(penalty)
        self._samples += samples
        self._block_weights.append(self._all(self._method.parameters))
        return Event(
            len(self._losses),
            self._settings.steps,
            self._samples,
            self._settings.samples,
            loss,
            penalty,
            time.perf_counter() - self._started,
            self._block_weights[-1],
            self.result,
        )

    def result(self, parameters: Tensor | None = None) -> SearchResult:
        """Of ``parameters``, or of the best that the method knows."""
        parameters = self._method.solution() if parameters is None else parameters
        model = self._method.model() if self._losses else None
        path = PenaltyPath(model, self._rates.parameter_of, self._rates.constant) if model is not None else None
        values = self._all(parameters)
        stderr = path.stderr(parameters) if path is not None else torch.full_like(values, float("nan"))
        return SearchResult(
            block_weights_of(self._layouts, values, stderr),
            History(
                torch.stack(self._block_weights).float(), torch.tensor(self._losses), torch.tensor(self._penalties)
            ),
            self._settings,
            self._samples,
            time.perf_counter() - self._started,
            self._prediction,
            path,
        )


def _check_finite(batch: Gradients, draw: Draw, log: _Log, evaluator: Evaluator) -> None:
    good = batch.losses.isfinite() & batch.gradients.isfinite().all(1)
    if good.all():
        return
    row = int((~good).nonzero()[0])
    timestep = float(evaluator.denoiser.sigma_at(draw.levels[row : row + 1])[1])
    result = log.result()
    raise SearchDiverged(
        f"The denoising loss became {float(batch.losses[row])} (or its gradient did) at step {len(result.history.loss) + 1}, timestep "
        f"{timestep:.0f}, image {int(draw.indices[row]) + 1}. The model overflows there: load it in bf16 or "
        "fp32, or set bounds on the rates. The last good block weights are kept.",
        result,
    )
