/** Draws a search on a plain canvas. Knows nothing of ComfyUI. */

import { shortName } from "./blocks.mjs";
import { lossLegend, rateText, short } from "./format.mjs";
import { bucketMeans, curveDomain, linear, rateDomain, ticks } from "../lib/scales.mjs";
import { t } from "../lib/words.mjs";

/**
 * @typedef {object} Theme
 * @property {string} background
 * @property {string} text
 * @property {string} quiet for ticks and what is not there
 * @property {string} line for axes
 * @property {string} font
 * @property {string[]} series one colour for each LoRA, told apart by colour-blind people too
 */
/** @typedef {{lora: number, block: number}|null} Focus */

const BAR = 0.72; // of a column
const SMALL = 11;
const DASH = [5, 4]; // of the line for the best single strength

/**
 * @param {CanvasRenderingContext2D} ctx scaled so that its unit is a pixel of the page
 * @param {import("./layout.mjs").Layout} where
 * @param {import("./store.mjs").Search} search
 * @param {Theme} theme
 * @param {Focus} focus the bar to mark
 */
export function drawChart(ctx, where, search, theme, focus) {
  ctx.clearRect(0, 0, where.width, where.height);
  ctx.lineJoin = "round";
  ctx.textBaseline = "middle";
  const { loras } = search;
  const domain = rateDomain(loras.map((lora) => lora.rates), loras.map((lora) => lora.errors ?? []));
  loras.forEach((lora, i) => {
    const row = where.rows[i];
    const y = linear(domain[0], domain[1], row.plot.y + row.plot.height, row.plot.y);
    const color = theme.series[i % theme.series.length];
    drawTitle(ctx, row.title, lora.name, color, theme);
    drawGrid(ctx, row.plot, ticks(domain[0], domain[1], row.plot.height / 32), y, theme);
    where.slots.forEach((slot, block) => {
      if (focus?.lora === i && focus.block === block) mark(ctx, slot, row.plot, theme);
      if (lora.keys[block]) drawBar(ctx, slot, y, lora, block, color, theme, row.plot);
      else drawAbsent(ctx, slot, y(0), theme);
    });
  });
  drawBlockNames(ctx, where, search, theme);
  drawLoss(ctx, where, search, theme);
}

function font(theme, weight = "") {
  return `${weight} ${SMALL}px ${theme.font}`.trim();
}

function write(ctx, text, x, y, color, align = "left") {
  ctx.fillStyle = color;
  ctx.textAlign = align;
  ctx.fillText(text, x, y);
}

/** A text that is cut to a width; people know names of files by their beginning. */
function fitted(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && ctx.measureText(`${text.slice(0, length)}\u2026`).width > width) length--;
  return `${text.slice(0, length)}\u2026`;
}

function drawTitle(ctx, box, name, color, theme) {
  const middle = box.y + box.height / 2 - 1;
  ctx.fillStyle = color;
  ctx.fillRect(box.x, middle - 4, 8, 8);
  ctx.font = font(theme, "600");
  write(ctx, fitted(ctx, name, box.width - 14), box.x + 14, middle, theme.text);
}

function drawGrid(ctx, box, values, y, theme) {
  ctx.font = font(theme);
  ctx.lineWidth = 1;
  for (const value of values) {
    const at = Math.round(y(value)) + 0.5;
    ctx.strokeStyle = value === 0 ? theme.quiet : theme.line;
    stroke(ctx, [[box.x, at], [box.x + box.width, at]]);
    write(ctx, rateText(value), box.x - 6, at, theme.quiet, "right");
  }
}

function mark(ctx, slot, box, theme) {
  ctx.save();
  ctx.globalAlpha = 0.16;
  ctx.fillStyle = theme.text;
  ctx.fillRect(slot.x, box.y, slot.width, box.height);
  ctx.restore();
}

function drawBar(ctx, slot, y, lora, block, color, theme, box) {
  const rate = lora.rates[block];
  const width = slot.width * BAR;
  const x = slot.x + (slot.width - width) / 2;
  ctx.fillStyle = color;
  ctx.fillRect(x, Math.min(y(0), y(rate)), width, Math.max(1, Math.abs(y(rate) - y(0))));
  const error = lora.errors?.[block];
  if (error == null || error <= 0) return;
  const inside = (at) => Math.min(box.y + box.height, Math.max(box.y, at));
  const [top, bottom, middle, half] = [inside(y(rate + error)), inside(y(rate - error)), slot.x + slot.width / 2, Math.min(4, width / 3)];
  // Inside the bar, too, a whisker must stand out: a wider line of the page's colour lies under it.
  for (const [color, width] of [[theme.background, 3], [theme.text, 1.25]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    stroke(ctx, [[middle, top], [middle, bottom]]);
    stroke(ctx, [[middle - half, top], [middle + half, top]]);
    stroke(ctx, [[middle - half, bottom], [middle + half, bottom]]);
  }
}

/** A block that the LoRA has no keys for: a grey cross on the zero line, unlike any bar. */
function drawAbsent(ctx, slot, zero, theme) {
  const [middle, arm] = [slot.x + slot.width / 2, Math.min(3, slot.width / 4)];
  ctx.strokeStyle = theme.quiet;
  ctx.lineWidth = 1;
  stroke(ctx, [[middle - arm, zero - 8 - arm], [middle + arm, zero - 8 + arm]]);
  stroke(ctx, [[middle - arm, zero - 8 + arm], [middle + arm, zero - 8 - arm]]);
}

function drawBlockNames(ctx, where, { loras, blocks, sections }, theme) {
  const numbers = where.axis.y + 9;
  const names = where.axis.y + 23;
  const wide = where.slots[0].width >= 9;
  blocks.forEach((_, block) => {
    const slot = where.slots[block];
    const there = loras.some((lora) => lora.keys[block]);
    ctx.font = font(theme);
    if (wide) write(ctx, shortName(sections, block), slot.x + slot.width / 2, numbers, there ? theme.text : theme.quiet, "center");
  });
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.line;
  for (const { name, first, count } of sections) {
    const from = where.slots[first].x;
    const to = where.slots[first + count - 1].x + where.slots[first].width;
    const there = loras.some((lora) => lora.keys.slice(first, first + count).some(Boolean));
    ctx.font = font(theme, "600");
    if (count > 1) stroke(ctx, [[from, numbers + 7.5], [to, numbers + 7.5]]);
    write(ctx, name, (from + to) / 2, count > 1 ? names : numbers, there ? theme.text : theme.quiet, "center");
  }
}

function drawLoss(ctx, where, search, theme) {
  const { loss: box, lossTitle } = where;
  const now = search.mean.length ? ` ${short(search.mean[search.mean.length - 1])}` : "";
  const middle = lossTitle.y + lossTitle.height / 2 - 1;
  ctx.font = font(theme, "600");
  write(ctx, t("Loss") + now, lossTitle.x, middle, theme.text);
  const room = box.width - ctx.measureText(t("Loss") + now).width - 10;
  ctx.font = font(theme);
  write(ctx, fitted(ctx, lossLegend(search.single), room), box.x + box.width, middle, theme.quiet, "right");

  const domain = curveDomain([...search.loss, ...search.mean, ...(search.single ? [search.single.loss] : [])]);
  const y = linear(domain[0], domain[1], box.y + box.height, box.y);
  ctx.lineWidth = 1;
  for (const value of search.loss.length ? ticks(domain[0], domain[1], 3) : []) {
    const at = Math.round(y(value)) + 0.5;
    ctx.strokeStyle = theme.line;
    stroke(ctx, [[box.x, at], [box.x + box.width, at]]);
    write(ctx, short(value), box.x - 6, at, theme.quiet, "right");
  }
  ctx.strokeStyle = theme.quiet;
  stroke(ctx, [[box.x, box.y + box.height + 0.5], [box.x + box.width, box.y + box.height + 0.5]]);
  const below = box.y + box.height + 10;
  write(ctx, t("step 1"), box.x, below, theme.quiet);
  // A search that has ended fills the width, also when it ended early.
  const last = search.running ? search.steps : search.step;
  write(ctx, String(last), box.x + box.width, below, theme.quiet, "right");

  const points = Math.ceil(last / search.every);
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.x, box.y, box.width, box.height);
  ctx.clip();
  ctx.globalAlpha = 0.55;
  curve(ctx, search.loss, points, box, y, theme.quiet, 1);
  ctx.globalAlpha = 1;
  curve(ctx, search.mean, points, box, y, theme.series[0], 2);
  if (search.single) {
    ctx.strokeStyle = theme.text;
    ctx.lineWidth = 1.25;
    ctx.setLineDash(DASH);
    stroke(ctx, [[box.x, y(search.single.loss)], [box.x + box.width, y(search.single.loss)]]);
  }
  ctx.restore();
}

/** `points`: how many there will be at the search's end, so that the curve grows from the left. */
function curve(ctx, values, points, box, y, color, width) {
  const shown = bucketMeans(values, Math.max(2, box.width));
  const reach = points > 1 ? (values.length - 1) / (points - 1) : 0;
  const x = linear(0, Math.max(1, shown.length - 1), box.x, box.x + box.width * Math.min(1, reach));
  ctx.strokeStyle = color;
  ctx.fillStyle = color;
  ctx.lineWidth = width;
  if (shown.length === 1) ctx.fillRect(box.x - 1, y(shown[0]) - 1, 3, 3);
  stroke(ctx, shown.map((value, i) => [x(i), y(value)]));
}

function stroke(ctx, points) {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
}
