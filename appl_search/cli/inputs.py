"""What a search is given from a shell: models, LoRAs, pictures, settings and prompts, from files that options name."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..demo import load_tiny_sdxl
from ..gradients.task import Models, Task
from ..images.cache import default_folder
from ..images.folder import read_training_set
from ..images.options import TrainingOptions
from ..images.subset import CAPTION_EXTENSIONS
from ..images.training_set import TrainingSet
from ..loras.layout import read_layout
from ..loras.rules import BlockRules, by_lora
from ..loras.source import LoraSource, told_apart
from ..settings import PreviewSettings, SearchSettings
from .options import add_settings, given_settings
from .prompts import read_prompts

DEMO = "demo"
DTYPES = ("fp32", "fp16", "bf16")
_PREVIEW = "preview-"


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that say what is searched, and how."""
    models = parser.add_argument_group("models and LoRAs")
    models.add_argument("--model", required=True, metavar="FILE", help="a checkpoint file, or 'demo' for the tiny SDXL that comes with this program")
    models.add_argument("--vae", type=Path, metavar="FILE", help="a VAE of its own (the checkpoint's)")
    models.add_argument("--fp32-vae", action="store_true", help="the VAE computes in fp32")
    models.add_argument("--dtype", choices=DTYPES, default="", help="of the U-Net's weights (ComfyUI chooses)")
    models.add_argument("--lora", nargs="+", type=Path, required=True, metavar="FILE", help="LoRAs to search block weights for")
    models.add_argument("--fix", nargs="+", default=[], metavar="BLOCK=RATE", help="rates that are not searched, of all LoRAs, such as BASE=0")
    models.add_argument("--tie", choices=("sections", "all"), help="one rate for each section (BASE, IN, MID, OUT), or for all (one for each block)")
    models.add_argument("--rules", nargs="+", default=[], metavar="RULES", help="which blocks are searched, fixed or tied, such as 'IN00-IN03 = 0; OUT = same as OUT00', for all LoRAs or, with its name and a colon in front, for one; web/docs/ApplSearchBlockRules.md has it all")
    models.add_argument("--base-lora", nargs="+", type=Path, default=[], metavar="FILE", help="LoRAs that are applied and not searched")
    models.add_argument("--base-strength", nargs="+", type=float, default=[], metavar="NUMBER", help="of each of them (1)")
    images = parser.add_argument_group("training images")
    images.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="a folder of pictures with captions beside them, or a dataset file (.toml) of kohya's trainers")
    images.add_argument("--regularisation-images", type=Path, metavar="FOLDER", help="pictures that show what should stay as it is")
    images.add_argument("--metadata", type=Path, metavar="FILE", help="captions of --images from a metadata file (.json, .jsonl) of kohya's tools")
    images.add_argument("--masks", type=Path, metavar="FOLDER", help="masks of --images, by the same names: the loss counts where they are white (those beside the images)")
    images.add_argument("--caption-extension", nargs="+", default=list(CAPTION_EXTENSIONS), metavar="EXTENSION", help="of caption files (.txt .caption)")
    images.add_argument("--sub-folders", action=argparse.BooleanOptionalAction, default=True, help="pictures in folders of --images count, too")
    images.add_argument("--skip-broken", action="store_true", help="leave out pictures that cannot be read, instead of refusing them")
    images.add_argument("--cache-folder", type=Path, default=default_folder(), metavar="FOLDER", help="where --disk-cache keeps what it keeps (%(default)s)")
    add_settings(parser, TrainingOptions, "what is done to training images and captions")
    add_settings(parser, SearchSettings, "settings of the search")
    length = parser.add_argument_group("length of the search, instead of --samples").add_mutually_exclusive_group()
    length.add_argument("--max-steps", type=int, metavar="N", help="steps of --batch-size samples each")
    length.add_argument("--max-epochs", type=int, metavar="N", help="how often each picture is seen")
    add_settings(parser, PreviewSettings, "preview pictures", _PREVIEW, leave_out=["prompt"])
    prompts = parser.add_argument_group("prompts of preview pictures").add_mutually_exclusive_group()
    prompts.add_argument("--preview-prompt", metavar="TEXT", help="what to make a picture of while the search runs")
    prompts.add_argument("--preview-prompts", type=Path, metavar="FILE", help="a picture for each line of a text file, as sd-scripts reads it")


def read_task(options: argparse.Namespace) -> Task:
    """The whole task. Cheap inputs are read before the model. After :func:`appl_search.host.checkpoint.prepare`."""
    loras = _loras(options)
    images = _images(options)
    settings = _settings(options, images)
    previews = _previews(options)
    task = Task(
        models=Models(model=None), loras=loras, images=images, settings=settings, previews=previews, cache_folder=options.cache_folder
    )
    return replace(task, models=_models(options))


def load_models(name: str, *how: Any) -> tuple[Any, Any, Any]:
    """(ModelPatcher, CLIP, VAE) of a checkpoint file, or of the demo; ``how``: as of :func:`appl_search.host.checkpoint.load`."""
    from ..host import checkpoint

    return load_tiny_sdxl() if name == DEMO else checkpoint.load(Path(name), *how)


def _loras(options: argparse.Namespace) -> list[LoraSource]:
    fixed = {}
    for text in options.fix:
        block, has_rate, rate = text.partition("=")
        try:
            fixed[block] = float(rate)
        except ValueError:
            raise ValueError(f"--fix {text}: expected a block and its rate, such as BASE=0.") from None
    sources = told_apart([LoraSource(path, fixed=fixed, tie=options.tie).loaded() for path in options.lora])
    rules = by_lora("\n".join(options.rules), [source.name for source in sources])
    return [_with_rules(source, text, options.init) for source, text in zip(sources, rules)]


def _with_rules(source: LoraSource, text: str, init: float) -> LoraSource:
    """The source with the rules of a text for the blocks that it names."""
    architecture = read_layout(source).architecture
    return BlockRules.of(source, architecture).overridden(text).applied_to(source, init)


def _images(options: argparse.Namespace) -> TrainingSet:
    wanted = given_settings(options, TrainingOptions)
    more: dict[str, Any] = {
        "extensions": [f".{each.removeprefix('.')}" for each in options.caption_extension],
        "sub_folders": options.sub_folders,
        "skip_broken": options.skip_broken,
        "cache_folder": options.cache_folder,
    }
    images = read_training_set(options.images, wanted, metadata=options.metadata, masks=options.masks, **more)
    if options.regularisation_images is not None:
        images += read_training_set(options.regularisation_images, replace(wanted, regularisation=True), **more)
    return images


def _settings(options: argparse.Namespace, images: TrainingSet) -> SearchSettings:
    settings = given_settings(options, SearchSettings)
    if options.max_steps is not None:
        return replace(settings, samples=options.max_steps * settings.batch_size)
    if options.max_epochs is not None:
        return replace(settings, samples=options.max_epochs * len(images.epoch()))
    return settings


def _previews(options: argparse.Namespace) -> tuple[PreviewSettings, ...]:
    if options.preview_prompts is not None:
        shared = given_settings(options, PreviewSettings, _PREVIEW, prompt="")
        return tuple(read_prompts(options.preview_prompts, shared))
    if options.preview_prompt is not None:
        return (given_settings(options, PreviewSettings, _PREVIEW, prompt=options.preview_prompt),)
    return ()


def _models(options: argparse.Namespace) -> Models:
    from ..host import checkpoint

    if len(options.base_strength) > len(options.base_lora):
        raise ValueError(f"--base-strength has {len(options.base_strength)} numbers for {len(options.base_lora)} LoRAs of --base-lora.")
    strengths = [*options.base_strength, *[1.0] * len(options.base_lora)]
    model, clip, vae = load_models(options.model, options.vae, options.dtype, options.fp32_vae)
    model, clip = checkpoint.add_loras(model, clip, list(zip(options.base_lora, strengths)))
    return Models(model=model, clip=clip, vae=vae)
