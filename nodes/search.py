"""The search itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from ..appl_search import PreviewSettings, SearchResult, SearchSettings, TrainingSet, search
from ..appl_search.host import loras
from ..appl_search.searching.loop import Event
from ..appl_search.settings.declaration import SEARCH
from .panel import routes
from .panel import state as panel_state
from .panel.live import Live, workflow_id
from .panel.preview_sheet import Strip, saved_sheet, sheet_path
from .support.common import BLOCK_WEIGHTS, CATEGORY, PREVIEWS, SETTINGS, TRAINING_IMAGES, log, shown
from .support.files import result_folder, save_result
from .support.last_search import Inputs, Kept
from .support.progress import Progress
from .support.summary import summary
from .support.widgets import given, widgets

AS_SEARCHED = -1.0

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
            },
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }  # fmt: skip

    def __init__(self) -> None:
        self._kept: Kept | None = None

    def run(
        self,
        model,
        vae,
        training_images: TrainingSet,
        clip=None,
        settings: SearchSettings | None = None,
        previews: PreviewSettings | None = None,
        chosen_penalty: float = AS_SEARCHED,
        unique_id: str | None = None,
        extra_pnginfo: dict | None = None,
        **inputs: Any,
    ) -> dict:
        settings = replace(settings or SearchSettings(), **given(SearchSettings, SEARCH, inputs))
        chosen = chosen_penalty if chosen_penalty >= 0 else None
        if chosen is not None and settings.method != "gauss-newton":
            raise ValueError(f"chosen_penalty is {chosen}, but a search by {settings.method} has no path of penalties. Set it to -1.")
        objects = (model, clip, vae, training_images)
        model, clip, sources = loras.split_learnable(model, clip)
        if not sources:
            raise ValueError(
                "The MODEL has no LoRA to search block weights for. Put a 'Load LoRA (Learnable Blocks)' node in front of "
                "this one; LoRAs of ordinary loaders are not searched."
            )
        searched = Inputs.of(objects, sources, settings, previews)
        if self._kept is None or not self._kept.inputs.are(searched):
            live = Live(unique_id, workflow_id(extra_pnginfo), sources, settings)
            strip = Strip(vae, model.model.latent_format, live.previews)
            found = _search(model, clip, vae, sources, training_images, settings, previews, unique_id, live, strip)
            file = _save(found)  # before the pictures: whatever happens to them, the search is not lost
            self._kept = Kept(searched, found, file, strip.images())
            strip.save(sheet_path(file))
        kept = self._kept
        result = kept.result if chosen is None else kept.result.at_penalty(chosen)
        for source, weights in zip(sources, result.block_weights):
            model, clip = loras.apply(model, clip, source, weights)
        text = f"{summary(result)}\n\n{'Saved as' if chosen is None else 'From the search saved as'} {result_folder() / kept.file}"
        log.info("%s", text)
        state = panel_state.whole(kept.result, kept.file, saved_sheet(kept.file), chosen)
        images = _no_pictures() if kept.pictures is None else kept.pictures
        return shown((model, clip, result, text, images), [text], appl_search=[state])


def _search(model, clip, vae, sources, training_images, settings, previews, node_id, live, strip) -> SearchResult:
    """Searches, and saves what there is when something ends the search early: Cancel, a loss that is not finite."""

    def listen(event: Event) -> bool:
        progress(event)
        return live(event)

    with Progress(settings.samples, node_id) as progress, live:
        try:
            return search(model, clip, vae, sources, training_images, settings, listen, previews, strip.add)
        except BaseException:
            if (partial := progress.result()) is None:
                live.cut_off(None)
            else:
                file = _save(partial, "partial")
                strip.save(sheet_path(file))
                log.warning("The search ended early. Its block weights so far are saved as %s", result_folder() / file)
                live.cut_off(panel_state.whole(partial, file, saved_sheet(file)))
            raise


def _save(result: SearchResult, name: str = "") -> str:
    """Saves a result; its file, as the page names it."""
    return save_result(result, name).relative_to(result_folder().resolve()).as_posix()


def _no_pictures() -> object | None:
    """What makes ComfyUI leave out the nodes behind an output; None where there is no ComfyUI to know it."""
    blocker = getattr(sys.modules.get("comfy_execution.graph_utils"), "ExecutionBlocker", None)
    return blocker and blocker(None)
