import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Clock } = await load("sdk/worker/clock.ts");

function clocks() {
  const time = { monotonic: 50, wall: 1_000_000 };
  return { time, clock: new Clock(() => time.monotonic, () => time.wall) };
}

test("time goes on with the monotonic clock, and back for nobody who sets the machine's", () => {
  const { time, clock } = clocks();
  assert.equal(clock.now(), 1_000_000);
  time.monotonic += 400;
  time.wall -= 3_600_000;
  assert.equal(clock.now(), 1_000_400);
});

test("after a sleep in which the monotonic clock stood still, it is as late as it is", () => {
  const { time, clock } = clocks();
  time.wall += 600_000;
  assert.equal(clock.now(), 1_600_000);
  time.monotonic += 1_000;
  time.wall += 1_000;
  assert.equal(clock.now(), 1_601_000);
});

test("two clocks that drift a little are not sleep", () => {
  const { time, clock } = clocks();
  time.monotonic += 60_000;
  time.wall += 62_000;
  assert.equal(clock.now(), 1_060_000);
});
