// A relay is replaced by another one under a call, as when its machine is to be updated.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { eventually } from "./lib/browser.js";
import { Calls } from "./lib/call.js";
import { freeMediaPort, freePort, SplitConclave } from "./lib/conclave.js";
import { goesOn, hears, hearsSilence } from "./lib/measure.js";
import { Gate, OUTSIDE } from "./lib/network.js";
import { agreed } from "./lib/person.js";

/** @type {Gate} */
let gate;
const calls = new Calls(async () => {
  const media = (/** @type {number} */ port) => ["--media", `127.0.0.1:${port}`, "--drain", "60"];
  const conclave = await SplitConclave.start({ outside: OUTSIDE, media });
  gate = await Gate.open(conclave.signalling);
  return conclave;
});
after(() => gate?.close());

test("RELY-52: a relay that is asked to stop is left for another one, and ends when nobody is there any more; who mutes on the way is muted (CLNT-18)", async () => {
  const { ada, ben, epoch } = await calls.two();
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  const [signalling, media] = [await freePort(), await freeMediaPort()];
  const second = await calls.conclave.anotherRelay(signalling, ["--media", `127.0.0.1:${media}`]);
  try {
    gate.target = signalling;
    const first = calls.conclave.relay.process;
    const ended = once(first, "exit");
    gate.hold();
    first.kill("SIGTERM");
    await eventually("both on their way to the other relay", async () => gate.held >= 2);
    const microphone = (/** @type {string} */ state) => eventually(`Ada's microphone ${state}`, async () => (await ada.attribute("microphone", "data-state")) === state);
    await ada.click("microphone");
    await microphone("off");
    gate.release();
    const [code] = await ended;
    assert.equal(code, 0, calls.conclave.relay.log);
    await Promise.all([ada.sees("Ben"), ben.sees("Ada"), goesOn(ada, ben), goesOn(ben, ada), hears(ada), hearsSilence(ben)]);
    await ada.click("microphone");
    await microphone("on");
    await hears(ben);
    assert.equal((await agreed([ada, ben])).epoch, epoch, "the group was not touched");
    assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
    assert.match(calls.conclave.relay.log, /Nobody new is let in/);
  } finally {
    await second.stop();
  }
});
