/** Two models as the server describes them; neither is any that is told apart in the page's code. */

/** Sections like SDXL's: 1, 9, 1 and 9 blocks. */
export const TWENTY = described([["BASE", 1], ["IN", 9], ["MID", 1], ["OUT", 9]]);
/** Sections that no model has. */
export const SEVEN = described([["HEAD", 2], ["BODY", 4], ["TAIL", 1]]);

function described(counts) {
  let first = 0;
  const sections = counts.map(([name, count]) => ({ name, first: (first += count) - count, count }));
  const blocks = sections.flatMap(({ name, count }) => (count === 1 ? [name] : Array.from({ length: count }, (_, i) => `${name}0${i}`)));
  return { blocks, sections, about: blocks.map((name) => `what ${name} does`) };
}
