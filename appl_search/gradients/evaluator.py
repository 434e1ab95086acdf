"""A model, its LoRAs and a training set, ready to give losses and gradients for any rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..host import autograd, conditioning, device, sampling
from ..host.denoiser import Denoiser
from ..host.errors import ModelError
from ..host.lora_loading import LoadedLora, load
from ..host.undo import Undo
from ..images.cache import DiskCache
from ..images.encoding import encode
from ..images.pictures import Example, Picture
from ..images.training_set import TrainingSet
from ..loras.errors import LoraError
from ..settings import PreviewSettings, SearchSettings
from . import noise
from .batch import Gradients
from .deltas import LayerDeltas, OutputDeltas
from .draws import Draw
from .encoders import HostEncoders
from .layers import layer_deltas
from .losses import DenoisingLoss, check_loss, huber_thresholds, sample_weights
from .micro_batches import KEPT_CHECKPOINTED, MicroBatches
from .patching import Patched
from .rates import Rates
from .task import Task
from .text import TextConditioning


class Evaluator:
    """Made by :func:`opened`; usable inside its ``with`` block only."""

    def __init__(
        self,
        denoiser: Denoiser,
        unet: Patched,
        text: TextConditioning,
        memory: MicroBatches,
        rates: Rates,
        settings: SearchSettings,
    ):
        self.denoiser, self.unet, self._text, self._memory = denoiser, unet, text, memory
        self.rates, self._settings = rates, settings
        self.examples = text.examples
        self.timesteps = len(denoiser.schedule.sigmas)
        self.prediction = denoiser.schedule.prediction
        #: What there is to know of the models, in sentences.
        self.notes = denoiser.notes

    def timestep(self, level: Tensor) -> float:
        """The timestep that the network is told at a level of noise in 0..1."""
        return float(self.denoiser.schedule.sigma_at(level.view(1))[1])

    @property
    def shapes(self) -> list[torch.Size]:
        return [example.latent_shape for example in self.examples]

    @property
    def patched(self) -> list[Patched]:
        """The models with deltas: the U-Net, and the text encoders where a LoRA has keys for them."""
        return [patched for patched in (self.unet, self._text.patched) if patched is not None]

    def losses(self, draw: Draw, rates: Tensor) -> Tensor:
        """Weighted denoising loss of each draw [b], in fp64 on the CPU. ``rates`` [LoRAs, blocks]."""
        out = torch.empty(len(draw), dtype=torch.float64)

        def work(rows: list[int]) -> None:
            prediction, loss = self._forward(draw, rows, self._strengths(rates, len(rows)))
            out[rows] = loss.values(prediction).cpu().double()

        with torch.no_grad():
            self._memory.run(self._groups(draw), work)
        return out

    def predictions(self, draw: Draw, rates: Tensor) -> list[Tensor]:
        """What the network predicts for each sample, [4, h, w] in fp32 on the CPU. ``rates`` [LoRAs, blocks]."""
        out = [torch.empty(0)] * len(draw)

        def work(rows: list[int]) -> None:
            prediction, _ = self._forward(draw, rows, self._strengths(rates, len(rows)))
            for row, each in zip(rows, prediction.float().cpu()):
                out[row] = each

        with torch.no_grad():
            self._memory.run(self._groups(draw), work)
        return out

    def gradients(self, draw: Draw, rates: Tensor, probes: int = 0) -> Gradients:
        """Losses and their per-example gradients by the search's parameters, and probes for the first examples.

        ``rates`` [LoRAs, blocks].
        """
        losses = torch.empty(len(draw), dtype=torch.float64)
        by_rate = torch.zeros(2, len(draw), rates.numel(), dtype=torch.float64)

        def work(rows: list[int]) -> None:
            strengths = self._strengths(rates, len(rows)).requires_grad_()
            prediction, loss = self._forward(draw, rows, strengths)
            starts = [(loss.start(prediction), loss.elements)]
            if rows[0] < probes:
                noise = torch.stack([draw.probes[row] for row in rows]).to(prediction.device)
                starts.append((loss.probe_start(prediction, noise), loss.elements**0.5))
            for number, (start, divisor) in enumerate(starts):
                last = number == len(starts) - 1
                by_rate[number, rows] = _pulled_back(prediction, strengths, start, keep=not last) / divisor
            losses[rows] = loss.values(prediction).cpu().double()

        self._memory.run(self._groups(draw, probes), work)
        by_gradient, by_probe = (self.rates.of_parameters(part) for part in by_rate)
        return Gradients(losses, by_gradient, by_probe[:probes])

    def pulled_back(
        self, draw: Draw, rates: Tensor, start_of: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """<start, d prediction / d parameter> of each sample [b, p], and its prediction [4, h, w]; both on the CPU.

        ``rates`` [LoRAs, blocks]; ``start_of``: what backward starts from, made of predictions of the same shape.
        """
        by_rate = torch.zeros(len(draw), rates.numel(), dtype=torch.float64)
        predictions = [torch.empty(0)] * len(draw)

        def work(rows: list[int]) -> None:
            strengths = self._strengths(rates, len(rows)).requires_grad_()
            prediction, _ = self._forward(draw, rows, strengths)
            by_rate[rows] = _pulled_back(prediction, strengths, start_of(prediction.detach()))
            for row, each in zip(rows, prediction.detach().float().cpu()):
                predictions[row] = each

        self._memory.run(self._groups(draw), work)
        return self.rates.of_parameters(by_rate), predictions

    def sample(self, wanted: PreviewSettings, rates: Tensor) -> Tensor:
        """Latent [4, height / 8, width / 8], in the VAE's scale, of a picture at ``rates`` [LoRAs, blocks].

        Its prompts are among those that :func:`opened` was told of.
        """
        strengths = self._strengths(rates, 1)
        with torch.no_grad():
            positive, negative = (self._text.of_prompt(text, strengths) for text in (wanted.prompt, wanted.negative))
            self.unet.strengths = strengths
            return sampling.sample(self.denoiser, positive, negative, wanted)

    def _groups(self, draw: Draw, probes: int = 0) -> list[list[int]]:
        """Rows of the draw that can share a forward: latents and contexts of one shape, all probed or none."""
        groups: dict[tuple, list[int]] = {}
        for row in range(len(draw)):
            encoded = self.examples.version(int(draw.indices[row]), draw.numbers[row])
            groups.setdefault((row < probes, encoded.latent_shape, encoded.context_shape), []).append(row)
        return list(groups.values())

    def _examples(self, draw: Draw, rows: Sequence[int]) -> list[Example]:
        """What each of these samples takes of its picture."""
        return [self.examples.of(int(draw.indices[row]), draw.numbers[row]) for row in rows]

    def _strengths(self, rates: Tensor, batch: int) -> Tensor:
        return rates.flatten().to(self.denoiser.device, torch.float32).expand(batch, -1).clone()

    def _forward(self, draw: Draw, rows: list[int], strengths: Tensor) -> tuple[Tensor, DenoisingLoss]:
        """The network's prediction for rows of a draw, and their loss."""
        where, schedule = self.denoiser.device, self.denoiser.schedule
        examples = self._examples(draw, rows)
        sigma, timestep = (each.to(where) for each in schedule.sigma_at(draw.levels[rows]))
        latent = self.denoiser.latent_in(torch.stack([example.latent for example in examples]).to(where))
        plain, added = self._noise(draw, rows, latent)
        noisy = schedule.noisy(latent, added, sigma)
        conds = self._text.batch(examples, strengths)
        self.unet.strengths = strengths
        prediction = self.denoiser(noisy, sigma, conds)
        snr, settings = schedule.snr(sigma), self._settings
        weight = sample_weights(snr, schedule.scale(sigma), schedule.prediction, settings)[:, None, None, None]
        target = schedule.output(latent, noisy if added is plain else schedule.noisy(latent, plain, sigma), sigma)
        threshold = huber_thresholds(timestep, snr, settings)
        return prediction, DenoisingLoss(target, weight * _weights_of(examples).to(where), settings.loss_type, threshold)

    def _noise(self, draw: Draw, rows: list[int], latent: Tensor) -> tuple[Tensor, Tensor]:
        """What the network should find, and what is added to ``latent``: both as it."""
        plain = torch.stack([draw.noise[row] for row in rows])
        if noise.is_plain(self._settings):
            plain = plain.to(latent)
            return plain, plain
        sources = [noise.sources_of(draw.generators[row]) for row in rows]
        shaped = [noise.shaped(each, own, self._settings, *source) for each, own, source in zip(plain, latent.cpu(), sources)]
        return tuple(torch.stack(each).to(latent) for each in zip(*shaped))


def _pulled_back(prediction: Tensor, strengths: Tensor, start: Tensor, keep: bool = False) -> Tensor:
    """<start, d prediction / d strength> [b, rates] in fp64 on the CPU; 0 where the prediction does not depend on any.

    ``keep``: the graph, for another start.
    """
    found = None
    if prediction.requires_grad:
        (found,) = torch.autograd.grad(prediction, strengths, start, retain_graph=keep, allow_unused=True)
    return (torch.zeros_like(strengths) if found is None else found).cpu().double()


def _weights_of(examples: Sequence[Example]) -> Tensor:
    """How much each element of each example counts in its loss, [b, 1, h, w]; without masks [b, 1, 1, 1]."""
    weights = torch.tensor([example.weight for example in examples])[:, None, None, None]
    if all(example.mask is None for example in examples):
        return weights
    whole = torch.ones(examples[0].latent.shape[1:])
    return weights * torch.stack([whole if example.mask is None else example.mask for example in examples])[:, None]


@contextmanager
def opened(task: Task) -> Iterator[Evaluator]:
    """Loads and encodes everything, puts the deltas on the models, and takes them off on leaving.

    MODEL, CLIP and VAE are left as they were, whatever happens inside.
    """
    model, clip, vae = task.models.model, task.models.clip, task.models.vae
    prompts = [prompt for wanted in task.previews for prompt in (wanted.prompt, wanted.negative)]
    denoiser = Denoiser(model)
    check_loss(denoiser.schedule.prediction, task.settings)
    _check_inputs(clip, vae, task.images, prompts)
    loaded = [load(source, model, clip) for source in task.loras]
    rates = Rates(task.loras, [lora.layout for lora in loaded], task.settings)
    _check_text_encoders(clip, loaded)
    with torch.inference_mode(False), torch.enable_grad(), Undo() as undo:
        patched_text, text_is_searched = None, False
        text_layers = {} if clip is None else layer_deltas(clip.cond_stage_model, loaded, rates.architecture)
        if text_layers:
            device.load([clip.patcher])
            autograd.allow_gradients(clip.cond_stage_model, undo)
            patched_text = Patched(clip.cond_stage_model, text_layers, undo)
            patched_text.strengths = rates.all_rates(rates.start).float().flatten()[None].to(clip.patcher.load_device)
            searched = set(rates.searched.tolist())
            text_is_searched = any(rate in searched for layer in text_layers.values() for rate in layer.rates)
        with torch.no_grad():
            deltas = None if text_is_searched else _text_deltas(task, rates, text_layers)
            encoders = HostEncoders(vae, clip, deltas)
            examples = encode(task.images, encoders, task.settings.seed, DiskCache(task.cache_folder))
            undo.call(examples.close)
            text = TextConditioning(denoiser, clip, patched_text, text_is_searched, examples, prompts)
        if text_is_searched and any(example.caption is None for example in examples):
            raise ModelError(
                "A LoRA has text-encoder keys, but the training set came as ready conditioning, so BASE cannot be "
                "searched. Give images and captions, or fix the LoRA's BASE."
            )
        largest = max((example.latent_shape for example in examples), key=lambda shape: shape.numel())
        beside = [clip.patcher] if text_is_searched else []
        device.load([*denoiser.patchers, *beside], KEPT_CHECKPOINTED * denoiser.inference_memory((1, *largest)))
        if text_is_searched:
            conditioning.keep_loaded(clip, undo)
        with denoiser.innermost(undo):
            autograd.allow_gradients(denoiser.model, undo)
            patched = Patched(denoiser.model, layer_deltas(denoiser.model, loaded, rates.architecture), undo)
        memory = MicroBatches(denoiser, largest, task.settings.batch_size, undo)
        yield Evaluator(denoiser, patched, text, memory, rates, task.settings)


def _text_deltas(task: Task, rates: Rates, layers: Mapping[str, LayerDeltas | OutputDeltas]) -> list:
    """What the deltas on the text encoders are made of, when they are not searched: files and rates, unless those are 0."""
    there = sorted({rate for layer in layers.values() for rate in layer.rates})
    fixed = [float(rates.all_rates(rates.start).flatten()[rate]) for rate in there]
    return [there, fixed, [source.contents.sha256 for source in task.loras]] if any(fixed) else [bool(there)]


def _check_inputs(clip, vae, training_set: TrainingSet, prompts: Sequence[str]) -> None:
    if not len(training_set):
        raise ValueError("The training set is empty. Give at least one image.")
    if any(isinstance(item, Picture) for item in training_set.items):
        if vae is None:
            raise ModelError("The training images need a VAE to be encoded. Connect the checkpoint's VAE.")
        if clip is None:
            raise ModelError("The captions need a CLIP to be encoded. Connect the checkpoint's CLIP.")
    if clip is not None:
        conditioning.check_hooks(clip)
    if prompts and clip is None:
        raise ModelError("The prompts of the preview pictures need a CLIP to be encoded. Connect the checkpoint's CLIP.")


def _check_text_encoders(clip, loaded: Sequence[LoadedLora]) -> None:
    for lora in loaded:
        layout = lora.layout
        if clip is None and layout.groups.get("text_encoders") and lora.source.fixed.get("BASE") != 0:
            raise LoraError(
                f"LoRA file {lora.source.path} has {layout.groups['text_encoders']} text-encoder keys, but there is no CLIP. "
                "Connect one, or fix BASE at 0."
            )
