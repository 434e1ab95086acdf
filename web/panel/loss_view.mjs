/** The loss on the page. */

import { drawLoss } from "./loss.mjs";
import { LOSS_HEIGHT, lossLayout } from "./layout.mjs";
import { short } from "./format.mjs";
import { themeOf } from "./theme.mjs";
import { make } from "../lib/dom.mjs";
import { SharpCanvas } from "../lib/sharp_canvas.mjs";
import { t } from "../lib/words.mjs";

export class LossView {
  #canvas;
  /** @type {import("./store.mjs").Search|null} */
  #search = null;

  constructor() {
    this.element = make("div", { className: "appl-search-loss" });
    this.element.style.height = `${LOSS_HEIGHT}px`;
    this.#canvas = new SharpCanvas(this.element, (ctx, width, height) => {
      if (this.#search) drawLoss(ctx, lossLayout(width, height), this.#search, themeOf(this.element.closest(".appl-search")));
    });
  }

  /** @param {import("./store.mjs").Search|null} search */
  show(search) {
    this.#search = search;
    this.#canvas.canvas.setAttribute("aria-label", search?.mean.length ? `${t("Loss")} ${short(search.mean.at(-1))}` : t("Loss"));
    this.redraw();
  }

  redraw() {
    this.#canvas.redraw();
  }

  destroy() {
    this.#canvas.destroy();
  }
}
