import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const web = new URL("../../web/", import.meta.url);
const files = ["js", "panel", "lib"].flatMap((folder) => readdirSync(new URL(folder, web)).map((name) => `${folder}/${name}`));

test("ComfyUI loads each .js as an extension: those that are one end so, and no other file", () => {
  for (const file of files) {
    const source = readFileSync(new URL(file, web), "utf8");
    assert.equal(file.endsWith(".js"), source.includes("app.registerExtension("), file);
    assert.equal(file.endsWith(".mjs"), !file.startsWith("js/"), file);
  }
});

for (const file of files) {
  test(`${file} makes no HTML of texts: names of files and LoRAs may hold anything`, () => {
    assert.doesNotMatch(readFileSync(new URL(file, web), "utf8"), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML|srcdoc|DOMParser|\beval\b|new Function/);
  });

  test(`${file} knows no model's blocks: their names come from the server`, () => {
    assert.doesNotMatch(readFileSync(new URL(file, web), "utf8"), /\b(BASE|MID|(IN|OUT)\d\d)\b/);
  });
}
