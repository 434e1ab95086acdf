/** The chart's colours, from the page's own. */

/** Okabe and Ito's colours, which colour-blind people tell apart; the lighter ones for dark pages, darkened for light ones. */
const ON_DARK = ["#56b4e9", "#e69f00", "#2bbf93", "#d98ab8", "#f0e442", "#e8743b"];
const ON_LIGHT = ["#0072b2", "#a86400", "#007a5a", "#a8437c", "#5a4fb5", "#b93c00"];

/**
 * @param {Element} element whose colours are those of the page
 * @returns {import("../lib/drawing.mjs").Theme}
 */
export function themeOf(element) {
  const style = getComputedStyle(element);
  const dark = isDark(style.backgroundColor);
  return {
    background: style.backgroundColor,
    text: style.color,
    quiet: dark ? "#9a9a9a" : "#5c5c5c",
    line: dark ? "rgba(255, 255, 255, 0.13)" : "rgba(0, 0, 0, 0.12)",
    font: style.fontFamily,
    series: dark ? ON_DARK : ON_LIGHT,
  };
}

/**
 * Whether light text belongs on a colour.
 * @param {string} color as getComputedStyle gives it: "rgb(34, 34, 34)"
 */
export function isDark(color) {
  const [red, green, blue] = (color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}
