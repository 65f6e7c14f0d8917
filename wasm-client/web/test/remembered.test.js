import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./load.js";

const { recall, remember } = await load("sdk/remembered.ts");
const { ComparedMarks } = await load("sdk/trust.ts");

const storage = (get) => Object.defineProperty(globalThis, "localStorage", { get, configurable: true });
afterEach(() => delete globalThis.localStorage);

test("where site data are blocked nothing is kept, and nothing throws; what was compared holds until the page is closed", () => {
  storage(() => {
    throw new DOMException("", "SecurityError");
  });
  remember("conclave.name", "Ada");
  assert.equal(recall("conclave.name"), null);
  const marks = new ComparedMarks("room");
  marks.mark([{ name: "Ben", fingerprint: "b" }]);
  assert.deepEqual(marks.all, [{ name: "Ben", fingerprint: "b" }]);
});

test("else it is there the next time", () => {
  const kept = new Map();
  storage(() => ({ getItem: (place) => kept.get(place) ?? null, setItem: (place, value) => kept.set(place, value) }));
  remember("conclave.name", "Ada");
  assert.equal(recall("conclave.name"), "Ada");
  new ComparedMarks("room").mark([{ name: "Ben", fingerprint: "b" }]);
  assert.deepEqual(new ComparedMarks("room").all, [{ name: "Ben", fingerprint: "b" }]);
});
