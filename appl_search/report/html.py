"""A search's result as one HTML file that needs nothing else: figures, rates, settings, strings, pictures."""

from __future__ import annotations

import base64
import io
import platform
from collections.abc import Mapping, Sequence
from html import escape
from importlib import metadata

import torch
from PIL import Image

from ..comparing.comparison import Comparison
from ..exploring.exploration import Exploration
from ..loras.rules import BlockRules
from ..searching.result import SearchResult
from ..weights.block_weights import BlockWeights
from ..weights.formats import FORMATS, write
from .explored import HEAD, explored_words, grid, heading, rows
from .figures import draw, figures_of, height_of

#: What a browser may load and run for the page: nothing from elsewhere, and no script at all.
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #8884; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.9rem 0.15rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; } tr:nth-child(even) { background: #8881; }
img, svg { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; } .pictures figure { margin: 0; max-width: 420px; }
.figures { background: #fff; border-radius: 8px; padding: 0.5rem; }
code { font-size: 0.85rem; overflow-wrap: anywhere; white-space: pre-wrap; }
"""


def html_report(
    result: SearchResult,
    pictures: Mapping[str, Sequence[Image.Image]],
    versions: Mapping[str, str],
    exploration: Exploration | None = None,
) -> str:
    """The whole page. ``pictures``: by caption, for instance before and after; ``versions``: of the programs around it.

    ``exploration``: of the blocks of one of the LoRAs, for a section of its own.

    Names of files and everything else that is given are escaped.
    """
    names = ", ".join(weights.name for weights in result.block_weights)
    parts = [f"<h1>Block weights of {escape(names)}</h1>", f"<p>{escape(_how(result))}</p>"]
    if result.verdict is not None:
        parts.append(f"<p><strong>{escape(result.verdict.text)}</strong></p>{_comparison(result.comparison)}")
    if result.findings:
        parts.append(f"<h2>Which block does what</h2>{''.join(f'<p>{escape(each.text)}</p>' for each in result.findings)}")
    shown = [_picture(caption, image) for caption, images in pictures.items() for image in images]
    if shown:
        parts.append(f'<h2>Pictures</h2><div class="pictures">{"".join(shown)}</div>')
    parts.append(f'<h2>Figures</h2><div class="figures">{"".join(_figures(result))}</div>')
    for weights, rules in zip(result.block_weights, result.rules):
        parts += [f"<h2>{escape(weights.name)}</h2>", _rates(weights, rules), "<h3>For other programs</h3>", _strings(weights)]
    if exploration is not None:
        parts.append(_explored(exploration))
    settings = {**result.settings.to_dict(), "prediction": result.prediction}
    parts += ["<h2>Settings</h2>", _table(settings), "<h2>Versions</h2>", _table({**_versions(), **versions})]
    body = "\n".join(parts)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}"><title>Block weights of {escape(names)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    return page.encode("utf-8", "replace").decode()  # file names may have bytes that no text has


def _how(result: SearchResult) -> str:
    return (
        f"{result.settings.method}, {result.samples} samples in {len(result.history.loss)} steps and {result.seconds:.0f} s, "
        f"penalty {result.settings.penalty:g}, seed {result.settings.seed}."
    )


def _comparison(comparison: Comparison) -> str:
    rows = "".join(
        f'<tr><th>{escape(candidate.name)}</th><td class="number">{loss:.5f}</td><td>{f"{above:+.5f} ± {error:.5f}" if number else ""}</td></tr>'
        for number, (candidate, loss, above, error) in enumerate(
            zip(comparison.candidates, comparison.losses.tolist(), comparison.difference[:, 0].tolist(), comparison.error[:, 0].tolist())
        )
    )
    return f"<table><tr><th></th><th>loss</th><th>above what was found</th></tr>{rows}</table>"


def _figures(result: SearchResult) -> list[str]:
    drawn = []
    for name in figures_of(result):
        file = io.StringIO()
        draw(result, name, "light", 8.6, height_of(result, name)).savefig(file, format="svg")
        drawn.append(f"<figure>{file.getvalue()[file.getvalue().index('<svg') :]}</figure>")
    return drawn


def _picture(caption: str, image: Image.Image) -> str:
    file = io.BytesIO()
    image.convert("RGB").save(file, format="JPEG", quality=90)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _explored(exploration: Exploration) -> str:
    """A section with the grid of pictures, and a table for each kind of them."""
    parts = [f"<h2>What each block of {escape(exploration.name)} does</h2>", f"<p>{escape(explored_words(exploration))}</p>"]
    parts.append(_picture(f"Pictures with blocks of {exploration.name} off or alone, and where they differ", grid(exploration)))
    head = "".join(f"<th>{escape(name)}</th>" for name in HEAD)
    for kind in exploration.kinds:
        lines = [f'<th>{escape(name)}</th>{"".join(f"""<td class="number">{escape(number)}</td>""" for number in numbers)}' for name, *numbers in rows(exploration, kind)]
        parts.append(f"<h3>{escape(heading(exploration, kind))}</h3><table><tr>{head}</tr><tr>{'</tr><tr>'.join(lines)}</tr></table>")
    return "".join(parts)


def _rates(weights: BlockWeights, rules: BlockRules) -> str:
    rows = []
    for block, (name, value, error, there) in enumerate(zip(weights.blocks, weights.values, weights.stderr, weights.present)):
        rate, spread = (f"{value:.3f}", f"± {error:.3f}" if error == error else "") if there else ("-", "no keys")
        note = rules.note(block) if there else ""
        rows.append(f'<tr><th>{escape(name)}</th><td class="number">{rate}</td><td>{spread}</td><td>{note}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


def _strings(weights: BlockWeights) -> str:
    return _table({format.label: write(weights, name) for name, format in FORMATS.items()}, code=True)


def _table(values: Mapping[str, object], code: bool = False) -> str:
    tag = "code" if code else "span"
    rows = (f"<tr><th>{escape(name)}</th><td><{tag}>{escape(str(value))}</{tag}></td></tr>" for name, value in values.items())
    return f"<table>{''.join(rows)}</table>"


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__, "matplotlib": metadata.version("matplotlib")}
