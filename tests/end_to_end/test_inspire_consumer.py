"""Inspire Pack's own node gives every key of every LoRA the rate that its block has."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .comfy_server import ComfyInstall

SCRIPT = Path(__file__).with_name("compare_with_inspire.py")
LAYOUTS, SEED = 300, 20


@pytest.fixture(scope="module", params=["sdxl", "sd15"])
def report(request: pytest.FixtureRequest, comfy_install: ComfyInstall, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What compare_with_inspire.py found with that ComfyUI, and with the Inspire Pack that INSPIRE_PATH names."""
    named = os.environ.get("INSPIRE_PATH")
    if not named:
        pytest.skip("INSPIRE_PATH is not set: set it to the folder of ComfyUI-Inspire-Pack.")
    inspire = Path(named).expanduser().resolve()
    if not (inspire / "inspire" / "lora_block_weight.py").is_file():
        pytest.fail(f"INSPIRE_PATH is {inspire}, which has no inspire/lora_block_weight.py.")
    folder = tmp_path_factory.mktemp("inspire")
    command = [comfy_install.python, SCRIPT, comfy_install.root, inspire, folder, request.param, LAYOUTS, SEED]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder, timeout=1800)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    print(
        f"{request.param}: {found['layouts']} LoRAs with {found['keys']} keys, {found['sub_vectors']} of them with shared positions: "
        f"{len(found['differences'])} keys differ. {found['texts_read']} texts read: {len(found['misread'])} differ."
    )
    return found


def test_the_node_gives_every_key_the_rate_of_its_block(report):
    assert report["differences"] == []
    assert report["layouts"] == LAYOUTS
    assert report["of_family"] == LAYOUTS
    assert report["sub_vectors"] > 10, "the random LoRAs no longer have blocks that share a position"


def test_what_people_write_for_the_node_is_read_as_the_node_reads_it(report):
    assert report["misread"] == []
    assert report["texts_read"] == LAYOUTS
