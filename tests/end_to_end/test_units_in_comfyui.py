"""The unit tests that lean on the host most, once more with an installed ComfyUI: it is newer than the embedded one."""

from __future__ import annotations

import pytest

from tests.end_to_end.side_run import SideRun

PATIENCE = 1800.0  # seconds


def test_adapters_memory_and_parity_in_this_comfyui(units_run: SideRun | None):
    if units_run is None:
        pytest.skip("ComfyUI's Python has no pytest.")
    status, output = units_run.finish(PATIENCE)
    assert status == 0, output[-6000:]
    assert "boft" in output
