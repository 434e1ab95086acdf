/** Shows in a node what it said when it last ran: its warnings, its text, and its table of rates. */

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { make } from "./dom.js";

const NODES = new Set([
  "ApplSearchToString", "ApplSearchTrainingImages", "ApplSearchApply", "ApplSearchToLBW", "ApplSearchBake",
  "ApplSearchSaveResult", "ApplSearchLoadResult", "ApplSearchReport",
]);
const LEAST_HEIGHT = 60;

/** @param {{text?: string[], warnings?: string[], table?: [string, number, number|null][], appl_search_report?: string[]}} said */
function fill(root, { text = [], warnings = [], table = [], appl_search_report: reports = [] }) {
  const rows = table.map(([block, rate, error]) =>
    make("tr", {}, make("th", { textContent: block, scope: "row" }), make("td", { textContent: rate.toFixed(3) }),
      make("td", { textContent: error === null ? "" : `± ${error.toFixed(3)}` })));
  root.replaceChildren(
    ...warnings.map((warning) => make("p", { className: "appl-search-warning", role: "alert", textContent: warning })),
    ...text.map((line) => make("textarea", { readOnly: true, value: line, rows: Math.min(8, Math.ceil(line.length / 44) + line.split("\n").length - 1), "aria-label": "Result" })),
    ...reports.map((file) => make("a", {
      href: api.apiURL(`/appl_search/report?file=${encodeURIComponent(file)}`), target: "_blank", rel: "noopener", textContent: "Open the report",
    })),
    ...(rows.length ? [make("table", {}, make("tbody", {}, ...rows))] : []),
  );
}

app.registerExtension({
  name: "appl_search.text",
  nodeCreated(node) {
    if (!NODES.has(node.comfyClass)) return;
    const root = make("div", { className: "appl-search-text" });
    const widget = node.addDOMWidget("said", "APPL_SEARCH_TEXT", root, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => LEAST_HEIGHT,
    });
    widget.serialize = false;
    const executed = node.onExecuted;
    node.onExecuted = function (said) {
      executed?.call(this, said);
      fill(root, said);
    };
  },
});
