/** All figures of a search as one picture. */

import { drawBars } from "./bars.mjs";
import { heightFor, layout, LOSS_HEIGHT, lossLayout } from "./layout.mjs";
import { drawLoss } from "./loss.mjs";
import { t } from "../lib/words.mjs";

const SIZE = { width: 960, plot: 150, title: 30, margin: 12, between: 8, scale: 2 };

/**
 * @param {import("./store.mjs").Search} search
 * @param {string} title
 * @param {import("../lib/drawing.mjs").Theme} theme
 * @returns {Promise<Blob>}
 */
export function figure(search, title, theme) {
  const { width, plot, title: above, margin, between, scale } = SIZE;
  const bars = heightFor(search.loras.length, plot);
  const canvas = document.createElement("canvas");
  canvas.width = (width + 2 * margin) * scale;
  canvas.height = (above + bars + between + LOSS_HEIGHT + 2 * margin) * scale;
  const ctx = canvas.getContext("2d");
  ctx.scale(scale, scale);
  ctx.fillStyle = theme.background;
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.translate(margin, margin + above);
  drawBars(ctx, layout(width, bars, search.loras.length, search.sections), search, theme, { focus: null, pins: [], errors: true });
  ctx.translate(0, bars + between);
  drawLoss(ctx, lossLayout(width, LOSS_HEIGHT), search, theme);
  ctx.translate(0, -bars - between - above);
  ctx.font = `600 15px ${theme.font}`;
  ctx.fillStyle = theme.text;
  ctx.textAlign = "left";
  ctx.fillText(title, 6, above / 2, width - 12);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(t("The browser could not make the picture.")))));
  });
}
