import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { ReceptionBook } = await load("sdk/reception.ts");
const report = (change) => ({
  id: "r",
  leaf: 1,
  stream: "camera",
  epoch: 3,
  opened: 0,
  early: 0,
  dropped: {},
  ...change,
});

test("nothing is said to be received before a frame opened", () => {
  assert.deepEqual(new ReceptionBook().state(1, "camera", 0), { state: "nothing" });
});

test("CLNT-9: who was authenticated is live, and quiet when nothing comes any more", () => {
  const book = new ReceptionBook();
  book.authenticated(1, "camera", 3, 1_000);
  assert.deepEqual(book.state(1, "camera", 1_100), { state: "live", epoch: 3 });
  assert.deepEqual(book.state(1, "microphone", 1_100), { state: "nothing" });
  assert.deepEqual(book.state(1, "camera", 9_000), { state: "quiet", epoch: 3 });
});

test("CLNT-9: frames that never opened are told with the main reason, at once", () => {
  const book = new ReceptionBook();
  book.report(report({ dropped: { "not-authentic": 30, "bad-shell": 2 } }), 1, "camera", 1_000);
  assert.deepEqual(book.state(1, "camera", 1_001), { state: "sealed", why: "not-authentic" });
});

test("CLNT-9: a live stream is called sealed only when nothing of it has opened for a while, and recovers with one frame", () => {
  const book = new ReceptionBook();
  book.authenticated(1, "camera", 3, 0);
  book.report(report({ early: 20 }), 1, "camera", 1_000);
  assert.equal(book.state(1, "camera", 1_000).state, "live");
  book.report(report({ early: 25 }), 1, "camera", 2_600);
  assert.deepEqual(book.state(1, "camera", 2_600), { state: "sealed", why: "early" });
  book.report(report({ opened: 1, epoch: 4, dropped: { "not-authentic": 5 } }), 1, "camera", 3_600);
  assert.deepEqual(book.state(1, "camera", 3_600), { state: "live", epoch: 4 });
});

test("repeats are no fault: retransmission makes some in any call", () => {
  const book = new ReceptionBook();
  book.report(report({ dropped: { replayed: 50, "too-old": 3, "own-frame": 1 } }), 1, "camera", 1_000);
  assert.deepEqual(book.state(1, "camera", 1_001), { state: "nothing" });
});

test("whoever leaves takes what was seen along", () => {
  const book = new ReceptionBook();
  book.authenticated(1, "camera", 3, 0);
  book.authenticated(12, "camera", 3, 0);
  book.forget(new Set([1]));
  assert.equal(book.state(1, "camera", 1).state, "nothing");
  assert.equal(book.state(12, "camera", 1).state, "live");
});
