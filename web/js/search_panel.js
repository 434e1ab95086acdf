/** Puts the panel into ComfyUI's search nodes and tells it what the server says. */

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { addBefore, changing, idOf, isConnected, nodeOf, set, widgetOf } from "../../../api/appl_search/web/lib/graph.mjs";
import { make } from "../../../api/appl_search/web/lib/dom.mjs";
import { putIntoLoaders } from "../../../api/appl_search/web/panel/inspire.mjs";
import { Panel } from "../../../api/appl_search/web/panel/panel.mjs";
import { ended, Store } from "../../../api/appl_search/web/panel/store.mjs";
import { loadWords, t } from "../../../api/appl_search/web/lib/words.mjs";

const NODE = "ApplSearchRun";
const PREVIEWS = "ApplSearchPreviews";
const PROPERTY = "appl_search_result"; // the file of the last search: all that a workflow keeps of it
const OPEN = "appl_search_expert"; // whether the figures for experts are open; a property of nodes, and what new ones have
const SET_BY_PANEL = ["chosen_penalty", "pinned"]; // widgets that only experts see
const MARGIN = 6; // around the elements of ComfyUI's canvas
const WIDTH = 440;
const LEAST_WIDTH = 320;
const ZOOM_CHECK = 200; // milliseconds
const SETTLED = 100; // milliseconds until the page has drawn a graph that it loads

const store = new Store();
/** @type {Map<object, Panel>} by node, as long as the node is there */
const panels = new Map();
/** @type {Map<object, number>} the height that a node got from its panel; its user may have made it larger since */
const fitted = new Map();
/** @type {Map<string, Element>} panels of nodes that have just gone, by the node's id */
const leftovers = new Map();
/** @type {Map<string, Promise<import("../../../api/appl_search/web/panel/store.mjs").Search>>} by file */
const saved = new Map();

async function fetchJson(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await api.fetchApi(`/appl_search/${path}`, options);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error ?? answer.statusText);
  return found;
}

function toast(severity, detail, life) {
  app.extensionManager?.toast?.add?.({ severity, summary: t("Block weight search"), detail, life });
}

function failed(error) {
  console.warn("Block weight search:", error);
  toast("error", error.message, 8000);
}

const rootGraph = () => app.rootGraph ?? app.graph;

const isOfOpenWorkflow = ({ workflow }) => !workflow || !rootGraph()?.id || workflow === rootGraph().id;

/** @returns {import("../../../api/appl_search/web/panel/panel.mjs").Settings} */
function settingsOf(node) {
  const chosen = Number(widgetOf(node, "chosen_penalty")?.value ?? -1);
  return { chosen: chosen >= 0 ? chosen : null, pinned: widgetOf(node, "pinned")?.value ?? null, previews: isConnected(node, "previews") };
}

function show(node, search) {
  panels.get(node)?.show(search, settingsOf(node));
}

/** Shows the same search after a change of the node. */
function refresh(node) {
  const panel = panels.get(node);
  if (panel) show(node, panel.search);
}

/** Makes room for the panel. A node that its user made larger stays as it is, one that was as small as can be follows. */
function fit(node, panel) {
  panel.element.style.minHeight = `${panel.leastHeight}px`;
  const [width, height] = node.size;
  const least = node.computeSize()[1];
  const follows = height <= Math.max(least, fitted.get(node) ?? 0) + 1;
  const wanted = follows ? least : height;
  if (width < LEAST_WIDTH || height !== wanted) node.setSize([Math.max(width, LEAST_WIDTH), wanted]);
  fitted.set(node, least);
  // Nodes 2.0 makes it as high as it needs to be, which may be more.
  if (follows) setTimeout(() => fitted.has(node) && fitted.set(node, Math.max(least, node.size[1])), SETTLED);
  node.setDirtyCanvas?.(true, true);
}

/** What only the panel sets is to be seen with the figures for experts, or where another node sets it. */
function showWidgets(node, open) {
  for (const widget of SET_BY_PANEL.map((name) => widgetOf(node, name)).filter(Boolean)) {
    widget.hidden = widget.options.hidden = !open && !isConnected(node, widget.name);
  }
  node.widgets.push(node.widgets.pop()); // Nodes 2.0 looks at the options of widgets when the list of them changes
}

function fold(node, open) {
  node.properties[OPEN] = open;
  localStorage.setItem(OPEN, String(open));
  showWidgets(node, open);
}

/** Shows what changed, where it can be seen. @param {import("../../../api/appl_search/web/panel/store.mjs").Entry|null} entry */
function showEntry(entry) {
  if (!entry || !isOfOpenWorkflow(entry)) return;
  const node = nodeOf(rootGraph(), entry.node);
  if (!node || !panels.has(node)) return;
  if (entry.search?.file) node.properties[PROPERTY] = entry.search.file;
  show(node, entry.search);
}

/** Fills the panel of a node that has just come up: from this page's memory, else from the file that its workflow names. */
async function restore(node) {
  const heard = store.entries().reverse().find((entry) => entry.search && isOfOpenWorkflow(entry) && nodeOf(rootGraph(), entry.node) === node);
  if (heard) return showEntry(heard);
  const file = node.properties?.[PROPERTY];
  if (!file) return show(node, null);
  if (!saved.has(file)) saved.set(file, fetchJson(`state?file=${encodeURIComponent(file)}`).then((state) => ended(state)));
  try {
    show(node, await saved.get(file));
  } catch (error) {
    // Not an error of this page: the workflow comes from another machine, or the file was deleted.
    console.info(`Block weight search: ${error.message}`);
    saved.delete(file);
    show(node, null);
  }
}

/** Asks for searches that run already: this page was loaded, or lost its connection, in the middle of one. */
async function catchUp() {
  const running = await fetchJson("running");
  for (const entry of store.keepOnly(running)) showEntry(entry);
  for (const message of running) showEntry(store.receive(message));
}

function choose(node, penalty, search) {
  // Not by `set`: the widget's own callback would round the penalty to the widget's step.
  widgetOf(node, "chosen_penalty").value = penalty ?? -1;
  node.setDirtyCanvas?.(true, true);
  if (penalty === null) return;
  // The next run must be of the same search: its seed, and no new one after it.
  if (Number.isSafeInteger(search?.seed)) set(app, node, "seed", search.seed);
  set(app, node, "control_after_generate", "fixed");
}

async function save(asked) {
  const { text } = await fetchJson("bake", asked);
  await app.refreshComboInNodes?.(); // loaders have the new files at once
  toast("success", text.join("\n"), 15_000);
}

/** Of the search, also where single strengths are shown instead. */
function reportAddress({ file, penalty }) {
  const asked = Object.entries({ result: file, penalty }).filter(([, value]) => value !== null);
  return api.apiURL(`/appl_search/report?${new URLSearchParams(asked)}`);
}

function addPanel(node) {
  const panel = new Panel({
    finish: async () => {
      const { finishing } = await fetchJson("finish", { node_id: idOf(node, rootGraph()) });
      if (!finishing) throw new Error(t("This search is not running any more."));
    },
    choose: (penalty) => changing(app, () => choose(node, penalty, panel.search)),
    strings: (loras) => fetchJson("strings", { loras: loras.map(({ strings, ...lora }) => lora) }),
    address: ({ filename, subfolder, type }) => api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`),
    report: reportAddress,
    save: (asked) => save(asked).catch(failed),
    inspire: (vectors) => changing(app, () => putIntoLoaders(app, rootGraph(), vectors)),
    addPreviews: () => addBefore(app, window.LiteGraph, node, PREVIEWS, "previews", "previews"),
    pins: (question) => fetchJson("pins", question),
    pin: (text) => {
      changing(app, () => set(app, node, "pinned", text));
      refresh(node);
    },
    searchOn: () => app.queuePrompt(0),
    folded: (open) => fold(node, open),
    resized: () => fit(node, panel),
    told: (text) => toast("success", text, 6000),
    failed,
  });
  panels.set(node, panel);
  const widget = node.addDOMWidget("block_weights_panel", "APPL_SEARCH_PANEL", panel.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => panel.leastHeight + 2 * MARGIN,
    margin: MARGIN,
  });
  widget.serialize = false;
  showWidgets(node, localStorage.getItem(OPEN) === "true");
  node.setSize([Math.max(node.size[0], WIDTH), node.size[1]]);
  fit(node, panel);
  const { onRemoved, onConnectionsChange } = node;
  node.onConnectionsChange = function (...rest) {
    onConnectionsChange?.apply(this, rest);
    refresh(node);
  };
  node.onRemoved = function (...rest) {
    panels.delete(node);
    fitted.delete(node);
    panel.destroy();
    keepForAMoment(String(node.id), panel.element);
    return onRemoved?.apply(this, rest);
  };
  // Only then has the node its place in the graph, and the properties and sizes of its workflow.
  setTimeout(() => {
    if (!panels.has(node)) return;
    const open = node.properties[OPEN] ?? localStorage.getItem(OPEN) === "true";
    showWidgets(node, open);
    panel.open = open;
    takePlace(node, panel.element);
    restore(node);
  }, SETTLED);
}

function keepForAMoment(id, element) {
  leftovers.set(id, element);
  setTimeout(() => leftovers.get(id) === element && leftovers.delete(id), 10 * SETTLED);
}

/** Nodes 2.0 goes on showing the old panel when a node goes and one of the same id comes at once: undo, a change of workflow. */
function takePlace(node, element) {
  const old = leftovers.get(String(node.id));
  if (old?.isConnected && !element.isConnected) old.replaceWith(element);
}

/** Charts are pictures: they must be drawn anew in another theme and at another zoom, of which nobody tells. */
function redrawOnChanges() {
  const redraw = () => panels.forEach((panel) => panel.redraw());
  const looks = { attributes: true, attributeFilter: ["class", "style"] };
  const themes = new MutationObserver(redraw);
  themes.observe(document.documentElement, looks);
  themes.observe(document.body, looks);
  let zoom = 0;
  setInterval(() => {
    const now = app.canvas?.ds?.scale ?? 1;
    if (now !== zoom) redraw();
    zoom = now;
  }, ZOOM_CHECK);
}

app.registerExtension({
  name: "appl_search.panel",
  async init() {
    // Before any node is there: what nodes say is made with them.
    await loadWords(app.extensionManager?.setting?.get("Comfy.Locale"));
  },
  setup() {
    document.head.append(make("link", { rel: "stylesheet", href: new URL("../css/panel.css", import.meta.url).href }));
    api.addEventListener("appl_search.progress", ({ detail }) => {
      const entry = store.receive(detail);
      if (entry) showEntry(entry);
      else if (detail.kind === "step") catchUp().catch(failed);
    });
    api.addEventListener("executed", ({ detail }) => {
      const state = detail.output?.appl_search?.[0];
      if (state) showEntry(store.finished(String(detail.display_node ?? detail.node), detail.prompt_id, state, rootGraph()?.id ?? null));
    });
    redrawOnChanges();
    api.addEventListener("reconnected", () => catchUp().catch(failed));
    catchUp().catch(failed);
  },
  nodeCreated(node) {
    if (node.comfyClass === NODE) addPanel(node);
  },
});
