"""This folder as a ComfyUI node pack: imported as ComfyUI imports it, described as its server describes it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from tests import stand_in_folder_paths

ROOT = Path(__file__).resolve().parents[1]
NAME = "custom_nodes_appl_search"
PREFIX = "ApplSearch"


class _SameEngine(MetaPathFinder, Loader):
    """Gives the pack the `appl_search` that tests import, not a second copy whose classes would be others.

    In ComfyUI there is only the pack's own: everything in the pack is imported relatively.
    """

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        is_engine = f"{fullname}.".startswith(f"{NAME}.appl_search.")
        return ModuleSpec(fullname, self) if is_engine else None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(module.__name__.removeprefix(f"{NAME}."))


def load_pack() -> ModuleType:
    """The pack's module. ComfyUI, too, gives it a name of its own choice and does not put it on the path."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
        if spec is None or spec.loader is None:
            raise ImportError(f"{ROOT / '__init__.py'} cannot be imported.")
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault("folder_paths", stand_in_folder_paths)
        sys.meta_path.insert(0, _SameEngine())
        sys.modules[NAME] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[NAME]
            raise
    return sys.modules[NAME]


def definitions() -> dict[str, dict[str, Any]]:
    """What `GET /object_info` says of the pack's nodes, as far as workflow files depend on it."""
    pack = load_pack()
    return {name: _definition(node) for name, node in pack.NODE_CLASS_MAPPINGS.items()}


def _definition(node: Any) -> dict[str, Any]:
    outputs = list(node.RETURN_TYPES)
    return {
        "input": node.INPUT_TYPES(),
        "output": outputs,
        "output_name": list(getattr(node, "RETURN_NAMES", outputs)),
    }
