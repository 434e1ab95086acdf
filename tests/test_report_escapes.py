"""What others have written (file names, captions, versions) is text in a report, never a part of the page."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image

from appl_search import SearchResult, SearchSettings
from appl_search.exploring.exploration import WHAT_FITS, Exploration, Shown
from appl_search.exploring.variants import BOTH, variants
from appl_search.report.explored import grid
from appl_search.report.figures import draw
from appl_search.report.html import html_report
from appl_search.searching.methods.quadratic import Quadratic
from appl_search.searching.penalty_path import PenaltyPath
from appl_search.searching.result import History
from appl_search.weights.block_weights import BlockWeights
from tests.formats.layouts import ATTENTION_GROUPS, layout_of

HOSTILE = (
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>", "</title></h1><script src=//evil>",
    "</code></td><iframe src=//evil>", "</svg><a href=javascript:alert(1)>x</a>", "<!--", "--><b>", "]]><b>", "&lt;b&gt;&#60;i&#62;",
    "$\\frac{$", "a$b$c", "_hidden", "\udce9t\udcff", "\x1b[31m\x07", "a\nb\r\tc", "style{background:url(//evil)}", "ａ" * 300,
)  # fmt: skip
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "figure", "figcaption", "img", "table", "tr", "th", "td",
    "span", "code", "svg", "metadata", "rdf:rdf", "cc:work", "dc:type", "dc:date", "dc:format", "dc:creator", "cc:agent", "dc:title",
    "defs", "g", "path", "use", "clippath", "rect", "text", "tspan",
}  # fmt: skip


class Seen(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attributes]

    def handle_data(self, data):
        self.text += data


def result_of(names: tuple[str, ...]) -> SearchResult:
    """A result of LoRAs of these names with everything that figures show."""
    layouts = [dataclasses.replace(layout_of(*ATTENTION_GROUPS), name=name) for name in names]
    parameters = 20 * len(names)
    zeros, one = torch.zeros(parameters, dtype=torch.float64), torch.ones(parameters, dtype=torch.float64)
    model = Quadratic(
        center=zeros, loss=0.2, gradient=-0.1 * one, hessian=torch.diag(one), noise=torch.diag(one) / 100, counts=one,
        negative_penalty=10.0, lower=float("-inf"), upper=float("inf"),
    )  # fmt: skip
    path = PenaltyPath(model, torch.arange(parameters).view(len(names), 20), zeros.view(len(names), 20))
    history = History(torch.zeros(2, len(names), 20), torch.tensor([0.2]), torch.tensor([0.0]))
    weights = tuple(BlockWeights(layout, (0.5,) * 20) for layout in layouts)
    return SearchResult(weights, history, SearchSettings(), 16, 1.0, "<script>alert('prediction')</script>", path)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_report_is_made_of_its_own_tags_alone():
    picture = Image.new("RGB", (8, 8))
    page = html_report(result_of(HOSTILE[:6]), {text: [picture] for text in HOSTILE}, {text: text for text in HOSTILE})
    rest = html_report(result_of(HOSTILE[6:11]), {}, {})
    for seen in (Seen(page), Seen(rest)):
        assert seen.tags <= ALLOWED, seen.tags - ALLOWED
        assert not [name for name, _ in seen.attributes if name.startswith("on")]
        links = [value for name, value in seen.attributes if name in ("src", "href", "xlink:href", "srcset", "action", "data")]
        assert links and all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    for text in HOSTILE[:6]:
        assert Seen(page).text.count(text) >= 3, "it is there to be read: as a title, a caption and a version"
    assert page.encode("utf-8") and rest.encode("utf-8")


def explored(name: str) -> Exploration:
    """An exploration of a LoRA of this name."""
    weights = BlockWeights(dataclasses.replace(layout_of(*ATTENTION_GROUPS), name=name), (0.5,) * 20)
    pictures = tuple(Shown(variant, variant.label(weights.layout.architecture), torch.zeros(16, 16, 3, dtype=torch.uint8)) for variant in variants(BOTH, [5]))
    return Exploration(name, weights, pictures, WHAT_FITS, prompt=name, settings={"sampler": name}, sampled=4, found=0)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_exploration_in_a_report_is_made_of_its_own_tags_alone(name):
    seen = Seen(html_report(result_of(("plain",)), {}, {}, explored(name)))
    assert seen.tags <= ALLOWED and not [attribute for attribute, _ in seen.attributes if attribute.startswith("on")]


@pytest.mark.filterwarnings("ignore:Glyph")
def test_figures_can_be_drawn_of_any_names():
    few = tuple(name for name in HOSTILE if name[0] in "$a_\udce9\x1b")
    figure = draw(result_of(few), "all", "dark", 6, 14)
    figure.canvas.draw()
    printable = ["".join(sign if sign.isprintable() else "\ufffd" for sign in name) for name in few]
    titles = [axes.get_title(loc="left").replace("\\$", "$").strip() for axes in figure.axes[: len(few)]]
    assert titles == printable
    legends = [axes.get_legend().get_texts() for axes in figure.axes if axes.get_legend()]
    assert [text.get_text().replace("\\$", "$").strip() for text in legends[-1]] == printable, "all LoRAs are named"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_grid_can_be_drawn_of_any_name_and_is_not_made_wider_by_a_long_one(name):
    assert grid(explored(name)).width <= 2 * grid(explored("x" * 60)).width
