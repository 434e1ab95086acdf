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


def pixels(comfy: ComfyPage, top: float, bottom: float) -> int:
    """How many pixels of the chart, between two shares of its height, have a colour of the data."""
    return comfy.js(
        """(() => {
            const canvas = document.querySelector('.appl-search canvas');
            const [from, to] = argument.map((share) => Math.round(share * canvas.height));
            const { data } = canvas.getContext('2d').getImageData(0, from, canvas.width, to - from);
            let found = 0;
            for (let i = 0; i < data.length; i += 4) {
                const [red, green, blue, alpha] = data.subarray(i, i + 4);
                if (alpha > 128 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) found++;
            }
            return found;
        })()""",
        [top, bottom],
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
    """The parts of the panel that are not inside it."""
    return comfy.js(
        """(() => {
            const panel = document.querySelector('.appl-search').getBoundingClientRect();
            return [...document.querySelectorAll('.appl-search *')].filter((one) => {
                const box = one.getBoundingClientRect();
                return box.width && (box.right > panel.right + 1 || box.bottom > panel.bottom + 1);
            }).map((one) => one.className || one.tagName);
        })()"""
    )
