"""Inspire Pack's own node gives every key of every LoRA the rate that its block has."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.side_run import INSPIRE_LAYOUTS, SideRun

PATIENCE = 1800.0  # seconds


@pytest.fixture(scope="module")
def report(inspire_run: SideRun | None) -> dict:
    """What compare_with_inspire.py found."""
    if inspire_run is None:
        pytest.skip("INSPIRE_PATH is not set: set it to the folder of ComfyUI-Inspire-Pack.")
    status, output = inspire_run.finish(PATIENCE)
    assert status == 0, output[-4000:]
    found = json.loads((inspire_run.folder / "report.json").read_text(encoding="utf-8"))
    print(
        f"{found['layouts']} LoRAs with {found['keys']} keys, {found['sub_vectors']} of them with shared positions: "
        f"{len(found['differences'])} keys differ. {found['texts_read']} texts read: {len(found['misread'])} differ."
    )
    return found


def test_the_node_gives_every_key_the_rate_of_its_block(report):
    assert report["differences"] == []
    assert report["layouts"] == INSPIRE_LAYOUTS
    assert report["sub_vectors"] > 10, "the random LoRAs no longer have blocks that share a position"


def test_what_people_write_for_the_node_is_read_as_the_node_reads_it(report):
    assert report["misread"] == []
    assert report["texts_read"] == INSPIRE_LAYOUTS
