"""Training images from folders, lists and latents, in a real ComfyUI and in its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from appl_search import demo
from tests.end_to_end import camera
from tests.end_to_end.building import QUICK
from tests.end_to_end.chromium import ComfyPage
from tests.end_to_end.comfy_client import ComfyClient, PromptRejected
from tests.end_to_end.comfy_server import ComfyServer
from tests.end_to_end.demo_graph import of_nodes_in_no_example

PATIENCE = 300.0
WIDGETS = {"method": "gauss-newton", "samples": 4, "penalty": 1e-4, "seed": 0}
LISTS, ENCODED = "LoadImageTextDataSetFromFolder", "MakeTrainingDataset"
#: An output of ComfyUI's dataset nodes: the number of the node that has images and texts, or latents and conditioning.
ITS, ITS_OTHER = ["10", 0], ["10", 1]


@pytest.fixture(scope="session")
def dataset(comfy: ComfyServer) -> str:
    """A folder in input/ with demo pictures of two sizes, a caption for each, of several lines."""
    images, captions = demo.load_images("train")
    folder = comfy.base / "input" / "zibbies" / "3_zibby"
    folder.mkdir(parents=True)
    for number, image in enumerate(images[:3]):
        picture = Image.fromarray((image * 255).byte().numpy())
        picture.crop((0, 0, 128, 128 if number else 96)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"{captions[number]}\nmore\n", encoding="utf-8")
    return "zibbies"


def searched(*training: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A prompt that searches the demo's style LoRA on what the last node of ``training`` gives; ids count from 10."""
    checkpoint = {"1": {"class_type": "ApplSearchTinySDXL", "inputs": {}}}
    lora = {"model": ["1", 0], "clip": ["1", 1], "lora_name": "[demo] style", "init": 0.5}
    nodes = {str(number): {"class_type": kind, "inputs": inputs} for number, (kind, inputs) in enumerate(training, 10)}
    images = [str(9 + len(training)), 0]
    search = {"model": ["2", 0], "clip": ["2", 1], "vae": ["1", 2], "training_images": images, "settings": ["3", 0], **WIDGETS}
    return {
        **checkpoint,
        "2": {"class_type": "ApplSearchLoadLora", "inputs": lora},
        "3": {"class_type": "ApplSearchSettings", "inputs": QUICK},
        **nodes,
        "20": {"class_type": "ApplSearchRun", "inputs": search},
    }


def test_lists_of_comfyuis_own_nodes_give_one_search(client: ComfyClient, comfy: ComfyServer, dataset: str):
    known = comfy.get_json("/object_info")
    if LISTS not in known:
        pytest.skip("this ComfyUI has no nodes for datasets")
    prompt = searched(
        (LISTS, {"folder": dataset}),
        ("ApplSearchTrainingImages", {"images": ["10", 0], "captions": ["10", 1]}),
        (ENCODED, {"images": ["10", 0], "texts": ["10", 1], "vae": ["1", 2], "clip": ["1", 1]}),
        ("ApplSearchTrainingLatents", {"latents": ["12", 0], "conditioning": ["12", 1], "previous": ["11", 0]}),
    )
    run = client.queue(prompt).succeed(PATIENCE)
    # ComfyUI's node gives each image of a folder called 3_... three times.
    assert run.outputs["11"]["text"][0] == "9 training images"
    assert run.outputs["13"]["text"][0] == "18 training images"
    assert len([event for event in run.of_type("executed") if event.data["node"] == "20"]) == 1


@pytest.mark.parametrize(
    "way, expected",
    [
        # Images alone, and one caption for all of them.
        ([("LoadImageDataSetFromFolder", {"folder": "zibbies/3_zibby"}),
          ("ApplSearchTrainingImages", {"images": ITS, "captions": "a zibby"})], 3),
        # Pairs in another order, cropped one by one.
        ([(LISTS, {"folder": "zibbies"}), ("ShuffleImageTextDataset", {"images": ITS, "texts": ITS_OTHER, "seed": 1}),
          ("CenterCropImages", {"images": ["11", 0], "width": 96, "height": 96}),
          ("ApplSearchTrainingImages", {"images": ["12", 0], "captions": ["11", 1]})], 9),
        # Two lists as one.
        ([(LISTS, {"folder": "zibbies"}), (LISTS, {"folder": "appl_search_demo"}),
          ("CreateList", {"inputs.input0": ITS, "inputs.input1": ["11", 0]}),
          ("CreateList", {"inputs.input0": ITS_OTHER, "inputs.input1": ["11", 1]}),
          ("ApplSearchTrainingImages", {"images": ["12", 0], "captions": ["13", 0]})], 19),
        # Latents of two sizes in two batches.
        ([(LISTS, {"folder": "zibbies"}), (ENCODED, {"images": ITS, "texts": ITS_OTHER, "vae": ["1", 2], "clip": ["1", 1]}),
          ("ResolutionBucket", {"latents": ["11", 0], "conditioning": ["11", 1]}),
          ("ApplSearchTrainingLatents", {"latents": ["12", 0], "conditioning": ["12", 1]})], 9),
    ],
)  # fmt: skip
def test_every_way_through_comfyuis_nodes_for_datasets_gives_one_search(
    way: list[tuple[str, dict[str, Any]]], expected: int, client: ComfyClient, comfy: ComfyServer, dataset: str
):
    missing = {kind for kind, _ in way} - set(comfy.get_json("/object_info"))
    if missing:
        pytest.skip(f"this ComfyUI has no {', '.join(sorted(missing))}")
    run = client.queue(searched(*way)).succeed(PATIENCE)
    assert run.outputs[str(9 + len(way))]["text"][0] == f"{expected} training images"
    assert len([event for event in run.of_type("executed") if event.data["node"] == "20"]) == 1


def test_a_dataset_that_comfyui_has_saved_is_searched(client: ComfyClient, comfy: ComfyServer, dataset: str):
    if "LoadTrainingDataset" not in comfy.get_json("/object_info"):
        pytest.skip("this ComfyUI saves no datasets")
    encoded = {"latents": ["11", 0], "conditioning": ["11", 1]}
    saved = {
        **searched(),
        "10": {"class_type": LISTS, "inputs": {"folder": dataset}},
        "11": {"class_type": ENCODED, "inputs": {"images": ITS, "texts": ITS_OTHER, "vae": ["1", 2], "clip": ["1", 1]}},
        "12": {"class_type": "SaveTrainingDataset", "inputs": {**encoded, "folder_name": "kept", "shard_size": 4}},
    }
    del saved["20"]
    client.queue(saved).succeed(PATIENCE)
    way = (("LoadTrainingDataset", {"folder_name": "kept"}), ("ApplSearchTrainingLatents", {"latents": ITS, "conditioning": ITS_OTHER}))
    run = client.queue(searched(*way)).succeed(PATIENCE)
    assert run.outputs["11"]["text"][0] == "9 training images"


def test_a_folder_with_options_is_searched(client: ComfyClient, comfy: ComfyServer, dataset: str):
    info = comfy.get_json("/object_info/ApplSearchTrainingOptions")["ApplSearchTrainingOptions"]["input"]["required"]
    options = {name: spec[1]["default"] for name, spec in info.items()}
    options |= {"width": 128, "height": 128, "smallest": 64, "flip": True, "shuffle": True, "variants": 4, "max_tokens": 75}
    folder = {"folder": dataset, "sub_folders": True, "broken": "stop", "metadata": "", "options": ["10", 0]}
    run = client.queue(searched(("ApplSearchTrainingOptions", options), ("ApplSearchTrainingFolder", folder))).succeed(PATIENCE)
    assert run.outputs["11"]["text"][0] == "3 training images, 9 with repeats"


def test_a_folder_outside_is_refused_before_anything_is_read(client: ComfyClient):
    folder = {"folder": "../..", "sub_folders": True, "broken": "stop", "metadata": ""}
    with pytest.raises(PromptRejected) as refused:
        client.queue(searched(("ApplSearchTrainingFolder", folder)))
    assert "value_not_in_list" in json.dumps(refused.value.answer)


def test_the_nodes_in_the_page(canvas_page: ComfyPage, dataset: str, pictures: Path | None):
    canvas_page.refresh_lists()
    canvas_page.load_without_search(of_nodes_in_no_example(dataset))
    assert canvas_page.errors == []
    if pictures is None:
        return
    with camera.clear_view(canvas_page):
        for node in ("ApplSearchTrainingFolder", "ApplSearchTrainingLatents", "ApplSearchTrainingOptions", "ApplSearchNoiseAndLoss"):
            camera.help_picture(canvas_page, pictures, node, [node])
