import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const folder = new URL("../../web/js/", import.meta.url);

for (const file of readdirSync(folder)) {
  test(`${file} makes no HTML of texts: names of files and LoRAs may hold anything`, () => {
    assert.doesNotMatch(readFileSync(new URL(file, folder), "utf8"), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment/);
  });
}
