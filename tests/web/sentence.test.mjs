import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Choice } from "../../web/panel/choice.mjs";
import { found, headline } from "../../web/panel/sentence.mjs";
import { setWords } from "../../web/lib/words.mjs";
import { ended, lora } from "./searches.mjs";

const FOUND = new Choice();
const some = lora("style", [0, 0.81, null, 0.5, 0, -0.25, 0]);
const verdict = {
  text: "Better than the best single strength 0.62 by 2.3% ± 0.7% on 2 pictures.", kind: "better", rows: [], use_instead: { strengths: [0.6] },
  words: {
    key: "Better than {other} by {percent}% ± {error}% {where}.",
    values: {
      other: { key: "the best single strength {strengths}", values: { strengths: "0.62" } },
      percent: "2.3", error: "0.7", where: { key: "on {pictures} pictures", values: { pictures: 2 } },
    },
  },
};

afterEach(() => setWords({}));

test("the blocks that are on are named in the order of the model", () => {
  assert.equal(found(ended(some)), "3 of 6 blocks do the work: HEAD01 0.81, BODY01 0.5, BODY03 \u22120.25; the rest is off.");
});

test("of many blocks the strongest are named", () => {
  assert.equal(found(ended(lora("a", [0.1, 0.9, 0.2, 0.8, 0.7, 0.6, 0]))), "6 of 7 blocks do the work: HEAD01 0.9, BODY01 0.8, BODY02 0.7, BODY03 0.6, \u2026; the rest is off.");
  assert.equal(found(ended(lora("a", [0.1, 0.9, 0.2, 0.8, 0.7, 0.6, 1]))), "All 7 blocks do something, these the most: HEAD01 0.9, BODY01 0.8, BODY02 0.7, TAIL 1, \u2026.");
});

test("nothing found is said as that", () => {
  assert.match(found(ended(lora("a", [0, 0, null, 0, 0, 0, 0]))), /^Nothing of this LoRA .* all 6 blocks are off\.$/);
});

test("two LoRAs are spoken of one by one, more together", () => {
  const none = lora("pose", [0, 0, 0, 0, 0, 0, 0]);
  assert.equal(found(ended(some, none)), "style: 3 of 6 blocks work (HEAD01 0.81, BODY01 0.5, \u2026) \u00b7 pose: all 7 blocks are off");
  assert.equal(found(ended(some, none, some)), "6 of 19 blocks of 3 LoRAs do the work; the rest is off.");
});

test("the verdict comes first, for what the search found", () => {
  const search = { ...ended(some), verdict, path: [{ penalty: 0.1, loss: 1, rates: [[0, 0, 0, 0, 0, 0, 1]], errors: [[]] }] };
  assert.equal(headline(search, FOUND), verdict.text);
  assert.equal(headline(search, new Choice(0)), "1 of 6 blocks do the work: TAIL 1; the rest is off.");
  assert.match(headline(search, new Choice(null, true)), /^Strength 0\.6 for every block/);
  assert.equal(headline({ ...search, verdict: { ...verdict, words: undefined } }, FOUND), verdict.text);
});

test("a verdict is said in the language of the page, its parts too", () => {
  setWords({ [verdict.words.key]: "{where}: {other} +{percent}% ({error})", "on {pictures} pictures": "P{pictures}", "the best single strength {strengths}": "S{strengths}" });
  assert.equal(headline({ ...ended(some), verdict }, FOUND), "P2: S0.62 +2.3% (0.7)");
});

test("a sentence that the page has no words for stays English", () => {
  setWords({ "on {pictures} pictures": "P{pictures}" });
  assert.equal(headline({ ...ended(some), verdict }, FOUND), verdict.text);
});

test("before, during and after an early end", () => {
  assert.equal(headline(null, FOUND), "No search yet");
  assert.match(headline({ ...ended(some), running: true }, FOUND), /^Step 20\/20/);
  assert.match(headline({ ...ended(some), cutOff: true }, FOUND), /^Cut off\. So far: 3 of 6 blocks/);
});
