import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { carry } = await load("sdk/worker/carry.ts");

/** Two ends as a browser gives them, and what came out. */
function ends({ refuse = () => false } = {}) {
  let source;
  const out = [];
  const readable = new ReadableStream({ start: (controller) => void (source = controller) });
  const writable = new WritableStream({
    write(frame) {
      if (refuse(frame)) throw new TypeError("the browser refuses it");
      out.push(frame);
    },
  });
  return { readable, writable, source, out };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));
const pass = (frame, controller) => controller.enqueue(frame);

test("frames are carried in order, and the end of the stream is the end of it", async () => {
  const { source, out, ...pair } = ends();
  const ended = carry(pair, pass, assert.fail);
  for (const frame of [1, 2, 3]) source.enqueue(frame);
  await turn();
  source.close();
  assert.equal(await ended, true);
  assert.deepEqual(out, [1, 2, 3]);
});

test("CLNT-17: a step that throws costs its own frame and no other, is counted, and what comes later is carried", async () => {
  const { source, out, ...pair } = ends();
  let broken = 0;
  const step = (frame, controller) => {
    if (frame === "bad") throw new Error("a fault");
    controller.enqueue(frame);
  };
  const ended = carry(pair, step, () => (broken += 1));
  for (const frame of ["a", "bad", "b", "bad", "c"]) {
    source.enqueue(frame);
    await turn();
  }
  source.close();
  assert.equal(await ended, true);
  assert.deepEqual(out, ["a", "b", "c"]);
  assert.equal(broken, 2);
});

test("CLNT-17: where a step that waits fails, the same", async () => {
  const { source, out, ...pair } = ends();
  let broken = 0;
  const step = async (frame, controller) => {
    await turn();
    if (frame === "bad") throw new Error("a fault");
    controller.enqueue(frame);
  };
  const ended = carry(pair, step, () => (broken += 1));
  for (const frame of ["a", "bad", "b"]) {
    source.enqueue(frame);
    await turn();
    await turn();
  }
  source.close();
  assert.equal(await ended, true);
  assert.deepEqual([out, broken], [["a", "b"], 1]);
});

test("CLNT-17: a step that always throws is given up, and nothing has passed", async () => {
  const { source, out, ...pair } = ends();
  const step = () => {
    throw new Error("a fault");
  };
  const ended = carry(pair, step, () => undefined);
  for (let frame = 0; frame < 10; frame += 1) source.enqueue(frame);
  assert.equal(await ended, false);
  assert.deepEqual(out, []);
});

test("CLNT-17: an end that the browser has broken is given up: the frames' source, and where they go", async () => {
  const first = ends();
  const lost = carry(first, pass, () => undefined);
  first.source.enqueue(1);
  await turn();
  first.source.error(new Error("gone"));
  assert.equal(await lost, false);

  const second = ends({ refuse: (frame) => frame === "bad" });
  const refused = carry(second, pass, () => undefined);
  for (const frame of ["a", "bad", "b", "c"]) second.source.enqueue(frame);
  assert.equal(await refused, false);
  assert.deepEqual(second.out, ["a"]);
});
