/** Searches as the page keeps them. */

import { SEVEN } from "./models.mjs";

/** One LoRA with rates, in a model of SEVEN blocks; a rate of null for a block that it does not have. */
export function lora(name, rates) {
  return {
    name, sha256: name, architecture: "seven", groups: {}, keys: rates.map((rate) => (rate === null ? 0 : 2)), rates: rates.map((rate) => rate ?? 0), errors: null,
    strings: { inspire: { text: rates.join(","), notes: [] } },
  };
}

/** A search of these LoRAs that has ended. */
export function ended(...loras) {
  return {
    loras, ...SEVEN, samples: 320, total: 320, seconds: 80, step: 20, steps: 20, every: 1, loss: [], mean: [], method: "gauss-newton", penalty: 1e-4, seed: 3,
    running: false, finishing: false, cutOff: false, file: "a.json", formats: [["inspire", "Inspire"]], default_format: "inspire", path: [],
  };
}
