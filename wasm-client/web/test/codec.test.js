import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { hasLayersInside, makeLayersInside, setActive } = await load("sdk/media/codec.ts");

test("CLNT-32: of layers inside one stream those up to the highest wanted are made, each as large as before", () => {
  const encoding = { active: true, scalabilityMode: "L3T3_KEY", scaleResolutionDownBy: 1 };
  assert.ok(hasLayersInside(encoding));
  assert.equal(makeLayersInside(encoding, null), false);
  assert.equal(makeLayersInside(encoding, [0, 2]), false);
  assert.equal(makeLayersInside(encoding, [0]), true);
  assert.deepEqual(encoding, { active: true, maxBitrate: 150_000, scalabilityMode: "L1T3", scaleResolutionDownBy: 4 });
  assert.ok(hasLayersInside(encoding), "or it would never have more again");
  assert.equal(makeLayersInside(encoding, [0, 1]), true);
  assert.deepEqual(encoding, { active: true, maxBitrate: 600_000, scalabilityMode: "L2T3_KEY", scaleResolutionDownBy: 2 });
  assert.equal(makeLayersInside(encoding, [0, 7]), true);
  assert.deepEqual(encoding, { active: true, maxBitrate: 1_700_000, scalabilityMode: "L3T3_KEY", scaleResolutionDownBy: 1 });
});

test("CLNT-32: where nobody wants any, nothing is made, and the layers stay as they were", () => {
  const encoding = { active: true, scalabilityMode: "L2T3_KEY", scaleResolutionDownBy: 2 };
  assert.equal(makeLayersInside(encoding, []), true);
  assert.deepEqual(encoding, { active: false, scalabilityMode: "L2T3_KEY", scaleResolutionDownBy: 2 });
  assert.equal(makeLayersInside(encoding, []), false);
  assert.equal(makeLayersInside(encoding, [0, 1]), true);
  assert.equal(encoding.active, true);
});

test("a stream that the browser made of one layer has no layers inside", () => {
  assert.equal(hasLayersInside({ active: true }), false);
  assert.equal(hasLayersInside({ scalabilityMode: "L1T2" }), false);
  assert.equal(setActive({}, true), false);
  assert.equal(setActive({}, false), true);
});
