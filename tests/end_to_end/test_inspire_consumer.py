"""Inspire Pack's own node gives every key of every LoRA the rate that its block has."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.comfy_server import ComfyInstall

LAYOUTS, SEED = 300, 20
PATIENCE = 1800.0  # seconds


@pytest.fixture(scope="module")
def reports(comfy_install: ComfyInstall, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what compare_with_inspire.py found, with that ComfyUI and the Inspire Pack of INSPIRE_PATH."""
    if not os.environ.get("INSPIRE_PATH"):
        pytest.skip("INSPIRE_PATH is not set: set it to the folder of ComfyUI-Inspire-Pack.")
    inspire = Path(os.environ["INSPIRE_PATH"]).expanduser().resolve()
    if not (inspire / "inspire" / "lora_block_weight.py").is_file():
        pytest.fail(f"INSPIRE_PATH is {inspire}, which has no inspire/lora_block_weight.py.")
    script, folder = Path(__file__).with_name("compare_with_inspire.py"), tmp_path_factory.mktemp("inspire")
    command = [comfy_install.python, script, comfy_install.root, inspire, folder, str(LAYOUTS), str(SEED)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 0, run.stderr[-4000:]
    return folder


@pytest.fixture(params=["sdxl", "sd15"])
def report(request: pytest.FixtureRequest, reports: Path) -> dict:
    """What was found for the LoRAs of a family."""
    found = json.loads((reports / f"{request.param}.json").read_text(encoding="utf-8"))
    print(
        f"{request.param}: {found['layouts']} LoRAs with {found['keys']} keys, {found['sub_vectors']} of them with shared positions: "
        f"{len(found['differences'])} keys differ. {found['texts_read']} texts read: {len(found['misread'])} differ."
    )
    return found


def test_the_node_gives_every_key_the_rate_of_its_block(report):
    assert report["differences"] == []
    assert report["layouts"] == report["of_family"] == LAYOUTS
    assert report["sub_vectors"] > 10, "the random LoRAs no longer have blocks that share a position"


def test_what_people_write_for_the_node_is_read_as_the_node_reads_it(report):
    assert report["misread"] == []
    assert report["texts_read"] == LAYOUTS
