import assert from "node:assert/strict";
import { test } from "node:test";
import { addBefore, changing, everyNode, idOf, isConnected, nodeOf } from "../../web/lib/graph.mjs";
import { putIntoLoaders } from "../../web/panel/inspire.mjs";

const LOADER = "LoraLoaderBlockWeight //Inspire";
const UNTOUCHED = "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1";

function graphOf(...nodes) {
  const graph = { nodes, getNodeById: (id) => nodes.find((node) => node.id === id), add: (node) => nodes.push(Object.assign(node, { graph })) };
  nodes.forEach((node) => Object.assign(node, { graph }));
  return graph;
}

function page() {
  const said = [];
  return { said, canvas: { emitBeforeChange: () => said.push("before"), emitAfterChange: () => said.push("after"), setDirty() {} } };
}

function loader(id, file, vector = UNTOUCHED) {
  const values = { lora_name: file, block_vector: vector, strength_model: 0.7, strength_clip: 0.7, inverse: true, A: 4 };
  const widgets = Object.entries(values).map(([name, value]) => ({ name, value, options: {} }));
  widgets[0].options.values = ["style.safetensors", "sub/pose.v2.safetensors", "other.safetensors"];
  return { id, type: LOADER, title: `Loader ${id}`, widgets };
}

const valuesOf = (node) => Object.fromEntries(node.widgets.map(({ name, value }) => [name, value]));

test("nodes inside subgraphs are found by their paths and have them as ids", () => {
  const inner = { id: 7 };
  const root = graphOf({ id: 1 }, { id: 2, subgraph: graphOf(inner) });
  assert.equal(nodeOf(root, "2:7"), inner);
  assert.equal(idOf(inner, root), "2:7");
  assert.equal(nodeOf(root, "9:7"), null);
  assert.deepEqual([...everyNode(root)].map(({ id }) => id), [1, 2, 7]);
});

test("a change is one step of undo, also when it fails", () => {
  const app = page();
  assert.equal(changing(app, () => 5), 5);
  assert.throws(() => changing(app, () => { throw new Error("no"); }));
  assert.deepEqual(app.said, ["before", "after", "before", "after"]);
});

test("a new node comes to the left, connected, where it covers no other", () => {
  const node = { id: 1, pos: [500, 100], size: [440, 600], inputs: [{ name: "previews", link: null }], findInputSlot: () => 0 };
  const there = { id: 2, pos: [100, 90], size: [300, 200] };
  const graph = graphOf(node, there);
  let connected = null;
  const added = addBefore(page(), { createNode: (type) => ({ type, size: [300, 200], findOutputSlot: () => 0, connect: (...to) => (connected = to) }) }, node, "Previews", "previews", "previews");
  assert.deepEqual(connected, [0, node, 0]);
  assert.equal(graph.nodes.at(-1), added);
  assert.equal(added.pos[0] + added.size[0] < node.pos[0], true);
  assert.ok(added.pos[1] >= there.pos[1] + there.size[1] + 30);
  assert.equal(isConnected(node, "previews"), false);
});

test("a vector goes into each loader of its LoRA, at strength 1 and not inverted", () => {
  const [own, nested, foreign] = [loader(1, "style.safetensors", "0,1"), loader(3, "sub\\pose.v2.safetensors", "0,1"), loader(4, "other.safetensors", "0,1")];
  const root = graphOf(own, { id: 2, subgraph: graphOf(nested) }, foreign);
  const done = putIntoLoaders(page(), root, [{ name: "style", text: "0.5" }, { name: "pose.v2", text: "0.7" }]);
  assert.deepEqual(done, [{ name: "style", to: "Loader 1" }, { name: "pose.v2", to: "Loader 3" }]);
  assert.deepEqual(valuesOf(own), { lora_name: "style.safetensors", block_vector: "0.5", strength_model: 1, strength_clip: 1, inverse: false, A: 4 });
  assert.equal(valuesOf(nested).block_vector, "0.7");
  assert.equal(valuesOf(foreign).block_vector, "0,1");
});

test("a loader that nobody has set takes the LoRA too; one of another LoRA is left alone", () => {
  const [fresh, set] = [loader(1, "other.safetensors"), loader(2, "other.safetensors", "1,1")];
  assert.deepEqual(putIntoLoaders(page(), graphOf(set, fresh), [{ name: "style", text: "0.5" }]), [{ name: "style", to: "Loader 1" }]);
  assert.deepEqual([valuesOf(fresh).lora_name, valuesOf(fresh).block_vector, valuesOf(set).block_vector], ["style.safetensors", "0.5", "1,1"]);
  assert.deepEqual(putIntoLoaders(page(), graphOf(set), [{ name: "style", text: "0.5" }]), []);
  assert.deepEqual(putIntoLoaders(page(), graphOf(loader(1, "other.safetensors")), [{ name: "unknown", text: "0.5" }]), []);
});
