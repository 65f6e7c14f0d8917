// The worker's two pipes around an engine whose WebCrypto is Node's, and slow on purpose: order, both engines mixed, frames that
// hang, and what is in flight when keys or meetings end.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";
import { load } from "./load.js";

const posted = [];
globalThis.self = { postMessage: (message) => posted.push(message) };
const { Sealing } = await load("sdk/worker/sealing.ts");
const { OpeningPipe } = await load("sdk/worker/opening.ts");
const { KeyRing } = await load("sdk/worker/key-ring.ts");
const { ANSWER_WITHIN_MS, MAX_IN_FLIGHT } = await load("sdk/worker/lane.ts");

const KEY = new Uint8Array(16).fill(7);
const BIG = 100;

/**
 * Stands for the engine in WebAssembly, whose own steps are tested in e2ee-core/tests/media_engines.rs: a counter is taken once,
 * a sealed frame is its counter and its ciphertext, a counter opens once.
 */
class Engine {
  counter = 0;
  abandoned = [];
  seen = new Set();
  #ring = new KeyRing(webcrypto.subtle);
  #jobs = new Map();
  #job = 0;

  /** @param {{ delay?: (n: number) => Promise<void>, always?: boolean }} options */
  constructor({ delay = async () => undefined, always = false } = {}) {
    this.delay = delay;
    this.always = always;
  }

  prefersWebCrypto(bytes) {
    return this.always || bytes >= BIG;
  }

  #begin(direction, counter, text) {
    const job = ++this.#job;
    this.#jobs.set(job, { counter });
    const call = { nonce: new Uint8Array(12).fill(counter), additionalData: Uint8Array.of(counter) };
    const run = () => this.#ring.run(direction, 1, direction === "encrypt" ? 1 : 2, call, text, (use) => use(KEY.slice()));
    return { result: "in-flight", job, answer: this.delay(job).then(run) };
  }

  #take(job) {
    const found = this.#jobs.get(job);
    this.#jobs.delete(job);
    return found;
  }

  beginSeal(stream, mimeType, key, clear) {
    return this.#begin("encrypt", this.counter++, clear);
  }

  finishSeal(job, text) {
    const taken = this.#take(job);
    return taken ? Uint8Array.of(1, taken.counter, ...new Uint8Array(text)).buffer : null;
  }

  /** WebAssembly's own: here without a cipher, since only the order counts. */
  seal(stream, mimeType, key, clear) {
    return Uint8Array.of(0, this.counter++, ...clear).buffer;
  }

  open(kind, frame) {
    return this.#opened(frame[1], frame.slice(2).buffer);
  }

  beginOpen(kind, frame) {
    if (frame[0] === 9) return { result: "early", ticket: frame[1] };
    if (this.seen.has(frame[1])) return { result: "dropped", why: "replayed" };
    return this.#begin("decrypt", frame[1], frame.slice(2));
  }

  accept(job, plain) {
    const taken = this.#take(job);
    return taken ? this.#opened(taken.counter, plain) : { result: "dropped", why: "epoch-over" };
  }

  refuse(job) {
    this.#take(job);
    return { result: "dropped", why: "not-authentic" };
  }

  abandon(job) {
    this.#take(job);
    this.abandoned.push(job);
  }

  #opened(counter, frame) {
    if (this.seen.has(counter)) return { result: "dropped", why: "replayed" };
    this.seen.add(counter);
    return { result: "opened", ...(this.from ?? { leaf: 1, epoch: 3 }), stream: 1, frame };
  }
}

/** Time that passes by itself, in case nothing hangs; and at once, where a test makes it pass. */
function clock() {
  let time = 0;
  const timers = [];
  return {
    now: () => time,
    later: (ms, call) => void timers.push(call),
    pass(ms) {
      time += ms;
      for (const call of timers.splice(0)) call();
    },
  };
}

function setUp(engine) {
  const time = clock();
  const waiting = new Map();
  const asked = [];
  const context = {
    clock: time,
    engine: () => context.present,
    present: engine,
    /** By leaf, the epoch since which it is whose it is. */
    entered: new Map([[1, 2], [2, 3]]),
    since: (leaf) => context.entered.get(leaf) ?? null,
    fault: () => (context.faults += 1),
    faults: 0,
    died: (fault) => assert.fail(fault),
    keyFrameNeeded: (sealing) => asked.push(sealing.options.id),
    wait: (ticket, resume) => void waiting.set(ticket, resume),
  };
  const out = [];
  const controller = { enqueue: (frame) => out.push(new Uint8Array(frame.data)) };
  const sealing = new Sealing({ role: "seal", id: "s", stream: "camera" }, context, null);
  const opening = new OpeningPipe({ role: "open", id: "o", kind: "video" }, context);
  const frame = (bytes, type = "delta") => ({ data: Uint8Array.from(bytes).buffer, type, timestamp: 0, getMetadata: () => ({ mimeType: "video/VP8" }) });
  return {
    time,
    waiting,
    asked,
    context,
    out,
    sealing,
    opening,
    seal: (bytes, type) => sealing.transform(frame(bytes, type), controller),
    open: (bytes) => opening.transform(frame(bytes), controller),
  };
}

/** A different delay for each frame, the later the shorter. */
const slower = (n) => new Promise((resolve) => setTimeout(resolve, 40 - ((n * 13) % 40)));
const settled = async (done) => {
  for (let round = 0; round < 500 && !done(); round += 1) await new Promise((resolve) => setTimeout(resolve, 2));
};
const sized = (n, bytes) => [n, ...new Uint8Array(bytes - 1)];
const SIZES = [120, 5, 300, 1, 150, 7, 100, 80];

test("ENGN-4: frames of both engines leave and arrive in their order under a slow WebCrypto, each counter once", async () => {
  const sender = setUp(new Engine({ delay: slower }));
  SIZES.forEach((bytes, n) => sender.seal(sized(n, bytes)));
  await settled(() => sender.out.length === SIZES.length);
  assert.deepEqual(sender.out.map(([engine]) => engine), SIZES.map((bytes) => (bytes >= BIG ? 1 : 0)));
  assert.deepEqual(sender.out.map(([, counter]) => counter).toSorted(), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(sender.sealing.stats().engines, { wasm: 4, webcrypto: 4 });
  assert.deepEqual(sender.sealing.stats().dropped, {});

  const receiver = setUp(new Engine({ delay: slower }));
  for (const sealed of sender.out) receiver.open(sealed);
  await settled(() => receiver.out.length === SIZES.length);
  assert.deepEqual(receiver.out.map((plain) => [plain[0], plain.length]), SIZES.map((bytes, n) => [n, bytes]));
  assert.deepEqual(receiver.opening.stats().engines, { wasm: 4, webcrypto: 4 });
});

test("ENGN-4: of two frames with one counter in flight together one opens; a forged one holds nobody up", async () => {
  const sender = setUp(new Engine({ always: true }));
  for (const n of [0, 1, 2]) sender.seal(sized(n, 120));
  await settled(() => sender.out.length === 3);
  const [a, b, c] = sender.out;
  const forged = b.with(10, b[10] ^ 1);
  const receiver = setUp(new Engine({ always: true, delay: slower }));
  for (const frame of [a, a, forged, b, c, c.subarray(0, 12)]) receiver.open(frame);
  const { opening, out } = receiver;
  await settled(() => Object.values(opening.stats().dropped).reduce((sum, n) => sum + n, 0) === 3 && out.length === 3);
  assert.deepEqual(out.map(([first]) => first), [0, 1, 2]);
  assert.deepEqual(opening.stats().dropped, { replayed: 1, "not-authentic": 2 });
});

test("ENGN-4: an answer that never comes costs one frame, is counted, and a key frame is asked for", async () => {
  const never = new Promise(() => undefined);
  const sender = setUp(new Engine({ always: true, delay: (job) => (job === 2 ? never : Promise.resolve()) }));
  for (const n of [0, 1, 2, 3]) sender.seal(sized(n, 4));
  await settled(() => sender.out.length === 1);
  await settled(() => false || sender.out.length > 1);
  assert.equal(sender.out.length, 1, "the others wait for the second");
  sender.time.pass(ANSWER_WITHIN_MS);
  assert.deepEqual(sender.out.map(([, counter]) => counter), [0, 2, 3]);
  assert.deepEqual([sender.context.present.abandoned, sender.asked], [[2], ["s"]]);
  assert.deepEqual(sender.sealing.stats().dropped, { "no-answer": 1 });

  const receiver = setUp(new Engine({ always: true, delay: (job) => (job === 1 ? never : Promise.resolve()) }));
  for (const sealed of sender.out) receiver.open(sealed);
  await settled(() => receiver.context.present.seen.size === 2 || receiver.out.length > 0);
  receiver.time.pass(ANSWER_WITHIN_MS);
  await settled(() => receiver.out.length === 2);
  assert.deepEqual(receiver.out.map(([first]) => first), [2, 3]);
  assert.deepEqual(receiver.opening.stats().dropped, { "no-answer": 1 });
});

test("ENGN-4: the number of frames in flight is bounded", async () => {
  const sender = setUp(new Engine({ always: true, delay: () => new Promise(() => undefined) }));
  for (let n = 0; n < MAX_IN_FLIGHT + 5; n += 1) sender.seal(sized(n, 4));
  assert.deepEqual(sender.sealing.stats().dropped, { "too-many-in-flight": 5 });
  assert.equal(sender.context.present.counter, MAX_IN_FLIGHT, "who is not let in takes no counter");
});

test("frames of no bytes go through WebCrypto in both directions", async () => {
  const sender = setUp(new Engine({ always: true }));
  sender.seal([]);
  await settled(() => sender.out.length === 1);
  assert.equal(sender.out[0].length, 2 + 16);
  const receiver = setUp(new Engine({ always: true }));
  receiver.open(sender.out[0]);
  await settled(() => receiver.out.length === 1);
  assert.deepEqual(receiver.out, [new Uint8Array()]);
});

/** A receiver for frames that are said to be of this leaf and epoch; gives what the page is told, too. */
function receiving() {
  const receiver = setUp(new Engine());
  let counter = 0;
  posted.length = 0;
  return {
    ...receiver,
    get: (leaf, epoch = 3) => {
      receiver.context.present.from = { leaf, epoch };
      receiver.open([0, (counter += 1), leaf]);
    },
    told: () => posted.filter(({ type }) => type === "authenticated").map(({ leaf, binding, waits }) => [leaf, binding, waits]),
  };
}

test("CLNT-20: when a receiver's frames become somebody else's, none goes on before the page has taken that in", () => {
  const { opening, context, get, told, out } = receiving();
  opening.forgetSender(1);
  for (const leaf of [1, 1, 2, 2, 1]) get(leaf);
  assert.deepEqual(told(), [[1, 1, false], [2, 1, true]]);
  assert.deepEqual(out.map(([leaf]) => leaf), [1, 1], "in the tile of the first");
  opening.bound(1);
  get(2);
  assert.deepEqual(out.map(([leaf]) => leaf), [1, 1, 2]);
  assert.equal(context.faults, 1, "a key frame is due");
  assert.deepEqual(opening.stats().dropped, { "not-bound": 3 });
});

test("CLNT-20: a word of the page about an earlier binding, or about nobody, lets nothing through", () => {
  const { opening, get, out } = receiving();
  opening.forgetSender(1);
  get(1);
  opening.forgetSender(2);
  get(1);
  get(2);
  opening.bound(1);
  get(2);
  assert.equal(out.length, 2);
  opening.bound(2);
  opening.bound(2);
  get(2);
  get(1);
  assert.deepEqual(out.map(([leaf]) => leaf), [1, 1, 2]);
});

test("CLNT-20: a receiver that serves somebody else by the page's wish waits for nothing", () => {
  const { opening, get, told, out } = receiving();
  get(1);
  opening.forgetSender(5);
  get(2);
  assert.deepEqual(told(), [[1, 0, false], [2, 5, false]]);
  assert.equal(out.length, 2);
  opening.saySender();
  get(2);
  get(2);
  assert.deepEqual(told().slice(2), [[2, 5, false]], "said once more, to the same tile");
});

test("CLNT-20: frames of an epoch in which the leaf was somebody else's, or of a leaf that is nobody's, go nowhere", () => {
  const { opening, context, get, told, out } = receiving();
  get(1, 2);
  // Ben, leaf 1, is removed, and Dora is added at leaf 1 in one commit: epoch 4. Ben's keys of epoch 3 still open.
  context.entered.set(1, 4);
  get(1, 3);
  get(7, 4);
  assert.equal(out.length, 1);
  assert.deepEqual(opening.stats().dropped, { "not-a-member": 2 });
  assert.deepEqual(opening.report().dropped, {}, "nothing that the tile of somebody else should tell");
  get(1, 4);
  assert.equal(out.length, 1, "Dora's wait until the page knows that it is not Ben any more");
  assert.deepEqual(told(), [[1, 0, false], [1, 0, true]]);
  opening.bound(0);
  get(1, 4);
  assert.equal(out.length, 2);
});

test("CLNT-20: a receiver begins under the number that the page gave before its transform was there", () => {
  const { context, get, told } = receiving();
  const opening = new OpeningPipe({ role: "open", id: "o", kind: "video" }, context, 3);
  context.present.from = { leaf: 1, epoch: 3 };
  opening.transform({ data: Uint8Array.of(0, 99, 1).buffer, timestamp: 0 }, { enqueue: () => undefined });
  get(1);
  assert.deepEqual(told(), [[1, 3, false], [1, 0, false]]);
});

test("CLNT-20: what was counted of one sender is not reported of the next", () => {
  const { opening, get } = receiving();
  get(1);
  get(1);
  opening.forgetSender(1);
  get(2);
  const { leaf, opened } = opening.report();
  assert.deepEqual({ leaf, opened }, { leaf: 2, opened: 1 });
});

test("CLNT-2, CLNT-3: what is in flight when the meeting ends, or another begins, goes nowhere", async () => {
  for (const next of [null, new Engine()]) {
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    const sender = setUp(new Engine({ always: true, delay: () => gate }));
    sender.seal(sized(1, 4));
    sender.open(Uint8Array.of(1, 0, ...new Uint8Array(30)));
    sender.context.present = next;
    open();
    await settled(() => sender.sealing.stats().dropped["no-group"] && sender.opening.stats().dropped["no-group"]);
    assert.deepEqual(sender.out, []);
    assert.deepEqual([sender.sealing.stats().dropped, sender.opening.stats().dropped], [{ "no-group": 1 }, { "no-group": 1 }]);
  }
});

test("frames that waited for their epoch come in their order, before those that follow", async () => {
  const sender = setUp(new Engine({ always: true }));
  for (const n of [0, 1, 2]) sender.seal(sized(n, 4));
  await settled(() => sender.out.length === 3);
  const receiver = setUp(new Engine({ always: true, delay: slower }));
  for (const ticket of [0, 1]) receiver.open(Uint8Array.of(9, ticket));
  assert.deepEqual([...receiver.waiting.keys()], [0, 1]);
  // Their epoch comes: the engine hands them to WebCrypto one after the other.
  for (const ticket of [0, 1]) receiver.waiting.get(ticket)(receiver.context.present.beginOpen("video", sender.out[ticket]));
  receiver.open(sender.out[2]);
  await settled(() => receiver.out.length === 3);
  assert.deepEqual(receiver.out.map(([first]) => first), [0, 1, 2]);
});
