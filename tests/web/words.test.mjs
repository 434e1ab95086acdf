import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { status } from "../../web/js/format.js";
import { setWords, t } from "../../web/js/words.js";

const web = new URL("../../web/", import.meta.url);
const said = new Set(readdirSync(new URL("js/", web)).flatMap((file) =>
  [...readFileSync(new URL(`js/${file}`, web), "utf8").matchAll(/\bt\(("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text))));
const places = (text) => (text.match(/\{\d\}/g) ?? []).sort();

afterEach(() => setWords({}));

for (const language of ["ja", "zh"]) {
  test(`${language} has all that the page says, and nothing else`, () => {
    const words = JSON.parse(readFileSync(new URL(`words/${language}.json`, web), "utf8"));
    assert.deepEqual(Object.keys(words).sort(), [...said].sort());
    for (const [english, text] of Object.entries(words)) assert.deepEqual(places(text), places(english), english);
  });
}

test("values come to their places, whatever the order of words", () => {
  assert.equal(t("{0} of {1} blocks on", 3, 19), "3 of 19 blocks on");
  setWords({ "{0} of {1} blocks on": "{1}: {0}", "No search yet": "-" });
  assert.equal(t("{0} of {1} blocks on", 3, 19), "19: 3");
  assert.equal(t("{0} of {1} blocks on", "{1}", 19), "19: {1}");
  assert.equal(status(null), "-");
});
