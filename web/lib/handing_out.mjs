/** Text to the clipboard, files to the download folder. */

import { t } from "./words.mjs";

/** Puts a text into the clipboard. Throws when the browser does not let it. */
export async function copyText(text) {
  if (navigator.clipboard?.writeText && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Pages that come over plain HTTP from another machine have no navigator.clipboard.
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position:fixed;top:0;left:0;opacity:0";
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus?.();
  if (!copied) throw new Error(t("The browser did not let the page copy. Select the text and copy it yourself."));
}

/** Saves what is behind an address, or a Blob, under a name. */
export function download(from, name) {
  const url = from instanceof Blob ? URL.createObjectURL(from) : from;
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  if (from instanceof Blob) setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
