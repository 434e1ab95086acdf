import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCKS, description, shortName } from "../../web/js/blocks.js";
import { barAt, layout, leastHeight, sheetHeight } from "../../web/js/layout.js";

const sizes = [[300, 1], [420, 2], [900, 5]];

test("there are 20 blocks, each described and labelled", () => {
  assert.equal(BLOCKS.length, 20);
  assert.deepEqual([BLOCKS[0], BLOCKS[1], BLOCKS[9], BLOCKS[10], BLOCKS[11], BLOCKS[19]], ["BASE", "IN00", "IN08", "MID", "OUT00", "OUT08"]);
  BLOCKS.forEach((_, block) => assert.ok(description(block)));
  assert.deepEqual([0, 1, 9, 10, 19].map(shortName), ["", "0", "8", "", "8"]);
});

for (const [width, loras] of sizes) {
  test(`${loras} rows in ${width} pixels: nothing overlaps or leaves the figure`, () => {
    const height = leastHeight(loras);
    const where = layout(width, height, loras);
    const boxes = [...where.rows.flatMap((row) => [row.title, row.plot]), where.axis, where.lossTitle, where.loss];
    for (let i = 1; i < boxes.length; i++) assert.ok(boxes[i].y >= boxes[i - 1].y + boxes[i - 1].height - 1e-9);
    const last = boxes[boxes.length - 1];
    assert.ok(last.y + last.height < height);
    assert.equal(where.slots.length, 20);
    for (let i = 1; i < 20; i++) assert.ok(where.slots[i].x >= where.slots[i - 1].x + where.slots[i - 1].width - 1e-9);
    assert.ok(where.slots[19].x + where.slots[19].width <= width);
  });
}

test("more height goes to the bars", () => {
  const small = layout(400, leastHeight(2), 2);
  const large = layout(400, leastHeight(2) + 100, 2);
  assert.equal(large.rows[0].plot.height, small.rows[0].plot.height + 50);
  assert.equal(large.loss.height, small.loss.height);
});

test("the bar under the pointer is the one drawn there", () => {
  const where = layout(400, leastHeight(2), 2);
  for (const block of [0, 1, 10, 19]) {
    const slot = where.slots[block];
    assert.deepEqual(barAt(where, slot.x + slot.width / 2, where.rows[1].plot.y + 5), { lora: 1, block });
  }
  assert.equal(barAt(where, 2, where.rows[0].plot.y + 5), null);
  assert.equal(barAt(where, where.slots[3].x + 1, where.loss.y + 5), null);
});

test("a sheet of pictures keeps its shape as long as it is not too high", () => {
  assert.equal(sheetHeight({ width: 1048, height: 284 }), 107);
  assert.equal(sheetHeight({ width: 1048, height: 568 }), 215);
  assert.equal(sheetHeight({ width: 1048, height: 5680 }), 280);
});
