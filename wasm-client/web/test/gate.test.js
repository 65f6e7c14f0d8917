import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Gate } = await load("sdk/worker/gate.ts");
const { Pulse } = await load("sdk/worker/standstill.ts");

const CAMERA = { role: "seal", id: "s", stream: "camera" };
const SPEECH = { role: "seal", id: "s", stream: "microphone" };
const THEIRS = { role: "open", id: "r", kind: "video" };

/** A worker with one gate, and a clock that its frames move. */
class Stream {
  now = 0;
  asked = 0;
  #index = 0;

  constructor(options) {
    const pulse = new Pulse(0);
    this.step = options.stream === "microphone" ? 20 : 40;
    this.ticks = options.stream === "microphone" ? 48 : 90;
    this.gate = new Gate(options, pulse, () => (this.asked += 1));
  }

  /** The next frames, on time, or all at this moment; gives which were admitted. */
  frames(count, { type = "delta", ssrc = 1, at = null } = {}) {
    return Array.from({ length: count }, () => {
      this.#index += 1;
      const captured = this.#index * this.step;
      this.now = Math.max(this.now, at ?? captured);
      const frame = { type, timestamp: captured * this.ticks, getMetadata: () => ({ synchronizationSource: ssrc }) };
      return this.gate.admits(frame, this.now);
    });
  }
}

const all = (list, value) => list.every((entry) => entry === value);

test("frames on time pass, and nobody is asked for anything", () => {
  for (const options of [CAMERA, SPEECH, THEIRS]) {
    const stream = new Stream(options);
    assert.ok(all(stream.frames(200), true));
    assert.deepEqual([stream.asked, stream.gate.dropped], [0, {}]);
  }
});

test("CLNT-16: after a standstill one's own picture goes on with a key frame and with nothing before it", () => {
  const stream = new Stream(CAMERA);
  stream.frames(50);
  assert.ok(all(stream.frames(75, { at: 5_000 }), false), "what waited");
  assert.ok(all(stream.frames(3), false), "what is on time and cannot be decoded");
  assert.ok(stream.asked >= 1, "the encoder is asked");
  assert.deepEqual(stream.frames(1, { type: "key" }), [true]);
  assert.ok(all(stream.frames(50), true));
  const { late, skipped } = stream.gate.dropped;
  assert.equal(late + skipped, 78);
  assert.ok(late >= 60);
});

test("CLNT-16: a key frame that waited is late too, and another one is asked for until it comes", () => {
  const stream = new Stream(CAMERA);
  stream.frames(50);
  assert.deepEqual(stream.frames(1, { type: "key", at: 5_000 }), [false]);
  stream.frames(74, { at: 5_000 });
  stream.frames(50);
  assert.ok(stream.asked >= 3 && stream.asked <= 6, `${stream.asked} times in two seconds`);
  assert.deepEqual(stream.frames(1, { type: "key" }), [true]);
});

test("CLNT-16: sound that waited is left out and goes on with the first frame on time", () => {
  const stream = new Stream(SPEECH);
  stream.frames(50);
  const left = stream.frames(150, { at: 4_000 }).indexOf(true);
  assert.ok(left > 120 && left <= 130, `all but the last 400 ms: ${left} of 150 frames`);
  assert.ok(all(stream.frames(50), true));
  assert.deepEqual(stream.gate.dropped, { late: left });
  assert.equal(stream.asked, 0);
});

test("CLNT-16: of others' pictures what waited is left out, and their sender is asked once for a key frame", () => {
  const stream = new Stream(THEIRS);
  stream.frames(50);
  const left = stream.frames(75, { at: 5_000 }).indexOf(true);
  assert.ok(left > 60 && left <= 65, `all but the last 400 ms: ${left} of 75 frames`);
  assert.ok(all(stream.frames(50), true));
  assert.equal(stream.asked, 1);
});

test("a slow network or encoder, without a standstill of the worker, makes nothing late", () => {
  const stream = new Stream(THEIRS);
  stream.frames(50);
  for (let now = 2_000; now <= 3_500; now += 100) stream.gate.pulse.beat(now);
  assert.ok(all(stream.frames(37, { at: 3_500 }), true));
  assert.equal(stream.asked, 0);
});

test("CLNT-17: after a fault each layer goes on with its own key frame", () => {
  const stream = new Stream(CAMERA);
  stream.frames(4, { ssrc: 1 });
  stream.frames(4, { ssrc: 2 });
  stream.gate.gap();
  assert.deepEqual([...stream.frames(1, { ssrc: 1 }), ...stream.frames(1, { ssrc: 2 })], [false, false]);
  assert.deepEqual(stream.frames(1, { ssrc: 1, type: "key" }), [true]);
  assert.deepEqual([...stream.frames(1, { ssrc: 1 }), ...stream.frames(1, { ssrc: 2 })], [true, false]);
  assert.deepEqual(stream.frames(1, { ssrc: 2, type: "key" }), [true]);
});

test("CLNT-16: a receiver that serves somebody else compares nobody with who was there before", () => {
  const stream = new Stream(THEIRS);
  stream.frames(50);
  stream.gate.forget();
  // The newcomer's clock is five seconds behind, and the worker has just stood still.
  const frame = { type: "delta", timestamp: 0, getMetadata: () => ({}) };
  stream.now += 5_000;
  assert.equal(stream.gate.admits(frame, stream.now), true);
});
