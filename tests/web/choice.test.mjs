import assert from "node:assert/strict";
import { test } from "node:test";
import { Choice } from "../../web/panel/choice.mjs";
import { ended, lora } from "./searches.mjs";

const search = {
  ...ended(lora("a", [0.9, null, 0, 0, 0, 0, 0])), path: [{ penalty: 1e-3, loss: 0.2, rates: [[0.1, 0, 0, 0, 0, 0, 0]], errors: [[null]] }],
  verdict: { text: "", kind: "same", rows: [], use_instead: { strengths: [0.6] } },
};

test("what was found is the search itself", () => {
  assert.equal(new Choice().of(search), search);
  assert.deepEqual(new Choice().asked(search), { file: "a.json", penalty: null, strengths: null });
});

test("a point of the path replaces rates, errors and penalty, and nothing else", () => {
  const shown = new Choice(0).of(search);
  assert.deepEqual([shown.penalty, shown.loras[0].rates[0], shown.loras[0].errors, shown.loras[0].name, shown.samples], [1e-3, 0.1, [null], "a", 320]);
  assert.equal(search.loras[0].rates[0], 0.9);
  assert.deepEqual(new Choice(0).asked(search), { file: "a.json", penalty: 1e-3, strengths: null });
});

test("a single strength is that of every block that the LoRA has", () => {
  const shown = new Choice(null, true).of(search);
  assert.deepEqual(shown.loras[0].rates, [0.6, 0, 0.6, 0.6, 0.6, 0.6, 0.6]);
  assert.deepEqual(shown.loras[0].errors, Array(7).fill(null));
  assert.deepEqual(new Choice(0, true).asked(search), { file: "a.json", penalty: null, strengths: [0.6] });
  assert.ok(!new Choice(null, true).equals(new Choice()));
});
