/** The bars on the page: open to pointer, keyboard and screen reader. A click pins a block. */

import { drawBars } from "./bars.mjs";
import { blocksOn, readout } from "./format.mjs";
import { barAt, layout } from "./layout.mjs";
import { themeOf } from "./theme.mjs";
import { make } from "../lib/dom.mjs";
import { SharpCanvas } from "../lib/sharp_canvas.mjs";
import { t } from "../lib/words.mjs";

export class BarsView {
  #canvas;
  /** @type {import("./store.mjs").Search|null} */
  #search = null;
  /** @type {import("./layout.mjs").Layout|null} */
  #layout = null;
  /** @type {import("./bars.mjs").Marks} */
  #marks = { focus: null, pins: [], errors: false };
  #pin;
  #canPin = false;

  /** @param {(lora: number, block: number) => void} pin pins a block, or unpins it */
  constructor(pin) {
    this.#pin = pin;
    this.empty = make("div", { className: "appl-search-empty", textContent: t("Run the workflow: the block weights appear here while they are searched.") });
    this.element = make("div", {
      className: "appl-search-bars", tabIndex: 0, role: "application",
      "aria-label": t("Block weights. Arrow keys go from bar to bar, Enter pins the block."),
      onpointermove: (event) => this.#focusOn(this.#barUnder(event)),
      onpointerleave: () => this.#focusOn(null),
      onclick: () => this.#pinFocused(),
      onblur: () => this.#focusOn(null),
      onkeydown: (event) => this.#onKey(event),
    }, this.empty);
    this.readout = make("div", { className: "appl-search-readout appl-search-grow", "aria-live": "polite" });
    this.#canvas = new SharpCanvas(this.element, (ctx, width, height) => this.#draw(ctx, width, height));
  }

  /**
   * @param {import("./store.mjs").Search|null} search
   * @param {{pins: (number|null)[][], errors: boolean, canPin: boolean}} how
   */
  show(search, { pins, errors, canPin }) {
    this.#search = search;
    this.#canPin = canPin;
    Object.assign(this.#marks, { pins: pins.some((row) => row.some((pin) => pin !== null)) ? pins : [], errors });
    this.empty.hidden = search !== null;
    if (this.#marks.focus && !search?.loras[this.#marks.focus.lora]) this.#marks.focus = null;
    this.#say();
    this.redraw();
  }

  redraw() {
    this.#canvas.redraw();
  }

  destroy() {
    this.#canvas.destroy();
  }

  #draw(ctx, width, height) {
    if (!this.#search) return;
    this.#layout = layout(width, height, this.#search.loras.length, this.#search.sections);
    drawBars(ctx, this.#layout, this.#search, themeOf(this.element.closest(".appl-search")), this.#marks);
  }

  #barUnder(event) {
    if (!this.#layout || !this.#search) return null;
    const shown = this.element.getBoundingClientRect();
    const { zoom } = this.#canvas;
    return barAt(this.#layout, (event.clientX - shown.left) / zoom, (event.clientY - shown.top) / zoom);
  }

  #focusOn(focus) {
    const before = this.#marks.focus;
    if (before?.lora === focus?.lora && before?.block === focus?.block) return;
    this.#marks.focus = focus;
    this.#say();
    this.redraw();
  }

  #say() {
    const loras = this.#search?.loras;
    const { focus, pins } = this.#marks;
    const summary = loras ? blocksOn(loras) : "";
    this.#canvas.canvas.setAttribute("aria-label", loras ? `${loras.map((lora) => lora.name).join(", ")}: ${summary}` : t("No search yet"));
    let text = "";
    if (focus) text = readout(this.#search, focus.lora, focus.block, pins[focus.lora]?.[focus.block] ?? null);
    else if (loras) text = this.#canPin ? t("{0}. Point at a bar for more; a click pins its block.", summary) : t("{0}. Point at a bar for more.", summary);
    this.readout.textContent = text;
    this.readout.title = text;
  }

  #pinFocused() {
    const { focus } = this.#marks;
    if (focus && this.#canPin && this.#search.loras[focus.lora].keys[focus.block]) this.#pin(focus.lora, focus.block);
  }

  #onKey(event) {
    if (!this.#search || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = { lora: this.#search.loras.length - 1, block: this.#search.blocks.length - 1 };
    const at = this.#marks.focus;
    const to = (lora, block) => () => this.#focusOn({
      lora: Math.min(last.lora, Math.max(0, lora)), block: Math.min(last.block, Math.max(0, block)),
    });
    const actions = {
      ArrowLeft: to(at?.lora ?? 0, at ? at.block - 1 : 0),
      ArrowRight: to(at?.lora ?? 0, at ? at.block + 1 : 0),
      ArrowUp: to(at ? at.lora - 1 : 0, at?.block ?? 0),
      ArrowDown: to(at ? at.lora + 1 : 0, at?.block ?? 0),
      Home: to(at?.lora ?? 0, 0),
      End: to(at?.lora ?? 0, last.block),
      Enter: () => this.#pinFocused(),
      " ": () => this.#pinFocused(),
    };
    const action = actions[event.key];
    if (!action) return;
    // The page moves nodes and scrolls by these keys.
    event.preventDefault();
    event.stopPropagation();
    action();
  }
}
