// ENGN-4: order, bounds, and answers that never come; time is a number here and passes when the test says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Lane, ANSWER_WITHIN_MS, MAX_IN_FLIGHT } = await load("sdk/worker/lane.ts");

function fakeClock() {
  let time = 0;
  let timers = [];
  return {
    now: () => time,
    later: (ms, call) => void timers.push({ at: time + ms, call }),
    pass(ms) {
      time += ms;
      const due = timers.filter(({ at }) => at <= time);
      timers = timers.filter(({ at }) => at > time);
      for (const { call } of due) call();
    },
    get timers() {
      return timers.length;
    },
  };
}

function started() {
  const clock = fakeClock();
  const lane = new Lane(clock);
  const written = [];
  const wait = (name) => {
    const { promise, resolve, reject } = withResolvers();
    lane.wait(promise, {
      done: (answer) => written.push(`${name}=${answer}`),
      failed: () => written.push(`${name} failed`),
      lost: () => written.push(`${name} lost`),
    });
    return { resolve, reject };
  };
  return { clock, lane, written, wait, run: (name) => lane.run(() => written.push(name)) };
}

function withResolvers() {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("ENGN-4: what can be done at once is done at once where nothing is in flight", () => {
  const { written, run, clock } = started();
  run("a");
  run("b");
  assert.deepEqual([written, clock.timers], [["a", "b"], 0]);
});

test("ENGN-4: frames are written in the order in which they came, whatever is answered first", async () => {
  const { written, wait, run } = started();
  const [a, b] = [wait("a"), wait("b")];
  run("c");
  const d = wait("d");
  d.resolve(4);
  b.reject(new Error("no"));
  await settled();
  assert.deepEqual(written, []);
  a.resolve(1);
  await settled();
  assert.deepEqual(written, ["a=1", "b failed", "c", "d=4"]);
});

test("ENGN-4: a frame that is not answered is given up, those behind it go on, and a late answer is not heard", async () => {
  const { written, wait, run, clock } = started();
  const hung = wait("hung");
  clock.pass(100);
  const next = wait("next");
  run("last");
  next.resolve(2);
  await settled();
  clock.pass(ANSWER_WITHIN_MS - 101);
  assert.deepEqual(written, []);
  clock.pass(1);
  assert.deepEqual(written, ["hung lost", "next=2", "last"]);
  hung.resolve(1);
  await settled();
  assert.deepEqual(written, ["hung lost", "next=2", "last"]);
});

test("ENGN-4: every frame has its own time, and many that hang are given up one by one", () => {
  const { written, wait, clock } = started();
  for (const name of ["a", "b", "c"]) {
    wait(name);
    clock.pass(50);
  }
  clock.pass(ANSWER_WITHIN_MS - 150);
  assert.deepEqual(written, ["a lost"]);
  clock.pass(50);
  assert.deepEqual(written, ["a lost", "b lost"]);
  clock.pass(1_000);
  assert.deepEqual(written, ["a lost", "b lost", "c lost"]);
  clock.pass(1_000);
  assert.equal(clock.timers, 0, "an idle lane has no timer");
});

test("ENGN-4: the number in flight is bounded, with those that wait behind", async () => {
  const { lane, wait, run } = started();
  const first = wait("first");
  for (let n = 1; n < MAX_IN_FLIGHT; n += 1) run(`${n}`);
  assert.equal(lane.full, true);
  first.resolve(0);
  await settled();
  assert.equal(lane.full, false);
});

test("ENGN-4: what is written may bring another frame, which comes after those that wait", async () => {
  const { lane, written, wait } = started();
  const first = wait("first");
  lane.run(() => {
    written.push("outer");
    lane.run(() => written.push("inner"));
  });
  lane.run(() => written.push("behind"));
  first.resolve(1);
  await settled();
  assert.deepEqual(written, ["first=1", "outer", "behind", "inner"]);
});

