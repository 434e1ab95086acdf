"""The progress bar of a node on ComfyUI's page."""

from __future__ import annotations

import inspect

import comfy.utils

# ComfyUI's ProgressBar takes the node's id since July 2025; before, the bar is of whatever node runs.
_TAKES_NODE_ID = "node_id" in inspect.signature(comfy.utils.ProgressBar).parameters


def node_progress_bar(total: int, node_id: str | None) -> comfy.utils.ProgressBar:
    """ComfyUI's own bar, from 0 to ``total``, on the node of this id."""
    return comfy.utils.ProgressBar(total, **({"node_id": node_id} if _TAKES_NODE_ID else {}))
