import assert from "node:assert/strict";
import { test } from "node:test";
import { Pins } from "../../web/panel/pins.mjs";
import { lora } from "./searches.mjs";

const LORAS = [lora("a", [0.5, 0, 0, 0, 0, 0, 0]), lora("b", [0, 0, 0, 0, 0, 0, 1])];
const rows = (...pinned) => LORAS.map((_, i) => Array.from({ length: 7 }, (_, block) => pinned.find((pin) => pin.lora === i && pin.block === block)?.rate ?? null));

/** Asks that are answered when `answers[n]` is called. */
function waiting() {
  const [asked, answers] = [[], []];
  const pins = new Pins((question) => new Promise((resolve, reject) => {
    asked.push(question);
    answers.push((found) => (found instanceof Error ? reject(found) : resolve(found)));
  }));
  return { pins, asked, answers };
}

test("an empty text needs no server, one that is known neither", async () => {
  const { pins, asked, answers } = waiting();
  assert.equal(await pins.read("", LORAS), true);
  assert.deepEqual([asked.length, pins.count], [0, 0]);
  const reading = pins.read("a: HEAD00 = 0", LORAS);
  answers[0]({ text: "a: HEAD00 = 0", pins: rows({ lora: 0, block: 0, rate: 0 }) });
  assert.equal(await reading, true);
  assert.equal(pins.count, 1);
  assert.equal(await pins.read("a: HEAD00 = 0", LORAS), false);
  assert.equal(asked.length, 1);
});

test("a block is pinned at its rate, and unpinned the next time", async () => {
  const { pins, asked, answers } = waiting();
  const pinning = pins.toggle(LORAS, 1, 6);
  assert.deepEqual(asked[0].pin, { lora: 1, block: 6, rate: 1 });
  assert.equal("strings" in asked[0].loras[0], false);
  answers[0]({ text: "b: TAIL = 1", pins: rows({ lora: 1, block: 6, rate: 1 }) });
  assert.equal(await pinning, true);
  assert.deepEqual([pins.text, pins.count], ["b: TAIL = 1", 1]);
  const unpinning = pins.toggle(LORAS, 1, 6);
  assert.deepEqual([asked[1].text, asked[1].pin], ["b: TAIL = 1", { lora: 1, block: 6, rate: null }]);
  answers[1]({ text: "", pins: rows() });
  await unpinning;
  assert.deepEqual([pins.text, pins.count], ["", 0]);
});

test("an answer that comes too late changes nothing", async () => {
  const { pins, answers } = waiting();
  const first = pins.toggle(LORAS, 0, 0);
  const second = pins.toggle(LORAS, 1, 6);
  answers[1]({ text: "b: TAIL = 1", pins: rows({ lora: 1, block: 6, rate: 1 }) });
  answers[0]({ text: "a: HEAD00 = 0.5", pins: rows({ lora: 0, block: 0, rate: 0.5 }) });
  assert.deepEqual(await Promise.all([first, second]), [false, true]);
  assert.equal(pins.text, "b: TAIL = 1");
});

test("a text without a meaning is kept, with what is wrong with it", async () => {
  const { pins, answers } = waiting();
  const reading = pins.read("nonsense", LORAS);
  answers[0](new Error("no block"));
  assert.equal(await reading, true);
  assert.deepEqual([pins.text, pins.error, pins.count], ["nonsense", "no block", 0]);
});
