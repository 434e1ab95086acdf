"""Common to all tests: this folder on the path, the embedded host ready, ComfyUI tests marked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
END_TO_END = ROOT / "tests" / "end_to_end"
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


class PackIsAFolder:
    """Keeps pytest from importing the pack as a Python package, with a name that depends on where it lies.

    For the same reason there is no `__init__.py` in tests/: `tests` is found from this folder on the path.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(PackIsAFolder())

    from appl_search.host.embedded import prepare

    prepare()
    import torch

    torch.set_num_threads(1)  # the models are tiny: a second thread costs more in waiting than it brings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if END_TO_END in item.path.parents:
            item.add_marker(pytest.mark.end_to_end)
