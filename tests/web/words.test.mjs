import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { status } from "../../web/panel/format.mjs";
import { say, setWords, t } from "../../web/lib/words.mjs";

afterEach(() => setWords({}));

test("values come to their places, whatever the order of words", () => {
  assert.equal(t("{0} of {1} blocks on", 3, 19), "3 of 19 blocks on");
  setWords({ "{0} of {1} blocks on": "{1}: {0}", "No search yet": "-" });
  assert.equal(t("{0} of {1} blocks on", 3, 19), "19: 3");
  assert.equal(t("{0} of {1} blocks on", "{1}", 19), "19: {1}");
  assert.equal(status(null), "-");
});

test("a place without a value is left as it is", () => {
  assert.equal(t("{0} of {1}", 3), "3 of {1}");
  assert.equal(say({ key: "{a} and {b}", values: { a: 0 } }), "0 and {b}");
});
