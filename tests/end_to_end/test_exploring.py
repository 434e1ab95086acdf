"""The Block Explorer in a real ComfyUI: against its own KSampler, cancelled and taken up again, and in its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.chromium import ComfyPage
from tests.end_to_end.comfy_client import ComfyClient, RunFailed
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.examples import short_example

PATIENCE = 300.0
STEPS = 6
PROMPT = "a large blue striped zibby on a yellow background"


def explored(blocks: str, seed: int, **more: Any) -> dict[str, Any]:
    """A prompt that explores the demo's character LoRA; node 2."""
    widgets = {
        "lora_name": "[demo] character", "strength": 0.9, "mode": "each block off", "blocks": blocks, "compared_with": "what fits", "prompt": PROMPT,
        "negative": "", "width": 128, "height": 128, "steps": STEPS, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal", "picture_seed": seed,
    }  # fmt: skip
    models = {"model": ["1", 0], "vae": ["1", 2], "clip": ["1", 1]}
    return {
        "1": {"class_type": "ApplSearchTinySDXL", "inputs": {}},
        "2": {"class_type": "ApplSearchBlockExplorer", "inputs": {**models, **widgets, **more}},
    }


def kept(comfy: ComfyServer) -> set[str]:
    """The pictures on disk."""
    return {path.name for path in (comfy.output_folder / "block_weights" / "explored").glob("*.png")}


def pixels(comfy: ComfyServer, client: ComfyClient, prompt: dict[str, Any], node: str) -> np.ndarray:
    """What a Preview Image node of a graph shows [n, height, width, 3]."""
    images = client.queue(prompt).succeed(PATIENCE).outputs[node]["images"]
    files = [comfy.base / image["type"] / image["subfolder"] / image["filename"] for image in images]
    return np.stack([np.asarray(Image.open(file).convert("RGB"), dtype=np.int16) for file in files])


def test_pictures_are_those_of_ksampler(client: ComfyClient, comfy: ComfyServer):
    shown = pixels(comfy, client, {**explored("IN04", 3), "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 1]}}}, "3")
    sampler = {"seed": 3, "steps": STEPS, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    loaded = {"model": ["1", 0], "clip": ["1", 1], "lora_name": "[demo] character", "strength_model": 0.9, "strength_clip": 0.9, "format": "auto"}
    weights = ",".join("0" if number == 5 else "1" for number in range(20))
    for text, found in ((",".join(["1"] * 20), shown[0]), (weights, shown[2])):
        graph = {
            "1": {"class_type": "ApplSearchTinySDXL", "inputs": {}},
            "2": {"class_type": "ApplSearchApply", "inputs": {**loaded, "text": text}},
            "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": PROMPT}},
            "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": ""}},
            "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 1}},
            "6": {"class_type": "KSampler", "inputs": {"model": ["2", 0], "positive": ["3", 0], "negative": ["4", 0], "latent_image": ["5", 0], **sampler}},
            "7": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["1", 2]}},
            "8": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
        }
        assert np.abs(pixels(comfy, client, graph, "8")[0] - found).max() <= 1  # Preview Image rounds down


def test_after_cancel_only_what_is_missing_is_sampled(client: ComfyClient, comfy: ComfyServer):
    prompt, before = explored("OUT03-OUT05", 5), kept(comfy)
    run = client.queue(prompt)
    run.wait_for(lambda event: event.type == "progress" and event.data["value"] >= 2 * STEPS + 1, PATIENCE)
    client.interrupt()
    with pytest.raises(RunFailed) as stopped:
        run.succeed(PATIENCE)
    assert stopped.value.event.type == "execution_interrupted"
    assert run.of_type("progress")[0].data["max"] == 5 * STEPS
    done = kept(comfy) - before
    assert 2 <= len(done) < 5
    words = client.queue(prompt).succeed(PATIENCE).outputs["2"]["text"][0]
    assert words.startswith(f"{5 - len(done)} pictures sampled, {len(done)} found from before")
    assert len(kept(comfy) - before) == 5


def test_the_node_shows_its_numbers_and_its_grid_in_the_page(canvas_page: ComfyPage, comfy: ComfyServer, screenshots: Path | None):
    workflow = short_example("block_explorer")
    canvas_page.load_without_search(workflow)
    canvas_page.run_to_end(comfy, PATIENCE)
    assert canvas_page.errors == []
    canvas_page.look_at("ApplSearchBlockExplorer", 0.55)
    said = canvas_page.page.locator(".appl-search-text textarea")
    texts = [said.nth(number).input_value() for number in range(said.count())]
    assert any("Each block off, compared with all blocks on: most is changed by" in text for text in texts)
    assert any(text.startswith("block  keys") for text in texts)
    canvas_page.shoot(screenshots, "block explorer")
