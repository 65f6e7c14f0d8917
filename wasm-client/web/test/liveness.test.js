import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { BEAT_MS, Liveness } = await load("sdk/liveness.ts");

/** Beats at these distances; gives the verdicts. */
function beats(liveness, clock, distances) {
  return distances.map((distance) => {
    clock.now += distance;
    return liveness.beat(clock.now).verdict;
  });
}

function begun() {
  const clock = { now: 1_000 };
  const liveness = new Liveness(clock.now);
  liveness.heard();
  return { clock, liveness };
}

test("CLNT-15: a worker that answers is asked again and again, and is well", () => {
  const { clock, liveness } = begun();
  for (let at = 0; at < 100; at += 1) {
    clock.now += BEAT_MS;
    assert.deepEqual(liveness.beat(clock.now), { verdict: "well", ask: true });
    liveness.heard();
  }
});

test("CLNT-15: one that does not answer is slow first, and then stalled", () => {
  const { clock, liveness } = begun();
  const verdicts = beats(liveness, clock, Array(10).fill(BEAT_MS));
  assert.deepEqual([...new Set(verdicts)], ["well", "slow", "stalled"]);
  assert.equal(verdicts.indexOf("stalled") * BEAT_MS, 4_000);
});

test("CLNT-15: a late answer makes it well again", () => {
  const { clock, liveness } = begun();
  assert.equal(beats(liveness, clock, Array(6).fill(BEAT_MS)).at(-1), "slow");
  liveness.heard();
  assert.equal(beats(liveness, clock, [BEAT_MS, BEAT_MS]).at(-1), "well");
});

test("CLNT-15: a page that slept, or whose thread was busy for a minute, accuses nobody", () => {
  const { clock, liveness } = begun();
  beats(liveness, clock, [BEAT_MS]);
  // The answer is there, and the late timer runs before it.
  assert.deepEqual(beats(liveness, clock, [60_000]), ["well"]);
  liveness.heard();
  assert.deepEqual(beats(liveness, clock, [BEAT_MS, 3_600_000]), ["well", "well"]);
});

test("CLNT-15: a tab in the background, whose timers come once a second or once a minute, accuses nobody who answers, and notices who does not", () => {
  for (const distance of [1_000, 60_000]) {
    const { clock, liveness } = begun();
    for (let at = 0; at < 50; at += 1) {
      assert.deepEqual(beats(liveness, clock, [distance]), ["well"]);
      liveness.heard();
    }
    assert.ok(beats(liveness, clock, Array(6).fill(distance)).includes("stalled"), `at ${distance}`);
  }
});

test("until the worker's program is there the network is waited for, but not for ever", () => {
  const clock = { now: 0 };
  const liveness = new Liveness(0);
  assert.ok(beats(liveness, clock, Array(30).fill(BEAT_MS)).every((verdict) => verdict === "well"));
  assert.equal(beats(liveness, clock, Array(15).fill(BEAT_MS)).at(-1), "stalled");
});
