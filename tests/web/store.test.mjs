import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../../web/panel/store.mjs";
import { SEVEN } from "./models.mjs";

const head = { node: "5", workflow: "w", prompt: "p" };
const start = { ...head, kind: "start", loras: [{ name: "a", keys: [1], groups: {}, sha256: "" }], rates: [[0.5]], method: "adamw", penalty: 0, steps: 4, total: 8, formats: [["inspire", "Inspire"]], default_format: "inspire", ...SEVEN };
const step = (number, loss) => ({ ...head, kind: "step", step: number, samples: 2 * number, seconds: number, loss, mean: loss.map((value) => value + 1), rates: [[number]], errors: [[number / 10]] });
const state = { loras: [{ name: "a", rates: [0.9] }], loss: [1], every: 2, samples: 8, total: 8, file: "a.json" };

test("deltas add up", () => {
  const store = new Store();
  store.receive(start);
  store.receive(step(1, [0.3]));
  const { search } = store.receive(step(3, [0.2, 0.1]));
  assert.deepEqual(search.loss, [0.3, 0.2, 0.1]);
  assert.deepEqual(search.mean, [1.3, 1.2, 1.1]);
  assert.deepEqual([search.formats, search.default_format, search.blocks, search.sections, search.about], [start.formats, "inspire", SEVEN.blocks, SEVEN.sections, SEVEN.about]);
  assert.deepEqual([search.step, search.samples, search.seconds, search.running], [3, 6, 3, true]);
  assert.deepEqual(search.loras[0].rates, [3]);
  assert.deepEqual(search.loras[0].errors, [0.3]);
});

test("a step without its start is reported, a snapshot mends it", () => {
  const store = new Store();
  assert.equal(store.receive(step(2, [0.1])), null);
  store.receive({ ...start, step: 2, samples: 4, seconds: 2, loss: [0.3, 0.2], mean: [0.3, 0.25], rates: [[2]], errors: [[0.2]] });
  assert.deepEqual(store.entries()[0].search.loras[0].errors, [0.2]);
  assert.deepEqual(store.receive(step(3, [0.1])).search.loss, [0.3, 0.2, 0.1]);
  assert.deepEqual(store.entries()[0].search.mean, [0.3, 0.25, 1.1]);
});

test("a search that ends with a warning keeps it, and one without has none", () => {
  const store = new Store();
  store.receive(start);
  assert.deepEqual(store.finished("5", "p", { ...state, file: null, warnings: ["not saved"] }, "w").search.warnings, ["not saved"]);
  assert.deepEqual(store.finished("5", "q", { ...state, warnings: [] }, "w").search.warnings, []);
});

test("preview pictures come with a message of their own, in a snapshot and with the end", () => {
  const store = new Store();
  const sheet = { filename: "a.png", subfolder: "", type: "temp", width: 4, height: 1, text: "start" };
  assert.equal(store.receive(start).search.previews, null);
  assert.deepEqual(store.receive({ ...head, kind: "previews", previews: sheet }).search.previews, sheet);
  assert.deepEqual(new Store().receive({ ...start, previews: sheet }).search.previews, sheet);
  assert.deepEqual(store.finished("5", "p", { ...state, previews: sheet }, "w").search.previews, sheet);
});

test("the end of a run belongs to the workflow that ran it, whichever is open", () => {
  const store = new Store();
  store.receive(start);
  const entry = store.finished("5", "p", state, "another");
  assert.equal(entry.workflow, "w");
  assert.equal(entry.search.running, false);
  assert.equal(store.entries().length, 1);
  assert.equal(store.finished("5", "cached", state, "another").workflow, "another");
  assert.equal(store.entries().length, 2);
});

test("a search that is cut off keeps what it had, or nothing", () => {
  const store = new Store();
  store.receive(start);
  assert.equal(store.receive({ ...head, kind: "end", state }).search.cutOff, true);
  store.receive(start);
  assert.equal(store.receive({ ...head, kind: "end", state: null }).search, null);
});

test("searches of a server that is gone are forgotten, ended ones are not", () => {
  const store = new Store();
  store.receive(start);
  store.receive({ ...start, node: "6" });
  store.finished("7", "p", state, "w");
  assert.deepEqual(store.keepOnly([{ node: "6", workflow: "w" }]).map((entry) => entry.node), ["5"]);
  assert.equal(store.entries().filter((entry) => entry.search).length, 2);
});
