/** The panel's words in the language of ComfyUI's page. English is in the code, the others in web/words. */

const TRANSLATED = ["ja", "zh"];

/** @type {Record<string, string>} by the English text */
let words = {};

/**
 * A text in the page's language.
 * @param {string} english with {0}, {1} ... where values belong
 * @param {...(string|number)} values
 */
export function t(english, ...values) {
  return (words[english] ?? english).replace(/\{(\d)\}/g, (_, i) => String(values[Number(i)]));
}

/** @param {Record<string, string>} found English texts and what stands for them */
export function setWords(found) {
  words = found;
}

/**
 * Takes the words of a language, English for one that has none.
 * @param {string|undefined} locale as ComfyUI names it: "ja", "zh-TW"
 */
export async function loadWords(locale) {
  const language = String(locale ?? "").split("-")[0];
  setWords(TRANSLATED.includes(language) ? await (await fetch(new URL(`../words/${language}.json`, import.meta.url))).json() : {});
}
