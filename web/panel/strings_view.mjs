/** The string, and a button for each thing that is done with it next. */

import { make, setChoices } from "../lib/dom.mjs";
import { t } from "../lib/words.mjs";

const FORMAT_KEY = "appl_search.format";
const INSPIRE = "inspire"; // the format of its loader
const WAIT = 80; // milliseconds without a move of the slider before the server is asked

/** @typedef {Record<string, {text: string, notes: string[]}>} Strings by format */

export class StringsView {
  /** @type {import("./store.mjs").Search|null} with the block weights that are shown */
  #shown = null;
  /** @type {Strings[]|null} of each LoRA, once the server has written them */
  #strings = null;
  #timer = 0;
  #asked = 0;
  #actions;

  /**
   * @param {object} actions
   * @param {(loras: import("./store.mjs").Lora[]) => Promise<Strings[]>} actions.strings
   * @param {(text: string) => void} actions.copy
   * @param {(vectors: {name: string, text: string}[], chosen: number) => void} actions.inspire of every LoRA, and which one the panel shows
   * @param {() => Promise<void>} actions.save
   * @param {() => string} actions.report its address
   * @param {(error: Error) => void} actions.failed
   */
  constructor(actions) {
    this.#actions = actions;
    const button = (textContent, title, onclick) => make("button", { type: "button", textContent, title, onclick });
    const select = (label, onchange) => make("select", { "aria-label": label, title: label, onchange });
    this.string = make("textarea", { readOnly: true, rows: 1, spellcheck: false, "aria-label": t("Block weights as text") });
    this.copy = button(t("Copy"), t("Copy the string"), () => actions.copy(this.string.value));
    this.lora = select("LoRA", () => this.#say());
    this.format = select(t("Format of the string"), () => this.#formatChosen());
    this.inspire = button(t("Use in Inspire"), t("Puts the block weights into Inspire's LoRA Loader (Block Weight) in this graph; without one, copies the string for it"), () => this.#inspire());
    this.save = button(t("Save a LoRA"), t("Saves LoRA files with these block weights multiplied in, for any loader at strength 1"), () => this.#save());
    this.report = make("a", { className: "appl-search-button", textContent: t("Report"), title: t("Opens a page with figures, numbers, strings and settings"), target: "_blank", rel: "noopener" });
    this.notes = make("div", { className: "appl-search-note" });
    this.element = make("div", { className: "appl-search-column appl-search-strings" },
      make("div", { className: "appl-search-row" }, this.string, this.copy),
      make("div", { className: "appl-search-row" }, this.lora, this.format),
      make("div", { className: "appl-search-row appl-search-buttons" }, this.inspire, this.save, this.report),
      this.notes);
  }

  /** All strings of all LoRAs, for people; null until the server has written them. */
  get all() {
    return this.#strings && this.#strings.flatMap((strings, i) => [
      this.#shown.loras[i].name,
      ...this.#shown.formats.map(([name, label]) => [label, strings[name].text, ...strings[name].notes].join("\n")),
    ]).join("\n\n");
  }

  /**
   * @param {import("./store.mjs").Search|null} shown with the block weights to write
   * @param {boolean} isFound whether they are what the search found, whose strings came with it
   */
  show(shown, isFound) {
    this.element.hidden = !shown;
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    this.#shown = shown;
    this.lora.hidden = (shown?.loras.length ?? 0) < 2;
    setChoices(this.lora, (shown?.loras ?? []).map((lora, i) => [String(i), lora.name]), "0");
    setChoices(this.format, shown?.formats ?? [], localStorage.getItem(FORMAT_KEY) ?? shown?.default_format);
    this.#strings = shown && isFound && !shown.running ? shown.loras.map((lora) => lora.strings) : null;
    this.#say();
    if (!shown || isFound) return;
    this.#timer = setTimeout(async () => {
      try {
        const strings = await this.#actions.strings(shown.loras);
        if (asked !== this.#asked) return; // the slider has moved on
        this.#strings = strings;
        this.#say();
      } catch (error) {
        this.#actions.failed(error);
      }
    }, WAIT);
  }

  destroy() {
    clearTimeout(this.#timer);
  }

  #say() {
    const found = this.#strings?.[Number(this.lora.value) || 0]?.[this.format.value];
    this.string.value = found?.text ?? "";
    this.string.placeholder = this.#shown?.running ? t("The string appears when the search has ended.") : "";
    this.notes.textContent = (found?.notes ?? []).join(" ");
    this.copy.disabled = this.inspire.disabled = !this.#strings;
    const kept = Boolean(this.#shown?.file);
    this.save.disabled = !kept;
    if (kept) this.report.href = this.#actions.report();
    else this.report.removeAttribute("href");
  }

  #formatChosen() {
    localStorage.setItem(FORMAT_KEY, this.format.value);
    this.#say();
  }

  #inspire() {
    const vectors = this.#shown.loras.map(({ name }, i) => ({ name, text: this.#strings[i][INSPIRE].text }));
    this.#actions.inspire(vectors, Number(this.lora.value) || 0);
  }

  async #save() {
    this.save.disabled = true;
    try {
      await this.#actions.save();
    } finally {
      this.save.disabled = !this.#shown?.file;
    }
  }
}
