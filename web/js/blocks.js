/** The 20 blocks of SDXL that have a rate, in their order, and what people call them. */

import { t } from "./words.js";

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

/** Written out, because hardly two neighbours are alike. */
const DESCRIPTIONS = {
  BASE: () => t("text encoders, and the U-Net's embeddings and last layer"),
  IN00: () => t("first convolution, at 1/8 of the picture's size"),
  IN01: convolutions,
  IN02: convolutions,
  IN03: () => t("convolution from 1/8 down to 1/16"),
  IN04: attentionAtHalf,
  IN05: attentionAtHalf,
  IN06: () => t("convolution from 1/16 down to 1/32"),
  IN07: attentionAtQuarter,
  IN08: attentionAtQuarter,
  MID: attentionAtQuarter,
  OUT00: attentionAtQuarter,
  OUT01: attentionAtQuarter,
  OUT02: () => t("attention and convolutions at 1/32, and up to 1/16"),
  OUT03: attentionAtHalf,
  OUT04: attentionAtHalf,
  OUT05: () => t("attention and convolutions at 1/16, and up to 1/8"),
  OUT06: convolutions,
  OUT07: convolutions,
  OUT08: convolutions,
};

function convolutions() {
  return t("convolutions at 1/8 of the picture's size");
}

function attentionAtHalf() {
  return t("attention and convolutions at 1/16 of the picture's size");
}

function attentionAtQuarter() {
  return t("attention and convolutions at 1/32 of the picture's size");
}

/**
 * What a block does, and where.
 * @param {number} block 0 to 19
 */
export function description(block) {
  return DESCRIPTIONS[BLOCKS[block]]();
}

/**
 * The label under a bar: the section's name stands below it.
 * @param {number} block 0 to 19
 */
export function shortName(block) {
  const section = SECTIONS.find(({ first, count }) => block < first + count);
  return section.count === 1 ? "" : String(block - section.first);
}
