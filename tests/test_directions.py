"""The house stands as docs/architecture.md draws it: imports go downwards, in no circle, and ``comfy`` is in one room."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: From the top down. A part may import itself and what stands below it.
FLOORS = (
    ("nodes",),
    ("appl_search.cli", "appl_search.demo"),
    ("appl_search.report",),
    ("appl_search.searching", "appl_search.exploring"),
    ("appl_search.gradients",),
    ("appl_search.host",),
    ("appl_search.comparing",),
    ("appl_search.weights",),
    ("appl_search.loras",),
    ("appl_search.architectures", "appl_search.images"),
    ("appl_search.settings", "appl_search.whole_files", "appl_search.digests"),
)
#: The public names, and the way in from a shell: they may import any floor.
DOORS = ("", "appl_search", "appl_search.__main__")
#: Who alone may import a package of somebody else.
ALONE = {
    "comfy": ("appl_search.host",),
    "folder_paths": ("nodes",),
    "aiohttp": ("nodes",),
    "argparse": ("appl_search.cli", "appl_search.demo"),
    "accelerate": ("appl_search.cli", "appl_search.searching.team"),
    "matplotlib": ("appl_search.report", "nodes"),
}
#: These list the places of the program that reads their text.
OTHER_PROGRAMS_BLOCKS = [ROOT / "appl_search" / "weights" / "formats" / name for name in ("a1111.py", "forge_neo.py")]
#: Circles that are known and to be opened.
KNOWN_CIRCLES: tuple[set[str], ...] = ()


#: Which blocks there are, and how many, is said here alone; everything else takes them from a LoRA's architecture.
FAMILIES = "appl_search.architectures"


def _is_in(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


@lru_cache(maxsize=1)
def imports() -> dict[str, set[str]]:
    """What every module of the pack imports, wherever in its file: modules of the pack by their names, others by theirs."""
    files = [ROOT / "__init__.py", *(ROOT / "appl_search").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]
    names = {_name(path): path for path in files}
    return {name: set(_imported(name, path, names)) for name, path in names.items()}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, path: Path, names: dict[str, Path]) -> list[str]:
    found: list[str] = []
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = [part for part in package[: len(package) - node.level + 1] if part] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}".strip(".")
                found.append(inner if inner in names else base)
    return found


def _floor(module: str) -> int | None:
    return next((number for number, floor in enumerate(FLOORS) if any(_is_in(module, part) for part in floor)), None)


def test_every_module_stands_on_a_floor():
    assert [module for module in imports() if _floor(module) is None and module not in DOORS] == []


def test_imports_go_downwards():
    upwards = []
    for module, targets in imports().items():
        if module in DOORS:
            continue
        for target in targets:
            if target == "appl_search":
                allowed = _floor(module) <= 1  # only the doors of users take the public names
            else:
                allowed = _floor(target) is None or _floor(target) >= _floor(module)
            if not allowed:
                upwards.append(f"{module} -> {target}")
    assert upwards == []


def test_what_is_not_ours_is_imported_where_it_belongs_only():
    strays = []
    for module, targets in imports().items():
        for target in targets:
            owners = ALONE.get(target.partition(".")[0])
            if owners is not None and not any(_is_in(module, owner) for owner in owners):
                strays.append(f"{module} -> {target}")
    assert strays == []


def test_no_imports_run_in_a_circle():
    graph = {module: {target for target in targets if target in imports()} for module, targets in imports().items()}
    circles = [circle for circle in _circles(graph) if circle not in KNOWN_CIRCLES]
    assert circles == []


def test_no_module_above_the_architectures_knows_a_model_family_by_name():
    families = {name for name in imports() if _is_in(name, FAMILIES) and name.rpartition(".")[2] not in ("architectures", "base", "naming", "unet")}
    assert families
    strays = []
    for module, targets in imports().items():
        if not _is_in(module, FAMILIES):
            strays += [f"{module} -> {target}" for target in targets & families]
    assert strays == []


def test_no_module_above_the_architectures_lists_their_blocks():
    listing = re.compile(r"\b(BLOCK_NAMES|NUM_BLOCKS)\b|IN\{|OUT\{|\brange\((19|20)\)|\* (19|20)\b")
    strays = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in [*(ROOT / "appl_search").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]
        if not path.is_relative_to(ROOT / "appl_search" / "architectures") and path not in OTHER_PROGRAMS_BLOCKS
        for line in path.read_text(encoding="utf-8").splitlines()
        if listing.search(line)
    ]
    assert strays == []


def _circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules that reach each other (strongly connected components of two or more, or a module that imports itself)."""
    reached = {module: _reach(graph, module) for module in graph}
    circles: list[set[str]] = []
    for module in graph:
        circle = {other for other in reached[module] if module in reached[other]}
        if circle and circle not in circles:
            circles.append(circle)
    return circles


def _reach(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = list(graph[start])
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += graph[module]
    return found
