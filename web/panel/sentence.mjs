/** What a search found, in one sentence. */

import { onOf, roundRate, status } from "./format.mjs";
import { say, t } from "../lib/words.mjs";

const MOST_NAMED = 4; // blocks, of all LoRAs
const MOST_LORAS = 2; // that a sentence speaks of one by one

/**
 * The first line of the panel.
 * @param {import("./store.mjs").Search|null} search
 * @param {import("./choice.mjs").Choice} choice what is shown of it
 */
export function headline(search, choice) {
  if (!search || search.running) return status(search);
  const shown = choice.of(search);
  if (choice.instead) return t("Strength {0} for every block, as any loader gives it.", strengthsText(search.verdict.use_instead.strengths));
  if (choice.point === null && search.verdict) return verdictText(search.verdict);
  return search.cutOff ? t("Cut off. So far: {0}", found(shown)) : found(shown);
}

/** @param {import("./store.mjs").Verdict} verdict */
export function verdictText(verdict) {
  return verdict.words ? say(verdict.words, verdict.text) : verdict.text;
}

/** One strength for each LoRA. */
export function strengthsText(strengths) {
  return strengths.map(roundRate).join(", ");
}

/**
 * Which blocks do the work.
 * @param {import("./store.mjs").Search} search
 */
export function found(search) {
  const { loras, blocks } = search;
  if (loras.length === 1) return ofOne(loras[0], blocks);
  if (loras.length <= MOST_LORAS) return loras.map((lora) => `${lora.name}: ${ofSeveral(lora, blocks, MOST_NAMED / loras.length)}`).join(" \u00b7 ");
  const counts = loras.map(onOf);
  const on = counts.reduce((sum, each) => sum + each.on.length, 0);
  const all = counts.reduce((sum, each) => sum + each.all, 0);
  return t("{0} of {1} blocks of {2} LoRAs do the work; the rest is off.", on, all, loras.length);
}

function ofOne(lora, blocks) {
  const { on, all } = onOf(lora);
  if (!on.length) return t("Nothing of this LoRA brings the model closer to the pictures: all {0} blocks are off.", all);
  const named = strongest(lora, on, blocks);
  if (on.length === all) return t("All {0} blocks do something, these the most: {1}.", all, named);
  return t("{0} of {1} blocks do the work: {2}; the rest is off.", on.length, all, named);
}

function ofSeveral(lora, blocks, most) {
  const { on, all } = onOf(lora);
  if (!on.length) return t("all {0} blocks are off", all);
  return t("{0} of {1} blocks work ({2})", on.length, all, strongest(lora, on, blocks, most));
}

/** The blocks of the largest rates, in the order of the model. */
function strongest({ rates }, on, blocks, most = MOST_NAMED) {
  const named = [...on].sort((a, b) => Math.abs(rates[b]) - Math.abs(rates[a])).slice(0, most).sort((a, b) => a - b);
  const texts = named.map((block) => `${blocks[block]} ${roundRate(rates[block])}`);
  return [...texts, ...(on.length > named.length ? ["\u2026"] : [])].join(", ");
}
