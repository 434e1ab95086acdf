/** Which block weights of a search are shown: those found, those of a point of its penalty path, or single strengths. */

export class Choice {
  /**
   * @param {number|null} point of the path; null for what the search found
   * @param {boolean} instead one strength for each LoRA, which the verdict says is no worse
   */
  constructor(point = null, instead = false) {
    this.point = instead ? null : point;
    this.instead = instead;
  }

  /** Whether it is what the search found. */
  get isFound() {
    return this.point === null && !this.instead;
  }

  /**
   * The search with the block weights of this choice.
   * @param {import("./store.mjs").Search} search
   * @returns {import("./store.mjs").Search}
   */
  of(search) {
    if (this.instead) return { ...search, loras: search.loras.map((lora, i) => atStrength(lora, search.verdict.use_instead.strengths[i])) };
    if (this.point === null) return search;
    const { penalty, rates, errors } = search.path[this.point];
    return { ...search, penalty, loras: search.loras.map((lora, i) => ({ ...lora, rates: rates[i], errors: errors[i] })) };
  }

  /**
   * What the server is told of it.
   * @param {import("./store.mjs").Search} search
   */
  asked(search) {
    return {
      file: search.file,
      penalty: this.point === null ? null : search.path[this.point].penalty,
      strengths: this.instead ? search.verdict.use_instead.strengths : null,
    };
  }

  /** @param {Choice} other */
  equals(other) {
    return this.point === other.point && this.instead === other.instead;
  }
}

function atStrength(lora, strength) {
  return { ...lora, rates: lora.keys.map((keys) => (keys ? strength : 0)), errors: lora.keys.map(() => null) };
}
