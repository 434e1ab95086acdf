/** Numbers and states as people read them. */

import { description } from "./blocks.mjs";
import { t } from "../lib/words.mjs";

/** Blocks of smaller rates are off: strings have three decimals. */
const LEAST_RATE = 5e-4;

/** A rate to read: three decimals and a real minus sign. */
export function rateText(rate) {
  return plainRate(rate).replace("-", "\u2212");
}

/** A rate to copy: no trailing zeros, no "-0". */
export function plainRate(rate) {
  return String(Number(rate.toFixed(3)) || 0);
}

/** Minutes and seconds, and hours when there are any. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Three significant digits without needless zeros; "3.2e-5" for very small numbers. */
export function short(value) {
  if (!Number.isFinite(value)) return "?";
  const number = Number(value.toPrecision(3));
  return number !== 0 && Math.abs(number) < 1e-3 ? number.toExponential().replace("-", "\u2212") : String(number);
}

/** How fast, in the unit that gives a number above 1. */
export function speed(samples, seconds) {
  if (!(samples > 0 && seconds > 0)) return "";
  const perSecond = samples / seconds;
  return perSecond >= 1 ? t("{0} samples/s", perSecond.toFixed(1)) : t("{0} s/sample", (1 / perSecond).toFixed(1));
}

/** A rate in a sentence: two decimals at most. */
export function roundRate(rate) {
  return String(Number(rate.toFixed(2)) || 0).replace("-", "\u2212");
}

/** What changed, in percent and with a sign: "−2.3%". */
export function percent(share) {
  return `${(100 * share).toFixed(1).replace("-", "\u2212")}%`;
}

/**
 * How a search goes, or went: numbers.
 * @param {import("./store.mjs").Search|null} search
 */
export function status(search) {
  if (!search) return t("No search yet");
  const { samples, total, seconds, step, steps } = search;
  if (search.running) {
    if (!samples) return t("Preparing the search\u2026");
    const left = search.finishing ? t("finishing") : t("{0} left", duration(((total - samples) * seconds) / samples));
    return [t("Step {0}/{1}", step, steps), t("{0}/{1} samples", samples, total), speed(samples, seconds), left].join(" \u00b7 ");
  }
  const took = duration(seconds);
  const done = samples < total ? t("{0} of {1} samples in {2}", samples, total, took) : t("{0} samples in {1}", samples, took);
  const parts = [done, search.method, t("penalty {0}", short(search.penalty))];
  return [...(search.cutOff ? [t("Cut off")] : []), ...parts].join(" \u00b7 ");
}

/**
 * What is said of one bar.
 * @param {import("./store.mjs").Search} search
 * @param {number} index of the LoRA, which is named when there are several
 * @param {number} block its index
 * @param {number|null} pin the rate that it is held at
 */
export function readout(search, index, block, pin = null) {
  const lora = search.loras[index];
  const keys = lora.keys[block];
  const name = search.blocks[block];
  const title = search.loras.length > 1 ? `${lora.name} ${name}` : name;
  if (!keys) return `${title}: ${t("not in this LoRA")} \u00b7 ${description(search, block)}`;
  const error = lora.errors?.[block];
  const rate = rateText(lora.rates[block]) + (error == null ? "" : ` \u00b1 ${rateText(error)}`);
  const tied = lora.same_as?.[block];
  const rule = lora.fixed?.[block] ? t("fixed") : tied == null ? "" : t("same as {0}", search.blocks[tied]);
  const held = pin === null ? [] : [t("pinned at {0}", rateText(pin))];
  return [`${title}: ${rule ? `${rate} (${rule})` : rate}`, ...held, description(search, block), keys === 1 ? t("1 key") : t("{0} keys", keys)].join(" \u00b7 ");
}

/** The blocks of a LoRA that are on, and of how many. */
export function onOf({ keys, rates }) {
  const there = rates.map((_, block) => block).filter((block) => keys[block]);
  return { on: there.filter((block) => Math.abs(rates[block]) >= LEAST_RATE), all: there.length };
}

/** How many blocks are on, of those that the LoRAs have. */
export function blocksOn(loras) {
  const counts = loras.map(onOf);
  const sum = (count) => counts.reduce((total, each) => total + count(each), 0);
  return t("{0} of {1} blocks on", sum(({ on }) => on.length), sum(({ all }) => all));
}

/**
 * What the lines of the loss are.
 * @param {import("./store.mjs").Single|null|undefined} single
 */
export function lossLegend(single) {
  if (!single) return t("batches and their running mean");
  const strengths = single.strengths.map((strength) => (Number(strength.toFixed(2)) || 0).toFixed(2).replace("-", "\u2212"));
  return t("batches, mean, \u2504 best single strength ({0})", strengths.join(", "));
}
