/** The searches that this page has heard of, from the server's messages. No DOM, no ComfyUI. */

/**
 * @typedef {object} Lora
 * @property {string} name
 * @property {string} sha256
 * @property {string} architecture the model family that its blocks are of
 * @property {Record<string, number>} groups keys by part of the U-Net, for the server to write strings
 * @property {number[]} keys how many each block has
 * @property {boolean[]} [fixed] which rates are not searched
 * @property {(number|null)[]} [same_as] the block whose rate each one has, null for its own
 * @property {number[]} rates
 * @property {(number|null)[]|null} errors
 * @property {Record<string, {text: string, notes: string[]}>|null} strings in every format, once the search has ended
 */
/** @typedef {{filename: string, subfolder: string, type: string}} File as ComfyUI's /view knows it */
/** @typedef {{x: number, y: number, width: number, height: number, text: string}} Place of a picture on a sheet, and what it is */
/** @typedef {File & {width: number, height: number, before: Place|null, after: Place|null}} Sheet of preview pictures: the first and the last one */
/** @typedef {{name: string, words?: import("../lib/words.mjs").Words, loss: number, change: number|null, error: number|null}} Row of a comparison; change and error are shares of the loss found */
/**
 * @typedef {object} Verdict whether what was found is better than the simple choices
 * @property {string} text in English
 * @property {import("../lib/words.mjs").Words} [words] the same in parts
 * @property {"better"|"same"|"worse"|"unknown"} kind
 * @property {Row[]} rows
 * @property {{strengths: number[]}|null} use_instead
 */
/** @typedef {{text: string, words: import("../lib/words.mjs").Words}} Finding what a block does, in English and in parts */
/** @typedef {{strengths: number[], loss: number}} Single the best that one strength for each LoRA could do */
/** @typedef {{penalty: number, loss: number, rates: number[][], errors: (number|null)[][]}} PathPoint */
/**
 * @typedef {object} Progress
 * @property {Lora[]} loras
 * @property {number[]} loss means of `every` steps each
 * @property {number[]} mean the loss's running mean, of as many points
 * @property {number} every
 * @property {number} step
 * @property {number} steps
 * @property {number} samples
 * @property {number} total
 * @property {number} seconds
 * @property {string} method
 * @property {number} penalty
 * @property {boolean} running
 * @property {boolean} finishing the user asked for an early end
 * @property {boolean} cutOff by an error or Cancel
 * @property {Sheet|null} [previews]
 * @property {string[]} [warnings] of the run that ended it, for instance that it could not be saved
 * @property {string} [file] below output/block_weights
 * @property {number|null} [seed]
 * @property {number|null} [chosen] penalty of the node's outputs, null for the one searched with
 * @property {boolean} [penalty_chosen] whether the search itself chose its penalty
 * @property {Verdict|null} [verdict] null where nothing was kept out of the search to compare on
 * @property {Single|null} [single] null for a method that cannot tell
 * @property {PathPoint[]} [path]
 * @property {[string, string][]} formats names and labels
 * @property {string} default_format
 */
/** @typedef {import("./blocks.mjs").Blocks & Progress} Search */
/** @typedef {{node: string, workflow: string|null, prompt: string|null, search: Search|null}} Entry */

/**
 * What the server says of an ended search, as the page keeps it.
 * @returns {Search}
 */
export function ended(state, cutOff = false) {
  return { ...state, running: false, finishing: false, cutOff };
}

export class Store {
  /** @type {Map<string, Entry>} */
  #entries = new Map();

  /** @returns {Entry[]} the newest last */
  entries() {
    return [...this.#entries.values()];
  }

  /**
   * Takes in one message of a running search.
   * @returns {Entry|null} what it changed; null for a step of a search whose start was not heard
   */
  receive(message) {
    if (message.kind === "start") return this.#put(message, started(message));
    const entry = this.#entries.get(keyOf(message));
    if (!entry?.search) return null;
    if (message.kind === "step") step(entry.search, message);
    else if (message.kind === "previews") entry.search.previews = message.previews;
    else entry.search = message.state ? ended(message.state, true) : null;
    return entry;
  }

  /**
   * Takes in the state of a search that came to its end. The server does not say of which workflow: that of the run,
   * else the one that is open.
   * @returns {Entry}
   */
  finished(node, prompt, state, openWorkflow) {
    const heard = this.entries().find((entry) => entry.node === node && entry.prompt === prompt);
    return this.#put({ node, prompt, workflow: heard ? heard.workflow : openWorkflow }, ended(state));
  }

  /**
   * Forgets running searches that the server does not have any more.
   * @param {{node: string, workflow: string|null}[]} running
   * @returns {Entry[]} the forgotten ones
   */
  keepOnly(running) {
    const alive = new Set(running.map(keyOf));
    const gone = this.entries().filter((entry) => entry.search?.running && !alive.has(keyOf(entry)));
    for (const entry of gone) entry.search = null;
    return gone;
  }

  #put(head, search) {
    const entry = { node: head.node, workflow: head.workflow, prompt: head.prompt, search };
    this.#entries.delete(keyOf(entry));
    this.#entries.set(keyOf(entry), entry);
    return entry;
  }
}

function keyOf({ workflow, node }) {
  return `${workflow ?? ""}|${node}`;
}

/** @returns {Search} */
function started(message) {
  const { loras, rates, errors, method, penalty, steps, total, formats, default_format, blocks, sections, about } = message;
  return {
    loras: loras.map((lora, i) => ({ ...lora, rates: rates[i], errors: errors?.[i] ?? null, strings: null })),
    loss: [...(message.loss ?? [])], mean: [...(message.mean ?? [])], every: 1,
    step: message.step ?? 0, steps, samples: message.samples ?? 0, total, seconds: message.seconds ?? 0,
    method, penalty, formats, default_format, blocks, sections, about,
    running: true, finishing: false, cutOff: false, previews: message.previews ?? null,
  };
}

function step(search, message) {
  search.loss.push(...message.loss);
  search.mean.push(...message.mean);
  for (const name of ["step", "samples", "seconds", "single"]) search[name] = message[name];
  search.loras.forEach((lora, i) => Object.assign(lora, { rates: message.rates[i], errors: message.errors[i] }));
}
