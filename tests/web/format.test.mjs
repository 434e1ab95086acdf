import assert from "node:assert/strict";
import { test } from "node:test";
import { blocksOn, duration, percent, plainRate, rateText, readout, roundRate, short, speed, status, lossLegend } from "../../web/panel/format.mjs";
import { SEVEN, TWENTY } from "./models.mjs";

const lora = {
  name: "style", keys: Array.from({ length: 20 }, (_, i) => (i === 1 ? 0 : i + 1)),
  rates: Array.from({ length: 20 }, (_, i) => (i === 4 ? 0 : 0.5)), errors: Array.from({ length: 20 }, (_, i) => (i === 5 ? 0.031 : null)),
};
const search = { samples: 160, total: 320, seconds: 80, step: 10, steps: 20, running: true, finishing: false, cutOff: false, method: "gauss-newton", penalty: 1e-4 };

test("rates", () => {
  assert.equal(plainRate(0.81249), "0.812");
  assert.equal(plainRate(-0.0001), "0");
  assert.equal(plainRate(-0.5), "-0.5");
  assert.equal(rateText(-0.5), "\u22120.5");
  assert.deepEqual([0.8, -0.456, -0.001].map(roundRate), ["0.8", "\u22120.46", "0"]);
  assert.deepEqual([0.0234, -0.007].map(percent), ["2.3%", "\u22120.7%"]);
});

test("durations, speeds and small numbers", () => {
  assert.deepEqual([0, 59.6, 61, 3723].map(duration), ["0:00", "1:00", "1:01", "1:02:03"]);
  assert.equal(speed(320, 100), "3.2 samples/s");
  assert.equal(speed(10, 25), "2.5 s/sample");
  assert.equal(speed(0, 3), "");
  assert.deepEqual([0, 0.037685, 0.0001, 12.5, NaN].map(short), ["0", "0.0377", "1e\u22124", "12.5", "?"]);
});

test("what a search is doing", () => {
  assert.equal(status(null), "No search yet");
  assert.equal(status(search), "Step 10/20 \u00b7 160/320 samples \u00b7 2.0 samples/s \u00b7 1:20 left");
  assert.equal(status({ ...search, finishing: true }).split(" \u00b7 ").pop(), "finishing");
  assert.equal(status({ ...search, samples: 0 }), "Preparing the search\u2026");
  assert.equal(status({ ...search, running: false, samples: 320 }), "320 samples in 1:20 \u00b7 gauss-newton \u00b7 penalty 1e\u22124");
  assert.equal(status({ ...search, running: false, cutOff: true }), "Cut off \u00b7 160 of 320 samples in 1:20 \u00b7 gauss-newton \u00b7 penalty 1e\u22124");
});

test("what is said of a bar", () => {
  const alone = { ...search, ...TWENTY, loras: [lora] };
  assert.equal(readout(alone, 0, 5), "IN04: 0.5 \u00b1 0.031 \u00b7 what IN04 does \u00b7 6 keys");
  assert.equal(readout(alone, 0, 5, -0.4), "IN04: 0.5 \u00b1 0.031 \u00b7 pinned at \u22120.4 \u00b7 what IN04 does \u00b7 6 keys");
  assert.equal(readout({ ...alone, loras: [{ ...lora, name: "other" }, lora] }, 1, 0), "style BASE: 0.5 \u00b7 what BASE does \u00b7 1 key");
  assert.equal(readout(alone, 0, 1), "IN00: not in this LoRA \u00b7 what IN00 does");
  const same_as = lora.keys.map((_, block) => (block === 6 ? 5 : null));
  const ruled = { ...alone, loras: [{ ...lora, same_as, fixed: lora.keys.map((_, block) => block === 5) }] };
  assert.equal(readout(ruled, 0, 5), "IN04: 0.5 \u00b1 0.031 (fixed) \u00b7 what IN04 does \u00b7 6 keys");
  assert.equal(readout(ruled, 0, 6), "IN05: 0.5 (same as IN04) \u00b7 what IN05 does \u00b7 7 keys");
  assert.equal(readout(ruled, 0, 7), "IN06: 0.5 \u00b7 what IN06 does \u00b7 8 keys");
  const small = { name: "style", keys: [1, 0, 1, 1, 1, 1, 2], rates: [0, 0, 0, 0, 0, 0, 1], errors: null };
  assert.equal(readout({ ...search, ...SEVEN, loras: [small] }, 0, 6), "TAIL: 1 \u00b7 what TAIL does \u00b7 2 keys");
});

test("blocks that are on", () => {
  assert.equal(blocksOn([lora]), "18 of 19 blocks on");
});

test("the legend of the loss names the best single strength of each LoRA, when there is one", () => {
  assert.equal(lossLegend(null), "batches and their running mean");
  assert.match(lossLegend({ strengths: [-0.04, 0.456], loss: 0.1 }), /best single strength \(\u22120\.04, 0\.46\)$/);
});
