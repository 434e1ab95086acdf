"""Where the supported ComfyUIs differ: the only place that asks what the host has.

Supported and tested: the `comfy` package of November 2024 (0.3.4, embedded for the demo and the unit tests), 0.3.64, 0.14.1
and newer. Each piece says which of them need it and which test fails there without it.
"""

from __future__ import annotations

import importlib.util
import inspect

import comfy.model_patcher
import comfy.ops
import comfy.utils
from comfy.ldm.modules.attention import BasicTransformerBlock
from torch import Tensor, nn

#: 0.3.4 (all before 0.3.41) writes ``x += n`` in its U-Net's transformer block, over what autograd saved.
#: tests/test_published_program.py
ADDS_RESIDUALS_IN_PLACE = "x += n" in inspect.getsource(BasicTransformerBlock)

#: Wrappers and callbacks of a MODEL. 0.3.4 (all before December 2024) has none, and nothing to be called before a run.
#: tests/test_search.py
HAS_CALLBACKS = hasattr(comfy.model_patcher.ModelPatcher, "pre_run")

#: Hooks: LoRAs that go with a conditioning. 0.3.4 (all before 0.3.7) has none. tests/test_hooks.py
HAS_HOOKS = importlib.util.find_spec("comfy.hooks") is not None

#: The patcher of loaded models. 0.14.1 and newer may use another class than ModelPatcher; 0.3.4 and 0.3.64 do not.
#: tests/nodes/test_demo.py
ModelPatcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)

#: ComfyUI's ProgressBar takes the id of a node. In 0.3.4 (all before July 2025) the bar is of whatever node runs.
#: tests/nodes/test_search.py
PROGRESS_BAR_TAKES_NODE_ID = "node_id" in inspect.signature(comfy.utils.ProgressBar).parameters

_CASTS_OFFLOADED = "offloadable" in inspect.signature(comfy.ops.cast_bias_weight).parameters


def cast_weights(layer: nn.Module, like: Tensor) -> tuple:
    """(weight, bias) of a layer in the dtype and on the device of ``like``, and what to give back when done with them.

    0.14.1 and newer bring weights in on a stream of their own, and want to be told when one is done with them:
    ``comfy.ops.uncast_bias_weight(layer, *these)``. 0.3.4 and 0.3.64 give the first two only.
    tests/test_memory.py
    """
    return comfy.ops.cast_bias_weight(layer, like, **({"offloadable": True} if _CASTS_OFFLOADED else {}))


def additional_models(patcher) -> list:
    """Patchers of the models that a MODEL's patches compute with. 0.3.4 (all before December 2024) has none.

    tests/test_patches.py
    """
    return patcher.get_nested_additional_models() if HAS_CALLBACKS else []
