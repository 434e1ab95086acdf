/** The chart on the page: sharp at every size, and open to pointer, keyboard and screen reader. */

import { drawChart } from "./chart.mjs";
import { blocksOn, plainRate, readout } from "./format.mjs";
import { barAt, heightFor, layout } from "./layout.mjs";
import { themeOf } from "./theme.mjs";
import { t } from "../lib/words.mjs";

const SHARPNESS = [0.5, 4]; // canvas pixels for one of the element's own, at least and at most
const FIGURE = { width: 960, plot: 150, title: 30, margin: 12, scale: 2 };

export class ChartView {
  #canvas = document.createElement("canvas");
  #empty = document.createElement("div");
  /** @type {import("./store.mjs").Search|null} */
  #search = null;
  /** @type {import("./layout.mjs").Layout|null} */
  #layout = null;
  /** @type {import("./chart.mjs").Focus} */
  #focus = null;
  #frame = 0;
  #resizes = new ResizeObserver(() => this.redraw());
  #copy;

  /** @param {(text: string) => Promise<boolean>} copy puts a text into the clipboard, and says whether it did */
  constructor(copy) {
    this.#copy = copy;
    this.element = document.createElement("div");
    this.element.className = "appl-search-chart";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.element.setAttribute("aria-label", t("Block weights. Arrow keys go from bar to bar, Enter copies the rate."));
    this.#canvas.setAttribute("role", "img");
    this.#empty.className = "appl-search-empty";
    this.#empty.textContent = t("Run the workflow: the block weights appear here while they are searched.");
    this.readout = document.createElement("div");
    this.readout.className = "appl-search-readout";
    this.readout.setAttribute("aria-live", "polite");
    this.element.append(this.#canvas, this.#empty);
    this.element.addEventListener("pointermove", (event) => this.#focusOn(this.#barUnder(event)));
    this.element.addEventListener("pointerleave", () => this.#focusOn(null));
    this.element.addEventListener("click", () => this.#copyRate());
    this.element.addEventListener("blur", () => this.#focusOn(null));
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.#resizes.observe(this.element);
  }

  /** @param {import("./store.mjs").Search|null} search */
  show(search) {
    this.#search = search;
    this.#empty.hidden = search !== null;
    if (this.#focus && !search?.loras[this.#focus.lora]) this.#focus = null;
    this.#say();
    this.redraw();
  }

  destroy() {
    this.#resizes.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** Draws at the next frame, however often it is asked before. */
  redraw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /**
   * The chart as a picture.
   * @param {string} title
   * @returns {Promise<Blob>}
   */
  figure(title) {
    const { width, plot, title: above, margin, scale } = FIGURE;
    const height = heightFor(this.#search.loras.length, plot);
    const theme = themeOf(this.element.parentElement);
    const canvas = document.createElement("canvas");
    canvas.width = (width + 2 * margin) * scale;
    canvas.height = (height + above + 2 * margin) * scale;
    const ctx = canvas.getContext("2d");
    ctx.scale(scale, scale);
    // The chart clears its own place, so the page's colour comes behind it afterwards.
    ctx.save();
    ctx.translate(margin, margin + above);
    drawChart(ctx, layout(width, height, this.#search.loras.length, this.#search.sections), this.#search, theme, null);
    ctx.restore();
    ctx.font = `600 15px ${theme.font}`;
    ctx.fillStyle = theme.text;
    ctx.textAlign = "left";
    ctx.fillText(title, margin + 6, margin + above / 2, width - 12);
    ctx.globalCompositeOperation = "destination-over";
    ctx.fillStyle = theme.background;
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(t("The browser could not make the picture.")))));
    });
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    // One canvas pixel for each of the screen: nodes are zoomed, and browsers shrink canvases badly.
    const sharp = this.#zoom() * (window.devicePixelRatio || 1);
    const sharpness = Math.min(SHARPNESS[1], Math.max(SHARPNESS[0], sharp));
    const [across, down] = [Math.round(width * sharpness), Math.round(height * sharpness)];
    if (this.#canvas.width !== across || this.#canvas.height !== down) Object.assign(this.#canvas, { width: across, height: down });
    const ctx = this.#canvas.getContext("2d");
    ctx.setTransform(sharpness, 0, 0, sharpness, 0, 0);
    if (!this.#search) {
      ctx.clearRect(0, 0, width, height);
      return;
    }
    const theme = themeOf(this.element.parentElement);
    this.element.parentElement.style.setProperty("--appl-search-accent", theme.series[0]);
    this.#layout = layout(width, height, this.#search.loras.length, this.#search.sections);
    drawChart(ctx, this.#layout, this.#search, theme, this.#focus);
  }

  #zoom() {
    return this.element.getBoundingClientRect().width / this.element.clientWidth || 1;
  }

  #barUnder(event) {
    if (!this.#layout || !this.#search) return null;
    const shown = this.element.getBoundingClientRect();
    const zoom = this.#zoom();
    return barAt(this.#layout, (event.clientX - shown.left) / zoom, (event.clientY - shown.top) / zoom);
  }

  #focusOn(focus) {
    if (this.#focus?.lora === focus?.lora && this.#focus?.block === focus?.block) return;
    this.#focus = focus;
    this.#say();
    this.redraw();
  }

  #say(note = "") {
    const loras = this.#search?.loras;
    const summary = loras ? blocksOn(loras) : "";
    this.#canvas.setAttribute("aria-label", loras ? `${loras.map((lora) => lora.name).join(", ")}: ${summary}` : t("No search yet"));
    const { lora, block } = this.#focus ?? {};
    const text = this.#focus ? readout(this.#search, lora, block) : summary && t("{0}. Point at a bar for more; a click copies its rate.", summary);
    this.readout.textContent = note ? `${note} \u00b7 ${text}` : text;
  }

  async #copyRate() {
    if (!this.#focus || !this.#search) return;
    const { lora, block } = this.#focus;
    const rate = plainRate(this.#search.loras[lora].rates[block]);
    if (await this.#copy(rate)) this.#say(t("Copied {0}", rate));
  }

  #onKey(event) {
    if (!this.#search || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = { lora: this.#search.loras.length - 1, block: this.#search.blocks.length - 1 };
    const at = this.#focus;
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
      Enter: () => this.#copyRate(),
      " ": () => this.#copyRate(),
    };
    const action = actions[event.key];
    if (!action) return;
    // The page moves nodes and scrolls by these keys.
    event.preventDefault();
    event.stopPropagation();
    action();
  }
}
