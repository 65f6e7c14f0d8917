// How the worker comes back to the delivery service: with a WebSocket and timers of the test's own.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { load } from "./load.js";
import { Timers } from "./page.js";

/** @type {Connection[]} */
let connections = [];
let timers = new Timers();
globalThis.self = {
  setTimeout: (call, ms) => timers.set(call, ms, false),
  setInterval: (call, ms) => timers.set(call, ms, true),
};
const { Delivery } = await load("sdk/worker/delivery.ts");

class Connection {
  static OPEN = 1;
  readyState = 0;
  constructor() {
    connections.push(this);
    this.at = timers.now;
  }
  close() {}
  open() {
    this.readyState = 1;
    this.onopen();
  }
  breaks() {
    this.onclose();
  }
}

beforeEach(() => {
  connections = [];
  timers = new Timers();
  globalThis.WebSocket = Connection;
  performance.now = () => timers.now;
  new Delivery("ws://service/", { connected() {}, text() {}, lost() {} });
});

/** Waits for the next connection. @returns {Promise<number>} how long that took */
async function next() {
  const [count, from] = [connections.length, timers.now];
  while (connections.length === count) await timers.pass(50);
  return timers.now - from;
}

test("DLVR-15: who is let in and put out again at once comes back ever later", async () => {
  const waits = [];
  for (let turn = 0; turn < 8; turn += 1) {
    connections.at(-1).open();
    connections.at(-1).breaks();
    waits.push(await next());
  }
  assert.ok(waits[0] <= 300, String(waits));
  assert.ok(waits[3] >= 1_000, String(waits));
  assert.ok(waits[7] >= 3_750 && waits[7] <= 6_300, String(waits));
});

test("whoever was connected for a while comes back at once, and never waits for what was before", async () => {
  for (let turn = 0; turn < 8; turn += 1) {
    connections.at(-1).breaks();
    await next();
  }
  connections.at(-1).open();
  for (let second = 0; second < 6; second += 1) {
    await timers.pass(1_000);
    connections.at(-1).onmessage({ data: "pong" });
  }
  connections.at(-1).breaks();
  assert.ok((await next()) <= 300);
});
