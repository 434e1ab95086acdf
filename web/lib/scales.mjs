/** Numbers to positions, and long curves to short ones. */

/**
 * A linear map from [from, to] to [start, end].
 * @returns {(value: number) => number}
 */
export function linear(from, to, start, end) {
  const size = to - from || 1;
  return (value) => start + ((value - from) / size) * (end - start);
}

/**
 * Round numbers in [low, high]: some `count` of them, and two at least.
 * @returns {number[]}
 */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [10, 5, 2, 1, 0.5, 0.2].map((factor) => factor * power);
  const fitting = steps.filter((step) => step >= rough * 0.999).pop();
  let found = [];
  for (const step of steps.slice(steps.indexOf(fitting))) {
    found = multiples(step, low, high);
    if (found.length >= 2) break;
  }
  return found;
}

function multiples(step, low, high) {
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Whiskers may widen the scale by this much; longer ones are cut at its end. */
const ROOM_FOR_ERRORS = 0.25;

/**
 * The scale of rates: always from 0 to 1, and further where rates go further.
 * @param {number[][]} rates
 * @param {(number|null)[][]} errors
 * @returns {[number, number]}
 */
export function rateDomain(rates, errors) {
  let [low, high] = [0, 1];
  rates.forEach((row, lora) => row.forEach((rate, block) => {
    const error = Math.min(errors[lora]?.[block] ?? 0, ROOM_FOR_ERRORS);
    low = Math.min(low, rate < 0 ? rate - error : rate);
    high = Math.max(high, rate + error);
  }));
  const margin = (high - low) * 0.04;
  return [low < 0 ? low - margin : 0, high + margin];
}

/** A curve has at least this part of its size above and below: what is smaller is noise. */
const LEAST_MARGIN = 0.02;

/**
 * The scale of a curve. A few outliers do not flatten all the rest.
 * @param {number[]} values
 * @returns {[number, number]}
 */
export function curveDomain(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = sorted.length < 20 ? [at(0), at(1)] : [at(0.02), at(0.98)];
  const margin = Math.max((high - low) * 0.08, Math.abs(high) * LEAST_MARGIN) || 0.1;
  return [low - margin, high + margin];
}

/**
 * At most `most` values: means of neighbours.
 * @param {number[]} values
 */
export function bucketMeans(values, most) {
  const size = Math.max(1, Math.ceil(values.length / most));
  if (size === 1) return values;
  const found = [];
  for (let start = 0; start < values.length; start += size) {
    const part = values.slice(start, start + size);
    found.push(part.reduce((sum, value) => sum + value, 0) / part.length);
  }
  return found;
}

/**
 * The index of the value nearest to a penalty. Penalties are compared as their logarithms.
 * @param {number[]} penalties
 */
export function nearestPenalty(penalties, penalty) {
  const size = (value) => Math.log10(Math.max(value, 1e-12));
  let best = 0;
  penalties.forEach((value, i) => {
    if (Math.abs(size(value) - size(penalty)) < Math.abs(size(penalties[best]) - size(penalty))) best = i;
  });
  return best;
}
