// RELY-73: a running signalling line shows each fresh token, once: with a WebSocket and timers of the test's own.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { load } from "./load.js";

const { Line } = await load("sdk/relay/line.ts");

/** @type {FakeSocket[]} */
let sockets = [];
/** @type {Map<number, () => void>} */
let timers = new Map();

class FakeSocket extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  /** @type {{ type: string, token?: string }[]} */
  sent = [];

  constructor() {
    super();
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  ready() {
    const message = { type: "ready", participant: "p" };
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(message) }));
  }
  breaks() {
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }
  /** What was shown, in order. */
  tokens() {
    return this.sent.filter(({ token }) => token !== undefined).map(({ type, token }) => `${type} ${token}`);
  }
}

const line = () => new Line("ws://relay/", "first", { message() {}, broken() {}, closed() {} });

beforeEach(() => {
  sockets = [];
  timers = new Map();
  let next = 1;
  const set = (call) => (timers.set(next, call), next++);
  globalThis.WebSocket = FakeSocket;
  globalThis.window = {
    setInterval: () => 0,
    clearInterval() {},
    setTimeout: set,
    clearTimeout: (id) => timers.delete(id),
  };
});

test("RELY-73: a fresh token is shown over the running connection, and the same one not again", () => {
  const running = line();
  sockets[0].open();
  sockets[0].ready();
  running.renew("ws://relay/", "second");
  running.renew("ws://relay/", "second");
  running.renew("ws://relay/", "third");
  assert.deepEqual(sockets[0].tokens(), ["hello first", "renew second", "renew third"]);
});

test("RELY-73: one that comes before the relay is ready is shown when it is", () => {
  const early = line();
  early.renew("ws://relay/", "second");
  sockets[0].open();
  assert.deepEqual(sockets[0].tokens(), ["hello first"]);
  sockets[0].ready();
  assert.deepEqual(sockets[0].tokens(), ["hello first", "renew second"]);
});

test("RELY-73: while the line is broken nothing is shown, and the next connection begins with the newest", () => {
  const broken = line();
  sockets[0].open();
  sockets[0].ready();
  sockets[0].breaks();
  broken.renew("ws://relay/", "second");
  for (const [id, call] of [...timers]) {
    timers.delete(id);
    call();
  }
  const next = sockets.at(-1);
  assert.notEqual(next, sockets[0]);
  next.open();
  next.ready();
  assert.deepEqual(next.tokens(), ["hello second"]);
  assert.deepEqual(sockets[0].tokens(), ["hello first"]);
});
