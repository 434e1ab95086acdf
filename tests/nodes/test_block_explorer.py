"""The node Block Explorer: what it gives and shows, and the section that it makes in a report."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from appl_search import demo
from appl_search.report.sheet import CAPTION, CELL, GAP
from tests import pack
from tests.nodes.results import result_for

PACK = pack.load_pack()
LORA = "[demo] character"
WIDGETS = {
    "strength": 1.0, "mode": "each block off", "blocks": "IN04, OUT01-02", "compared_with": "what fits", "prompt": "a large zibby", "negative": "",
    "width": 64, "height": 64, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "picture_seed": 7,
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint():
    return PACK.NODE_CLASS_MAPPINGS["ApplSearchTinySDXL"]().load()[:3]


def explore(node, checkpoint, **changes) -> dict:
    model, clip, vae = checkpoint
    return node("ApplSearchBlockExplorer").explore(**{"model": model, "vae": vae, "clip": clip, "lora_name": LORA, **WIDGETS, **changes})


@pytest.fixture
def out(node, folders, checkpoint) -> dict:
    return explore(node, checkpoint)


def test_it_gives_a_grid_pictures_maps_and_a_table(out):
    grid, pictures, maps, table, found = out["result"]
    assert pictures.shape == maps.shape == (5, 64, 64, 3) and pictures.dtype == torch.float32
    assert all(0 <= image.min() and image.max() <= 1 for image in (grid, pictures, maps))
    assert torch.equal((pictures * 255).round().byte(), torch.stack([shown.pixels for shown in found.pictures]))
    assert [shown.label for shown in found.pictures] == ["all blocks", "no LoRA", "IN04 off", "OUT01 off", "OUT02 off"]
    black = (maps[0] * 255).round().int()
    assert (black == torch.tensor([0, 0, 4])).all() and maps[2].mean() > maps[0].mean()


def test_the_grid_has_every_picture_with_its_map_and_its_name(out):
    grid, pictures, maps, *_ = out["result"]
    # A title, two cells, a title, three cells; each part with a gap above.
    tops = [GAP + CAPTION + GAP, GAP + CAPTION + GAP + CELL + CAPTION + GAP + CAPTION + GAP]
    places = [(tops[0], 0), (tops[0], 1), (tops[1], 0), (tops[1], 1), (tops[1], 2)]
    assert grid.shape[1] == tops[1] + CELL + CAPTION + GAP
    for (top, column), picture, where in zip(places, pictures, maps):
        left = GAP + column * (2 * CELL + GAP)
        cell = Image.fromarray((grid[0, top : top + CELL, left : left + 2 * CELL] * 255).byte().numpy()).resize((128, 64))
        shown = torch.from_numpy(np.asarray(cell, dtype=np.float32)) / 255
        assert (shown - torch.cat([picture, where], 1)).abs().mean() < 0.03
        caption = grid[0, top + CELL : top + CELL + CAPTION, left : left + 2 * CELL]
        assert caption.max() > 0.9 and caption.min() < 0.15, "no caption below a picture"


def test_the_table_is_sorted_by_effect(out):
    table, found = out["result"][3:]
    lines = [line.split() for line in table.splitlines() if " off " in line]
    numbers = [float(line[2].rstrip("%")) for line in lines]
    assert len(numbers) == 3 and numbers == sorted(numbers, reverse=True)
    assert {line[0]: line[2] for line in lines} == {
        shown.label.split()[0]: f"{effect.from_all.pixels:.2f}%" for shown, effect in zip(found.pictures[2:], found.effects[2:])
    }
    assert out["ui"]["text"][0].split(": most is changed by ")[1].startswith(lines[0][0])


def test_the_node_shows_its_grid(out, folders):
    with Image.open(folders / "temp" / out["ui"]["images"][0]["filename"]) as picture:
        assert np.array_equal(np.asarray(picture), (out["result"][0][0] * 255).round().byte().numpy())


def test_pictures_are_kept_beside_the_results(out, folders, node, checkpoint):
    kept = sorted((folders / "output" / "block_weights" / "explored").iterdir())
    assert len(kept) == 5 and {path.suffix for path in kept} == {".png"}
    with Image.open(kept[0]) as picture:
        assert picture.info["Description"].startswith("character: ")
    again = explore(node, checkpoint)
    assert again["ui"]["text"][0].startswith("0 pictures sampled, 5 found from before ('a large zibby'; width 64, height 64, steps 2")
    assert all(torch.equal(one, other) for one, other in zip(again["result"][:3], out["result"][:3]))


def test_blocks_are_switched_off_from_connected_block_weights(node, folders, checkpoint):
    found = result_for((demo.lora_paths()["character"], {"IN04": 0.5, "OUT01": 0.0}))
    exploration = explore(node, checkpoint, block_weights=found, strength=0.8, blocks="")["result"][4]
    assert exploration.weights["IN04"] == pytest.approx(0.4) and exploration.weights["OUT02"] == pytest.approx(0.8)
    labels = [shown.label for shown in exploration.pictures]
    assert "IN04 off" in labels and "OUT01 off" not in labels


def test_a_lora_on_the_model_is_told_of(node, folders, checkpoint):
    import comfy.sd
    import comfy.utils

    model, clip, vae = checkpoint
    tensors = comfy.utils.load_torch_file(str(demo.lora_paths()["character"]))
    model, clip = comfy.sd.load_lora_for_models(model, clip, tensors, 0.6, 0.6)
    (warning,) = explore(node, (model, clip, vae), blocks="IN04")["ui"]["warnings"]
    assert "already, at strength 0.6" in warning


def test_the_sampler_shows_its_progress_and_previews(node, folders, checkpoint, monkeypatch):
    told = []

    class Bar:
        def update_absolute(self, value, total=None, preview=None):
            told.append((value, total, preview))

    class Previewer:
        def decode_latent_to_preview_image(self, format, x0):
            return format, tuple(x0.shape)

    latent_preview = type(sys)("latent_preview")
    latent_preview.get_previewer = lambda device, latent_format: Previewer()
    monkeypatch.setitem(sys.modules, "latent_preview", latent_preview)
    progress = sys.modules[f"{pack.NAME}.nodes.support.sampling_progress"]
    monkeypatch.setattr(progress, "node_progress_bar", lambda total, node_id: Bar())
    explore(node, checkpoint, blocks="IN04", unique_id="3")
    assert told == [(step, 6, ("JPEG", (1, 4, 8, 8))) for step in range(1, 7)]


def test_bad_input_is_refused(node, folders, checkpoint):
    with pytest.raises(ValueError, match="blocks is 'IN4, OUT9': 'OUT9' is no block of SDXL"):
        explore(node, checkpoint, blocks="IN4, OUT9")
    with pytest.raises(ValueError, match="only one of positive_conditioning and negative_conditioning"):
        explore(node, checkpoint, positive_conditioning=[])
    with pytest.raises(ValueError, match="prompts both in the text and connected"):
        explore(node, checkpoint, positive_conditioning=[], negative_conditioning=[])
    with pytest.raises(ValueError, match="not of"):
        explore(node, checkpoint, block_weights=result_for((demo.lora_paths()["style"], {})))


def test_a_report_has_a_section_of_it(node, folders, out):
    exploration = out["result"][4]
    found = result_for((demo.lora_paths()["character"], {}))
    (path,) = node("ApplSearchReport").save(found, "mine", exploration=exploration)["result"]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "<h2>What each block of character does</h2>" in text and text.count('<img src="data:image/jpeg;base64,') == 1
    assert all(f"<th>{shown.label}</th>" in text for shown in exploration.pictures[2:])
