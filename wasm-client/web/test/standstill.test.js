import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { isLate, Lateness, Pulse, PULSE_MS } = await load("sdk/worker/standstill.ts");

/** A stream of frames every 40 ms, each arriving `delay(index)` late; gives what is said of each. */
function lateness(delay, { start = 0, count = 50 } = {}) {
  const stream = new Lateness(90);
  return Array.from({ length: count }, (_, index) =>
    stream.of((start + index * 40 * 90) >>> 0, 10_000 + index * 40 + delay(index)),
  );
}

test("CLNT-16: frames on time are on time, with jitter and across the wrap of the timestamp", () => {
  for (const start of [0, 2 ** 32 - 20 * 40 * 90, 123_456_789]) {
    const all = lateness((index) => (index * 37) % 60, { start });
    assert.ok(all.every((late) => late >= 0 && !isLate(late)), `${start}: ${Math.max(...all)}`);
  }
});

test("CLNT-16: frames that waited together are late by what each waited", () => {
  // Three seconds of standing still: 75 frames come at once.
  const all = lateness((index) => (index >= 20 && index < 95 ? (95 - index) * 40 : 0), { count: 120 });
  assert.ok(Math.abs(all[20] - 3_000) < 50);
  assert.deepEqual(all.map(isLate).lastIndexOf(true), 84, "the last 400 ms are let through");
  assert.ok(!isLate(all[100]));
});

test("CLNT-16: a delay that lasts becomes the usual one, and a stream that begins anew is not late", () => {
  const slower = lateness((index) => (index > 20 ? 300 : 0), { count: 3_000 });
  assert.ok(slower.at(-1) < 20);
  const stream = new Lateness(90);
  stream.of(5, 0);
  assert.equal(stream.of(2 ** 31 + 5, 40), 0);
  assert.ok(stream.of(2 ** 31 + 5 + 3_600, 80) < 5);
});

test("CLNT-16: a frame out of order is late by its place and moves nothing", () => {
  const stream = new Lateness(90);
  for (let index = 0; index < 10; index += 1) stream.of(index * 3_600, index * 40);
  assert.equal(Math.round(stream.of(5 * 3_600, 400)), 200);
  assert.ok(stream.of(10 * 3_600, 400) < 3);
});

test("CLNT-16: a pulse that misses beats for long enough was a standstill, and its aftermath ends", () => {
  const pulse = new Pulse(0);
  for (let now = 0; now <= 5_000; now += PULSE_MS) pulse.beat(now);
  pulse.beat(5_600);
  assert.equal(pulse.count, 0);
  assert.equal(pulse.aftermath(5_600), false);
  pulse.beat(8_600);
  assert.equal(pulse.count, 1);
  assert.equal(pulse.aftermath(9_500), true);
  assert.equal(pulse.aftermath(9_700), false);
});
