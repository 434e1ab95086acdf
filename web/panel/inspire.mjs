/** Block weights into the loaders of the Inspire Pack that a graph has. */

import { everyNode, set, widgetOf } from "../lib/graph.mjs";

const LOADER = "LoraLoaderBlockWeight //Inspire";
const UNTOUCHED = "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"; // what a new loader has

/**
 * Puts each vector into the loaders of its LoRA, or into a new one that could load it.
 * @param {{name: string, text: string}[]} vectors of LoRAs
 * @returns {{name: string, to: string}[]} LoRAs, and the titles of the loaders that they went to
 */
export function putIntoLoaders(app, root, vectors) {
  const loaders = [...everyNode(root)].filter((node) => (node.comfyClass ?? node.type) === LOADER);
  const done = [];
  for (const { name, text } of vectors) {
    const own = loaders.filter((node) => isOf(widgetOf(node, "lora_name")?.value, name));
    const unused = loaders.find((node) => widgetOf(node, "block_vector")?.value === UNTOUCHED && fileOf(node, name));
    for (const node of own.length ? own : unused ? [unused] : []) {
      put(app, node, name, text);
      done.push({ name, to: node.title });
    }
  }
  return done;
}

/** The vector is exact at the strength 1 and as it is. */
function put(app, node, name, text) {
  const values = { lora_name: fileOf(node, name) ?? widgetOf(node, "lora_name").value, block_vector: text, strength_model: 1, strength_clip: 1, inverse: false };
  for (const [widget, value] of Object.entries(values)) set(app, node, widget, value);
}

/** The file of a LoRA among those that a loader can load. */
function fileOf(node, name) {
  const { values } = widgetOf(node, "lora_name")?.options ?? {};
  return (typeof values === "function" ? values() : values ?? []).find((file) => isOf(file, name));
}

/** Whether a file is the one of a LoRA's name. Either may have folders in front. */
function isOf(file, name) {
  const stem = String(file ?? "").replaceAll("\\", "/").replace(/\.\w+$/, "");
  return stem === name || stem.endsWith(`/${name}`) || name.endsWith(`/${stem}`);
}
