import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Restarts } = await load("sdk/restarts.ts");

test("CLNT-11: the first start comes at once, later ones after a moment, and a fourth in a minute not at all", () => {
  const restarts = new Restarts();
  assert.deepEqual([0, 1_000, 5_000, 9_000].map((now) => restarts.next(now)), [0, 500, 2_000, null]);
});

test("CLNT-11: what broke more than a minute ago does not count any more", () => {
  const restarts = new Restarts();
  for (const now of [0, 1_000, 5_000]) assert.notEqual(restarts.next(now), null);
  assert.equal(restarts.next(59_000), null);
  assert.equal(restarts.next(60_500), 2_000);
});
