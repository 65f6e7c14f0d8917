import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { playAll } = await load("app/parts/video.tsx");
const sound = (name) => ({ plays: 0, async play() {
  this.plays += 1;
  if (name) throw new DOMException("", name);
} });

test("PF-30: a click on \"Hear the others\" plays every sound, and the button goes only when none is held back", async () => {
  const sounds = [sound(), sound("NotAllowedError"), sound()];
  assert.equal(await playAll(sounds), true, "one may still not play");
  assert.deepEqual(sounds.map(({ plays }) => plays), [1, 1, 1]);
  assert.equal(await playAll([sound(), sound("AbortError")]), false, "one that was replaced meanwhile is no reason to stay");
});
