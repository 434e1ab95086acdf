"""The progress bar of a node on ComfyUI's page."""

from __future__ import annotations

import comfy.utils

from . import compat


def node_progress_bar(total: int, node_id: str | None) -> comfy.utils.ProgressBar:
    """ComfyUI's own bar, from 0 to ``total``, on the node of this id."""
    return comfy.utils.ProgressBar(total, **({"node_id": node_id} if compat.PROGRESS_BAR_TAKES_NODE_ID else {}))
