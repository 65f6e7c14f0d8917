import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Occupants } = await load("sdk/occupants.ts");
const roster = (names) => names.flatMap((name, leaf) => (name === null ? [] : [{ leaf, fingerprint: `key of ${name}` }]));

test("CLNT-20: a leaf that is given to somebody else in one commit is a change, and frames from before are not theirs", () => {
  const occupants = new Occupants();
  assert.deepEqual(occupants.see(4, roster(["Ada", "Ben", "Cleo"])), new Set());
  assert.deepEqual(occupants.see(5, roster(["Ada", "Ben", "Cleo"])), new Set());
  assert.equal(occupants.admits(1, 4), true);
  assert.deepEqual(occupants.see(6, roster(["Ada", "Dora", "Cleo"])), new Set([1]));
  assert.deepEqual([4, 5, 6, 7].map((epoch) => occupants.admits(1, epoch)), [false, false, true, true]);
  assert.equal(occupants.admits(2, 5), true, "the others' frames in flight are theirs as before");
});

test("CLNT-20: a leaf that is empty for a while is nobody's, and the next one's from then on", () => {
  const occupants = new Occupants();
  occupants.see(1, roster(["Ada", "Ben"]));
  assert.deepEqual(occupants.see(2, roster(["Ada"])), new Set([1]));
  assert.equal(occupants.admits(1, 1), false);
  assert.equal(occupants.since(1), null);
  assert.deepEqual(occupants.see(3, roster(["Ada", "Ben"])), new Set(), "there was nobody to forget");
  assert.equal(occupants.admits(1, 1), false, "even the same key, which was gone");
});

test("CLNT-20: another group counts its epochs anew", () => {
  const occupants = new Occupants();
  occupants.see(40, roster(["Ada", "Ben"]));
  assert.deepEqual(occupants.see(1, roster(["Ada", "Ben"])), new Set([0, 1]));
  assert.equal(occupants.admits(1, 1), true);
});
