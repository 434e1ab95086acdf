/** The slider along a search's penalty path, from "faithful" to "few blocks". */

import { Choice } from "./choice.mjs";
import { blocksOn, short } from "./format.mjs";
import { make } from "../lib/dom.mjs";
import { nearestPenalty } from "../lib/scales.mjs";
import { t } from "../lib/words.mjs";

export class PathView {
  /** @type {import("./store.mjs").Search|null} */
  #search = null;
  #chosen = null;
  #actions;

  /** @param {{moved: () => void, choose: (penalty: number|null) => void}} actions */
  constructor(actions) {
    this.#actions = actions;
    /** @type {number|null} */
    this.point = null;
    this.slider = make("input", { type: "range", min: "0", step: "1", "aria-label": t("Penalty, from faithful to few blocks"), oninput: () => this.#move() });
    this.mark = make("span", { className: "appl-search-mark" });
    this.label = make("span", { className: "appl-search-grow" });
    this.use = make("button", { type: "button", textContent: t("Use this"), title: t("The node's outputs get these block weights on the next run, without another search"), onclick: () => this.#choose(this.#search.path[this.point].penalty) });
    this.reset = make("button", { type: "button", textContent: t("Reset"), title: t("Back to what the search found"), onclick: () => this.#choose(null) });
    this.element = make("div", { className: "appl-search-column" },
      make("div", { className: "appl-search-row" }, t("Faithful"), make("span", { className: "appl-search-slider" }, this.slider, this.mark), t("Few blocks")),
      make("div", { className: "appl-search-row" }, this.label, this.reset, this.use));
  }

  /**
   * @param {import("./store.mjs").Search|null} search
   * @param {number|null} chosen the penalty that the next run will use, null for the one searched with
   */
  show(search, chosen) {
    const path = search?.path ?? [];
    this.element.hidden = !path.length || search.running;
    this.#search = search;
    this.#chosen = chosen;
    if (!path.length) {
      this.point = null;
      return;
    }
    const penalties = path.map((point) => point.penalty);
    const searched = nearestPenalty(penalties, search.penalty);
    this.point = chosen === null ? null : nearestPenalty(penalties, chosen);
    this.slider.max = String(path.length - 1);
    this.slider.value = String(this.point ?? searched);
    this.mark.style.setProperty("--at", String(searched / Math.max(1, path.length - 1)));
    this.mark.title = search.penalty_chosen ? t("The search chose this penalty by pictures that were kept out of it") : t("The penalty that was searched with");
    this.#say();
  }

  #move() {
    this.point = Number(this.slider.value);
    this.#say();
    this.#actions.moved();
  }

  #choose(penalty) {
    this.#actions.choose(penalty);
    this.show(this.#search, penalty);
    this.#actions.moved();
  }

  #say() {
    const shown = new Choice(this.point).of(this.#search);
    const point = this.#search.path[this.point];
    const how = point ? t("predicted loss {0}", short(point.loss)) : this.#search.penalty_chosen ? t("chosen by the search") : t("as searched");
    const text = `${t("Penalty {0}", short(shown.penalty))} \u00b7 ${how}`;
    const used = point && this.#chosen === point.penalty;
    this.label.textContent = text;
    this.label.title = text;
    this.slider.setAttribute("aria-valuetext", `${text}, ${blocksOn(shown.loras)}`);
    this.use.disabled = !point || used;
    this.use.textContent = used ? (this.#search.chosen === this.#chosen ? t("In use") : t("On the next run")) : t("Use this");
    this.reset.disabled = this.point === null && this.#chosen === null;
  }
}
