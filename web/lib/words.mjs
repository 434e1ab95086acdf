/** The panel's words in the language of ComfyUI's page. English is in the code, the others in web/words. */

const TRANSLATED = ["ja", "zh"];

/** @typedef {{key: string, values?: Record<string, string|number|Words>}} Words a text of the server, in English parts */

/** @type {Record<string, string>} by the English text */
let words = {};

/**
 * A text in the page's language.
 * @param {string} english with {0}, {1} ... where values belong
 * @param {...(string|number)} values
 */
export function t(english, ...values) {
  return filled(words[english] ?? english, values);
}

/**
 * A text of the server in the page's language.
 * @param {Words} said the English text with {name} where values belong; values may be texts of that kind
 * @param {string} english what it is in English, where this page has no words for it
 * @returns {string}
 */
export function say({ key, values = {} }, english = key) {
  const own = Object.entries(values).map(([name, value]) => [name, value?.key === undefined ? value : say(value)]);
  return filled(words[key] ?? english, Object.fromEntries(own));
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

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}
