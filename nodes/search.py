"""The node that searches block weights, applies them and saves the result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..appl_search import Models, PreviewSettings, SearchResult, SearchSettings, Task, TrainingSet, open_search
from ..appl_search.host.learnable import split_learnable
from ..appl_search.host.lora_loading import load
from ..appl_search.host.lora_patches import apply
from ..appl_search.searching.events import Event
from ..appl_search.searching.methods import all_methods
from ..appl_search.searching.safekeeping import Safekeeping
from ..appl_search.settings.declaration import SEARCH
from .panel import routes
from .panel import state as panel_state
from .panel.preview_sheet import PreviewSheet, saved_sheet, sheet_path
from .panel.running_search import RunningSearch, workflow_id
from .support.common import BLOCK_WEIGHTS, CATEGORY, PREVIEWS, SETTINGS, TRAINING_IMAGES, Json, log, shown
from .support.files import cache_folder, result_folder, save_result
from .support.last_search import FinishedSearch, SearchInputs
from .support.pins import pinned_to
from .support.progress import Progress
from .support.summary import summary
from .support.widgets import given, widgets

AS_SEARCHED = -1.0
UNFINISHED = "unfinished"  # below the folder of results: states of searches that were ended before their end
_AFTER_A_FAILURE = "They are in the node's outputs: mend the folder and connect Save Block Weights, which needs no new search."

routes.register()  # for the node's panel on the page


class SearchBlockWeights:
    """Finds the learnable LoRAs on the MODEL and CLIP, searches their block weights, and applies what was found."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Searches the block weights of all LoRAs loaded by Load LoRA (Learnable Blocks) that bring the model closest to the "
        "training images, and applies them. The result is also saved in output/block_weights."
    )
    SEARCH_ALIASES = ["block weight search", "lbw", "lora block weight", "optimize lora", "appl weights"]
    RETURN_TYPES = ("MODEL", "CLIP", BLOCK_WEIGHTS, "STRING", "IMAGE")
    RETURN_NAMES = ("model", "clip", "block_weights", "summary", "previews")
    OUTPUT_TOOLTIPS = (
        "The MODEL with the LoRAs at the block weights found, as ordinary LoRAs.",
        "The CLIP with the LoRAs at the block weights found. Empty unless a CLIP is connected.",
        "What was found, of all searched LoRAs: for strings, files and other nodes.",
        "What was found, in words.",
        "The preview pictures in their order, the last with what was found. Only with Search Previews connected.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        required, optional = widgets(SearchSettings, SEARCH)
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "An SDXL model with at least one LoRA from Load LoRA (Learnable Blocks)."}),
                "vae": ("VAE", {"tooltip": "The checkpoint's VAE, to encode the training images."}),
                "training_images": (TRAINING_IMAGES, {"tooltip": "From Training Images: what the model should come closest to."}),
                **required,
            },
            "optional": {
                "clip": ("CLIP", {"tooltip": "The CLIP from the last loader. It encodes the captions."}),
                "settings": (SETTINGS, {"tooltip": "From Search Settings (Advanced), if the defaults do not do."}),
                "previews": (PREVIEWS, {"tooltip": "From Search Previews, to see pictures while the search runs."}),
                "chosen_penalty": ("FLOAT", {"default": AS_SEARCHED, "min": AS_SEARCHED, "max": 1000.0, "step": 0.00001, "round": False, "tooltip": "After a search: block weights for this penalty instead, without searching again. 'Use this' in the panel sets it; -1 keeps what the search found. With gauss-newton only."}),
                **optional,
                "pinned": ("STRING", {"default": "", "tooltip": "Rates that this search leaves alone, such as style: IN00 = 0; OUT03-OUT05 = 0.8, with a line for each LoRA; without a LoRA's name, for all. The panel writes it, and it counts more than Block Rules, which explains what can stand here."}),
            },
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }  # fmt: skip

    def __init__(self) -> None:
        self._last: FinishedSearch | None = None

    def run(
        self,
        model,
        vae,
        training_images: TrainingSet,
        clip=None,
        settings: SearchSettings | None = None,
        previews: PreviewSettings | None = None,
        chosen_penalty: float = AS_SEARCHED,
        pinned: str = "",
        unique_id: str | None = None,
        extra_pnginfo: dict | None = None,
        **widget_values: Any,
    ) -> dict:
        settings = replace(settings or SearchSettings(), **given(SearchSettings, SEARCH, widget_values))
        chosen = chosen_penalty if chosen_penalty >= 0 else None
        if chosen is not None and not all_methods()[settings.method].has_model:
            raise ValueError(f"chosen_penalty is {chosen}, but a search by {settings.method} has no path of penalties. Set it to -1.")
        objects = (model, clip, vae, training_images)
        model, clip, sources = split_learnable(model, clip)
        if not sources:
            raise ValueError(
                "The MODEL has no LoRA to search block weights for. Put a 'Load LoRA (Learnable Blocks)' node in front of "
                "this one; LoRAs of ordinary loaders are not searched."
            )
        sources = pinned_to(sources, pinned, model, settings.init)
        inputs = SearchInputs.of(objects, sources, settings, previews)
        notes: list[str] = []
        if self._last is None or not self._last.inputs.give_the_same_search_as(inputs):
            running = RunningSearch(
                node_id=unique_id, workflow=workflow_id(extra_pnginfo), sources=sources, settings=settings
            )  # fmt: skip
            sheet = PreviewSheet(vae, model.model.latent_format, running.show_previews)
            task = Task(
                models=Models(model=model, clip=clip, vae=vae), loras=sources, images=training_images, settings=settings,
                previews=previews, cache_folder=cache_folder(),
            )  # fmt: skip
            with _watched(settings.samples, unique_id, running, sheet) as on_event:
                found, state, notes = _search(task, running, sheet, on_event)
            file, warnings = _save(found)  # before the pictures: whatever happens to them, the search is not lost
            if file is not None:
                state.forget()
            self._last = FinishedSearch(inputs=inputs, result=found, file=file, pictures=sheet.pictures())
            warnings += _save_sheet(sheet, file)
        elif self._last.file is None:
            file, warnings = _save(self._last.result)  # there may be room now
            self._last = replace(self._last, file=file)
        else:
            warnings = []
        last = self._last
        result = last.result if chosen is None else last.result.at_penalty(chosen)
        for source, weights in zip(sources, result.block_weights):
            model, clip = apply(model, clip, load(source, model, clip), weights)
        text = summary(result)
        if last.file is not None:
            text += f"\n\n{'Saved as' if chosen is None else 'From the search saved as'} {result_folder() / last.file}"
        text = "\n\n".join([text, *notes, *warnings])
        log.info("%s", text)
        state = {**_panel(last.result, last.file, chosen), "warnings": warnings}
        pictures = _no_pictures() if last.pictures is None else last.pictures
        return shown((model, clip, result, text, pictures), [text], warnings, appl_search=[state])


def _search(
    task: Task, running: RunningSearch, sheet: PreviewSheet, on_event: Callable[[Event], bool]
) -> tuple[SearchResult, Safekeeping, list[str]]:
    """Searches, or goes on with the same search where it was ended. Returns what was found, its saved state, and notes."""
    with open_search(task, on_preview=sheet.add) as run, Safekeeping(result_folder() / UNFINISHED, run) as state:
        running.goes_on_from(run.losses)
        for event in run:
            state.after_step()
            if on_event(event):
                break
        found = run.finish()
    resumed = f"Went on with an unfinished search, from {state.resumed_at} samples."
    return found, state, [resumed] if state.resumed_at else []


@contextmanager
def _watched(
    samples: int, node_id: str | None, running: RunningSearch, sheet: PreviewSheet
) -> Iterator[Callable[[Event], bool]]:
    """Yields the function to call after each step of a search: it moves the progress bars and tells the page.

    When something ends the search early (Cancel, a loss that is not finite), what was found until then is saved.
    """

    def on_event(event: Event) -> bool:
        progress(event)
        return running(event)

    with Progress(samples, node_id) as progress, running:
        try:
            yield on_event
        except BaseException:
            running.cut_off(_save_partial(progress.result(), sheet))
            raise


def _save_partial(partial: SearchResult | None, sheet: PreviewSheet) -> Json | None:
    """Saves what a search found before it was cut off, and returns it as the panel shows it; None if that is nothing."""
    if partial is None:
        return None
    file, warnings = _save(partial, "partial")
    for warning in warnings + _save_sheet(sheet, file):
        log.warning("%s", warning)
    if file is not None:
        log.warning("The search ended early. Its block weights so far are saved as %s", result_folder() / file)
    return _panel(partial, file)


def _save(result: SearchResult, name: str = "") -> tuple[str | None, list[str]]:
    """Saves a result and returns its file by its path below the folder of results; None and why where it cannot be saved."""
    try:
        return save_result(result, name).relative_to(result_folder().resolve()).as_posix(), []
    except (OSError, ValueError) as error:
        return None, [f"The block weights could not be saved in {result_folder()} ({error}). {_AFTER_A_FAILURE if not name else ''}".strip()]


def _save_sheet(sheet: PreviewSheet, file: str | None) -> list[str]:
    """Saves the preview pictures beside the result, if that was saved; a warning where it cannot be done."""
    try:
        if file is not None:
            sheet.save(sheet_path(file))
    except OSError as error:
        return [f"The preview pictures could not be saved beside the result ({error})."]
    return []


def _panel(result: SearchResult, file: str | None, chosen: float | None = None) -> Json:
    """What the panel shows of a result, with its saved preview pictures."""
    return panel_state.of_result(result, file, saved_sheet(file) if file is not None else None, chosen)


def _no_pictures() -> object | None:
    """An output that makes ComfyUI skip the nodes connected to it; None in a host that has no such thing."""
    blocker = getattr(sys.modules.get("comfy_execution.graph_utils"), "ExecutionBlocker", None)
    return blocker and blocker(None)
