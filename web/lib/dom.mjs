/** Making elements. Texts are set as texts, never as HTML: names of files may hold anything. */

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] of the element; "aria-..." become attributes, "on..." listeners
 * @param {(Node|string)[]} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-")) element.setAttribute(name, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Gives a <select> its choices, [value, label] each, and keeps what was chosen where it still can be. */
export function setChoices(select, choices, preferred) {
  const wanted = choices.some(([value]) => value === select.value) ? select.value : preferred;
  select.replaceChildren(...choices.map(([value, label]) => make("option", { value, textContent: label })));
  if (choices.some(([value]) => value === wanted)) select.value = wanted;
}
