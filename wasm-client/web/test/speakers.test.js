import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { SpeakerBook } = await load("sdk/speakers.ts");

/** Hears `leaf` each 500 ms from `from` to `to`. */
function hear(book, leaf, level, from, to) {
  for (let now = from; now <= to; now += 500) book.hear(leaf, level, now);
}

test("CLNT-30: whoever makes a sound for a while is speaking, and for a moment after", () => {
  const book = new SpeakerBook();
  hear(book, 1, 0.1, 0, 1_000);
  assert.equal(book.isSpeaking(1, 1_000), true);
  hear(book, 1, 0, 1_500, 2_000);
  assert.equal(book.isSpeaking(1, 2_000), true, "a gap between two words");
  hear(book, 1, 0, 2_500, 4_000);
  assert.equal(book.isSpeaking(1, 4_000), false);
});

test("CLNT-30: silence, the noise of a room and a single knock are no speech", () => {
  const book = new SpeakerBook();
  hear(book, 1, 0, 0, 5_000);
  hear(book, 2, 0.004, 0, 5_000);
  book.hear(3, 0.8, 0);
  hear(book, 3, 0, 500, 5_000);
  for (const leaf of [1, 2, 3]) assert.equal(book.isSpeaking(leaf, 5_000), false);
  assert.deepEqual(book.recent(), []);
});

test("CLNT-30: the latest to begin comes first, and who speaks on keeps the place", () => {
  const book = new SpeakerBook();
  hear(book, 1, 0.1, 0, 10_000);
  hear(book, 2, 0.1, 2_000, 10_000);
  hear(book, 3, 0.1, 4_000, 5_000);
  assert.deepEqual(book.recent(), [3, 2, 1]);
});

test("CLNT-30: a sound that stopped coming is not speech for ever", () => {
  const book = new SpeakerBook();
  hear(book, 1, 0.1, 0, 1_000);
  assert.equal(book.isSpeaking(1, 60_000), false);
});

test("CLNT-30: a leaf that is given to somebody else did not speak", () => {
  const book = new SpeakerBook();
  hear(book, 1, 0.1, 0, 1_000);
  book.forget(new Set([1]));
  assert.deepEqual(book.recent(), []);
});
