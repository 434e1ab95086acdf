/** The panel of one search node: chart, slider and strings. Knows nothing of ComfyUI; its actions do. */

import { ChartView } from "./chart_view.mjs";
import { make, setChoices } from "../lib/dom.mjs";
import { short, status } from "./format.mjs";
import { copyText, download } from "../lib/handing_out.mjs";
import { leastHeight } from "./layout.mjs";
import { atPoint, PathView } from "./path_view.mjs";
import { PreviewView } from "./preview_view.mjs";
import { t } from "../lib/words.mjs";

/**
 * @typedef {object} Actions what only the page around the panel can do
 * @property {() => Promise<void>} finish ends the search with what it has
 * @property {(penalty: number|null) => void} choose a point of the path for the next run
 * @property {(loras: import("./store.mjs").Lora[]) => Promise<Record<string, {text: string, notes: string[]}>[]>} strings
 * @property {(file: import("./store.mjs").File) => string} address of a file
 * @property {(error: Error) => void} failed tells the user
 */

const FORMAT_KEY = "appl_search.format";
const AROUND_CHART = 320; // everything but the chart, with the gaps between
const GAP = 8;
const STRINGS_WAIT = 80; // milliseconds without a move of the slider before the server is asked

export class Panel {
  /** @type {import("./store.mjs").Search|null} */
  #search = null;
  /** @type {Record<string, {text: string, notes: string[]}>[]|null} those of the point that is shown */
  #strings = null;
  /** @type {{search: import("./store.mjs").Search|null, point: number|null}} what they are of */
  #stringsOf = { search: null, point: null };
  #timer = 0;
  #asked = 0;
  /** @type {Actions} */
  #actions;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.chart = new ChartView((text) => this.#copy(text));
    this.path = new PathView({ moved: () => this.#pointMoved(), choose: (penalty) => actions.choose(penalty) });
    this.previews = new PreviewView(actions.address);
    this.status = make("span", { className: "appl-search-grow", role: "status" });
    this.finish = make("button", { type: "button", textContent: t("Finish now"), title: t("Finish with what the search has found so far, and go on with the workflow"), onclick: () => this.#finish() });
    this.lora = make("select", { "aria-label": "LoRA", title: "LoRA", onchange: () => this.#showString() });
    this.format = make("select", { "aria-label": t("Format of the string"), title: t("Format of the string"), onchange: () => this.#formatChosen() });
    const button = (textContent, title, onclick) => make("button", { type: "button", textContent, title, onclick });
    this.buttons = [
      button(t("Copy"), t("Copy the string"), () => this.#copy(this.string.value)),
      button(t("Copy all"), t("Copy the strings of all LoRAs in all formats"), () => this.#copy(this.#allStrings())),
      button("JSON", t("Download the saved search: block weights, settings and history"), () => this.#downloadJson()),
      button("PNG", t("Download the figure as a picture"), () => this.#downloadFigure()),
    ];
    this.string = make("textarea", { readOnly: true, rows: 2, spellcheck: false, "aria-label": t("Block weights as text") });
    this.notes = make("div", { className: "appl-search-note" });
    this.strings = make("div", { className: "appl-search-strings" },
      make("div", { className: "appl-search-row" }, this.lora, this.format),
      this.string, this.notes,
      make("div", { className: "appl-search-row appl-search-buttons" }, ...this.buttons));
    this.element = make("div", { className: "appl-search", role: "group", "aria-label": t("LoRA block weights") },
      make("div", { className: "appl-search-row" }, this.status, this.finish),
      this.chart.element, this.chart.readout, this.path.element, this.previews.element, this.strings);
    this.show(null, null);
  }

  get search() {
    return this.#search;
  }

  /** The least height that the panel needs, in pixels. */
  get leastHeight() {
    const previews = this.previews.height;
    return AROUND_CHART + leastHeight(this.#search?.loras.length ?? 1) + (previews && previews + GAP);
  }

  /**
   * @param {import("./store.mjs").Search|null} search
   * @param {number|null} chosen the penalty that the next run will use, null for the one searched with
   */
  show(search, chosen) {
    this.#search = search;
    this.path.show(search, chosen);
    this.previews.show(search?.previews ?? null);
    const warnings = search?.warnings?.join(" ");
    this.status.textContent = warnings || status(search);
    this.status.classList.toggle("appl-search-warning", Boolean(warnings));
    this.status.title = this.status.textContent;
    this.strings.hidden = !search;
    this.finish.hidden = !search?.running;
    this.finish.disabled = Boolean(search?.finishing) || !search?.samples;
    this.lora.hidden = (search?.loras.length ?? 0) < 2;
    setChoices(this.lora, (search?.loras ?? []).map((lora, i) => [String(i), lora.name]), "0");
    setChoices(this.format, search?.formats ?? [], localStorage.getItem(FORMAT_KEY) ?? search?.default_format);
    this.#pointMoved();
  }

  destroy() {
    clearTimeout(this.#timer);
    this.chart.destroy();
  }

  /** Bars at once; the string as soon as the server has written it. */
  #pointMoved() {
    const shown = this.#search && atPoint(this.#search, this.path.point);
    this.chart.show(shown);
    const of = { search: this.#search, point: this.path.point };
    if (this.#strings && this.#stringsOf.search === of.search && this.#stringsOf.point === of.point) return;
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    this.#stringsOf = of;
    this.#strings = shown && of.point === null && !shown.running ? shown.loras.map((lora) => lora.strings) : null;
    this.#showString();
    if (!shown || of.point === null) return;
    this.#timer = setTimeout(async () => {
      try {
        const strings = await this.#actions.strings(shown.loras);
        if (asked !== this.#asked) return; // the slider has moved on
        this.#strings = strings;
        this.#showString();
      } catch (error) {
        this.#actions.failed(error);
      }
    }, STRINGS_WAIT);
  }

  #showString() {
    const found = this.#strings?.[Number(this.lora.value) || 0]?.[this.format.value];
    this.string.value = found?.text ?? "";
    this.string.placeholder = this.#search?.running ? t("The string appears when the search has ended.") : "";
    this.notes.textContent = (found?.notes ?? []).join(" ");
    const [copy, copyAll, json, figure] = this.buttons;
    copy.disabled = copyAll.disabled = !this.#strings;
    json.disabled = !this.#search?.file;
    figure.disabled = !this.#search;
  }

  #formatChosen() {
    localStorage.setItem(FORMAT_KEY, this.format.value);
    this.#showString();
  }

  #allStrings() {
    return this.#strings.flatMap((strings, i) => [
      this.#search.loras[i].name,
      ...this.#search.formats.map(([name, label]) => [label, strings[name].text, ...strings[name].notes].join("\n")),
    ]).join("\n\n");
  }

  async #copy(text) {
    try {
      await copyText(text);
      return true;
    } catch (error) {
      this.#actions.failed(error);
      return false;
    }
  }

  async #finish() {
    this.#search.finishing = true;
    this.finish.disabled = true;
    this.status.textContent = status(this.#search);
    try {
      await this.#actions.finish();
    } catch (error) {
      this.#search.finishing = false;
      this.finish.disabled = false;
      this.#actions.failed(error);
    }
  }

  #downloadJson() {
    const [filename, ...folders] = this.#search.file.split("/").reverse();
    const subfolder = ["block_weights", ...folders.reverse()].join("/");
    download(this.#actions.address({ filename, subfolder, type: "output" }), filename);
  }

  async #downloadFigure() {
    const { loras, method, samples } = this.#search;
    const { penalty } = atPoint(this.#search, this.path.point);
    const names = loras.map((lora) => lora.name).join(" + ");
    try {
      const figure = await this.chart.figure(t("Block weights of {0} \u00b7 {1}, {2} samples, penalty {3}", names, method, samples, short(penalty)));
      download(figure, `${names} block weights.png`);
    } catch (error) {
      this.#actions.failed(error);
    }
  }
}
