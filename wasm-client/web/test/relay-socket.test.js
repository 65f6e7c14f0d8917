// When a signalling connection is over: with a timer and a WebSocket of the test's own.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { load } from "./load.js";

const { RelaySocket } = await load("sdk/relay/socket.ts");

/** The one timer there is. @type {() => void} */
let beat = () => undefined;
let closed = 0;

class FakeSocket extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  /** @type {string[]} */
  sent = [];
  closedWith = 0;

  constructor() {
    super();
    FakeSocket.last = this;
  }
  send(text) {
    this.sent.push(JSON.parse(text).type);
  }
  close(code) {
    this.closedWith = code;
  }
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  says(message) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(message) }));
  }
}

/** @returns {FakeSocket} */
function connected() {
  new RelaySocket("ws://relay/", "token", { message: () => undefined, closed: () => (closed += 1) });
  FakeSocket.last.open();
  return FakeSocket.last;
}

/** Lets time pass as the page's clock has it. @param {number} seconds */
function pass(seconds) {
  const now = performance.now() + seconds * 1_000;
  performance.now = () => now;
}

beforeEach(() => {
  closed = 0;
  globalThis.WebSocket = FakeSocket;
  globalThis.window = { setInterval: (call) => ((beat = call), 1), clearInterval: () => undefined };
});

test("RELY-49: a relay that answers each beat is there, however seldom a throttled tab beats", () => {
  const socket = connected();
  for (let minute = 0; minute < 30; minute += 1) {
    pass(60);
    beat();
    socket.says({ type: "pong" });
  }
  assert.equal(closed, 0);
  assert.equal(socket.sent.filter((type) => type === "ping").length, 30);
});

test("RELY-49: a relay that says nothing to three beats is gone, once", () => {
  const socket = connected();
  for (let turn = 0; turn < 3; turn += 1) {
    pass(2);
    beat();
    assert.equal(closed, 0);
  }
  pass(2);
  beat();
  beat();
  assert.equal(closed, 1);
  // Not "on purpose": the relay keeps what is the participant's.
  assert.equal(socket.closedWith, 4000);
});

test("RELY-49: any word is an answer, and one that comes after the beat it would have been late for is heard", () => {
  const socket = connected();
  for (let turn = 0; turn < 20; turn += 1) {
    // The page was held up: beats first, and then all that was said meanwhile.
    pass(20);
    beat();
    beat();
    socket.says({ type: "producers", added: [], removed: [] });
  }
  assert.equal(closed, 0);
});

test("RELY-49: a connection that never opens is given up too", () => {
  new RelaySocket("ws://relay/", "token", { message: () => undefined, closed: () => (closed += 1) });
  for (let turn = 0; turn < 4; turn += 1) beat();
  assert.equal(closed, 1);
  assert.deepEqual(FakeSocket.last.sent, []);
});
