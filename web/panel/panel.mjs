/** The panel of one search node, first things first. Knows nothing of ComfyUI; its actions do. */

import { BarsView } from "./bars_view.mjs";
import { Choice } from "./choice.mjs";
import { ExpertView } from "./expert_view.mjs";
import { figure } from "./figure.mjs";
import { short } from "./format.mjs";
import { leastHeight } from "./layout.mjs";
import { PathView } from "./path_view.mjs";
import { Pins } from "./pins.mjs";
import { PreviewsView } from "./previews_view.mjs";
import { headline, strengthsText } from "./sentence.mjs";
import { StringsView } from "./strings_view.mjs";
import { themeOf } from "./theme.mjs";
import { make } from "../lib/dom.mjs";
import { copyText, download } from "../lib/handing_out.mjs";
import { t } from "../lib/words.mjs";

/**
 * @typedef {object} Actions what only the page around the panel can do
 * @property {() => Promise<void>} finish ends the search with what it has
 * @property {(penalty: number|null) => void} choose a point of the path for the next run
 * @property {(loras: import("./store.mjs").Lora[]) => Promise<import("./strings_view.mjs").Strings[]>} strings
 * @property {(file: import("./store.mjs").File) => string} address of a file
 * @property {(asked: object) => string} report its address, by what `Choice.asked` says
 * @property {(asked: object) => Promise<void>} save LoRA files
 * @property {(vectors: {name: string, text: string}[]) => {name: string, to: string}[]} inspire puts vectors into loaders of the
 *   graph; which ones
 * @property {() => void} addPreviews
 * @property {(question: object) => Promise<import("./pins.mjs").Pinned>} pins
 * @property {(text: string) => void} pin keeps the text of pins for the next run
 * @property {() => void} searchOn
 * @property {(open: boolean) => void} folded
 * @property {() => void} resized the panel needs another height
 * @property {(text: string) => void} told tells the user what was done
 * @property {(error: Error) => void} failed tells the user
 */
/**
 * @typedef {object} Settings of the node
 * @property {number|null} chosen the penalty that the next run will use, null for the one searched with
 * @property {string|null} pinned the blocks that are held, as text; null for a node that cannot hold any
 * @property {boolean} previews whether there is a node for preview pictures
 */

const GAP = 5; // as in panel.css
const AROUND = 16; // its padding and border
const UNMEASURED = 320; // before the page has drawn it

export class Panel {
  /** @type {import("./store.mjs").Search|null} */
  #search = null;
  /** @type {Settings} */
  #settings = { chosen: null, pinned: null, previews: false };
  #choice = new Choice();
  #written = { search: null, choice: new Choice() }; // what the string is of
  #least = UNMEASURED;
  #heights = new ResizeObserver(() => this.#measure());
  /** @type {Actions} */
  #actions;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    const { failed } = actions;
    const button = (textContent, title, onclick) => make("button", { type: "button", textContent, title, onclick });
    this.headline = make("div", { className: "appl-search-headline", role: "status" });
    this.finish = button(t("Finish now"), t("Finish with what the search has found so far, and go on with the workflow"), () => this.#finish());
    this.warnings = make("div", { className: "appl-search-warning", role: "alert" });
    this.instead = button("", t("Shows the string of this strength. An ordinary loader gives the same"), () => this.#choose(new Choice(null, !this.#choice.instead)));
    this.previews = new PreviewsView(actions);
    this.strings = new StringsView({
      strings: actions.strings, failed,
      copy: (text) => this.#copy(text),
      inspire: (vectors, chosen) => this.#inspire(vectors, chosen),
      save: () => actions.save(this.#choice.asked(this.#search)),
      report: () => actions.report(this.#choice.asked(this.#search)),
    });
    this.pins = new Pins(actions.pins);
    this.bars = new BarsView((lora, block) => this.#pin(lora, block));
    this.searchOn = button(t("Search on"), t("Searches again; the pinned blocks stay as they are"), () => actions.searchOn());
    this.unpin = button(t("Unpin all"), t("The next search is of all blocks again"), () => this.#unpinAll());
    this.path = new PathView({ moved: () => this.#choose(new Choice(this.path.point)), choose: (penalty) => actions.choose(penalty) });
    this.expert = new ExpertView(this.path.element, {
      folded: (open) => {
        actions.folded(open);
        this.open = open;
      },
      copyAll: () => this.#copy(this.strings.all), json: () => this.#downloadJson(), png: () => this.#downloadFigure(),
    });
    const row = (...children) => make("div", { className: "appl-search-row" }, ...children);
    this.element = make("div", { className: "appl-search", role: "group", "aria-label": t("LoRA block weights") },
      row(this.headline, this.finish), this.warnings, row(this.instead), this.previews.none,
      make("div", { className: "appl-search-hand" }, this.previews.element, this.strings.element),
      this.bars.element, row(this.bars.readout, this.searchOn, this.unpin), this.expert.element);
    for (const part of this.element.children) this.#heights.observe(part);
    this.show(null, this.#settings);
  }

  get search() {
    return this.#search;
  }

  /** The least height that the panel needs, in pixels. */
  get leastHeight() {
    return this.#least;
  }

  /** Whether the figures for experts are open. */
  set open(open) {
    this.expert.element.open = open;
    this.#draw();
  }

  /**
   * @param {import("./store.mjs").Search|null} search
   * @param {Settings} settings
   */
  show(search, settings) {
    const isOther = search !== this.#search;
    const isChosen = settings.chosen !== this.#settings.chosen;
    this.#search = search;
    this.#settings = settings;
    if (isOther || isChosen) {
      this.path.show(search, settings.chosen);
      this.#choice = new Choice(this.path.point);
    }
    this.pins.read(settings.pinned ?? "", search?.loras ?? []).then((isNew) => isNew && this.#draw());
    this.#draw();
  }

  /** Draws the figures anew. */
  redraw() {
    this.element.style.setProperty("--appl-search-accent", themeOf(this.element).series[0]);
    this.bars.redraw();
    this.expert.loss.redraw();
  }

  destroy() {
    this.#heights.disconnect();
    this.strings.destroy();
    this.bars.destroy();
    this.expert.loss.destroy();
  }

  #choose(choice) {
    this.#choice = choice;
    this.#draw();
  }

  #draw() {
    const search = this.#search;
    const shown = search && this.#choice.of(search);
    const warnings = [...(search?.warnings ?? []), ...(this.pins.error ? [this.pins.error] : [])].join(" ");
    this.headline.textContent = headline(search, this.#choice);
    this.headline.title = this.headline.textContent;
    this.finish.hidden = !search?.running;
    this.finish.disabled = Boolean(search?.finishing) || !search?.samples;
    this.warnings.textContent = warnings;
    this.warnings.hidden = !warnings;
    this.#sayInstead();
    this.previews.show(search, this.#settings.previews);
    const canPin = this.#settings.pinned !== null && Boolean(search) && !search.running;
    this.bars.show(shown, { pins: this.pins.rates, errors: this.expert.isOpen, canPin });
    this.searchOn.hidden = this.unpin.hidden = !canPin || !this.pins.count;
    this.expert.show(search, shown);
    const written = { search, choice: this.#choice };
    if (this.#written.search !== search || !this.#written.choice.equals(this.#choice)) {
      this.#written = written;
      this.strings.show(shown, this.#choice.isFound);
    }
    this.redraw();
    this.#measure();
  }

  #sayInstead() {
    const use = this.#search?.verdict?.use_instead;
    this.instead.parentElement.hidden = !use?.strengths.some(Boolean); // no LoRA at all needs no string
    if (use) this.instead.textContent = this.#choice.instead ? t("Back to what was found") : t("Use strength {0} instead", strengthsText(use.strengths));
  }

  /** The height of everything, with bars that can just be read. */
  #measure() {
    if (!this.element.offsetHeight) return; // nodes that are far away are not drawn
    const parts = [...this.element.children].filter((part) => part.offsetHeight || part === this.bars.element);
    const heights = parts.map((part) => (part === this.bars.element ? leastHeight(this.#search?.loras.length ?? 1) : part.offsetHeight));
    const least = AROUND + heights.reduce((sum, height) => sum + height, 0) + GAP * (parts.length - 1);
    if (least === this.#least) return;
    this.#least = least;
    this.#actions.resized();
  }

  async #pin(lora, block) {
    const done = await this.pins.toggle(this.#choice.of(this.#search).loras, lora, block);
    if (done) this.#actions.pin(this.pins.text);
    this.#draw();
  }

  #unpinAll() {
    this.#actions.pin("");
  }

  #inspire(vectors, chosen) {
    const done = this.#actions.inspire(vectors);
    if (done.length) this.#actions.told(t("Put into {0}, with its strengths set to 1.", done.map(({ name, to }) => `${to} (${name})`).join(", ")));
    else if (vectors.length === 1) this.#copy(vectors[0].text, t("Copied. Paste it into block_vector of Inspire's LoRA Loader (Block Weight) with {0}, at strengths of 1.", vectors[0].name));
    else this.#copy(vectors[chosen].text, t("Copied the string of {0}. Paste it into block_vector of Inspire's LoRA Loader (Block Weight) with this LoRA, at strengths of 1; then choose the next LoRA here.", vectors[chosen].name));
  }

  async #copy(text, said = t("Copied")) {
    try {
      await copyText(text);
      this.#actions.told(said);
    } catch (error) {
      this.#actions.failed(error);
    }
  }

  async #finish() {
    this.#search.finishing = true;
    this.#draw();
    try {
      await this.#actions.finish();
    } catch (error) {
      this.#search.finishing = false;
      this.#draw();
      this.#actions.failed(error);
    }
  }

  #downloadJson() {
    const [filename, ...folders] = this.#search.file.split("/").reverse();
    const subfolder = ["block_weights", ...folders.reverse()].join("/");
    download(this.#actions.address({ filename, subfolder, type: "output" }), filename);
  }

  async #downloadFigure() {
    const shown = this.#choice.of(this.#search);
    const { loras, method, samples, penalty } = shown;
    const names = loras.map((lora) => lora.name).join(" + ");
    try {
      const title = t("Block weights of {0} \u00b7 {1}, {2} samples, penalty {3}", names, method, samples, short(penalty));
      download(await figure(shown, title, themeOf(this.element)), `${names} block weights.png`);
    } catch (error) {
      this.#actions.failed(error);
    }
  }
}
