/** What all figures draw with. */

/**
 * @typedef {object} Theme
 * @property {string} background
 * @property {string} text
 * @property {string} quiet for ticks and what is not there
 * @property {string} line for axes
 * @property {string} font
 * @property {string[]} series one colour for each LoRA, told apart by colour-blind people too
 */

const SIZE = 11;

/** Before anything else: lines meet round, texts stand at their middle. */
export function begin(ctx) {
  ctx.lineJoin = "round";
  ctx.textBaseline = "middle";
}

export function font(theme, weight = "") {
  return `${weight} ${SIZE}px ${theme.font}`.trim();
}

export function write(ctx, text, x, y, color, align = "left") {
  ctx.fillStyle = color;
  ctx.textAlign = align;
  ctx.fillText(text, x, y);
}

/** A text that is cut to a width; people know names of files by their beginning. */
export function fitted(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && ctx.measureText(`${text.slice(0, length)}\u2026`).width > width) length--;
  return `${text.slice(0, length)}\u2026`;
}

/** @param {[number, number][]} points */
export function stroke(ctx, points) {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
}
