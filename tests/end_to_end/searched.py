"""A page with a search that has ended."""

from __future__ import annotations

import copy
from typing import Any

from tests.end_to_end.building import Workflow
from tests.end_to_end.chromium import ComfyPage
from tests.end_to_end.demo_graph import SAMPLES, short_demo

LAST_SEED = 2  # ComfyUI answers a workflow that it has just run from its cache: most tests need no search of their own
#: What the server says of a comparison: in English, and in parts for other languages.
VERDICT = {
    "kind": "same",
    "text": "Not better than the best single strength 0.62 (0.3% ± 0.7% on 2 pictures that the search has not seen): use that.",
    "words": {
        "key": "Not better than {other} ({percent}% ± {error}% {where}): use that.",
        "values": {
            "other": {"key": "the best single strength {strengths}", "values": {"strengths": "0.62"}},
            "percent": "0.3",
            "error": "0.7",
            "where": {"key": "on {pictures} pictures that the search has not seen", "values": {"pictures": 2}},
        },
    },
    "rows": [
        {"name": "found", "loss": 0.1234, "change": 0.0, "error": 0.0},
        {"name": "no LoRA", "loss": 0.1333, "change": 0.0802, "error": 0.0041},
        {"name": "the best single strength 0.62", "loss": 0.1238, "change": 0.0032, "error": 0.0071},
    ],
    "use_instead": {"strengths": [0.62]},
}


def searched(page: ComfyPage, workflow: Workflow | None = None, status: str = f"{SAMPLES} samples in") -> ComfyPage:
    """Runs a short search to its end, at which the panel says ``status``; the short demo where no other is given."""
    page.load(workflow or short_demo(LAST_SEED))
    page.queue_and_wait()
    page.wait_for_status(status)
    page.wait_for_string()
    return page


def of_loras(state: dict[str, Any], count: int) -> dict[str, Any]:
    """A search's state as if so many LoRAs had been searched, with long names."""
    state = copy.deepcopy(state)
    known = state["loras"]
    loras = [known[(number + 1) % len(known)] for number in range(count)]
    state["loras"] = [{**lora, "name": lora["name"] if count <= len(known) else f"a LoRA with a long name, {number}"} for number, lora in enumerate(loras)]
    state["path"] = [
        {**point, "rates": [rates[(number + 1) % len(known)] for number in range(count)], "errors": [errors[(number + 1) % len(known)] for number in range(count)]}
        for point in state["path"]
        for rates, errors in [(point["rates"], point["errors"])]
    ]
    return state
