import assert from "node:assert/strict";
import { test } from "node:test";
import { description, shortName } from "../../web/panel/blocks.mjs";
import { barAt, heightFor, layout, leastHeight, LOSS_HEIGHT, lossLayout } from "../../web/panel/layout.mjs";
import { SEVEN, TWENTY } from "./models.mjs";

const sizes = [[300, 1, TWENTY], [420, 2, TWENTY], [900, 5, TWENTY], [420, 8, TWENTY], [420, 2, SEVEN]];

test("blocks are numbered within their sections and described by the server", () => {
  assert.deepEqual([0, 1, 9, 10, 11, 19].map((block) => shortName(TWENTY.sections, block)), ["", "0", "8", "", "0", "8"]);
  assert.deepEqual(SEVEN.blocks.map((_, block) => shortName(SEVEN.sections, block)), ["0", "1", "0", "1", "2", "3", ""]);
  assert.equal(description(SEVEN, 2), "what BODY00 does");
});

for (const [width, loras, { blocks, sections }] of sizes) {
  test(`${loras} rows of ${blocks.length} in ${width} pixels: nothing overlaps or leaves the figure`, () => {
    for (const height of [leastHeight(loras), heightFor(loras, 100)]) {
      const where = layout(width, height, loras, sections);
      const row = ({ title, plot }) => (where.compact ? [plot] : [title, plot]);
      const boxes = [...where.rows.flatMap(row), where.axis];
      for (let i = 1; i < boxes.length; i++) assert.ok(boxes[i].y >= boxes[i - 1].y + boxes[i - 1].height - 1e-9);
      const last = boxes[boxes.length - 1];
      assert.ok(last.y + last.height <= height);
      assert.equal(where.slots.length, blocks.length);
      for (let i = 1; i < blocks.length; i++) assert.ok(where.slots[i].x >= where.slots[i - 1].x + where.slots[i - 1].width - 1e-9);
      assert.ok(where.slots.at(-1).x + where.slots.at(-1).width <= width);
      for (const { title } of where.compact ? where.rows : []) assert.ok(title.x + title.width < where.slots[0].x);
    }
  });
}

test("names stand beside the bars of many LoRAs until there is room above them", () => {
  assert.deepEqual([1, 2, 3, 8].map((loras) => layout(420, leastHeight(loras), loras, TWENTY.sections).compact), [false, false, true, true]);
  assert.equal(layout(420, 600, 8, TWENTY.sections).compact, false);
  assert.ok(leastHeight(8) < leastHeight(2) + 20, "eight LoRAs take hardly more room than two");
});

test("more height goes to the bars", () => {
  const small = layout(400, leastHeight(2), 2, TWENTY.sections);
  const large = layout(400, leastHeight(2) + 100, 2, TWENTY.sections);
  assert.equal(large.rows[0].plot.height, small.rows[0].plot.height + 50);
});

test("the bar under the pointer is the one drawn there, and its LoRA's name too", () => {
  for (const loras of [2, 8]) {
    const where = layout(400, leastHeight(loras), loras, TWENTY.sections);
    for (const block of [0, 1, 10, 19]) {
      const slot = where.slots[block];
      assert.deepEqual(barAt(where, slot.x + slot.width / 2, where.rows[1].plot.y + 5), { lora: 1, block });
    }
    assert.equal(barAt(where, 2, where.rows[0].plot.y + 5), null);
    assert.equal(barAt(where, where.slots[3].x + 1, where.axis.y + 5), null);
  }
});

test("the loss has its curves between its title and its steps", () => {
  const { title, plot } = lossLayout(400, LOSS_HEIGHT);
  assert.ok(plot.y >= title.y + title.height && plot.y + plot.height < LOSS_HEIGHT && plot.height > 40);
});
