import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { trustOf } = await load("sdk/trust.ts");
const member = (name, fingerprint, validUntil = 1_000) => ({ leaf: 0, name, fingerprint, validUntil });

test("PF-15: never compared, compared, another key and run out are four different things", () => {
  const marks = [{ name: "Ada", fingerprint: "a" }];
  const roster = [member("Ada", "b")];
  assert.equal(trustOf(member("Ben", "x"), marks, roster, 0), "checked");
  assert.equal(trustOf(member("Ada", "a"), marks, roster, 0), "compared");
  assert.equal(trustOf(member("Ada", "b"), marks, roster, 0), "changed");
  assert.equal(trustOf(member("Ada", "a", 5), marks, roster, 5), "expired");
});

test("PF-15: a namesake is no changed key while the compared one is in the room", () => {
  const roster = [member("Ada", "a"), member("Ada", "b")];
  assert.equal(trustOf(member("Ada", "b"), [{ name: "Ada", fingerprint: "a" }], roster, 0), "checked");
});
