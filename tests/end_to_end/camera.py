"""Pictures of graphs and of single nodes on ComfyUI's page, with nothing else on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tests.end_to_end.chromium import ComfyPage

ONLY_THE_GRAPH = """
    body { visibility: hidden !important }
    #graph-canvas, .dom-widget, .dom-widget :not([hidden]), .lg-node, .lg-node * { visibility: visible }
"""
AROUND = (16, 34, 16, 16)  # pixels of a picture on the left, above (the badges of nodes), on the right and below
AWAY = 100_000  # pixels down to where nodes go that are not to be seen


@contextmanager
def clear_view(comfy: ComfyPage) -> Iterator[None]:
    """Nothing in the window but the graph, until the end of the block."""
    size, links = comfy.page.viewport_size, comfy.js("app.canvas.links_render_mode")
    comfy.js("app.extensionManager.command.execute('Workspace.ToggleFocusMode')")
    comfy.js("(app.canvas.show_info = false, app.canvas.deselectAll?.(), null)")
    style = comfy.page.add_style_tag(content=ONLY_THE_GRAPH)
    try:
        yield
    finally:
        style.evaluate("(one) => one.remove()")
        comfy.js("(app.canvas.show_info = true, app.canvas.links_render_mode = argument, null)", links)
        comfy.js("app.extensionManager.command.execute('Workspace.ToggleFocusMode')")
        comfy.page.set_viewport_size(size)


def show_nothing_but(comfy: ComfyPage, titles: Sequence[str]) -> None:
    """These nodes, by title or type, where they are, without links and groups."""
    comfy.js(
        """(() => {
            const [titles, away] = argument;
            app.canvas.links_render_mode = LiteGraph.HIDDEN_LINK;
            [...app.graph.groups].forEach((one) => app.graph.remove(one));
            for (const one of app.graph.nodes) {
                const [x, y] = one.pos;
                const shown = titles.includes(one.title) || titles.includes(one.type);
                one.pos = [x, (y % away) + (shown ? 0 : away)];
            }
        })()""",
        [list(titles), AWAY],
    )


def take_picture(comfy: ComfyPage, path: Path, width: int | None = None, quality: int = 85) -> None:
    """A JPEG of all that is shown, at 100 % or ``width`` pixels wide."""
    left, top, across, down = comfy.js(
        """(() => {
            const [around, away] = argument;
            const title = LiteGraph.NODE_TITLE_HEIGHT;
            const boxes = app.graph.nodes.filter((one) => one.pos[1] < away / 2)
                .map(({ pos: [x, y], size: [w, h] }) => [x, y - title, w, h + title]);
            boxes.push(...app.graph.groups.map((one) => [...one.pos, ...one.size]));
            const from = [0, 1].map((i) => Math.min(...boxes.map((box) => box[i])) - around[i]);
            const to = [0, 1].map((i) => Math.max(...boxes.map((box) => box[i] + box[i + 2])) + around[i + 2]);
            return [...from, to[0] - from[0], to[1] - from[1]];
        })()""",
        [AROUND, AWAY],
    )
    zoom = 1.0 if width is None else width / across
    comfy.page.set_viewport_size({"width": round(across * zoom), "height": round(down * zoom)})
    comfy.settle()
    comfy.look_from(left, top, zoom)
    comfy.page.mouse.move(1, 1)
    comfy.settle()
    comfy.page.wait_for_function("app.canvas.visible_nodes.every((one) => !one.images?.length || one.imgs?.length)")
    comfy.settle()
    comfy.page.screenshot(path=str(path), type="jpeg", quality=quality)


def check(path: Path) -> None:
    """A picture of something: many colours, and a size that a repository can bear."""
    assert path.stat().st_size < 400_000
    assert len(Image.open(path).convert("RGB").resize((200, 200)).getcolors(200 * 200)) > 100


def help_picture(page: ComfyPage, pictures: Path, node: str, titles: Sequence[str]) -> None:
    """A help page's picture of a node: of the nodes with these titles or types."""
    path = pictures / "web" / "docs" / "images" / f"{node}.jpg"
    show_nothing_but(page, titles)
    take_picture(page, path)
    check(path)
