/** Puts the panel into ComfyUI's search nodes and tells it what the server says. */

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { make } from "../../../api/appl_search/web/lib/dom.mjs";
import { Panel } from "../../../api/appl_search/web/panel/panel.mjs";
import { ended, Store } from "../../../api/appl_search/web/panel/store.mjs";
import { loadWords, t } from "../../../api/appl_search/web/lib/words.mjs";

const NODE = "ApplSearchRun";
const PROPERTY = "appl_search_result"; // the file of the last search: all that a workflow keeps of it
const MARGIN = 10; // ComfyUI's, around the elements of its canvas
const WIDTH = 440;
const ZOOM_CHECK = 200; // milliseconds
const SETTLED = 100; // milliseconds until the page has drawn a graph that it loads

const store = new Store();
/** @type {Map<object, Panel>} by node, as long as the node is there */
const panels = new Map();
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

function failed(error) {
  console.warn("Block weight search:", error);
  app.extensionManager?.toast?.add?.({ severity: "error", summary: t("Block weight search"), detail: error.message, life: 6000 });
}

const rootGraph = () => app.rootGraph ?? app.graph;

/** The node behind an id of the server; inside subgraphs it is a path like "1:2:3". */
function nodeOf(id) {
  const path = String(id).split(":");
  let graph = rootGraph();
  for (const step of path.slice(0, -1)) graph = graph?.getNodeById(Number(step))?.subgraph;
  return graph?.getNodeById(Number(path[path.length - 1])) ?? null;
}

/** The id that the server knows a node by: that of its first place, when it is in a subgraph used several times. */
function idOf(node, graph = rootGraph(), before = "") {
  for (const one of graph?.nodes ?? []) {
    if (one === node) return `${before}${one.id}`;
    const inside = one.subgraph && idOf(node, one.subgraph, `${before}${one.id}:`);
    if (inside) return inside;
  }
  return null;
}

const isOfOpenWorkflow = ({ workflow }) => !workflow || !rootGraph()?.id || workflow === rootGraph().id;

function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

function set(node, name, value) {
  const widget = widgetOf(node, name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
}

function chosenPenalty(node) {
  const value = Number(widgetOf(node, "chosen_penalty")?.value ?? -1);
  return value >= 0 ? value : null;
}

function show(node, search) {
  const panel = panels.get(node);
  if (!panel) return;
  panel.show(search, chosenPenalty(node));
  fit(node, panel);
}

/** Makes room for the panel; a node that is larger stays as it is. */
function fit(node, panel) {
  panel.element.style.minHeight = `${panel.leastHeight}px`;
  const [width, height] = node.size;
  const least = node.computeSize()[1];
  if (width < WIDTH || height < least) node.setSize([Math.max(width, WIDTH), Math.max(height, least)]);
  node.setDirtyCanvas?.(true, true);
}

/** Shows what changed, where it can be seen. @param {import("../../../api/appl_search/web/panel/store.mjs").Entry|null} entry */
function showEntry(entry) {
  if (!entry || !isOfOpenWorkflow(entry)) return;
  const node = nodeOf(entry.node);
  if (!node || !panels.has(node)) return;
  if (entry.search?.file) node.properties[PROPERTY] = entry.search.file;
  show(node, entry.search);
}

/** Fills the panel of a node that has just come up: from this page's memory, else from the file that its workflow names. */
async function restore(node) {
  const heard = store.entries().reverse().find((entry) => entry.search && isOfOpenWorkflow(entry) && nodeOf(entry.node) === node);
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
  if (Number.isSafeInteger(search?.seed)) set(node, "seed", search.seed);
  set(node, "control_after_generate", "fixed");
}

function addPanel(node) {
  const panel = new Panel({
    finish: async () => {
      const { finishing } = await fetchJson("finish", { node_id: idOf(node) });
      if (!finishing) throw new Error(t("This search is not running any more."));
    },
    choose: (penalty) => choose(node, penalty, panel.search),
    strings: (loras) => fetchJson("strings", { loras: loras.map(({ strings, ...lora }) => lora) }),
    address: ({ filename, subfolder, type }) => api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`),
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
  fit(node, panel);
  const removed = node.onRemoved;
  node.onRemoved = function (...rest) {
    panels.delete(node);
    panel.destroy();
    keepForAMoment(String(node.id), panel.element);
    return removed?.apply(this, rest);
  };
  // Only then has the node its place in the graph, and the properties and sizes of its workflow.
  setTimeout(() => {
    if (!panels.has(node)) return;
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
  const redraw = () => panels.forEach((panel) => panel.chart.redraw());
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
