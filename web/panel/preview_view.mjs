/** The sheet of preview pictures; a click opens it in full. */

import { make } from "../lib/dom.mjs";
import { sheetHeight } from "./layout.mjs";
import { t } from "../lib/words.mjs";

export class PreviewView {
  #address;
  /** @type {import("./store.mjs").Sheet|null} */
  #sheet = null;

  /** @param {(file: import("./store.mjs").File) => string} address */
  constructor(address) {
    this.#address = address;
    this.image = make("img", { draggable: false });
    this.element = make("a", { className: "appl-search-previews", target: "_blank", rel: "noopener", title: t("Open the preview pictures") }, this.image);
  }

  /** The height that it takes, in pixels. */
  get height() {
    return this.#sheet ? sheetHeight(this.#sheet) : 0;
  }

  /** @param {import("./store.mjs").Sheet|null} sheet */
  show(sheet) {
    this.#sheet = sheet;
    this.element.hidden = !sheet;
    if (!sheet) return;
    this.element.href = this.image.src = this.#address(sheet);
    this.image.alt = sheet.text;
    this.element.style.height = `${this.height}px`;
  }
}
