/** Draws the loss of a search on a plain canvas. */

import { lossLegend, short } from "./format.mjs";
import { begin, fitted, font, stroke, write } from "../lib/drawing.mjs";
import { bucketMeans, curveDomain, linear, ticks } from "../lib/scales.mjs";
import { t } from "../lib/words.mjs";

const DASH = [5, 4]; // of the line for the best single strength

/**
 * @param {CanvasRenderingContext2D} ctx scaled so that its unit is a pixel of the page
 * @param {{title: import("./layout.mjs").Box, plot: import("./layout.mjs").Box}} where
 * @param {import("./store.mjs").Search} search
 * @param {import("../lib/drawing.mjs").Theme} theme
 */
export function drawLoss(ctx, { title, plot: box }, search, theme) {
  begin(ctx);
  const now = search.mean.length ? ` ${short(search.mean[search.mean.length - 1])}` : "";
  const middle = title.y + title.height / 2 - 1;
  ctx.font = font(theme, "600");
  write(ctx, t("Loss") + now, title.x, middle, theme.text);
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
