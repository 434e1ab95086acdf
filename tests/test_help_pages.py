"""What people read of the nodes is complete: the help pages, which ComfyUI shows beside the canvas, and the README."""

from __future__ import annotations

import os
import re

import pytest

from tests import pack
from tests.help_table import input_table

NODES = pack.load_pack().NODE_CLASS_MAPPINGS
NAMES = pack.load_pack().NODE_DISPLAY_NAME_MAPPINGS
DOCS = pack.ROOT / "web" / "docs"
README = (pack.ROOT / "README.md").read_text(encoding="utf-8")

#: Between these lines of a page lies a table of inputs that is made from the node's own texts.
BEGIN = "<!-- made from the node by UPDATE_PAGES=1 pytest tests/test_help_pages.py -->\n"
END = "\n<!-- end -->"

each_node = pytest.mark.parametrize("name", NODES)


def help_page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows(page: str, table: str) -> list[str]:
    """The names in the first column of the table with this head."""
    found = re.search(rf"^\| {table} \|.*\n\|[ |-]+\n((?:\|.*\n?)+)", page, re.MULTILINE)
    return [] if found is None else [name for row in found[1].splitlines() for name in row.split("|")[1].strip().split(", ")]


def test_there_is_a_help_page_for_each_node_and_no_other():
    assert {path.stem for path in DOCS.glob("*.md")} == set(NODES)


@each_node
def test_a_help_page_begins_with_the_node_s_name_and_says_when_to_use_it(name):
    page = help_page(name)
    assert page.splitlines()[0] == f"# {NAMES[name]}"
    assert "\n**Use it** " in page


@each_node
def test_a_table_that_is_made_from_the_node_is_up_to_date(name):
    page = help_page(name)
    if BEGIN not in page:
        pytest.skip("this page's table is written by hand")
    before, rest = page.split(BEGIN)
    after = rest[rest.index(END) :]
    made = f"{before}{BEGIN}\n{input_table(NODES[name])}{after}"
    if os.environ.get("UPDATE_PAGES"):
        (DOCS / f"{name}.md").write_text(made, encoding="utf-8")
    assert help_page(name) == made


@each_node
def test_a_help_page_explains_every_input_and_output(name):
    node = NODES[name]
    inputs = [entry for group in ("required", "optional") for entry in node.INPUT_TYPES().get(group, {})]
    assert sorted(rows(help_page(name), "Input")) == sorted(inputs)
    assert sorted(rows(help_page(name), "Output")) == sorted(node.RETURN_NAMES)


@each_node
def test_the_pictures_on_a_help_page_are_there_and_described(name):
    """That every node has one is said by the end-to-end tests, which can make them."""
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", help_page(name))
    assert [picture for text, picture in pictures if not text.strip() or not (DOCS / picture).is_file()] == []


def test_the_readme_lists_every_node_and_every_example_workflow():
    listed = re.findall(r"^\| ([^|]+) \|", README, re.MULTILINE)
    assert [name for name in NAMES.values() if not any(set(name.split()) <= set(row.split()) for row in listed)] == []
    workflows = {path.stem for path in (pack.ROOT / "example_workflows").glob("*.json")}
    assert {row.strip("`") for row in listed if row.startswith("`")} == workflows
