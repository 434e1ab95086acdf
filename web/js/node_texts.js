/** Shows in a node what it said when it last ran: its warnings, its text, and rates. */

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { make } from "../../../api/appl_search/web/lib/dom.mjs";
import { t } from "../../../api/appl_search/web/lib/words.mjs";

const NODES = new Set([
  "ApplSearchToString", "ApplSearchTrainingImages", "ApplSearchApply", "ApplSearchToLBW", "ApplSearchBake",
  "ApplSearchSaveResult", "ApplSearchLoadResult", "ApplSearchReport", "ApplSearchLook", "ApplSearchToHooks",
  "ApplSearchLoadStack", "ApplSearchToStack", "ApplSearchSavePreset", "ApplSearchLoadPreset", "ApplSearchEvaluate",
  "ApplSearchBlockExplorer",
]);
const LEAST_HEIGHT = 60;
const MOST_HEIGHT = 260; // longer ones scroll, until somebody makes the node larger
const AROUND = 30; // ComfyUI's margins, and those of the text

/** @param {{text?: string[], warnings?: string[], table?: [string, number, number|null][], appl_search_report?: string[]}} said */
function fill(content, { text = [], warnings = [], table = [], appl_search_report: reports = [] }) {
  const rates = table.map(([block, rate, error]) =>
    make("li", {}, make("b", { textContent: block }), make("span", { textContent: rate.toFixed(3) }),
      make("small", { textContent: error === null ? "" : `± ${error.toFixed(3)}` })));
  content.replaceChildren(
    ...warnings.map((warning) => make("p", { className: "appl-search-warning", role: "alert", textContent: warning })),
    ...text.map((line) => make("textarea", { readOnly: true, value: line, rows: Math.min(8, Math.ceil(line.length / 44) + line.split("\n").length - 1), "aria-label": t("Result") })),
    ...reports.map((file) => make("a", {
      href: api.apiURL(`/appl_search/report?file=${encodeURIComponent(file)}`), target: "_blank", rel: "noopener", textContent: t("Open the report"),
    })),
    ...(rates.length ? [make("ul", { "aria-label": t("Block weights") }, ...rates)] : []),
  );
}

/** Makes room in the node for what it says; a node that is larger stays as it is. */
function fit(node, content) {
  const [width, height] = node.size;
  const wanted = node.computeSize()[1] - LEAST_HEIGHT + Math.min(MOST_HEIGHT, content.offsetHeight + AROUND);
  if (content.childElementCount && wanted > height) node.setSize([width, wanted]);
}

app.registerExtension({
  name: "appl_search.text",
  nodeCreated(node) {
    if (!NODES.has(node.comfyClass)) return;
    const content = make("div");
    const root = make("div", { className: "appl-search-text" }, content);
    const widget = node.addDOMWidget("said", "APPL_SEARCH_TEXT", root, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => LEAST_HEIGHT,
    });
    widget.serialize = false;
    const resizes = new ResizeObserver(() => fit(node, content));
    resizes.observe(content);
    const { onExecuted, onRemoved } = node;
    node.onExecuted = function (said) {
      onExecuted?.call(this, said);
      fill(content, said);
    };
    node.onRemoved = function (...rest) {
      resizes.disconnect();
      return onRemoved?.apply(this, rest);
    };
  },
});
