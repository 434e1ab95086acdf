/** What only experts ask for, folded away: which block does what, numbers, the loss, the path of penalties, everything as files. */

import { LossView } from "./loss_view.mjs";
import { percent, short, status } from "./format.mjs";
import { make } from "../lib/dom.mjs";
import { say, t } from "../lib/words.mjs";

export class ExpertView {
  /**
   * @param {HTMLElement} path the slider
   * @param {object} actions
   * @param {(open: boolean) => void} actions.folded
   * @param {() => void} actions.copyAll
   * @param {() => void} actions.json
   * @param {() => void} actions.png
   */
  constructor(path, { folded, copyAll, json, png }) {
    const button = (textContent, title, onclick) => make("button", { type: "button", textContent, title, onclick });
    this.loss = new LossView();
    this.numbers = make("span", { className: "appl-search-grow appl-search-numbers" });
    this.rows = make("tbody");
    this.findings = make("ul", { ariaLabel: t("Which block does what") });
    this.table = make("table", {}, make("thead", {}, make("tr", {},
      ...[t("Block weights"), t("Loss"), t("Change")].map((textContent) => make("th", { textContent, scope: "col" })))), this.rows);
    this.copyAll = button(t("Copy all"), t("Copy the strings of all LoRAs in all formats"), copyAll);
    this.json = button("JSON", t("Download the saved search: block weights, settings and history"), json);
    this.png = button("PNG", t("Download the figure as a picture"), png);
    const fold = (event) => {
      event.preventDefault(); // the node must have its new widgets before the panel is measured
      folded(!this.element.open);
    };
    this.element = make("details", { className: "appl-search-expert" },
      make("summary", { onclick: fold }, make("span", { textContent: t("Expert figures") }), this.numbers),
      make("div", { className: "appl-search-column" }, this.findings, this.loss.element, path, this.table,
        make("div", { className: "appl-search-row appl-search-buttons" }, this.copyAll, this.json, this.png)));
  }

  get isOpen() {
    return this.element.open;
  }

  /**
   * @param {import("./store.mjs").Search|null} search
   * @param {import("./store.mjs").Search|null} shown with the block weights that are shown
   */
  show(search, shown) {
    this.element.hidden = !search;
    this.numbers.textContent = search && !search.running ? status(shown) : "";
    this.numbers.title = this.numbers.textContent;
    const findings = search?.findings ?? [];
    this.findings.hidden = !findings.length;
    this.findings.replaceChildren(...findings.map(({ words, text }) => make("li", { textContent: say(words, text) })));
    this.loss.show(search);
    const rows = search?.verdict?.rows ?? [];
    this.table.hidden = !rows.length;
    this.rows.replaceChildren(...rows.map((row) => make("tr", {}, ...cells(row))));
    this.json.disabled = !search?.file;
  }
}

/** @param {import("./store.mjs").Row} row */
function cells({ name, words, loss, change, error }) {
  const changed = !change ? "" : `${percent(change)}${error === null ? "" : ` \u00b1 ${percent(error)}`}`;
  return [make("th", { scope: "row", textContent: words ? say(words, name) : t(name) }), ...[short(loss), changed].map((textContent) => make("td", { textContent }))];
}
