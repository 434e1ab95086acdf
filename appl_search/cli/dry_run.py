"""What a search would do, what it would take, and how long: after two of its steps."""

from __future__ import annotations

import itertools

from ..gradients.task import Task
from ..host import device
from ..images.training_set import TrainingSet
from ..loras.layout import read_layout
from ..loras.rules import BlockRules
from ..loras.source import LoraSource
from ..searching.run import open_search
from ..searching.team import Team

STEPS = 2
_GIB = 2**30


def dry_run(task: Task, team: Team) -> str:
    """Takes two steps and says in words what they tell. Writes nothing."""
    with open_search(task, team) as run:
        events = list(itertools.islice(run, STEPS))
        memory = device.peak_memory()
    last, settings = events[-1], task.settings
    each = last.seconds / len(events)
    lines = [
        f"LoRAs: {', '.join(map(_lora, task.loras))}",
        f"Training images: {_images(task.images)}",
        f"Search: {settings.method}, {settings.samples} samples in at most {settings.steps} steps of {settings.batch_size}, seed {settings.seed}",
        f"Memory: at most {' and '.join(f'{size / _GIB:.2f} GiB {where}' for where, size in memory.items())}",
        f"Time: {each:.2f} s for a step, so {_time(each * settings.steps)} at most, beside loading and preview pictures",
        "Nothing was written.",
    ]
    return "\n".join(lines)


def _lora(source: LoraSource) -> str:
    """Its name, and what of it is not searched."""
    rules = BlockRules.of(source, read_layout(source).architecture).text()
    return f"{source.name} ({rules})" if rules else source.name


def _images(images: TrainingSet) -> str:
    count, epoch = len(images), len(images.epoch())
    return f"{count}" + (f", {epoch} with repeats" if epoch != count else "")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
