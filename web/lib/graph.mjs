/** Nodes, widgets and links of ComfyUI's graph. */

const BESIDE = 60; // pixels between a new node and the one that it is for
const STEP = 40;
const TITLE = 30;

/** All nodes of a graph and of the subgraphs in it. */
export function* everyNode(graph) {
  for (const node of graph?.nodes ?? []) {
    yield node;
    if (node.subgraph) yield* everyNode(node.subgraph);
  }
}

/** The node behind an id of the server; inside subgraphs it is a path like "1:2:3". */
export function nodeOf(root, id) {
  const path = String(id).split(":");
  let graph = root;
  for (const step of path.slice(0, -1)) graph = graph?.getNodeById(Number(step))?.subgraph;
  return graph?.getNodeById(Number(path[path.length - 1])) ?? null;
}

/** The id that the server knows a node by: that of its first place, when it is in a subgraph used several times. */
export function idOf(node, graph, before = "") {
  for (const one of graph?.nodes ?? []) {
    if (one === node) return `${before}${one.id}`;
    const inside = one.subgraph && idOf(node, one.subgraph, `${before}${one.id}:`);
    if (inside) return inside;
  }
  return null;
}

export function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/** Sets a widget as its user would. */
export function set(app, node, name, value) {
  const widget = widgetOf(node, name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
}

export function isConnected(node, name) {
  return node.inputs?.find((input) => input.name === name)?.link != null;
}

/** Changes the graph as one step of the page's undo. */
export function changing(app, change) {
  app.canvas.emitBeforeChange();
  try {
    return change();
  } finally {
    app.canvas.emitAfterChange();
    app.canvas.setDirty(true, true);
  }
}

/** A new node to the left of another, connected to an input of it. */
export function addBefore(app, LiteGraph, node, type, output, input) {
  return changing(app, () => {
    const added = LiteGraph.createNode(type);
    node.graph.add(added);
    const size = [added.size[0], added.size[1] + TITLE];
    added.pos = freePlace(node.graph.nodes.filter((one) => one !== added), node.pos[0] - size[0] - BESIDE, node.pos[1], size);
    added.connect(added.findOutputSlot(output), node, node.findInputSlot(input));
    return added;
  });
}

/** The first place from a point downwards where a node covers no other. */
function freePlace(nodes, x, y, [width, height]) {
  const boxes = nodes.map(({ pos, size }) => [pos[0], pos[1], pos[0] + size[0], pos[1] + size[1] + TITLE]);
  const isFree = (top) => boxes.every(([left, above, right, below]) => x + width <= left || right <= x || top + height <= above || below <= top);
  let top = y;
  while (!isFree(top)) top += STEP;
  return [x, top];
}
