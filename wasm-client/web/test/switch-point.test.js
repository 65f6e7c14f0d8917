// ENGN-5: which engine from which size on. Timings are made up here; nothing is measured.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { SwitchPoint, SIZES, decide } = await load("sdk/worker/switch-point.ts");
const { calibrate } = await load("sdk/worker/calibration.ts");

/** An engine that takes `call` and `byte` microseconds, with a tail that is so many times as long. */
const engine = (call, byte, tail = 1) => (bytes) => ({ typical: call + byte * bytes, tail: (call + byte * bytes) * tail });
const samples = (wasm, webcrypto) => SIZES.map((bytes) => ({ bytes, wasm: wasm(bytes), webcrypto: webcrypto(bytes) }));

// As FACTS of 2026-11-22 have them: Chromium and Firefox, aes-gcm 0.11 in WebAssembly.
const chromium = samples(engine(4, 0.0083), engine(5, 0.0007, 4));
const firefox = samples(engine(4, 0.01), engine(60, 0.004, 2));

/** All rounds of a measurement, the last one at `now`. Gives the point. */
const measure = (point, samples, now) => {
  for (let round = 0; round < 5; round += 1) point.measured(samples, now);
  return point;
};

test("ENGN-5: in Chromium WebCrypto takes over at about a kilobyte, in Firefox later, and where it never wins never", () => {
  const [c, f] = [decide(chromium, Infinity), decide(firefox, Infinity)];
  assert.ok(c > 256 && c <= 2_048, `${c}`);
  assert.ok(f > 2_048 && f <= 65_536, `${f}`);
  assert.equal(decide(samples(engine(1, 0.001), engine(50, 0.002)), Infinity), Infinity);
  assert.equal(decide(samples(engine(50, 0.01), engine(5, 0.001)), Infinity), 0);
});

test("ENGN-5: a size that WebCrypto loses ends its range, whatever it wins below", () => {
  const odd = samples(engine(50, 0.001), engine(5, 0.01));
  assert.equal(decide(odd, Infinity), Infinity);
});

test("ENGN-5: before anything was measured all frames go through WebAssembly", () => {
  const point = new SwitchPoint();
  assert.equal(point.prefersWebCrypto(1e9), false);
  assert.equal(point.isDue(0), true);
});

test("ENGN-5: a long tail turns the choice, as a long call does", () => {
  const stalls = samples(engine(4, 0.0083), engine(5, 0.0007, 400));
  assert.equal(decide(stalls, Infinity), Infinity);
});

test("ENGN-5: near the border the engine that is used stays: it never flaps", () => {
  // The two swap places by a tenth at every measurement.
  const [a, b] = [samples(engine(0, 0.01), engine(0, 0.011)), samples(engine(0, 0.011), engine(0, 0.01))];
  for (const first of [chromium, samples(engine(1, 0.001), engine(50, 0.002))]) {
    const point = measure(new SwitchPoint(), first, 0);
    const start = point.threshold;
    for (let round = 0; round < 20; round += 1) measure(point, round % 2 ? a : b, round);
    const held = point.threshold;
    assert.ok(start === Infinity ? held === Infinity : held <= start, `${start}, then ${held}`);
  }
});

test("ENGN-5: it is measured again when the tail of the engine in use grows, and not before, nor all the time", () => {
  const point = measure(new SwitchPoint(), chromium, 0);
  const feed = (microseconds, times) => {
    for (let n = 0; n < times; n += 1) point.observe("webcrypto", 10_000, microseconds);
  };
  feed(15, 1_000);
  assert.equal(point.isDue(20_000), false, "as it was measured");
  // One in ten stalls.
  for (let n = 0; n < 300; n += 1) feed(n % 10 ? 15 : 5_000, 1);
  assert.equal(point.isDue(5_000), false, "not within ten seconds");
  assert.equal(point.isDue(20_000), true);
  measure(point, samples(engine(4, 0.0083), engine(40, 0.002, 50)), 20_000);
  assert.equal(point.threshold, Infinity, "under load the other engine is the steadier one");
  feed(5_000, 1_000);
  assert.equal(point.isDue(40_000), false, "an engine that is not used is not watched");
  assert.equal(point.isDue(80_001), true, "a choice made under load is looked at again");
  measure(point, chromium, 80_001);
  assert.ok(point.threshold < Infinity);
  assert.equal(point.isDue(1_000_000), false, "and nothing more is measured while all is as it was at first");
});

test("ENGN-5: a measurement takes five rounds, and those in which the machine was held up are outvoted", () => {
  const held = samples(engine(4, 0.0083), engine(5, 0.0007, 2_000));
  const point = new SwitchPoint();
  const choices = [held, chromium, held, chromium, chromium].map((round, at) => {
    assert.equal(point.isDue([0, 500, 1_500, 3_500, 7_500][at]), true, `round ${at}`);
    point.measured(round, [0, 500, 1_500, 3_500, 7_500][at]);
    return point.prefersWebCrypto(16_384);
  });
  assert.deepEqual(choices, [false, true, false, true, true]);
  assert.deepEqual([point.isDue(8_000), point.isDue(1_000_000)], [false, false], "that was all");
  const slow = new SwitchPoint();
  for (const [at, round] of [chromium, held, held, held, chromium].entries()) slow.measured(round, at);
  assert.equal(slow.prefersWebCrypto(16_384), false, "what holds it up again and again counts");
});

test("ENGN-5: a round does not follow at once", () => {
  const point = new SwitchPoint();
  point.measured(chromium, 1_000);
  assert.deepEqual([point.isDue(1_499), point.isDue(1_500)], [false, true]);
  point.measured(chromium, 1_500);
  assert.deepEqual([point.isDue(2_499), point.isDue(2_500)], [false, true]);
});

test("ENGN-5: a tail that stays harmless calls for nothing, however it grew", () => {
  const point = measure(new SwitchPoint(), samples(engine(1, 0.0001), engine(0.1, 0)), 0);
  for (let n = 0; n < 2_000; n += 1) point.observe("webcrypto", 10_000, 200);
  assert.equal(point.isDue(20_000), false);
});

test("ENGN-4: after a frame without an answer WebCrypto gets none for a minute", () => {
  const point = new SwitchPoint();
  measure(point, chromium, 0);
  point.failed(30_000);
  assert.equal(point.prefersWebCrypto(50_000), false);
  assert.deepEqual([point.isDue(30_001), point.isDue(89_999), point.isDue(90_001)], [false, false, true]);
});

test("the running estimates come near the median and the 99th percentile", () => {
  const point = new SwitchPoint();
  point.measured(chromium, 0);
  // 0 to 99, in an order that is fixed and not sorted.
  for (let n = 0; n < 20_000; n += 1) point.observe("wasm", 10_000, (n * 37) % 100);
  const { typical, tail } = point.running("wasm", 10_000);
  assert.ok(typical > 35 && typical < 65, `median ${typical}`);
  assert.ok(tail > 85 && tail < 120, `99th percentile ${tail}`);
});

/** A clock of this step, which moves on by what the engines are said to take. */
function simulated(stepMs, costs) {
  let time = 0.3;
  const take = (engine, bytes) => (time += costs[engine](bytes).typical / 1_000);
  return {
    engines: { wasm: (bytes) => void take("wasm", bytes), webcrypto: async (bytes) => void take("webcrypto", bytes) },
    pace: { now: () => Math.floor(time / stepMs) * stepMs, pause: async () => undefined },
  };
}

test("ENGN-5: calibration finds what calls take even where the clock's step is a whole millisecond", async () => {
  for (const step of [0.005, 0.1, 1]) {
    const costs = { wasm: engine(4, 0.01), webcrypto: engine(60, 0.004) };
    const { engines, pace } = simulated(step, costs);
    const found = await calibrate(engines, pace);
    for (const { bytes, wasm, webcrypto } of found) {
      for (const [name, timing] of Object.entries({ wasm, webcrypto })) {
        const { typical } = costs[name](bytes);
        assert.ok(Math.abs(timing.typical - typical) < typical * 0.35, `${name} ${bytes} at ${step}: ${timing.typical}, not ${typical}`);
      }
    }
  }
});

test("calibration ends where the clock stands still", async () => {
  const engines = { wasm: () => undefined, webcrypto: async () => undefined };
  const found = await calibrate(engines, { now: () => 5, pause: async () => undefined });
  assert.equal(found.length, SIZES.length);
});
