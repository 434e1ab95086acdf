/** The blocks that the next search leaves where they are. The text of the node's widget says which; the server reads it. */

/**
 * @typedef {object} Pinned
 * @property {string} text of the widget
 * @property {(number|null)[][]} pins the rate that each block of each LoRA is held at, null for one that is searched
 */

export class Pins {
  #ask;
  #asked = 0;
  #of = "";

  /** @param {(question: {text: string, loras: object[], pin: object|null}) => Promise<Pinned>} ask */
  constructor(ask) {
    this.#ask = ask;
    this.text = "";
    /** @type {(number|null)[][]} */
    this.rates = [];
    /** What is wrong with the text; "" for nothing. */
    this.error = "";
  }

  get count() {
    return this.rates.flat().filter((rate) => rate !== null).length;
  }

  /**
   * Takes what a text says of LoRAs, unless that is known already.
   * @param {string} text
   * @param {import("./store.mjs").Lora[]} loras
   * @returns {Promise<boolean>} whether there is something new
   */
  async read(text, loras) {
    if (this.#of === keyOf(text, loras)) return false;
    return this.#say(text, loras, null);
  }

  /**
   * Pins a block at its rate, or unpins it.
   * @returns {Promise<boolean>} whether it was done; not when the text became another one meanwhile, or cannot be read
   */
  async toggle(loras, lora, block) {
    const rate = (this.rates[lora]?.[block] ?? null) === null ? loras[lora].rates[block] : null;
    return (await this.#say(this.text, loras, { lora, block, rate })) && !this.error;
  }

  /** Whether it is the newest of the questions that this answers. */
  async #say(text, loras, pin) {
    const asked = ++this.#asked;
    this.#of = keyOf(text, loras);
    let found = { text, pins: [] };
    let error = "";
    if (loras.length && (text.trim() || pin)) {
      try {
        found = await this.#ask({ text, loras: loras.map(({ strings, ...lora }) => lora), pin });
      } catch (failure) {
        error = failure.message;
      }
    }
    if (asked !== this.#asked) return false;
    this.#of = keyOf(found.text, loras);
    Object.assign(this, { text: found.text, rates: found.pins, error });
    return true;
  }
}

function keyOf(text, loras) {
  return JSON.stringify([text, loras.map(({ name, sha256 }) => [name, sha256])]);
}
