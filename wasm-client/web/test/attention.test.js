import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Attention } = await load("sdk/attention.ts");

const camera = (leaf) => ({ producer: `camera-${leaf}`, leaf, stream: "camera" });
const cameras = (count) => Array.from({ length: count }, (_, leaf) => camera(leaf));
const paused = (wishes) => wishes.filter((wish) => wish.paused).map(({ producer }) => producer);
const wanted = (wishes) => wishes.filter((wish) => !wish.paused).map(({ producer }) => producer);

test("CLNT-31: the layer is the smallest that fills the picture's place", () => {
  for (const [height, layer] of [[90, 0], [180, 0], [220, 0], [300, 1], [450, 1], [500, null], [1440, null]]) {
    const attention = new Attention();
    attention.look(1, "camera", height, 0);
    const [wish] = attention.wishes([camera(1)], [], 9, 0);
    assert.deepEqual(wish, { producer: "camera-1", max_layer: layer, paused: false, pinned: false }, String(height));
  }
});

test("CLNT-31: without a place yet, pictures share the window", () => {
  const layer = (count) => new Attention().wishes(cameras(count), [], 99, 0)[0].max_layer;
  assert.deepEqual([1, 3, 4, 8, 9, 30].map(layer), [null, null, 1, 1, 0, 0]);
});

test("CLNT-31: what is out of sight pauses after a moment and is back at once", () => {
  const attention = new Attention();
  attention.look(1, "camera", 200, 0);
  attention.look(1, "camera", 0, 100);
  assert.deepEqual(paused(attention.wishes([camera(1)], [], 9, 1_000)), [], "scrolled past");
  attention.look(1, "camera", 0, 1_050);
  assert.deepEqual(paused(attention.wishes([camera(1)], [], 9, 1_100)), ["camera-1"]);
  attention.look(1, "camera", 200, 1_200);
  assert.deepEqual(paused(attention.wishes([camera(1)], [], 9, 1_200)), []);
});

test("CLNT-31: a page that nobody looks at wants no picture, and all of them when somebody is back", () => {
  const attention = new Attention();
  const all = [...cameras(2), { producer: "screen", leaf: 0, stream: "screen" }];
  attention.pageShown(false, 0);
  assert.deepEqual(paused(attention.wishes(all, [], 9, 4_000)), []);
  assert.deepEqual(wanted(attention.wishes(all, [], 9, 5_000)), []);
  attention.pageShown(true, 6_000);
  assert.deepEqual(paused(attention.wishes(all, [], 9, 6_000)), []);
});

test("CLNT-31: of more pictures than are wanted, the pinned, the last to speak and the first in the row are", () => {
  const attention = new Attention();
  attention.pin(9);
  const wishes = attention.wishes(cameras(10), [7, 3], 5, 0);
  assert.deepEqual(wanted(wishes), [0, 1, 3, 7, 9].map((leaf) => `camera-${leaf}`));
  assert.deepEqual(wishes.filter(({ pinned }) => pinned).map(({ producer }) => producer), ["camera-9"]);
});

test("CLNT-31: shared screens are not counted among the pictures, and wanted whole", () => {
  const attention = new Attention();
  const screen = { producer: "screen", leaf: 3, stream: "screen" };
  attention.look(3, "screen", 100, 0);
  const wishes = attention.wishes([...cameras(3), screen], [], 1, 0);
  assert.deepEqual(wanted(wishes), ["camera-0", "screen"]);
  assert.equal(wishes.at(-1).max_layer, null);
});

test("CLNT-31: a picture out of sight takes nobody's place", () => {
  const attention = new Attention();
  attention.look(0, "camera", 0, 0);
  assert.deepEqual(wanted(attention.wishes(cameras(3), [0], 2, 2_000)), ["camera-1", "camera-2"]);
});

test("CLNT-31: who left has no place and is pinned no more", () => {
  const attention = new Attention();
  attention.look(1, "camera", 0, 0);
  attention.pin(1);
  attention.forget(new Set([1]));
  const [wish] = attention.wishes([camera(1)], [], 9, 9_000);
  assert.deepEqual([wish.paused, wish.pinned], [false, false]);
});

test("CLNT-31: a picture that nobody was authenticated on is wanted, behind those that are", () => {
  const unknown = { producer: "new", leaf: null, stream: "camera" };
  assert.deepEqual(wanted(new Attention().wishes([unknown, camera(1)], [], 2, 0)), ["new", "camera-1"]);
  assert.deepEqual(wanted(new Attention().wishes([unknown, camera(1)], [], 1, 0)), ["camera-1"]);
});
