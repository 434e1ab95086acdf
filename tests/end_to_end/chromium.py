"""Finds a Chromium on this machine, and opens ComfyUI's page in it."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.end_to_end.comfy_server import ComfyServer

#: The first is the one without windows, which takes less.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--in-process-gpu",
)  # fmt: skip
VUE_NODES = "Comfy.VueNodes.Enabled"
RENDERERS = ("canvas", "nodes2")
SEARCH = "ApplSearchRun"
PANEL = ".appl-search"
PATIENCE = 120.0  # seconds for a short search on a slow machine
START_SECONDS = 180.0
POLL_MILLISECONDS = 200
WINDOW = {"width": 1400, "height": 1400}
NOWHERE = (900, 1390)  # in the window, where nothing shows a tooltip
#: The page's settings at the beginning of each test. The first one keeps its template browser closed.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.ColorPalette": "dark", "Comfy.Locale": "en"}
IS_CONNECTED = """() => {
    const node = app.graph.nodes.find((one) => one.type === 'ApplSearchRun');
    return node?.widgets.find((one) => one.name === 'block_weights_panel')?.element.isConnected;
}"""
#: Errors that are ComfyUI's own: files that it misses, models of its default workflow that it asks for elsewhere, and what 0.3.64 says
#: whenever another graph is opened.
OF_COMFYUI = ("404", "huggingface.co", "Attempted to cleanup event listeners for graph that was never set up")
#: ComfyUI has work for every frame, also when nothing has changed, and the browser draws the page for each. So frames that it asks for
#: come seldom; `window.nextFrame()` brings those that wait at once, and is there when they are drawn.
FRAMES_PER_SECOND = 4
SLOW_SCREEN = f"""
    const soon = window.requestAnimationFrame.bind(window);
    const waiting = new Map();
    let last = 0;
    window.requestAnimationFrame = (draw) => (waiting.set(++last, draw), last);
    window.cancelAnimationFrame = (one) => waiting.delete(one);
    const drawAll = () => {{
        [...waiting.values()].forEach((draw) => soon(draw));
        waiting.clear();
    }};
    window.nextFrame = () => new Promise((done) => (drawAll(), soon(done)));
    setInterval(drawAll, {1000 // FRAMES_PER_SECOND});
"""
COUNT_LISTENERS = """
    window.listenersAdded = {};
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (type, ...rest) {
        window.listenersAdded[type] = (window.listenersAdded[type] ?? 0) + 1;
        return add.call(this, type, ...rest);
    };
"""


def with_its_place(error: Any) -> str:
    """What an uncaught error of the page says, and the line of a file that it comes from."""
    places = [line.strip() for line in (error.stack or "").splitlines() if "http" in line]
    return " ".join([str(error), *places[:1]])


class ChromiumNotFound(Exception):
    """There is no browser to test with; the message says where it was looked for."""


def find_chromium() -> str:
    """By CHROMIUM_PATH, else on the PATH."""
    named = os.environ.get("CHROMIUM_PATH")
    for name in [named] if named else NAMES:
        if path := shutil.which(name):
            return path
    where = f"at CHROMIUM_PATH, {named}" if named else f"on the PATH ({', '.join(NAMES)})"
    raise ChromiumNotFound(f"There is no Chromium {where}. Install one, or set CHROMIUM_PATH.")


@dataclass
class ComfyPage:
    """ComfyUI's page in a browser tab.

    ``errors``: what went wrong in it, but for OF_COMFYUI, and for what it says already when it opens, before there is a
    node of this pack (0.3.64: "Cannot read properties of undefined" in its settings).
    """

    page: Any
    renderer: str
    errors: list[str] = field(default_factory=list)
    said_on_opening: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, context: Any, server: ComfyServer, renderer: str) -> ComfyPage:
        """``renderer``: "canvas" or "nodes2"; :meth:`has_nodes2` says whether the host has the second."""
        server.post_json("/settings", {**SETTINGS, VUE_NODES: renderer == "nodes2"})
        comfy = cls(context.new_page(), renderer)
        comfy.page.set_default_timeout(START_SECONDS * 1000)
        comfy.page.add_init_script(COUNT_LISTENERS)
        comfy.page.add_init_script(SLOW_SCREEN)
        comfy.page.on("pageerror", lambda error: comfy._note(with_its_place(error)))
        comfy.page.on("console", comfy._listen)
        comfy.page.goto(f"http://{server.address}/", wait_until="domcontentloaded")
        comfy.wait_until_ready()
        comfy.page.wait_for_load_state("networkidle")
        comfy.said_on_opening = set(comfy.errors)
        comfy.errors.clear()
        return comfy

    def put_back(self) -> None:
        """As after opening: the same settings, one window, one workflow, no errors."""
        for other in self.page.context.pages:
            if other != self.page:
                other.close()
        self.page.bring_to_front()  # browsers draw no other
        self.page.mouse.move(*NOWHERE)
        self.js("Object.keys(localStorage).filter((key) => key.startsWith('appl_search')).forEach((key) => localStorage.removeItem(key))")
        settings = SETTINGS if not self.has_nodes2() else {**SETTINGS, VUE_NODES: self.renderer == "nodes2"}
        changed = [name for name, value in settings.items() if self.setting(name) != value]
        for name in changed:
            self.set(name, settings[name])
        if "Comfy.Locale" in changed:
            self.reload()
        self.js(
            """(async () => {
                const { workflow } = app.extensionManager;
                for (const one of [...workflow.openWorkflows])
                    if (one.path !== workflow.activeWorkflow.path) await workflow.closeWorkflow(one);
            })()"""
        )
        self.errors.clear()

    def _listen(self, message: Any) -> None:
        if message.type == "error" and not any(known in message.text for known in OF_COMFYUI):
            self._note(message.text)

    def _note(self, error: str) -> None:
        if error not in self.said_on_opening:
            self.errors.append(error)

    def wait_until_ready(self) -> None:
        """Until the page has its first workflow: the last one of a page that was here before, or an empty one."""
        self.page.wait_for_function(
            "window.app?.graph && window.app.extensionManager?.workflow?.activeWorkflow?.changeTracker",
            timeout=START_SECONDS * 1000,
        )
        self.settle()

    def reload(self) -> None:
        self.page.reload(wait_until="domcontentloaded")
        self.wait_until_ready()

    def has_nodes2(self) -> bool:
        """Whether users can switch to Nodes 2.0; at first it was a hidden setting and showed no widget of a pack."""
        kind = self.js(f"app.ui.settings.settingsLookup?.['{VUE_NODES}']?.type")
        return kind is not None and kind != "hidden"

    def js(self, expression: str, argument: Any = None) -> Any:
        """The value of an expression in the page; ``node`` is the search node, ``argument`` the argument."""
        find = f"const node = app.graph.nodes.find((one) => one.type === '{SEARCH}');"
        return self.page.evaluate(f"(argument) => {{ {find} return {expression}; }}", argument)

    def setting(self, name: str) -> Any:
        return self.js("app.extensionManager.setting.get(argument)", name)

    def refresh_lists(self) -> None:
        """The page asks again which files there are to choose. It keeps no promise of that for long enough to wait for it."""
        self.js("(window.refreshed = false, app.refreshComboInNodes().then(() => (window.refreshed = true)), null)")
        self.page.wait_for_function("window.refreshed")

    def settle(self) -> None:
        """Until the page has drawn what changed: some frames, and the moment in which panels find their place."""
        self.page.evaluate(
            """async () => {
                for (let frames = 0; frames < 3; frames++) await window.nextFrame();
                await new Promise((done) => setTimeout(done, 120));
            }"""
        )

    def set(self, setting: str, value: Any) -> None:
        self.js("app.extensionManager.setting.set(argument[0], argument[1])", [setting, value])

    def load(self, workflow: dict[str, Any]) -> None:
        """Opens a workflow and waits for its panel."""
        self.load_without_search(workflow)
        self.wait_for_panel()
        self.look_at()

    def wait_for_panel(self) -> None:
        """Until the search node of the open workflow shows its panel."""
        self.page.wait_for_function(IS_CONNECTED)
        self.settle()

    def load_without_search(self, workflow: dict[str, Any]) -> None:
        self.js("app.loadGraphData(argument)", workflow)
        self.settle()

    def look_at(self, kind: str = SEARCH, zoom: float = 1.0) -> None:
        """Brings the first node of a type to the upper left of the window."""
        x, y = self.js("[...app.graph.nodes.find((one) => one.type === argument).pos]", kind)
        self.look_from(x - 120 / zoom, y - 100 / zoom, zoom)
        self.settle()

    def look_from(self, x: float, y: float, zoom: float) -> None:
        """Brings a place of the graph to the window's upper left corner."""
        self.js("(Object.assign(app.canvas.ds, argument), app.canvas.setDirty(true, true))", {"scale": zoom, "offset": [-x, -y]})

    def listeners(self, event: str) -> int:
        """How many listeners of a type were ever added since the page was loaded."""
        return self.js("window.listenersAdded[argument] ?? 0", event)

    def widgets(self) -> dict[str, Any]:
        return self.js("Object.fromEntries(node.widgets.map((one) => [one.name, one.value]))")

    def set_widget(self, name: str, value: Any) -> None:
        self.js("node.widgets.find((one) => one.name === argument[0]).value = argument[1]", [name, value])

    def queue(self) -> None:
        self.js("app.queuePrompt(0)")

    def queue_and_wait(self) -> None:
        """Until the run has ended well: a panel may show an earlier search of its node until the first news of this one."""
        self.js("(window.ended = false, app.api.addEventListener('execution_success', () => (window.ended = true), { once: true }), null)")
        self.queue()
        self.page.wait_for_function("window.ended", timeout=PATIENCE * 1000)

    def status(self, panel: int = 0) -> str:
        """A panel's first line, and the numbers beside its expert figures."""
        parts = self.page.locator(PANEL).nth(panel).locator("[role=status], .appl-search-numbers").all_text_contents()
        return " · ".join(filter(None, parts))

    def wait_for_status(self, *parts: str, seconds: float = PATIENCE, panel: int = 0) -> str:
        """Waits until a panel's :meth:`status` holds all of these."""
        deadline = time.monotonic() + seconds
        while not all(part in (found := self.status(panel)) for part in parts):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The panel says {found!r} after {seconds:g} s, expected {parts}.")
            self.page.wait_for_timeout(POLL_MILLISECONDS)
        return found

    def wait_for_string(self, panel: int = 0, other_than: str = "") -> str:
        """A panel's string, as soon as there is one."""
        self.page.wait_for_function(
            f"([panel, old]) => !['', old].includes(document.querySelectorAll('{PANEL} textarea')[panel].value)", arg=[panel, other_than]
        )
        return self.string(panel)

    def wait_until_kept(self, text: str) -> None:
        """Until the page has put a workflow with this text into the browser's storage, for the next visit."""
        self.js("app.extensionManager.workflow.activeWorkflow.changeTracker.checkState()")
        self.page.wait_for_function(
            "(text) => [localStorage, sessionStorage].some((kept) => Object.values({ ...kept }).some((value) => value.includes(text)))",
            arg=text,
        )

    def string(self, panel: int = 0) -> str:
        return self.page.locator(PANEL).nth(panel).locator("textarea").input_value()

    def open_tabs(self) -> list[str]:
        """The names on the tabs of workflows."""
        return [name.strip() for name in self.page.locator(".workflow-tab .workflow-label").all_inner_texts()]

    def go_to_tab(self, name: str) -> None:
        # The last one: the tab's popover, which says the same, comes before it.
        self.page.locator(".workflow-tab", has=self.page.get_by_text(name, exact=True)).last.click()
        self.wait_for_panel()

    def run_to_end(self, comfy: ComfyServer, seconds: float) -> dict[str, dict[str, Any]]:
        """Queues the open workflow and waits until the server is done with it; raises what a node raised.

        Returns the outputs of its nodes by their ids.
        """
        last = "/history?max_items=1"
        before = comfy.get_json(last)
        self.queue()
        deadline = time.monotonic() + seconds
        while not (new := (now := comfy.get_json(last)).keys() - before.keys()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The workflow has not ended after {seconds:g} s.")
            self.page.wait_for_timeout(POLL_MILLISECONDS)
        ended = now[new.pop()]
        status = ended["status"]
        if status["status_str"] != "success":
            raise AssertionError(f"The run ended as {status['status_str']}: {status['messages'][-1]}")
        self.page.wait_for_function("[...document.images].every((image) => image.complete)")
        self.settle()  # nodes find their sizes
        self.settle()
        return ended["outputs"]

    def heard_of(self, state: dict[str, Any]) -> None:
        """The page takes this for the end of a search of its search node, as it takes those of the server."""
        self.js(
            """app.api.dispatchEvent(new CustomEvent('executed', { detail: {
                node: String(node.id), display_node: String(node.id), prompt_id: 'heard', output: { appl_search: [argument] },
            } })) && null""",
            state,
        )
        self.settle()

    def state(self, comfy: ComfyServer) -> dict[str, Any]:
        """The search that the search node shows, as the server sends it."""
        return comfy.get_json(f"/appl_search/state?{urlencode({'file': self.js('node.properties.appl_search_result')})}")

    def unfold(self, panel: int = 0) -> None:
        """Opens a panel's figures for experts."""
        figures = self.page.locator(PANEL).nth(panel).locator("details")
        if figures.get_attribute("open") is None:
            figures.locator("summary").wait_for()  # the page shows a node that came into view with its next frame
            figures.locator("summary").press("Enter")
            self.settle()

    def button(self, name: str) -> Any:
        return self.page.locator(PANEL).get_by_role("button", name=name, exact=True)

    def shoot(self, folder: Path | None, name: str) -> None:
        """A screenshot, where somebody wants them."""
        if folder is not None:
            self.page.mouse.move(*NOWHERE)
            self.page.screenshot(path=str(folder / f"{name}.png"))
