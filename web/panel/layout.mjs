/** Where everything in the figures is, in pixels. Knows nothing of canvases. */

/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/** @typedef {{title: Box, plot: Box}} Row */
/** @typedef {{rows: Row[], slots: {x: number, width: number}[], axis: Box, compact: boolean, width: number, height: number}} Layout */

const LEFT = 36;
const LEFT_OF_MANY = 104; // with the names of LoRAs
const RIGHT = 6;
const TOP = 2;
const TITLE = 16;
const AXIS = 27;
const BETWEEN = 4;
/** The least height of bars under their LoRA's name, by the number of LoRAs. */
const LEAST_PLOTS = [54, 54, 34];
/** More LoRAs than those share this height, each with its name beside its bars. */
const PLOTS_OF_MANY = 104;
const LEAST_PLOT_OF_MANY = 11;
const BETWEEN_MANY = 2;
const SECTION_GAP = 0.7; // of a slot
const LOSS = 54;
const BELOW_LOSS = 18;

/** The height of the figure of the loss. */
export const LOSS_HEIGHT = TITLE + LOSS + BELOW_LOSS;

/** The least height in which the bars of so many LoRAs can be read. */
export function leastHeight(loras) {
  if (loras < LEAST_PLOTS.length) return heightFor(loras, LEAST_PLOTS[loras]);
  const plot = Math.max(LEAST_PLOT_OF_MANY, Math.floor(PLOTS_OF_MANY / loras) - BETWEEN_MANY);
  return TOP + loras * (plot + BETWEEN_MANY) + AXIS;
}

/** The height of a figure whose bars may be `plot` high, each LoRA's under its name. */
export function heightFor(loras, plot) {
  const count = Math.max(1, loras);
  return TOP + count * (TITLE + plot) + (count - 1) * BETWEEN + AXIS;
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
  const compact = count >= LEAST_PLOTS.length && height < heightFor(count, LEAST_PLOTS.at(-1));
  const left = compact ? LEFT_OF_MANY : LEFT;
  const inner = Math.max(0, width - left - RIGHT);
  const rows = Array.from({ length: count }, (_, i) => (compact ? besideName(i, count, inner, height) : underName(i, count, inner, height)));
  const { plot } = rows[count - 1];
  const axis = { x: left, y: plot.y + plot.height, width: inner, height: AXIS };
  return { rows, slots: slots(left, inner, sections), axis, compact, width, height };
}

function underName(i, count, inner, height) {
  const plot = Math.max(LEAST_PLOTS[Math.min(count, LEAST_PLOTS.length - 1)], (height - heightFor(count, 0)) / count);
  const y = TOP + i * (TITLE + plot + BETWEEN);
  return { title: { x: LEFT, y, width: inner, height: TITLE }, plot: { x: LEFT, y: y + TITLE, width: inner, height: plot } };
}

function besideName(i, count, inner, height) {
  const row = Math.max(LEAST_PLOT_OF_MANY + BETWEEN_MANY, (height - TOP - AXIS) / count);
  const [y, plot] = [TOP + i * row, row - BETWEEN_MANY];
  return { title: { x: 0, y, width: LEFT_OF_MANY - 8, height: plot }, plot: { x: LEFT_OF_MANY, y, width: inner, height: plot } };
}

/** A column for each block: sections apart from each other, all columns alike. */
function slots(left, inner, sections) {
  const { first: before, count: more } = sections[sections.length - 1];
  const width = inner / (before + more + SECTION_GAP * (sections.length - 1));
  return sections.flatMap(({ first, count }, section) =>
    Array.from({ length: count }, (_, i) => ({ x: left + width * (first + i + SECTION_GAP * section), width })));
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

/**
 * Where the figure of the loss has its title and its curves.
 * @returns {{title: Box, plot: Box}}
 */
export function lossLayout(width, height) {
  const inner = Math.max(0, width - LEFT - RIGHT);
  return {
    title: { x: LEFT, y: 0, width: inner, height: TITLE },
    plot: { x: LEFT, y: TITLE, width: inner, height: Math.max(0, height - TITLE - BELOW_LOSS) },
  };
}
