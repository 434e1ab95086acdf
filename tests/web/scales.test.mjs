import assert from "node:assert/strict";
import { test } from "node:test";
import { short } from "../../web/panel/format.mjs";
import { bucketMeans, curveDomain, linear, nearestPenalty, rateDomain, ticks } from "../../web/lib/scales.mjs";

test("a linear map takes ends to ends, and a point to the start", () => {
  const y = linear(0, 2, 100, 0);
  assert.deepEqual([y(0), y(1), y(2)], [100, 50, 0]);
  assert.equal(linear(3, 3, 10, 20)(3), 10);
});

test("ticks are round numbers inside the range", () => {
  assert.deepEqual(ticks(0, 1, 2), [0, 0.5, 1]);
  assert.deepEqual(ticks(-0.3, 1.04, 4), [0, 0.5, 1]);
  assert.deepEqual(ticks(0.0378, 0.0412, 2), [0.038, 0.04]);
  assert.deepEqual(ticks(5, 5, 3), [5]);
  assert.deepEqual(ticks(-4.4, 1.2, 2), [-4, -2, 0]);
});

test("the scale of rates holds 0 and 1, all rates, and whiskers up to a limit", () => {
  const [low, high] = rateDomain([[0.2, 0.5]], [[null, 0.1]]);
  assert.equal(low, 0);
  assert.ok(high > 1 && high < 1.1);
  const wide = rateDomain([[-0.5, 1.5]], [[0.1, 9]]);
  assert.ok(wide[0] <= -0.6 && wide[0] > -0.8);
  assert.ok(wide[1] >= 1.75 && wide[1] < 2);
});

test("one outlier does not flatten a curve", () => {
  const values = Array.from({ length: 100 }, (_, i) => 1 + i / 1000);
  values[50] = 1000;
  assert.ok(curveDomain(values)[1] < 2);
  assert.deepEqual(curveDomain([]), [0, 1]);
  assert.deepEqual(curveDomain([0]), [-0.1, 0.1]);
});

test("a curve that hardly moves looks flat, and its ticks can be told apart", () => {
  const [low, high] = curveDomain([0.104, 0.1041]);
  assert.ok(low < 0.103 && high > 0.105);
  const written = ticks(low, high, 3).map(short);
  assert.equal(new Set(written).size, written.length);
});

test("buckets keep the mean", () => {
  assert.deepEqual(bucketMeans([1, 2, 3], 3), [1, 2, 3]);
  assert.deepEqual(bucketMeans([1, 3, 5, 7, 9], 3), [2, 6, 9]);
});

test("the nearest penalty is so in the logarithm", () => {
  assert.equal(nearestPenalty([0, 1e-5, 1e-4, 1e-3], 3.5e-4), 3);
  assert.equal(nearestPenalty([0, 1e-5, 1e-4, 1e-3], 2e-4), 2);
  assert.equal(nearestPenalty([0, 1e-5], 0), 0);
});
