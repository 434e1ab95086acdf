/** The blocks of a search's model and what people call them, as the server names them. */

import { t } from "../lib/words.mjs";

/** @typedef {{name: string, first: number, count: number}} Section neighbouring blocks that have a name in common */
/**
 * @typedef {object} Blocks
 * @property {string[]} blocks their names, in the order of rates
 * @property {Section[]} sections in the same order, without gaps
 * @property {string[]} about what each block does, and where: sentences in English
 */

/**
 * What a block does, in the page's language.
 * @param {Blocks} model
 * @param {number} block its index
 */
export function description({ about }, block) {
  return t(about[block]);
}

/**
 * The label under a bar: the section's name stands below it.
 * @param {Section[]} sections
 * @param {number} block its index
 */
export function shortName(sections, block) {
  const section = sections.find(({ first, count }) => block < first + count);
  return section.count === 1 ? "" : String(block - section.first);
}
