/** The slider along a search's penalty path, from "faithful" to "few blocks". */

import { make } from "../lib/dom.mjs";
import { blocksOn, short } from "./format.mjs";
import { nearestPenalty } from "../lib/scales.mjs";
import { t } from "../lib/words.mjs";

/**
 * A search with the block weights of a point of its path.
 * @param {import("./store.mjs").Search} search
 * @param {number|null} point null for the one that was searched with
 * @returns {import("./store.mjs").Search}
 */
export function atPoint(search, point) {
  if (point === null) return search;
  const { penalty, rates, errors } = search.path[point];
  return {
    ...search,
    penalty,
    loras: search.loras.map((lora, i) => ({ ...lora, rates: rates[i], errors: errors[i] })),
  };
}

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
    this.label = make("span", { className: "appl-search-grow" });
    this.use = make("button", { type: "button", textContent: t("Use this"), title: t("The node's outputs get these block weights on the next run, without another search"), onclick: () => this.#choose(this.#search.path[this.point].penalty) });
    this.reset = make("button", { type: "button", textContent: t("Reset"), title: t("Back to what the search found"), onclick: () => this.#choose(null) });
    this.element = make("div", { className: "appl-search-path" },
      make("div", { className: "appl-search-row" }, t("Faithful"), this.slider, t("Few blocks")),
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
    this.point = chosen === null ? null : nearestPenalty(penalties, chosen);
    this.slider.max = String(path.length - 1);
    this.slider.value = String(this.point ?? nearestPenalty(penalties, search.penalty));
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
    const shown = atPoint(this.#search, this.point);
    const point = this.#search.path[this.point];
    const text = `${t("Penalty {0}", short(shown.penalty))} \u00b7 ${point ? t("predicted loss {0}", short(point.loss)) : t("as searched")}`;
    const used = point && this.#chosen === point.penalty;
    this.label.textContent = text;
    this.label.title = text;
    this.slider.setAttribute("aria-valuetext", `${text}, ${blocksOn(shown.loras)}`);
    this.use.disabled = !point || used;
    this.use.textContent = used ? (this.#search.chosen === this.#chosen ? t("In use") : t("On the next run")) : t("Use this");
    this.reset.disabled = this.point === null && this.#chosen === null;
  }
}
