"""Run by test_inspire_consumer.py with ComfyUI's Python: what Inspire Pack's own node does with our vectors.

    python compare_with_inspire.py COMFYUI INSPIRE FOLDER LAYOUTS SEED

Makes random LoRA files for SDXL and for SD 1.5 in FOLDER, writes each one's vector, and compares the ratio that
``LoraLoaderBlockWeight.load_lbw`` gives each model key with the rate of its block. Then has both read random vectors
and specs. The counts and every difference go to FOLDER/sdxl.json and FOLDER/sd15.json.
"""

from __future__ import annotations

import json
import logging
import random
import re
import sys
from pathlib import Path
from types import SimpleNamespace

COMFYUI, INSPIRE, FOLDER = map(Path, sys.argv[1:4])
LAYOUTS, SEED = map(int, sys.argv[4:])

sys.path[:0] = [str(COMFYUI), str(Path(__file__).resolve().parents[2])]
sys.path.append(str(INSPIRE))

import utils.extra_config  # noqa: E402, F401  as in ComfyUI's main.py: `nodes` puts another `utils` on the path
from comfy.cli_args import args  # noqa: E402

args.cpu = True
args.base_directory = str(FOLDER)

import comfy.lora  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.sd1_clip  # noqa: E402
import comfy.sdxl_clip  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.utils  # noqa: E402
import torch  # noqa: E402
from inspire.lora_block_weight import LoraLoaderBlockWeight  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from appl_search.architectures import ARCHITECTURES  # noqa: E402
from appl_search.loras.files import read_lora  # noqa: E402
from appl_search.loras.layout import LoraLayout, layout_of  # noqa: E402
from appl_search.weights.block_weights import BlockWeights  # noqa: E402
from appl_search.weights.formats import write  # noqa: E402
from appl_search.weights.registry import read  # noqa: E402

COMMON = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "use_spatial_transformer": True,
    "legacy": False, "dtype": torch.float32,
}  # fmt: skip
SDXL_UNET = COMMON | {
    "num_res_blocks": [2, 2, 2], "transformer_depth": [0, 0, 2, 2, 10, 10], "channel_mult": [1, 2, 4],
    "transformer_depth_middle": 10, "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10], "context_dim": 2048,
    "num_head_channels": 64, "adm_in_channels": 2816, "use_linear_in_transformer": True, "num_classes": "sequential",
}  # fmt: skip
SD15_UNET = COMMON | {
    "num_res_blocks": [2, 2, 2, 2], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "channel_mult": [1, 2, 4, 4],
    "transformer_depth_middle": 1, "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "context_dim": 768,
    "adm_in_channels": None, "use_linear_in_transformer": False, "use_temporal_attention": False,
}  # fmt: skip
LOW_RANK = [
    (".lora_up.weight", ".lora_down.weight"),
    (".lora_up.weight", ".lora_down.weight", ".alpha"),
    (".lora_up.weight", ".lora_down.weight", ".alpha", ".dora_scale"),
    (".lora_B.weight", ".lora_A.weight"),
    ("_lora.up.weight", "_lora.down.weight"),
    (".lora.up.weight", ".lora.down.weight"),
    (".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b", ".alpha"),
    (".lokr_w1", ".lokr_w2_a", ".lokr_w2_b", ".alpha"),
    (".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight", ".alpha"),
    (".diff",),
    (".set_weight",),
]
#: The host's own, before spare_the_host.
LOAD_LORA, NAMES_OF_UNET, NAMES_OF_CLIP = comfy.lora.load_lora, comfy.lora.model_lora_keys_unet, comfy.lora.model_lora_keys_clip
PREFIXES = ["lora_unet_", "lora_unet_down", "lycoris_", "unet.", "diffusion_model.", "lora_te", "text_encoder"]
TOLERANCE = 0.0005 + 1e-9


class Family:
    """A full SDXL or SD 1.5 without memory, its keys, and the names that LoRA files have for them."""

    def __init__(self, name: str) -> None:
        if name == "sdxl":
            unet = comfy.model_base.SDXL(comfy.supported_models.SDXL(SDXL_UNET), device="meta")
            text_encoders = comfy.sdxl_clip.SDXLClipModel(device="meta", dtype=torch.float32)
            attention = [*(f"input_blocks.{i}" for i in (4, 5, 7, 8)), *(f"output_blocks.{i}" for i in range(6))]
        else:
            unet = comfy.model_base.BaseModel(comfy.supported_models.SD15(SD15_UNET), device="meta")
            text_encoders = comfy.sd1_clip.SD1ClipModel(device="meta", dtype=torch.float32)
            attention = [*(f"input_blocks.{i}" for i in (1, 2, 4, 5, 7, 8)), *(f"output_blocks.{i}" for i in range(3, 12))]
        self.attention = [*attention, "middle_block.1"]
        self.model, self.clip = SimpleNamespace(model=unet), SimpleNamespace(cond_stage_model=text_encoders)
        self.keys = {*unet.state_dict(), *text_encoders.state_dict()}
        names = NAMES_OF_CLIP(text_encoders, NAMES_OF_UNET(unet, {}))
        spare_the_host(names)
        self.name = name
        self.names: dict[str, list[str]] = {}
        for name, key in names.items():
            if key in self.keys:
                self.names.setdefault(key, []).append(name)
        self.groups: dict[str, list[str]] = {}
        for key in self.names:
            match = re.match(r"diffusion_model\.((?:input_blocks|middle_block|output_blocks)\.\d+)\.", key)
            group = match[1] if match else "unet_other" if key.startswith("diffusion_model.") else "text_encoders"
            self.groups.setdefault(group, []).append(key)


def spare_the_host(names: dict[str, str]) -> None:
    """The node would have it work out these names anew for each file, and look for each of the 8,000 in it: nearly all of the time."""

    def load_those_in_the_file(lora: dict, to_load: dict[str, str]) -> dict:
        begun = {key[: cut.start()] for key in lora for cut in re.finditer(r"\.|_lora", key)}
        return LOAD_LORA(lora, {name: key for name, key in to_load.items() if name in begun})

    comfy.lora.load_lora = load_those_in_the_file
    comfy.lora.model_lora_keys_unet = lambda model: names
    comfy.lora.model_lora_keys_clip = lambda model, key_map: key_map


def block_of(key: str) -> str:
    """The block of a model key, said once more and without the code under test."""
    match = re.match(r"diffusion_model\.(input|middle|output)_blocks?\.(\d+)\.", key)
    if match is None:
        return "BASE"
    return "MID" if match[1] == "middle" else f"{match[1].removesuffix('put').upper()}{int(match[2]):02}"


def random_groups(family: Family, dice: random.Random) -> list[str]:
    """Any blocks: a few, a whole section, a typical LoRA, a B-LoRA, or a pair of neighbours that Inspire mixes up."""
    unet = [group for group in family.groups if "." in group]
    number = dice.choice(unet).partition(".")[2]
    chosen = dice.choice(
        [
            dice.sample(unet, dice.randint(1, 4)),
            dice.sample(unet, dice.randint(1, len(unet))),
            unet,
            family.attention,
            ["output_blocks.0", "output_blocks.1"],
            [group for group in unet if group.endswith(f".{number}")],
            [group for group in unet if group.startswith(dice.choice(["input", "middle", "output"]))],
            [],
        ]
    )
    others = [group for group in ("text_encoders", "unet_other") if not chosen or dice.random() < 0.4]
    return chosen + others


def random_lora(family: Family, dice: random.Random, path: Path) -> set[str]:
    """Write a LoRA file with random keys of random blocks; returns the model keys that it patches."""
    tensors, patched = {}, set()
    most, prefix, shuffled = dice.choice([1, 3, 20]), dice.choice(PREFIXES), dice.random() < 0.3
    for group in random_groups(family, dice):
        keys = family.groups[group]
        for key in dice.sample(keys, min(len(keys), dice.randint(1, most))):
            if key in patched:  # a bias that came with its weight
                continue
            known = family.names[key]
            name = dice.choice([name for name in known if name.startswith(prefix) and not shuffled] or known)
            for suffix in dice.choice(LOW_RANK):
                tensors[name + suffix] = torch.zeros(()) if suffix == ".alpha" else torch.zeros(1, 1)
            patched.add(key)
            bias = key.removesuffix(".weight") + ".bias"
            if key.endswith(".weight") and bias in family.keys and bias not in patched and dice.random() < 0.3:
                tensors[name + ".diff_b"] = torch.zeros(1)
                patched.add(bias)
    order = list(tensors)
    dice.shuffle(order)
    save_file({key: tensors[key] for key in order}, path)
    return patched


def inspire_ratios(family: Family, path: Path, vector: str) -> dict[str, float]:
    """The ratio by model key that the node applies; it raises ValueError for a vector that it does not take."""
    lora = comfy.utils.load_torch_file(str(path), safe_load=True)
    applied, muted, _ = LoraLoaderBlockWeight.load_lbw(family.model, family.clip, lora, False, 0, 4.0, 1.0, vector)
    return {**{key: ratio for key, (_, ratio) in applied.items()}, **dict.fromkeys(muted, 0.0)}


def layout_in(family: Family, path: Path) -> LoraLayout:
    """As loading the file for a family's model gives it: the names of a few layers may be those of either family."""
    return layout_of(read_lora(path), path.stem, ARCHITECTURES[family.name])


def random_rates(count: int, dice: random.Random) -> list[float]:
    return [dice.choice([0.0, 1.0, 0.00049, -0.3, 1e-7, dice.uniform(-1, 2), dice.uniform(0, 20)]) for _ in range(count)]


def random_text(positions: int, dice: random.Random) -> str:
    """A vector or a spec as people may write it, Inspire's oddities included."""
    if dice.random() < 0.5:
        values = ["0", "1", "0.5", "-0.5", "A", "a", "B", "b", "0.5 0.5", "1 0.25", "B b 0"]
        vector = ",".join(dice.choice(values) for _ in range(positions))
        return dice.choice(["", "", "NAME:"]) + vector
    values = ["0", "1", "0.25", ".5", "1.", "-1", "1e-1"]
    places = ["default", "base", "in", "mid", "out", "in1", "in2", "in0", "mid1", "out1", "out3", "in1-3", "out2-20"]
    items = [f"{dice.choice(places)}={dice.choice(values)}" for _ in range(dice.randint(0, 5))]
    return "%" + dice.choice([",", ", "]).join(items)


def written_differences(family: Family, path: Path, patched: set[str], dice: random.Random) -> list[str]:
    layout = layout_in(family, path)
    weights = BlockWeights(layout, tuple(random_rates(len(layout.present), dice)))
    vector = write(weights, "inspire")
    ratios = inspire_ratios(family, path, vector)
    if set(ratios) != patched:
        return [f"{path.name}: patches other keys than it was made with: {sorted(set(ratios) ^ patched)[:3]}"]
    return [
        f"{path.name}: {key} has {ratio}, {block_of(key)} is {weights[block_of(key)]} in {vector}"
        for key, ratio in ratios.items()
        if abs(ratio - weights[block_of(key)]) > TOLERANCE
    ]


def read_difference(family: Family, path: Path, text: str) -> str | None:
    """A text must be read as Inspire reads it, or refused where Inspire does or where a rate per block cannot say it."""
    try:
        ratios = inspire_ratios(family, path, text)
    except ValueError:
        ratios = None
    by_block: dict[str, set[float]] = {}
    for key, ratio in (ratios or {}).items():
        by_block.setdefault(block_of(key), set()).add(ratio)
    possible = ratios is not None and all(len(found) == 1 for found in by_block.values())
    try:
        weights = read(text, layout_in(family, path), "inspire")
    except ValueError as error:
        return f"{path.name}: {text!r} is refused ({error}), and Inspire reads {by_block}" if possible else None
    if possible and all(weights[block] in found for block, found in by_block.items()):
        return None
    return f"{path.name}: {text!r} is read as {dict(weights.items())}, by Inspire as {by_block}"


def compared(family: Family) -> dict:
    """Of random LoRAs of a family: how many there were of what, and every difference."""
    dice = random.Random(SEED)
    report: dict = {"layouts": 0, "of_family": 0, "keys": 0, "sub_vectors": 0, "differences": [], "texts_read": 0, "misread": []}
    for i in range(LAYOUTS):
        path = FOLDER / f"lora{i}.safetensors"
        patched = random_lora(family, dice, path)
        report["layouts"] += 1
        report["keys"] += len(patched)
        report["differences"] += written_differences(family, path, patched, dice)
        layout = layout_in(family, path)
        report["of_family"] += layout.architecture.name == family.name
        vector = write(BlockWeights(layout, tuple(i / 100 for i in range(len(layout.present)))), "inspire")
        report["sub_vectors"] += " " in vector
        text = random_text(vector.count(",") + 1, dice)
        report["texts_read"] += 1
        report["misread"] += filter(None, [read_difference(family, path, text)])
        path.unlink()
    return report


def main() -> None:
    logging.getLogger("appl_search").setLevel(logging.ERROR)  # many a random spec is one that Inspire half understands
    for name in ("sdxl", "sd15"):
        (FOLDER / f"{name}.json").write_text(json.dumps(compared(Family(name)), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
