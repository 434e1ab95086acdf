/** Where everything in the figure is, in pixels. Knows nothing of canvases. */

/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/** @typedef {{title: Box, plot: Box}} Row */
/** @typedef {{rows: Row[], slots: {x: number, width: number}[], axis: Box, lossTitle: Box, loss: Box, width: number, height: number}} Layout */

const LEFT = 42;
const RIGHT = 10;
const TOP = 6;
const TITLE = 18;
const AXIS = 32;
const LOSS = 54;
const BOTTOM = 18;
const BETWEEN = 8;
const LEAST_PLOT = 62;
const LEAST_PLOT_OF_MANY = 44;
const MANY = 4; // LoRAs
const SECTION_GAP = 0.7; // of a slot
const SHEET_WIDTH = 396; // inside a panel of the usual width
const SHEET_MOST = 280;

/** The least height in which a figure of so many LoRAs can be read. */
export function leastHeight(loras) {
  return heightFor(loras, leastPlot(loras));
}

function leastPlot(loras) {
  return loras < MANY ? LEAST_PLOT : LEAST_PLOT_OF_MANY;
}

/** The height of a figure whose bars may be `plot` high. */
export function heightFor(loras, plot) {
  const count = Math.max(1, loras);
  return TOP + count * (TITLE + plot) + (count - 1) * BETWEEN + AXIS + TITLE + LOSS + BOTTOM;
}

/**
 * The height of a sheet of pictures in a panel.
 * @param {{width: number, height: number}} sheet
 */
export function sheetHeight({ width, height }) {
  return Math.min(SHEET_MOST, Math.round((SHEET_WIDTH * height) / width));
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} loras how many rows of bars
 * @param {import("./blocks.mjs").Section[]} sections of the columns
 * @returns {Layout}
 */
export function layout(width, height, loras, sections) {
  const count = Math.max(1, loras);
  const inner = Math.max(0, width - LEFT - RIGHT);
  const plot = Math.max(leastPlot(count), (height - heightFor(count, 0)) / count);
  const across = (y, size) => ({ x: LEFT, y, width: inner, height: size });
  const rows = Array.from({ length: count }, (_, i) => {
    const y = TOP + i * (TITLE + plot + BETWEEN);
    return { title: across(y, TITLE), plot: across(y + TITLE, plot) };
  });
  const below = rows[count - 1].plot.y + plot;
  return {
    rows,
    slots: slots(inner, sections),
    axis: across(below, AXIS),
    lossTitle: across(below + AXIS, TITLE),
    loss: across(below + AXIS + TITLE, LOSS),
    width,
    height,
  };
}

/** A column for each block: sections apart from each other, all columns alike. */
function slots(inner, sections) {
  const { first: before, count: more } = sections[sections.length - 1];
  const width = inner / (before + more + SECTION_GAP * (sections.length - 1));
  return sections.flatMap(({ first, count }, section) =>
    Array.from({ length: count }, (_, i) => ({ x: LEFT + width * (first + i + SECTION_GAP * section), width })));
}

/**
 * The bar at a place: its whole column counts, so that thin and absent ones can be met too.
 * @param {Layout} where
 * @returns {{lora: number, block: number}|null}
 */
export function barAt(where, x, y) {
  const lora = where.rows.findIndex(({ title, plot }) => y >= title.y && y < plot.y + plot.height);
  const block = where.slots.findIndex((slot) => x >= slot.x && x < slot.x + slot.width);
  return lora < 0 || block < 0 ? null : { lora, block };
}
