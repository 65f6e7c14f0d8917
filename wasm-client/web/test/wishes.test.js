// CLNT-31: the relay is told what changed of what a device wishes for, once, and again when it may not have heard.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Wishes } = await load("sdk/media/wishes.ts");

const wish = (producer, { paused = false, max_layer = null, pinned = false } = {}) => ({ producer, paused, max_layer, pinned });
const agreedOn = (...producers) => {
  const wishes = new Wishes();
  wishes.agreed(producers.map((producer) => ({ mid: "1", producer })));
  return wishes;
};

test("only what changed is said, and what the relay takes for granted is not", () => {
  const wishes = agreedOn("a", "b");
  assert.deepEqual(wishes.take([wish("a"), wish("b", { max_layer: 1 })]).changed, [wish("b", { max_layer: 1 })]);
  assert.deepEqual(wishes.take([wish("a"), wish("b", { max_layer: 1 })]).changed, []);
  assert.deepEqual(wishes.take([wish("b")]).changed, [wish("b")]);
});

test("of a view that is not agreed on nothing is said, and its wish is not taken for known", () => {
  const wishes = agreedOn("a");
  assert.deepEqual(wishes.take([wish("b", { paused: true })]).changed, []);
  wishes.agreed([{ mid: "1", producer: "b" }]);
  assert.deepEqual(wishes.take([wish("b", { paused: true })]).changed, [wish("b", { paused: true })]);
});

test("a view comes back when it was paused, and not when only its layer changes", () => {
  const wishes = agreedOn("a");
  assert.deepEqual(wishes.take([wish("a", { paused: true })]).back, []);
  assert.deepEqual(wishes.take([wish("a", { max_layer: 0 })]).back, ["a"]);
  assert.deepEqual(wishes.take([wish("a", { max_layer: 1 })]).back, []);
});

test("after the line broke all is said once more, but for what is not agreed on any more", () => {
  const wishes = agreedOn("a", "b");
  wishes.take([wish("a", { paused: true }), wish("b", { max_layer: 0 })]);
  assert.deepEqual(wishes.again(), [], "the line holds");
  wishes.lineBroke();
  wishes.agreed([{ mid: "1", producer: "a" }]);
  assert.deepEqual(wishes.again(), [wish("a", { paused: true })]);
  assert.deepEqual(wishes.again(), [], "said once");
});

test("a subscription that starts anew knows no wish, and is told none before it is agreed on", () => {
  const wishes = agreedOn("a");
  wishes.take([wish("a", { max_layer: 0 })]);
  wishes.startAnew("a");
  assert.deepEqual(wishes.take([wish("a", { max_layer: 0 })]).changed, []);
  wishes.agreed([{ mid: "2", producer: "a" }]);
  assert.deepEqual(wishes.take([wish("a", { max_layer: 0 })]).changed, [wish("a", { max_layer: 0 })]);
});
