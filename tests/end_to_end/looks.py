"""How the page looks: what can be measured of it."""

from __future__ import annotations

from tests.end_to_end.chromium import ComfyPage


def overlapping(comfy: ComfyPage) -> list[list[str]]:
    """Pairs of nodes that lie on one another, by their titles."""
    return comfy.js(
        """(() => {
            const nodes = app.graph.nodes.map((one) => [one.title, [...one.getBounding()]]);
            const apart = ([x, y, w, h], [X, Y, W, H]) => x + w <= X || X + W <= x || y + h <= Y || Y + H <= y;
            return nodes.flatMap(([title, box], i) => nodes.slice(i + 1).filter(([, other]) => !apart(box, other))
                .map(([other]) => [title, other]));
        })()"""
    )


BARS, LOSS = ".appl-search-bars", ".appl-search-loss"  # figures of the panel


def pixels(comfy: ComfyPage, figure: str) -> int:
    """How many pixels of a figure have a colour of the data."""
    return comfy.js(
        """(() => {
            const canvas = document.querySelector(`${argument} canvas`);
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            let found = 0;
            for (let i = 0; i < data.length; i += 4) {
                const [red, green, blue, alpha] = data.subarray(i, i + 4);
                if (alpha > 128 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) found++;
            }
            return found;
        })()""",
        figure,
    )


def contrast(comfy: ComfyPage) -> float:
    """Of the panel's text, as WCAG defines it."""
    return comfy.js(
        """(() => {
            const style = getComputedStyle(document.querySelector('.appl-search'));
            const light = (color) => color.match(/[\\d.]+/g).slice(0, 3)
                .map((part) => (Number(part) / 255) ** 2.2)
                .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0.05);
            const both = [light(style.color), light(style.backgroundColor)];
            return Math.max(...both) / Math.min(...both);
        })()"""
    )


def sticking_out(comfy: ComfyPage) -> list[str]:
    """The parts of the panel that are not inside it; pictures are cut out of a sheet."""
    return comfy.js(
        """(() => {
            const panel = document.querySelector('.appl-search').getBoundingClientRect();
            return [...document.querySelectorAll('.appl-search *')].filter((one) => {
                const box = one.getBoundingClientRect();
                return one.checkVisibility() && !one.matches('.appl-search-picture img') && box.width && (box.right > panel.right + 1 || box.bottom > panel.bottom + 1);
            }).map((one) => one.className || one.tagName);
        })()"""
    )


def box_of_the_node(comfy: ComfyPage) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the search node in the window, with its title and whatever hangs below it."""
    return tuple(
        comfy.js(
            """(() => {
                const drawn = document.querySelector('.appl-search').closest('.lg-node')?.getBoundingClientRect();
                if (drawn) return [drawn.left, drawn.top, drawn.right, drawn.bottom];
                const [x, y, width, height] = node.getBounding();
                const { scale, offset } = app.canvas.ds;
                const canvas = app.canvas.canvas.getBoundingClientRect();
                const at = (place, i) => (place + offset[i]) * scale + [canvas.left, canvas.top][i];
                return [at(x, 0), at(y, 1), at(x + width, 0), at(y + height, 1)];
            })()"""
        )
    )


def hidden_below(comfy: ComfyPage) -> list[str]:
    """The parts of the panel that do not show all that is in them; pictures are cut out of a sheet."""
    return comfy.js(
        """[...document.querySelectorAll('.appl-search, .appl-search *')]
            .filter((one) => one.checkVisibility() && one.clientHeight && !one.matches('textarea, select, .appl-search-picture *'))
            .filter((one) => one.scrollHeight > one.clientHeight + 1 && getComputedStyle(one).overflowY !== 'visible')
            .map((one) => one.className || one.tagName)"""
    )
