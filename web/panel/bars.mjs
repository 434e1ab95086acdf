/** Draws the bars of block weights on a plain canvas. Knows nothing of ComfyUI. */

import { shortName } from "./blocks.mjs";
import { rateText } from "./format.mjs";
import { begin, fitted, font, stroke, write } from "../lib/drawing.mjs";
import { linear, rateDomain, ticks } from "../lib/scales.mjs";

/** @typedef {{lora: number, block: number}|null} Focus */
/**
 * @typedef {object} Marks
 * @property {Focus} focus the bar that is pointed at
 * @property {(number|null)[][]} pins rates that are held, for each LoRA; [] when none is
 * @property {boolean} errors whether standard errors are drawn
 */

const BAR = 0.72; // of a column
const PIN = { head: 3, stem: 5 };
/** Places above every bar, for what stands on it. */
const ROOM = 2 * PIN.head + PIN.stem;

/**
 * @param {CanvasRenderingContext2D} ctx scaled so that its unit is a pixel of the page
 * @param {import("./layout.mjs").Layout} where
 * @param {import("./store.mjs").Search} search
 * @param {import("../lib/drawing.mjs").Theme} theme
 * @param {Marks} marks
 */
export function drawBars(ctx, where, search, theme, { focus, pins, errors }) {
  begin(ctx);
  const { loras } = search;
  const domain = rateDomain(loras.map((lora) => lora.rates), errors ? loras.map((lora) => lora.errors ?? []) : []);
  loras.forEach((lora, i) => {
    const { title, plot } = where.rows[i];
    const room = pins.length && !where.compact ? ROOM : 0;
    const y = linear(domain[0], domain[1], plot.y + plot.height, plot.y + room);
    const color = theme.series[i % theme.series.length];
    drawName(ctx, title, lora.name, color, theme);
    if (where.compact) drawZero(ctx, plot, y(0), theme);
    else drawGrid(ctx, plot, ticks(domain[0], domain[1], plot.height / 32), y, theme);
    where.slots.forEach((slot, block) => {
      if (focus?.lora === i && focus.block === block) drawFocus(ctx, slot, plot, theme);
      const pin = pins[i]?.[block] ?? null;
      if (!lora.keys[block]) drawAbsent(ctx, slot, y(0), where.compact, theme);
      else {
        drawBar(ctx, slot, y, lora.rates[block], color);
        if (errors && !where.compact) drawError(ctx, slot, y, lora.rates[block], lora.errors?.[block], theme, plot);
        if (pin !== null) drawPin(ctx, slot, y(Math.max(0, lora.rates[block])), plot, theme);
      }
    });
  });
  drawBlockNames(ctx, where, search, theme);
}

function drawName(ctx, box, name, color, theme) {
  const middle = box.y + box.height / 2;
  ctx.fillStyle = color;
  ctx.fillRect(box.x, middle - 4, 8, 8);
  ctx.font = font(theme, "600");
  write(ctx, fitted(ctx, name, box.width - 14), box.x + 14, middle, theme.text);
}

function drawZero(ctx, box, zero, theme) {
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.line;
  stroke(ctx, [[box.x, Math.round(zero) + 0.5], [box.x + box.width, Math.round(zero) + 0.5]]);
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

function drawFocus(ctx, slot, box, theme) {
  ctx.save();
  ctx.globalAlpha = 0.16;
  ctx.fillStyle = theme.text;
  ctx.fillRect(slot.x, box.y, slot.width, box.height);
  ctx.restore();
}

function drawBar(ctx, slot, y, rate, color) {
  const width = slot.width * BAR;
  ctx.fillStyle = color;
  ctx.fillRect(slot.x + (slot.width - width) / 2, Math.min(y(0), y(rate)), width, Math.max(1, Math.abs(y(rate) - y(0))));
}

function drawError(ctx, slot, y, rate, error, theme, box) {
  if (error == null || error <= 0) return;
  const inside = (at) => Math.min(box.y + box.height, Math.max(box.y, at));
  const [top, bottom, middle, half] = [inside(y(rate + error)), inside(y(rate - error)), slot.x + slot.width / 2, Math.min(4, (slot.width * BAR) / 3)];
  // Inside the bar, too, a whisker must stand out: a wider line of the page's colour lies under it.
  for (const [color, width] of [[theme.background, 3], [theme.text, 1.25]]) {
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    stroke(ctx, [[middle, top], [middle, bottom]]);
    stroke(ctx, [[middle - half, top], [middle + half, top]]);
    stroke(ctx, [[middle - half, bottom], [middle + half, bottom]]);
  }
}

/** A pin that stands on the bar, or as high as there is room. */
function drawPin(ctx, slot, top, box, theme) {
  const middle = slot.x + slot.width / 2;
  const foot = Math.max(top, box.y + ROOM);
  const head = foot - PIN.stem - PIN.head;
  for (const [color, more] of [[theme.background, 1.5], [theme.text, 0]]) {
    ctx.strokeStyle = ctx.fillStyle = color;
    ctx.lineWidth = 1.5 + 2 * more;
    stroke(ctx, [[middle, foot], [middle, head]]);
    ctx.beginPath();
    ctx.arc(middle, Math.max(box.y + PIN.head, head), PIN.head + more, 0, 2 * Math.PI);
    ctx.fill();
  }
}

/** A block that the LoRA has no keys for: a grey cross on the zero line, unlike any bar. */
function drawAbsent(ctx, slot, zero, compact, theme) {
  const [middle, arm, up] = [slot.x + slot.width / 2, Math.min(compact ? 2 : 3, slot.width / 4), compact ? 4 : 8];
  ctx.strokeStyle = theme.quiet;
  ctx.lineWidth = 1;
  stroke(ctx, [[middle - arm, zero - up - arm], [middle + arm, zero - up + arm]]);
  stroke(ctx, [[middle - arm, zero - up + arm], [middle + arm, zero - up - arm]]);
}

function drawBlockNames(ctx, where, { loras, blocks, sections }, theme) {
  const numbers = where.axis.y + 8;
  const names = where.axis.y + 21;
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
    if (count > 1) stroke(ctx, [[from, numbers + 7], [to, numbers + 7]]);
    write(ctx, name, (from + to) / 2, count > 1 ? names : numbers, there ? theme.text : theme.quiet, "center");
  }
}
