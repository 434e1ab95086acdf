/** The 20 blocks of SDXL that have a rate, in their order, and what people call them. */

/** @typedef {{name: string, first: number, count: number}} Section */

/** @type {readonly Section[]} */
export const SECTIONS = [
  { name: "BASE", first: 0, count: 1 },
  { name: "IN", first: 1, count: 9 },
  { name: "MID", first: 10, count: 1 },
  { name: "OUT", first: 11, count: 9 },
];

/** @type {readonly string[]} */
export const BLOCKS = SECTIONS.flatMap(({ name, count }) =>
  count === 1 ? [name] : Array.from({ length: count }, (_, i) => `${name}0${i}`));

const WHOLE = "1/8 of the picture's size";
const HALF = "1/16 of the picture's size";
const QUARTER = "1/32 of the picture's size";

/** Written out, because hardly two neighbours are alike. */
const DESCRIPTIONS = {
  BASE: "text encoders, and the U-Net's embeddings and last layer",
  IN00: `first convolution, at ${WHOLE}`,
  IN01: `convolutions at ${WHOLE}`,
  IN02: `convolutions at ${WHOLE}`,
  IN03: "convolution from 1/8 down to 1/16",
  IN04: `attention and convolutions at ${HALF}`,
  IN05: `attention and convolutions at ${HALF}`,
  IN06: "convolution from 1/16 down to 1/32",
  IN07: `attention and convolutions at ${QUARTER}`,
  IN08: `attention and convolutions at ${QUARTER}`,
  MID: `attention and convolutions at ${QUARTER}`,
  OUT00: `attention and convolutions at ${QUARTER}`,
  OUT01: `attention and convolutions at ${QUARTER}`,
  OUT02: "attention and convolutions at 1/32, and up to 1/16",
  OUT03: `attention and convolutions at ${HALF}`,
  OUT04: `attention and convolutions at ${HALF}`,
  OUT05: "attention and convolutions at 1/16, and up to 1/8",
  OUT06: `convolutions at ${WHOLE}`,
  OUT07: `convolutions at ${WHOLE}`,
  OUT08: `convolutions at ${WHOLE}`,
};

/**
 * What a block does, and where.
 * @param {number} block 0 to 19
 */
export function description(block) {
  return DESCRIPTIONS[BLOCKS[block]];
}

/**
 * The label under a bar: the section's name stands below it.
 * @param {number} block 0 to 19
 */
export function shortName(block) {
  const section = SECTIONS.find(({ first, count }) => block < first + count);
  return section.count === 1 ? "" : String(block - section.first);
}
