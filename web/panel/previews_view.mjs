/** Before and after: the first and the last preview picture; a click opens the sheet of all of them. Or how to get some. */

import { make } from "../lib/dom.mjs";
import { t } from "../lib/words.mjs";

const MOST = { width: 130, height: 94 }; // pixels of a picture

export class PreviewsView {
  #address;

  /**
   * @param {object} actions
   * @param {(file: import("./store.mjs").File) => string} actions.address
   * @param {() => void} actions.addPreviews puts a node for them before the search
   */
  constructor({ address, addPreviews }) {
    this.#address = address;
    this.before = new Picture();
    this.after = new Picture();
    this.element = make("a", { className: "appl-search-pictures", target: "_blank", rel: "noopener", title: t("Open the preview pictures") }, this.before.element, this.after.element);
    this.advice = make("span", { className: "appl-search-grow" });
    this.add = make("button", { type: "button", textContent: t("Add previews"), title: t("Adds Search Previews and connects it to this node"), onclick: addPreviews });
    this.none = make("div", { className: "appl-search-row appl-search-quiet" }, this.advice, this.add);
  }

  /**
   * @param {import("./store.mjs").Search|null} search
   * @param {boolean} connected whether there is a node for previews
   */
  show(search, connected) {
    const sheet = search?.previews?.before ? search.previews : null;
    this.element.hidden = !sheet;
    this.none.hidden = Boolean(sheet) || (connected && (!search || search.running));
    this.add.hidden = connected;
    this.advice.textContent = connected ? t("Pictures of before and after come with the next search.") : t("To see pictures of before and after:");
    if (!sheet) return;
    const address = this.#address(sheet);
    this.element.href = address;
    this.before.show(address, sheet, sheet.before, t("Before"));
    this.after.show(address, sheet, sheet.after, search.running || search.cutOff ? t("So far") : t("After"));
  }
}

/** One picture of the sheet, cut out of it. */
class Picture {
  constructor() {
    this.image = make("img", { draggable: false });
    this.cut = make("span", {}, this.image);
    this.caption = make("small");
    this.element = make("span", { className: "appl-search-picture" }, this.cut, this.caption);
  }

  /** @param {import("./store.mjs").Place|null} place of the picture on the sheet */
  show(address, sheet, place, caption) {
    this.element.hidden = !place;
    if (!place) return;
    const scale = Math.min(MOST.width / place.width, MOST.height / place.height);
    const pixels = (size) => `${Math.round(size * scale * 100) / 100}px`;
    Object.assign(this.cut.style, { width: pixels(place.width), height: pixels(place.height) });
    Object.assign(this.image.style, { width: pixels(sheet.width), left: pixels(-place.x), top: pixels(-place.y) });
    if (this.image.getAttribute("src") !== address) this.image.src = address;
    this.image.alt = `${caption}: ${place.text}`;
    this.caption.textContent = caption;
  }
}
